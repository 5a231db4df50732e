"""A data-flow diagram of a program as source for Graphviz, for those who have it."""

from azero.export import graph as graph_lib
from azero.export.graph import Node, Role
from azero.language.program import Function, Programs


def graphviz_source(
    program: Programs, num_classes: int = 0, *, with_dead: bool = False) -> str:
  """The graph that `diagram` draws, in the DOT language: `dot -Tpdf` makes a picture of it.

  Arguments and errors as for `diagram`.
  """
  graph = graph_lib.graph(program, num_classes, with_dead=with_dead)
  lines = [
      "digraph program {", '  node [fontname="monospace", fontsize=11, style=filled];',
      '  edge [arrowsize=0.6, color="#5b636d"];']
  for band in Function:
    lines.append(f"  subgraph cluster_{band.name.lower()} {{")
    lines.append(f'    label="{band.name.title()}"; labeljust=l; color="#c4c8ce";')
    lines += [f"    {_node(node)}" for node in graph.nodes if node.band is band]
    lines.append("  }")
  for edge in graph.edges:
    lines.append(f"  {edge.source} -> {edge.target}{' [style=dashed]' if edge.is_start else ''};")
  return "\n".join([*lines, "}"]) + "\n"


def _node(node: Node) -> str:
  shape = "box" if node.role in (Role.LINE, Role.PREDICTION) else "oval"
  color = graph_lib.FILL[node.kind] if node.is_live else "#f1f2f4"
  width = ", penwidth=2.5" if node.role is Role.PREDICTION else ""
  return (
      f"{node.key} [label={_quoted(node.label)}, tooltip={_quoted(node.about)}, shape={shape}, "
      f'fillcolor="{color}"{width}];')


def _quoted(text: str) -> str:
  escaped = text.replace("\\", "\\\\").replace('"', '\\"')
  return f'"{escaped}"'
