"""A program as a graph: instructions, what enters them, and what memory keeps between examples.

The graph is what both diagrams draw, as SVG and as Graphviz source. Its bands are the component
functions of section 3.1 of the AutoML-Zero paper.
"""

from collections.abc import Iterator
import dataclasses
import enum
import re

from azero.executors.single.straight_line import FEATURES, Address
from azero.export import algorithm as algorithm_lib
from azero.export.algorithm import Algorithm, Line, name
from azero.language.ops import Kind
from azero.language.program import Function, Programs

FILL = {Kind.SCALAR: "#fdf0d5", Kind.VECTOR: "#dcebfa", Kind.MATRIX: "#dff2df"}  # of nodes
PURPOSE = {
    Function.SETUP: "once, before the first example", Function.PREDICT: "for every example",
    Function.LEARN: "for every training example, after Predict"}
_LONG_NUMBER = re.compile(r"-?\d+\.?\d*(?:e[+-]?\d+)?")


class Role(enum.Enum):
  """What a node stands for."""

  LINE = "instruction"
  INPUT = "features or label"
  PREDICTION = "prediction"  # an instruction, or what normalises it
  BEFORE = "memory of the example before"
  AFTER = "memory for the next example"
  FIXED = "memory that Setup alone writes"
  ZERO = "memory that nothing writes"


@dataclasses.dataclass(frozen=True)
class Node:
  """A node.

  Attributes:
    key: unique in the graph, an identifier.
    role: what it stands for.
    band: the component function that it is drawn in.
    kind: of its value.
    label: what is written in it.
    about: the same in full.
    is_live: whether it can reach a prediction.
  """

  key: str
  role: Role
  band: Function
  kind: Kind
  label: str
  about: str
  is_live: bool = True


@dataclasses.dataclass(frozen=True)
class Edge:
  """A value that goes from a node to another, below it or in the next band.

  Attributes:
    source: key of a node.
    target: key of a node.
    is_start: whether it is what Setup puts into memory before the first example.
  """

  source: str
  target: str
  is_start: bool = False


@dataclasses.dataclass(frozen=True)
class Graph:
  """A program as a graph; edges go from earlier nodes to later ones.

  Attributes:
    nodes: in the order of their bands.
    edges: from what writes a value to what reads it.
    num_classes: of the task.
  """

  nodes: tuple[Node, ...]
  edges: tuple[Edge, ...]
  num_classes: int

  @property
  def has_memory(self) -> bool:
    """Whether an example leaves something for the next one."""
    return any(node.role is Role.AFTER for node in self.nodes)


def graph(program: Programs, num_classes: int = 0, *, with_dead: bool = False) -> Graph:
  """The graph of one program.

  Args:
    program: a batch of one.
    num_classes: 0 for a real-valued label, 2 for two classes, or more.
    with_dead: whether to keep instructions that cannot reach a prediction.

  Raises:
    ValueError: not one program, or one that does not fit the task.
  """
  algorithm = algorithm_lib.analyse(program, num_classes, with_dead=with_dead)
  return _Builder(algorithm).build()


class _Builder:
  """Collects the nodes and edges of an algorithm."""

  def __init__(self, algorithm: Algorithm):
    self._algorithm = algorithm
    self._nodes: dict[str, Node] = {}
    self._edges: list[Edge] = []
    self._predicting = algorithm.last_writer(algorithm.prediction, Function.PREDICT)

  def build(self) -> Graph:
    """The graph."""
    if self._predicting is None:
      self._add_prediction(self._memory(Function.PREDICT, self._algorithm.prediction))
    for line in self._algorithm.lines:
      origins = self._algorithm.origins[line.number]
      sources = [self._source(line.function, origin) for origin in origins]
      self._add_line(line)
      self._edges += [Edge(source, _key(line)) for source in sources]
      if line is self._predicting and self._algorithm.num_classes:
        self._add_prediction(_key(line))
    for function, address, key in self._kept():
      self._add_after(function, address, key)
    nodes = sorted(self._nodes.values(), key=lambda node: node.band)
    return Graph(tuple(nodes), tuple(self._edges), self._algorithm.num_classes)

  def _put(self, node: Node) -> str:
    self._nodes.setdefault(node.key, node)
    return node.key

  def _add_line(self, line: Line) -> None:
    is_prediction = line is self._predicting and not self._algorithm.num_classes
    label = _LONG_NUMBER.sub(_short, line.text)
    label = f"prediction: {label}" if is_prediction else label
    self._put(Node(
        _key(line), Role.PREDICTION if is_prediction else Role.LINE, line.function,
        line.output.kind, label, line.text, line.is_live))

  def _add_prediction(self, source: str) -> None:
    """What the evaluation does with what it finds as the prediction."""
    address = name(self._algorithm.prediction)
    label = f"prediction: {address}"
    if self._algorithm.num_classes:
      word = "softmax" if self._algorithm.multiclass else "sigmoid"
      label += f" = {word}({address})"
    self._put(Node(
        "prediction", Role.PREDICTION, Function.PREDICT, self._algorithm.prediction.kind, label,
        "what the evaluation scores"))
    self._edges.append(Edge(source, "prediction"))

  def _source(self, reader: Function, origin: algorithm_lib.Origin) -> str:
    """The node that an operand comes from; it is made if it is not there."""
    if isinstance(origin, int):
      return _key(self._algorithm.lines[origin])
    algorithm = self._algorithm
    kind, address = origin.kind, name(origin)
    if reader is Function.SETUP or (reader is Function.PREDICT and origin == algorithm.label):
      return self._zero(reader, origin)
    if origin == FEATURES:
      return self._put(Node("features", Role.INPUT, reader, kind, "v0: features", "features"))
    if origin == algorithm.label:
      return self._put(Node("label", Role.INPUT, reader, kind, f"{address}: label", "label"))
    if reader is Function.LEARN and origin == algorithm.prediction:
      if self._predicting is None or algorithm.num_classes:
        return "prediction"
      return _key(self._predicting)
    return self._memory(reader, origin)

  def _zero(self, band: Function, address: Address) -> str:
    return self._put(Node(
        f"zero_{band.name.lower()}_{name(address)}", Role.ZERO, band, address.kind,
        f"{name(address)}: zero", "zero: nothing has written it"))

  def _memory(self, reader: Function, address: Address) -> str:
    """What an address holds when the pass over an example begins."""
    by_setup = self._algorithm.last_writer(address, Function.SETUP)
    if self._is_kept(address):
      node = Node(
          f"before_{name(address)}", Role.BEFORE, reader, address.kind, f"↻ {name(address)}",
          f"{name(address)} as the example before has left it; at first "
          f"{'from Setup' if by_setup else 'zero'}")
    elif by_setup:
      node = Node(
          f"fixed_{reader.name.lower()}_{name(address)}", Role.FIXED, reader, address.kind,
          f"{name(address)}: from Setup", f"{name(address)}, which Setup alone writes")
    else:
      return self._zero(reader, address)
    if node.key not in self._nodes and by_setup:
      self._edges.append(Edge(_key(by_setup), node.key, is_start=True))
    return self._put(node)

  def _is_kept(self, address: Address) -> bool:
    """Whether Predict, the evaluation or Learn changes it."""
    return self._is_normalised(address) or any(
        self._algorithm.last_writer(address, function)
        for function in (Function.PREDICT, Function.LEARN))

  def _is_normalised(self, address: Address) -> bool:
    """Whether the evaluation puts another value there: sigmoid or softmax of what it finds."""
    return address == self._algorithm.prediction and self._algorithm.num_classes > 0

  def _kept(self) -> Iterator[tuple[Function, Address, str]]:
    """What is left for the next example: by whom, where, and the node that it comes from."""
    read = {node.key for node in self._nodes.values() if node.role is Role.BEFORE}
    for address in self._algorithm.addresses:
      if f"before_{name(address)}" not in read:
        continue
      for function in (Function.PREDICT, Function.LEARN):
        writer = self._algorithm.last_writer(address, function)
        if writer is not None and writer.is_live:
          is_prediction = writer is self._predicting and self._algorithm.num_classes
          yield function, address, "prediction" if is_prediction else _key(writer)
      if self._is_normalised(address) and not any(
          self._algorithm.last_writer(address, function)
          for function in (Function.PREDICT, Function.LEARN)):
        yield Function.PREDICT, address, "prediction"

  def _add_after(self, function: Function, address: Address, source: str) -> None:
    short = name(address)
    overwritten = (
        function is Function.PREDICT
        and self._algorithm.last_writer(address, Function.LEARN) is not None)
    label = f"{short} ↻ once trained" if overwritten else f"{short} ↻"
    about = f"{short} for the next example"
    about += "; in training Learn writes it once more" if overwritten else ""
    key = self._put(Node(
        f"after_{function.name.lower()}_{short}", Role.AFTER, function, address.kind, label, about))
    self._edges.append(Edge(source, key))


def _key(line: Line) -> str:
  return f"line_{line.number}"


def _short(found: re.Match[str]) -> str:
  """A number with at most four digits, where that is shorter."""
  text = found.group()
  shorter = f"{float(text):.4g}"
  return shorter if len(shorter) < len(text) and not text.isdecimal() else text
