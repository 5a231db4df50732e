"""What a program carries from example to example, and when memory settles in validation."""

import numpy as np
import pytest

from azero.executors.single import large_rules, straight_line
from azero.executors.single.straight_line import Address
from azero.language import ops, text, zoo
from azero.language.ops import Constant, Kind


def _program(predict: str, learn: str = "", setup: str = ""):
  parts = zip(("Setup", "Predict", "Learn"), (setup, predict, learn))
  source = "\n".join(
      "\n  ".join([f"def {name}():", *filter(None, lines.split("; "))]) for name, lines in parts)
  return text.parse(source, num_features=4)


def _carried(code: straight_line.Straight) -> str:
  return " ".join(f"{kind.letter}{index}" for kind, index in code.carried)


@pytest.mark.parametrize("name, carried", [
    ("linear_regressor", "v1"), ("plain_nn", "s2 v1 v2 m0"), ("s1b", "s2 v9 m0 m1 m2")])
def test_only_what_an_example_passes_on_is_carried(name, carried):
  assert _carried(straight_line.straighten(zoo.load(name))) == carried


def test_an_unwritten_prediction_is_carried():
  code = straight_line.straighten(_program("v1 = v0 + v0", "s1 = s0 + s0"))
  assert _carried(code) == "s1"


@pytest.mark.parametrize("predict, learn, settles, varying", [
    ("s1 = dot(v0, v1)", "v1 = v1 + v0", 0, 0),
    ("s1 = s2 + s3; s2 = s3 + s3", "s3 = s0 + s0", 1, 0),  # as in figure 6
    ("s1 = dot(v0, v1); v1 = s2 * v2; s2 = s3 + s3", "s3 = s0 + s0; v2 = v2 + v0", 2, 0),
    ("s1 = s1 + s2", "s2 = s0 + s0", None, 0),  # counts on
    ("s1 = dot(v1, v0); v1 = v0 + v2", "v2 = v2 + v0", None, 0),  # the features before
    ("s1 = s2 + s3; s2 = gaussian(0, 1)", "s3 = s0 + s0", None, 0),
    ("m0 = outer(v0, v1); s1 = norm(m0)", "v1 = v1 + v0", 0, 1),
    ("m0 = outer(v1, v1); s1 = norm(m0)", "v1 = v1 + v0", 0, 0)])
def test_when_memory_settles_in_validation(predict, learn, settles, varying):
  code = straight_line.straighten(_program(predict, learn))
  assert (code.settles, code.varying_matrices) == (settles, varying)


def test_constants_are_those_of_live_instructions_without_indices():
  program = _program(
      "s1 = dot(v0, v1)", "v1 = v1 + v0",
      "s2 = 3.0; v1[2] = 0.5; s3 = 2.0; v1 = gaussian(0.25, -0.75); v1[1] = 7.0")
  code = straight_line.straighten(program)
  np.testing.assert_array_equal(code.constants.values, [0.25, -0.75, 7.0])
  assert code.constants.meanings == (Constant.MEAN, Constant.STD, Constant.VALUE)
  assert code.constants.lines[1] == "Setup: v1 = gaussian(0.25, -0.75)"
  assert [line.constants for line in code.functions[0]] == [(0, 1), (1, 2)]
  changed = straight_line.with_constants(program, np.array([1.0, 2.0, 3.0]))
  np.testing.assert_array_equal(straight_line.straighten(changed).constants.values, [1.0, 2.0, 3.0])
  assert "s2 = 3.0" in repr(changed) and "v1[2] = 0.5" in repr(changed)


def test_addresses_sort_by_kind_then_index():
  assert Address(Kind.SCALAR, 9) < Address(Kind.VECTOR, 0) < Address(Kind.VECTOR, 1)


def test_one_program_at_a_time():
  with pytest.raises(ValueError, match="one program at a time"):
    straight_line.straighten(zoo.load("s1b")[[0, 0]])


@pytest.mark.parametrize("name", sorted(large_rules.RULES))
def test_rules_for_large_matrices_compute_what_the_table_does(name):
  op = ops.op_by_name(name)
  rng = np.random.default_rng(0)
  operands = [
      rng.standard_normal(kind.shape(150)).astype(np.float32) + np.float32(1)
      for kind in op.inputs]
  for operand in operands:
    operand[3] = np.float32(0.5)  # a row without deviation
  got, wanted = large_rules.RULES[name](*operands), op.rule(*operands)
  assert got.shape == wanted.shape
  np.testing.assert_allclose(got, wanted, rtol=1e-4, atol=1e-5)
  operands[0][1, 2] = np.nan
  np.testing.assert_array_equal(
      np.isnan(large_rules.RULES[name](*operands)), np.isnan(op.rule(*operands)))
