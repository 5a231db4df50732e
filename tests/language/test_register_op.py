"""An op of your own is checked when it is registered; a refused one leaves no trace."""

import dataclasses
import pickle

import jax.numpy as jnp
import numpy as np
import pytest

import azero
from azero.language import ops


@pytest.fixture(autouse=True)
def untouched_table():
  """The table of an op more, and nothing else, after each test."""
  before = ops.all_ops()
  yield
  assert ops.all_ops()[: len(before)] == before


@pytest.mark.parametrize(("changes", "message"), [
    ({"name": "two words"}, "must be a Python identifier"),
    ({"name": "lambda"}, "must be a Python identifier"),
    ({"name": "vector_abs"}, "belongs to table S1"),
    ({"inputs": "x"}, "must be letters of 'svm'"),
    ({"inputs": "vvv"}, "3 inputs and 0 constants; at most 2 and 3"),
    ({"output": ""}, "exactly one output"),
    ({"rule": None}, "must be a function of JAX arrays, got None"),
    ({"rule": lambda a, b: a}, r"rule fails for F = 3, with arguments of shape \(3,\)"),
    ({"rule": lambda a: jnp.zeros(7)}, "rule fails for F = 3"),
    ({"rule": np.asarray}, "rule fails for F = 3"),
    ({"rule": lambda a: a * jnp.ones(3)}, "rule fails for F = 4"),
    ({"rule": lambda a: a.astype(jnp.complex64)}, "rule fails for F = 3.* complex"),
    ({"aliases": ["junk"]}, "spelling 'junk' must use"),
    ({"text": "{out} = q({a}) {b}"}, r"must use exactly \['{a}', '{out}'\]"),
    ({"text": "{out} = kk {a} {"}, "cannot be read"),
    ({"text": "{out} = #{a}"}, "'#' starts a comment"),
    ({"text": "{out} = abs({a})"}, "both spelled like this"),
    ({"constants": ["foo"]}, "'foo' must be one of 'value', 'index'"),
    ({"noise": "cauchy"}, "'cauchy' must be one of 'uniform', 'normal'"),
    ({"work": (-1, 0)}, "work must be"),
    ({"commutative": True}, "needs two inputs of one kind"),
])
def test_a_malformed_op_is_refused_at_once(changes, message):
  before = ops.all_ops()
  arguments = {"name": "test_q", "inputs": "v", "output": "v", "rule": jnp.tanh} | changes
  with pytest.raises(ValueError, match=message):
    azero.register_op(**arguments)
  assert ops.all_ops() == before
  assert len(azero.zoo.load("plain_nn")) == 1  # the parser is as it was


def test_an_op_of_your_own_is_parsed_printed_and_run():
  op = azero.register_op("test_tanh", "v", "v", jnp.tanh)
  text = "def Setup():\ndef Predict():\n  v1 = test_tanh(v0)\n  s1 = dot(v1, v1)\ndef Learn():"
  program = azero.parse(text, num_features=4)
  assert op.id in program.space.predict.ops
  assert repr(program) == text
  tasks = azero.linear_regression(1, seed=0, num_train=2, num_valid=3)
  trace = azero.evaluate(program, tasks, trace=True).trace
  expected = (np.tanh(tasks.valid_x[0]) ** 2).sum(-1)
  np.testing.assert_allclose(trace[1][0, 0, 0, :, 1], expected, rtol=1e-5)


def test_registering_again_takes_what_the_rule_refers_to_as_it_is_then():
  factor = [1.0]

  def rule(a):
    return a * factor[0]

  azero.register_op("test_scaled", "s", "s", rule)
  text = "def Setup():\ndef Predict():\n  s2 = 2.0\n  s1 = test_scaled(s2)\ndef Learn():"
  tasks = azero.linear_regression(1, seed=0, num_train=2, num_valid=3)
  for factor[0] in (1.0, 7.0):
    azero.register_op("test_scaled", "s", "s", rule)
    for executor in ("waves", "interpreter"):
      program = azero.parse(text, num_features=4)
      trace = azero.evaluate(program, tasks, trace=True, executor=executor).trace
      assert (trace[1][..., 1] == 2.0 * factor[0]).all()


def test_a_rule_may_return_a_number():
  azero.register_op("test_one", "", "s", lambda: 1.0)
  text = "def Setup():\ndef Predict():\n  s1 = test_one()\ndef Learn():"
  tasks = azero.linear_regression(1, seed=0, num_train=2, num_valid=3)
  for executor in ("waves", "interpreter"):
    trace = azero.evaluate(
        azero.parse(text, num_features=4), tasks, trace=True, executor=executor).trace
    assert (trace[1][..., 1] == 1.0).all()


def test_an_op_of_your_own_is_pickled_by_its_name(monkeypatch):
  op = azero.register_op("test_mine", "v", "v", jnp.tanh)
  text = "def Setup():\ndef Predict():\n  v1 = test_mine(v0)\n  s1 = dot(v1, v1)\ndef Learn():"
  program = azero.parse(text, num_features=4)
  pickled = pickle.dumps(program)
  assert pickle.loads(pickled) == program
  # In another process other ops may have been registered, or none.
  other = dataclasses.replace(op, name="test_other")
  monkeypatch.setattr(ops, "_TABLE", [*ops._TABLE[: op.id], other])
  with pytest.raises(ValueError, match=r"'test_mine' as op .*; here are .*test_other. Register"):
    pickle.loads(pickled)
  monkeypatch.setattr(ops, "_TABLE", ops._TABLE[: ops.NUM_PAPER_OPS])
  with pytest.raises(ValueError, match="here are none"):
    pickle.loads(pickled)


def test_registering_again_replaces_the_rule_but_not_the_kinds():
  first = azero.register_op("test_again", "v", "v", jnp.sin)
  second = azero.register_op("test_again", "v", "v", jnp.cos)
  assert second.id == first.id and ops.op_by_id(first.id).rule is jnp.cos
  with pytest.raises(ValueError, match="other kinds of operands"):
    azero.register_op("test_again", "s", "s", jnp.cos)
  assert ops.op_by_id(first.id) == second
