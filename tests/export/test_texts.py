"""JSON that reads back, LaTeX that can be set, and what a notebook shows."""

import json
import xml.etree.ElementTree as ElementTree

from matplotlib import mathtext
import numpy as np
import pytest
from support import random_programs

import azero
from azero import export
from azero.export import latex_text
from azero.language.ops import NUM_PAPER_OPS, all_ops


@pytest.mark.parametrize("name", azero.zoo.names())
def test_programs_of_the_zoo_read_back_the_same(name):
  program = azero.zoo.load(name, 5)
  assert export.from_json(export.json_text(program)) == program


def test_random_batches_read_back_the_same():
  for space in (random_programs.full_space(7), random_programs.fusing_space(4)):
    programs = random_programs.random_programs(space, 200, seed=2)
    text = export.json_text(programs)
    assert json.loads(text)["version"] == 1
    assert export.from_json(text) == programs
    assert export.from_json(export.json_text(programs[:0])) == programs[:0]


def test_a_text_may_say_how_many_classes_there_are():
  program = azero.zoo.load("s2c", 5)
  assert export.num_classes_in(export.json_text(program)) is None
  for number in (0, 2, 3):
    text = export.json_text(program, number)
    assert export.num_classes_in(text) == number and export.from_json(text) == program
  assert export.num_classes_in(export.json_text(program, np.int64(5))) == 5
  with pytest.raises(ValueError, match=r"num_classes must be a whole number, got 2\.0"):
    export.json_text(program, 2.0)
  for number in (1, -1):
    with pytest.raises(ValueError, match=f"num_classes must be 0 for .*; got {number}"):
      export.json_text(program, number)
    text = export.json_text(program, 2).replace('"num_classes": 2', f'"num_classes": {number}')
    with pytest.raises(ValueError, match=f"num_classes: num_classes must be 0 for .* got {number}"):
      export.num_classes_in(text)


_GOOD = json.loads(export.json_text(azero.zoo.load("linear_regressor", 4)))


def _changed(path, value):
  document = json.loads(json.dumps(_GOOD))
  *parents, last = path
  inner = document
  for key in parents:
    inner = inner[key]
  if value is None:
    del inner[last]
  else:
    inner[last] = value
  return json.dumps(document)


@pytest.mark.parametrize(("text", "message"), [
    ("{", "This is no JSON"),
    ("[]", "whole text: must be an object"),
    (_changed(["format"], "zip"), "format: must be 'azero-programs'"),
    (_changed(["version"], 2), "version: must be 1"),
    (_changed(["space", "num_scalars"], None), "space: lacks 'num_scalars'"),
    (_changed(["space", "num_features"], 2.5), "space.num_features: must be a whole number"),
    (_changed(["space", "num_features"], -1), "space: is no search space"),
    (_changed(["space", "setup", "max_length"], -1), "space.setup: is no component function"),
    (_changed(["space", "setup", "ops", 0], "magic"),
     r"space.setup.ops\[0\]: is the name of no op"),
    (_changed(["programs"], {}), "programs: must be a list"),
    (_changed(["programs", 0, "learn"], None), r"programs\[0\]: lacks 'learn'"),
    (_changed(["programs", 0, "setup", 0, "out"], "v2"),
     r"programs\[0\].setup\[0\].out: must be an address of a scalar"),
    (_changed(["programs", 0, "setup", 0, "out"], "s99"), "must be an address from s1 to s"),
    (_changed(["programs", 0, "setup", 0, "constants"], []), "constants: must have 1 items"),
    (_changed(["programs", 0, "setup", 0, "constants"], ["x"]), "must be a number"),
    (_changed(["programs", 0, "setup", 0, "color"], 1), "has 'color', which is not of the format"),
    (_changed(["programs", 0, "setup"], _GOOD["programs"][0]["setup"] * 2),
     "has 2 instructions, the space allows 1"),
])
def test_malformed_json_is_one_clear_error(text, message):
  with pytest.raises(ValueError, match=message):
    export.from_json(text)


@pytest.mark.parametrize("name", azero.zoo.names())
def test_latex_can_be_set(name):
  num_classes = 3 if azero.zoo.is_multiclass(name) else 2
  text = export.latex(azero.zoo.load(name, 4), num_classes)
  rows = text.splitlines()
  assert (rows[0], rows[-1]) == (r"\begin{align*}", r"\end{align*}")
  parser, formulas = mathtext.MathTextParser("path"), 0
  for row in rows[1:-1]:
    assert row.count("&") == 1 and row.endswith(r" \\") == (row != rows[-2])
    if r"\text" not in row:
      parser.parse(f"${row.removesuffix(chr(92) * 2).replace('&', '')}$")
      formulas += 1
  analysis = azero.compiler.canonical.analyse(
      azero.zoo.load(name, 4), multiclass=num_classes > 2)
  assert formulas == analysis.live.sum() + 1  # and the normalisation


def test_every_op_has_a_formula_that_can_be_set():
  parser = mathtext.MathTextParser("path")
  fields = {"a": "s_{1}", "b": "s_{2}", "c0": "1", "c1": "2", "c2": "3"}
  for op in all_ops()[1:NUM_PAPER_OPS]:
    assert parser.parse(f"${latex_text._FORMULAS[op.name] % fields}$").width > 0


def test_a_small_program_in_latex():
  assert export.latex(azero.zoo.load("linear_regressor", 4)) == r"""\begin{align*}
& \textbf{Setup}\quad \text{(once; all memory is zero before)} \\
s_{2} &\leftarrow 0.001 \\
& \textbf{Predict}\quad \text{(for every example, with features $\mathbf{v}_{0}$)} \\
s_{1} &\leftarrow \mathbf{v}_{0}^{\top} \mathbf{v}_{1} \\
& \text{the prediction is $s_{1}$} \\
& \textbf{Learn}\quad \text{(for every training example, with label $s_{0}$)} \\
s_{3} &\leftarrow s_{0} - s_{1} \\
s_{4} &\leftarrow s_{3} \cdot s_{2} \\
\mathbf{v}_{2} &\leftarrow s_{4} \, \mathbf{v}_{0} \\
\mathbf{v}_{1} &\leftarrow \mathbf{v}_{1} + \mathbf{v}_{2}
\end{align*}
"""


def test_a_notebook_shows_the_component_functions_side_by_side():
  program = azero.zoo.load("linear_regressor", 4)
  table = ElementTree.fromstring(program._repr_html_())
  assert [head.text for head in table.iter("th")] == ["Setup", "Predict", "Learn"]
  assert [body.text for body in table.iter("pre")] == [
      "s2 = 0.001", "s1 = dot(v0, v1)",
      "s3 = s0 - s1\ns4 = s3 * s2\nv2 = s4 * v0\nv1 = v1 + v2"]
  many = azero.Programs.concatenate([program] * 5)._repr_html_()
  assert many.count("<table>") == 3 and "... 2 more" in many
  assert np.char.count(azero.Programs.empty(program.space)._repr_html_(), "<pre></pre>") == 3
