"""The diagram shows every live instruction once, in order, apart from the others."""

import collections
import itertools
import xml.etree.ElementTree as ElementTree

import pytest
from support import random_programs

import azero
from azero import export
from azero.compiler import canonical
from azero.export import algorithm
from azero.export import graph as graph_lib
from azero.export.graph import Role
from azero.export.layout import HEIGHT, lay_out

_SVG = "{http://www.w3.org/2000/svg}"


def _graphs():
  for name in azero.zoo.names():
    num_classes = 3 if azero.zoo.is_multiclass(name) else 0
    yield azero.zoo.load(name, 4), num_classes
  programs = random_programs.random_programs(
      random_programs.full_space(5), 20, seed=4, multiclass=True, full=True)
  for i in range(len(programs)):
    yield programs[i], (0, 2, 3)[i % 3]


@pytest.fixture(scope="module", params=list(_graphs()), ids=lambda param: None)
def case(request):
  program, num_classes = request.param
  return program, num_classes, graph_lib.graph(program, num_classes)


def test_there_is_a_node_for_every_live_instruction(case):
  program, num_classes, graph = case
  live = canonical.analyse(program, multiclass=num_classes > 2).live
  lines = [node for node in graph.nodes if node.key.startswith("line_")]
  assert len(lines) == live.sum()
  keys = {node.key for node in graph.nodes}
  assert len(keys) == len(graph.nodes)
  assert all(edge.source in keys and edge.target in keys for edge in graph.edges)
  # Each operand of an instruction is an edge, and each live value goes somewhere.
  entering = collections.Counter(edge.target for edge in graph.edges)
  leaving = {edge.source for edge in graph.edges}
  for line in algorithm.analyse(program, num_classes).lines:
    assert entering[f"line_{line.number}"] == len(line.reads)
  assert sum(node.role is Role.PREDICTION for node in graph.nodes) == 1
  for node in graph.nodes:
    if node.role is not Role.AFTER and node.role is not Role.PREDICTION:
      assert node.key in leaving, node


def test_values_go_down_and_nodes_do_not_touch(case):
  _, _, graph = case
  layout = lay_out(graph)
  assert all(layout.places[link.lower].row == layout.places[link.upper].row + 1
             for link in layout.links)
  rows = collections.defaultdict(list)
  for place in layout.places:
    rows[place.row].append((place.x - place.width / 2, place.x + place.width / 2))
  for spans in rows.values():
    spans.sort()
    assert all(left[1] + 4 < right[0] for left, right in itertools.pairwise(spans))
  assert layout.tops == sorted(layout.tops)
  for place in layout.places:
    if place.node is not None:
      band, top, bottom = layout.bands[place.node.band]
      assert band is place.node.band
      assert top < layout.tops[place.row] < layout.tops[place.row] + HEIGHT < bottom


def test_the_svg_stands_alone(case):
  program, num_classes, graph = case
  text = export.diagram(program, num_classes)
  root = ElementTree.fromstring(text)
  width, height = map(float, root.get("viewBox").split()[2:])
  labels = [node.text for node in root.iter(f"{_SVG}text")]
  for node in graph.nodes:
    assert node.label in labels
  for box in root.iter(f"{_SVG}rect"):
    x, y, w, h = (float(box.get(name, 0)) for name in ("x", "y", "width", "height"))
    assert x >= 0 and y >= 0 and x + w <= width and y + h <= height
  # Nothing is loaded from elsewhere.
  assert "href" not in text and text.count("http") == 1
  assert text.count("url(") == text.count("url(#arrow-")


def test_figure_6_shows_what_it_keeps():
  graph = graph_lib.graph(azero.zoo.load("figure_6", 4), 2)
  labels = {node.label: node for node in graph.nodes}
  kept = {"s2", "v9", "m0", "m1", "m2"}
  assert {label for label in labels if label.startswith("↻")} == {f"↻ {name}" for name in kept}
  after = {node.label for node in graph.nodes if node.role is Role.AFTER}
  assert after == {f"{name} ↻" for name in kept} | {"m1 ↻ once trained"}
  edges = {(edge.source, edge.target) for edge in graph.edges}
  by_label = {label: node.key for label, node in labels.items()}
  assert (by_label["m0 = m1 + m0"], by_label["m0 ↻"]) in edges
  assert (by_label["↻ m0"], by_label["m0 = m1 + m0"]) in edges
  assert (by_label["prediction: s1 = sigmoid(s1)"], by_label["s4 = s0 - s1"]) in edges


@pytest.mark.parametrize(("code", "num_classes", "role", "after"), [
    ("def Setup():\n  s1 = 0.5\ndef Predict():\ndef Learn():", 0, Role.FIXED, []),
    ("def Setup():\ndef Predict():\ndef Learn():", 0, Role.ZERO, []),
    ("def Setup():\n  s1 = 0.5\ndef Predict():\ndef Learn():", 2, Role.BEFORE, ["predict"]),
    ("def Setup():\ndef Predict():\ndef Learn():\n  s1 = s0 + s1", 0, Role.BEFORE, ["learn"]),
    ("def Setup():\ndef Predict():\ndef Learn():\n  s1 = s0 + s1", 2, Role.BEFORE, ["learn"]),
])
def test_a_prediction_that_predict_does_not_write(code, num_classes, role, after):
  graph = graph_lib.graph(azero.parse(code, num_features=4), num_classes)
  [edge] = [each for each in graph.edges if each.target == "prediction"]
  assert next(node.role for node in graph.nodes if node.key == edge.source) is role
  assert [node.key for node in graph.nodes if node.role is Role.AFTER] == [
      f"after_{function}_s1" for function in after]
  lay_out(graph)


def test_dead_instructions_are_left_out_unless_asked_for():
  program = azero.zoo.load("s1a", 4)
  assert "s6 = cos(s4)" not in export.diagram(azero.zoo.load("figure_6", 4))
  assert "s5 = sin(s4)" in export.diagram(program)
  assert "log(s0)" not in export.diagram(program)
  assert "log(s0)" in export.diagram(program, with_dead=True)


def test_graphviz_source_has_the_same_nodes_and_edges(case):
  program, num_classes, graph = case
  text = export.graphviz_source(program, num_classes)
  assert text.count(" -> ") == len(graph.edges)
  assert text.count("label=") == len(graph.nodes) + 3
  assert text.count("{") == text.count("}") == 4


def test_a_program_without_instructions_is_drawn():
  empty = azero.Programs.empty(azero.spaces.demo())
  text = export.diagram(empty)
  assert text.count("nothing to do") == 2 and "prediction: s1" in text
