"""An op of your own is checked when it is registered; a refused one leaves no trace."""

import dataclasses
import pickle

import jax.numpy as jnp
import numpy as np
import pytest

import azero
from azero.language import ops
from azero.runs import rule_digest


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
    ({"rule": lambda a: 1.0}, r"rule fails for F = 3.* its result is no JAX array, but 1\.0"),
    ({"rule": lambda a: a[0], "elementwise": True}, r"it is elementwise, .* has shape \(\)"),
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
  digests = set()
  for factor[0] in (1.0, 7.0, 3.0, 5.0):
    op = azero.register_op("test_scaled", "s", "s", rule)
    digests.add(rule_digest.of_op(op))
    assert op.rule is rule
    for executor in ("waves", "interpreter") if factor[0] == 5.0 else ("waves",):
      program = azero.parse(text, num_features=4)
      trace = azero.evaluate(program, tasks, trace=True, executor=executor).trace
      assert (trace[1][..., 1] == 2.0 * factor[0]).all()
  assert len(digests) == 4
  # The same cell twice is the same op, for a run that goes on and for a file.
  again = azero.register_op("test_scaled", "s", "s", rule)
  assert rule_digest.of_op(again) in digests
  tanh = [azero.register_op("test_twice", "v", "v", jnp.tanh) for _ in range(2)]
  assert rule_digest.of_op(tanh[0]) == rule_digest.of_op(tanh[1]) and tanh[0] != tanh[1]
  twice = "def Setup():\ndef Predict():\n  v1 = test_twice(v0)\n  s1 = norm(v1)\ndef Learn():"
  assert "tanh" in azero.export.numpy_source(azero.parse(twice, num_features=4))


def test_a_space_takes_further_ops():
  op = azero.register_op("test_allowed", "v", "v", jnp.tanh)
  space = azero.spaces.baseline(8)
  wider = space.with_ops(op)
  assert [op.id in each.ops for each in wider.components] == [False, True, True]
  assert wider.predict.ops[:-1] == space.predict.ops and wider.with_ops(op) == wider
  assert op.id in space.with_ops(op, functions=["setup"]).setup.ops
  found = azero.evolve(
      wider, azero.linear_regression(1, num_features=8, seed=0, num_train=4, num_valid=2),
      max_programs=40, population_size=40, initial="random", progress="off").search.population
  assert (found.opcode == op.id).any()
  with pytest.raises(ValueError, match="of setup, predict and learn, got 'fit'"):
    space.with_ops(op, functions=["fit"])


def test_an_op_of_your_own_is_pickled_by_its_name(monkeypatch):
  op = azero.register_op("test_mine", "v", "v", jnp.tanh)
  text = "def Setup():\ndef Predict():\n  v1 = test_mine(v0)\n  s1 = dot(v1, v1)\ndef Learn():"
  program = azero.parse(text, num_features=4)
  pickled = pickle.dumps(program)
  assert pickle.loads(pickled) == program
  # In another process other ops may have been registered, or none.
  for other in (dataclasses.replace(op, name="test_other"),
                dataclasses.replace(op, inputs=(ops.Kind.SCALAR,), output=ops.Kind.SCALAR)):
    monkeypatch.setattr(ops, "_TABLE", [*ops._TABLE[: op.id], other])
    with pytest.raises(ValueError, match=rf"test_mine: v -> v.* as op .*; here .*{other.name}"):
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
  with pytest.raises(ValueError, match="with other constants; programs"):
    azero.register_op("test_again", "v", "v", lambda a, c: a * c, constants=["value"])
  assert ops.op_by_id(first.id) == second
  azero.register_op("test_placed", "v", "v", lambda a, c: a * c, constants=["value"])
  with pytest.raises(ValueError, match="with other constants; programs"):
    azero.register_op("test_placed", "v", "v", lambda a, i: a * i, constants=["index"])
