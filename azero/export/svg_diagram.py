"""A data-flow diagram of a program as SVG, for which no program need be installed.

Setup, Predict and Learn are bands, one below the other; in each values flow downwards. What one
example leaves in memory for the next is drawn where it is read and where it is written, and an
arrow beside the bands joins the two.
"""

from xml.sax import saxutils

from azero.export import graph as graph_lib
from azero.export.graph import Graph, Node, Role
from azero.export.layout import HEIGHT, Link, lay_out
from azero.language.ops import Kind
from azero.language.program import Function, Programs

_STROKE = {Kind.SCALAR: "#c98a1b", Kind.VECTOR: "#3a78b5", Kind.MATRIX: "#3f8f4f"}
_BAND = {Function.SETUP: "#f6f5f2", Function.PREDICT: "#f3f6f9", Function.LEARN: "#f7f4f8"}
_MARGIN, _SIDE, _LEAST_WIDTH, _LEGEND = 24.0, 64.0, 560.0, 58.0
_INK, _GREY = "#22272e", "#8b929b"
# Of this picture alone, also inside HTML with others.
_STYLE = """
  .azero-flow text { fill: #22272e;
    font: 12.5px ui-monospace, 'DejaVu Sans Mono', Menlo, Consolas, monospace; }
  .azero-flow .title { font: bold 15px system-ui, 'DejaVu Sans', Helvetica, Arial, sans-serif; }
  .azero-flow .note { fill: #5b636d;
    font: 12px system-ui, 'DejaVu Sans', Helvetica, Arial, sans-serif; }
"""


def diagram(program: Programs, num_classes: int = 0, *, with_dead: bool = False) -> str:
  """The data flow of a program as SVG.

  Args:
    program: a batch of one.
    num_classes: 0 for a real-valued label, 2 for two classes, or more.
    with_dead: whether to draw, in grey, instructions that cannot reach a prediction.

  Returns:
    The text of an SVG file, which may also stand inside HTML.

  Raises:
    ValueError: not one program, or one that does not fit the task.
  """
  return _Picture(graph_lib.graph(program, num_classes, with_dead=with_dead)).draw()


class _Picture:
  """Draws a graph."""

  def __init__(self, graph: Graph):
    self._graph, self._layout = graph, lay_out(graph)
    inner = max(self._layout.width, _LEAST_WIDTH)
    self._left = _MARGIN + 16 + (inner - self._layout.width) / 2
    self._right = _MARGIN + inner + 32  # of the bands
    self._width = self._right + (_SIDE if graph.has_memory else _MARGIN)
    self._height = self._layout.bands[-1][2] + 2 * _MARGIN + _LEGEND
    self._parts: list[str] = []

  def draw(self) -> str:
    """The SVG."""
    for band, top, bottom in self._layout.bands:
      self._draw_band(band, top, bottom)
    for link in self._layout.links:
      self._draw_link(link)
    for band, top, _ in self._layout.bands:
      self._draw_title(band, top)
    for place in self._layout.places:
      if place.node is not None:
        self._draw_node(place.node, place.x + self._left, self._top(place.row))
    if self._graph.has_memory:
      self._draw_loop()
    self._draw_legend()
    size = f"{self._width:.0f} {self._height:.0f}"
    width, height = size.split()
    heads = "".join(_arrow_head(kind.letter, color) for kind, color in _STROKE.items())
    heads += _arrow_head("loop", _GREY)
    return "\n".join([
        f'<svg class="azero-flow" xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {size}" '
        f'width="{width}" height="{height}" role="img">',
        "<title>Data flow of the program</title>", f"<style>{_STYLE}</style>",
        f"<defs>{heads}</defs>", f'<rect width="{width}" height="{height}" fill="#ffffff"/>',
        *self._parts, "</svg>"]) + "\n"

  def _top(self, row: int) -> float:
    return self._layout.tops[row] + _MARGIN

  def _draw_band(self, band: Function, top: float, bottom: float) -> None:
    y = top + _MARGIN
    self._parts.append(
        f'<rect x="{_MARGIN:.0f}" y="{y:.1f}" width="{self._right - _MARGIN:.1f}" '
        f'height="{bottom - top:.1f}" rx="10" fill="{_BAND[band]}" stroke="#dcdfe4"/>')

  def _draw_title(self, band: Function, top: float) -> None:
    """The name of a band, over the edges that pass it."""
    y, caption = top + _MARGIN, graph_lib.PURPOSE[band]
    if not any(node.band is band for node in self._graph.nodes):
      caption = "nothing to do"
    self._parts.append(
        f'<rect x="{_MARGIN + 8:.0f}" y="{y + 8:.1f}" width="{84 + 6.7 * len(caption):.0f}" '
        f'height="22" rx="6" fill="{_BAND[band]}" fill-opacity="0.9"/>')
    self._text(_MARGIN + 14, y + 24, band.name.title(), "title")
    self._text(_MARGIN + 14 + 72, y + 24, caption, "note")

  def _draw_link(self, link: Link) -> None:
    """A part of an edge, through the height of the row that it ends in."""
    layout = self._layout
    upper, lower = layout.places[link.upper], layout.places[link.lower]
    x1, y1 = upper.x + self._left, self._top(upper.row) + HEIGHT
    x2, y2 = lower.x + self._left + self._port(link), self._top(lower.row)
    source = next(node for node in self._graph.nodes if node.key == link.edge.source)
    target = next(node for node in self._graph.nodes if node.key == link.edge.target)
    color = _STROKE[source.kind] if source.is_live and target.is_live else "#c4c8ce"
    end = y2 - 5 if lower.node is not None else y2
    middle = (y1 + y2) / 2
    path = f"M{x1:.1f},{y1:.1f}C{x1:.1f},{middle:.1f} {x2:.1f},{middle:.1f} {x2:.1f},{end:.1f}"
    if lower.node is None:
      path += f"V{y2 + HEIGHT:.1f}"
    head = f' marker-end="url(#arrow-{source.kind.letter})"' if lower.node is not None else ""
    dashes = ' stroke-dasharray="4 4"' if link.edge.is_start else ""
    self._parts.append(
        f'<path d="{path}" fill="none" stroke="{color}" stroke-width="1.4"{dashes}{head}/>')

  def _port(self, link: Link) -> float:
    """How far from the middle of a node an edge ends: side by side, in the order of the sources."""
    layout = self._layout
    if layout.places[link.lower].node is None:
      return 0.0
    ends = sorted(
        (each for each in layout.links if each.lower == link.lower),
        key=lambda each: layout.places[each.upper].x)
    place = next(k for k, each in enumerate(ends) if each is link)
    return 22.0 * (place - (len(ends) - 1) / 2)

  def _draw_node(self, node: Node, x: float, y: float) -> None:
    width = next(
        place.width for place in self._layout.places if place.node is node)
    is_line = node.role in (Role.LINE, Role.PREDICTION)
    radius = 5 if is_line else HEIGHT / 2
    fill, stroke = graph_lib.FILL[node.kind], _STROKE[node.kind]
    if node.role in (Role.ZERO, Role.FIXED, Role.INPUT):
      fill = "#ffffff"
    if not node.is_live:
      fill, stroke = "#f1f2f4", "#c4c8ce"
    line = 2.6 if node.role in (Role.PREDICTION, Role.INPUT) else 1.2
    dashes = ' stroke-dasharray="4 3"' if node.role in (Role.ZERO, Role.FIXED) else ""
    box = (f'<rect x="{x - width / 2:.1f}" y="{y:.1f}" width="{width:.1f}" height="{HEIGHT:.0f}" '
           f'rx="{radius:.0f}" fill="{fill}" stroke="{stroke}" stroke-width="{line}"{dashes}/>')
    self._parts.append(f"<g><title>{saxutils.escape(node.about)}</title>{box}")
    color = _INK if node.is_live else _GREY
    self._parts.append(
        f'<text x="{x:.1f}" y="{y + HEIGHT / 2 + 4.5:.1f}" text-anchor="middle" fill="{color}">'
        f"{saxutils.escape(node.label)}</text></g>")

  def _draw_loop(self) -> None:
    """The arrow from the end of one example to the beginning of the next."""
    (_, top, _), (_, _, bottom) = self._layout.bands[Function.PREDICT], self._layout.bands[-1]
    x, start, end = self._right, bottom + _MARGIN - 24, top + _MARGIN + 24
    out = x + 30
    self._parts.append(
        f'<path d="M{x:.1f},{start:.1f}H{out - 12:.1f}Q{out:.1f},{start:.1f} {out:.1f},'
        f"{start - 12:.1f}V{end + 12:.1f}Q{out:.1f},{end:.1f} {out - 12:.1f},{end:.1f}"
        f'H{x + 7:.1f}" fill="none" stroke="{_GREY}" stroke-width="2" '
        'marker-end="url(#arrow-loop)"/>')
    middle = (start + end) / 2
    self._parts.append(
        f'<text class="note" transform="translate({out + 17:.1f},{middle:.1f}) rotate(-90)" '
        'text-anchor="middle">↻ memory, for the next example</text>')

  def _draw_legend(self) -> None:
    y = self._layout.bands[-1][2] + _MARGIN + 30
    x = _MARGIN + 14
    for kind in Kind:
      self._parts.append(
          f'<rect x="{x:.1f}" y="{y - 11:.1f}" width="14" height="14" rx="3" '
          f'fill="{graph_lib.FILL[kind]}" stroke="{_STROKE[kind]}"/>')
      self._text(x + 20, y, kind.name.lower(), "note")
      x += 84
    self._text(x, y, "rounded: what memory or the example holds", "note")
    if self._graph.has_memory:
      self._text(_MARGIN + 14, y + 22, "↻: kept from one example to the next, read above and "
                 "written below", "note")

  def _text(self, x: float, y: float, text: str, style: str) -> None:
    self._parts.append(
        f'<text class="{style}" x="{x:.1f}" y="{y:.1f}">{saxutils.escape(text)}</text>')


def _arrow_head(name: str, color: str) -> str:
  return (
      f'<marker id="arrow-{name}" viewBox="0 0 8 8" refX="3" refY="4" markerWidth="6.5" '
      f'markerHeight="6.5" orient="auto"><path d="M0,0.8L7,4L0,7.2Z" fill="{color}"/></marker>')
