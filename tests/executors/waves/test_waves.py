"""The wave executor equals the interpreter: random programs over all ops, and the zoo.

The golden traces and the oracle are compared with both executors in modules of their own.
"""

import jax.numpy as jnp
import numpy as np
import pytest
from support import executors, random_programs
from support.random_programs import ALL_OPS, full_space, fusing_space, random_tasks

import azero
from azero import export
from azero.executors.single.direct import DirectEvaluator
from azero.executors.waves.ssa import OPCODE
from azero.export import array_files
from azero.language import text
from azero.language.program import Component, Programs, SearchSpace

COUNT = 1500


def _check(comparison: executors.Comparison, programs: Programs, *, traces: bool) -> None:
  """Everything equal, but for 0.1 % that are chaotic."""
  assert not len(comparison.unexplained), programs[int(comparison.unexplained[0])]
  assert len(comparison.different) <= 0.001 * len(programs)
  assert len(comparison.traced_different) <= (0.003 * len(programs) if traces else 0)


@pytest.mark.slow  # compiles for long; the oracle looks at both executors, too
@pytest.mark.parametrize(("num_classes", "dtype", "settings"), [
    (0, "float64", {"num_epochs": 3, "trace": True}), (2, "float32", {})])
def test_random_programs(num_classes, dtype, settings, monkeypatch):
  space = full_space(5)
  sets = [random_tasks(5, num_classes, seed=seed) for seed in range(3)]
  pair = executors.make_pair(space, sets, dtype=dtype, seed=random_programs.SEED, **settings)
  programs = Programs.concatenate([
      random_programs.random_programs(space, COUNT, seed=3),
      random_programs.random_programs(space, COUNT, seed=4, full=True)])
  live = pair.waves.analyse(programs).live
  assert set(np.unique(programs.opcode[live])) == set(ALL_OPS[1:])
  task_sets = np.random.default_rng(0).integers(len(sets), size=len(programs))
  for raw in (False, True):
    found = executors.compare(pair, programs, task_sets, monkeypatch, raw=raw)
    _check(found, programs, traces="trace" in settings)
    assert np.mean(found.waves.fitness == 0) < 0.3
    assert len(np.unique(found.waves.per_task)) > (1000 if num_classes == 0 else 4)


def test_fused_pairs(monkeypatch):
  space = fusing_space(3)
  pair = executors.make_pair(space, [random_tasks(3, 2)], dtype="float64", trace=True)
  programs = random_programs.random_programs(space, COUNT, seed=5, full=True)
  plan = pair.waves.plan(programs, pair.waves.analyse(programs))
  assert len(set(plan.instructions[:, OPCODE]) - set(ALL_OPS)) == 8  # every fused op
  _check(executors.compare(pair, programs, 0, monkeypatch), programs, traces=True)


@pytest.mark.slow  # compiles for long
def test_programs_of_the_zoo(monkeypatch):
  names = ("figure_5", "figure_6", "plain_nn", "s1a", "s1b", "s2a", "s2b")
  programs = azero.parse_many([azero.zoo.source(name) for name in names], num_features=16)
  tasks = random_tasks(16, 2, num_train=40, num_valid=50)
  pair = executors.make_pair(
      programs.space, [tasks], dtype="float64", num_epochs=2, trace=True)
  found = executors.compare(pair, programs, 0, monkeypatch)
  assert [*found.different, *found.traced_different] == []
  assert (found.waves.train_steps == 2 * 2 * 40).all()
  assert (found.waves.per_task > 0.3).all()


@pytest.mark.slow  # compiles for long
def test_ops_of_your_own(monkeypatch):
  """Of every pair of kinds that no op of the table has, and a random one."""
  ops = [
      azero.register_op("waves_twist", "mv", "m", lambda m, v: m.T + jnp.flip(v)),
      azero.register_op("waves_spread", "s", "m", lambda s: s * jnp.arange(9.0).reshape(3, 3)),
      azero.register_op("waves_blur", "v", "v", lambda v, noise: v + noise / 8, noise="normal"),
      azero.register_op("waves_sum", "ms", "s", lambda m, s: m.sum() * jnp.tanh(s)),
  ]
  own = tuple(op.id for op in ops)
  space = SearchSpace(
      4, 3, 3, 3, Component((56, 58, own[1]), 3), Component((1, 27, *own), 6),
      Component((2, 18, 23, own[0], own[2]), 5))
  pair = executors.make_pair(
      space, [random_tasks(3)], dtype="float64", num_epochs=2, trace=True)
  programs = random_programs.random_programs(space, 2000, seed=8)
  assert set(own) <= set(np.unique(programs.opcode[pair.waves.analyse(programs).live]))
  for raw in (False, True):
    found = executors.compare(pair, programs, 0, None, raw=raw)
    assert [*found.different, *found.traced_different] == []


def test_the_sign_of_a_deviation_of_an_op_of_your_own_does_not_count():
  azero.register_op(
      "waves_shift", "s", "v", lambda old, a, c, std: old + a * c + std,
      constants=["value", "std"], updates_output=True)
  x, train_y, valid_y = np.ones((1, 1, 4)), np.full((1, 1), -5.5), np.full((1, 1), -11.0)
  tasks = azero.make_tasks(x, train_y, x, valid_y, "rms")
  for std in (-0.5, 0.5):
    program = azero.parse(
        f"def Setup():\n  s2 = 2.0\ndef Predict():\n  v1 = waves_shift(s2, -3, {std})\n"
        "  s1 = mean(v1)\ndef Learn():", num_features=4)
    for executor in ("waves", "interpreter"):
      assert azero.evaluate(program, tasks, executor=executor).fitness == 1
    direct = DirectEvaluator(program, tasks)
    assert direct.evaluate(direct.constants[None]).per_task == 1
    module = array_files.load(export.numpy_source(program))
    module.fit(x[0], train_y[0])
    assert module.predict(x[0]) == -11


def test_a_replaced_op_is_compiled_anew():
  azero.register_op("waves_again", "v", "s", lambda v: v[0])
  program = azero.parse(
      "def Setup():\ndef Predict():\n  s1 = waves_again(v0)\ndef Learn():", num_features=4)
  tasks = random_tasks(4)
  first = azero.evaluate(program, tasks, trace=True).trace
  azero.register_op("waves_again", "v", "s", lambda v: v[1])
  second = azero.evaluate(program, tasks, trace=True).trace
  for k, trace in enumerate((first, second)):
    np.testing.assert_array_equal(
        trace[1][0, :, 0, :, 1], tasks.valid_x[:, :, k].astype(np.float32))


@pytest.mark.parametrize("space", [
    SearchSpace(2, 1, 0, 4, *[Component((), 0)] * 3),
    SearchSpace(2, 1, 0, 4, *[Component((0,), 2)] * 3)])
def test_spaces_in_which_nothing_can_be_computed(space, monkeypatch):
  pair = executors.make_pair(space, [random_tasks(4)], dtype="float64", trace=True)
  programs = Programs.empty(space, 9)
  programs.opcode[...] = 0
  found = executors.compare(pair, programs, 0, monkeypatch, raw=True)
  assert [*found.different, *found.traced_different] == []
  assert (found.waves.trace[0][..., 1] == 0).all()


def test_dead_programs_that_share_one_chunk(monkeypatch):
  # Each has a copy, of the prediction that the sigmoid changes, and no row.
  space = SearchSpace(2, 1, 0, 4, Component((), 0), Component((50,), 1), Component((), 0))
  pair = executors.make_pair(space, [random_tasks(4, 2)], dtype="float64", lanes=4096)
  programs = Programs.empty(space, 5001)
  programs = Programs.concatenate([programs, text.parse(
      "def Setup():\ndef Predict():\n  s1 = mean(v0)\ndef Learn():", space)])
  assert len(executors.compare(pair, programs, 0, monkeypatch).different) == 0


def test_fingerprints_do_not_depend_on_neighbours():
  """Nor does the hash of a program that stopped long before the others of its chunk."""
  space = SearchSpace(3, 1, 0, 4, Component((56,), 2), Component((1, 50), 2), Component((), 0))
  evaluator = azero.Evaluator(
      space, random_tasks(4, num_train=40), fingerprint=True, num_devices=1)
  codes = [
      "def Setup():\n  s2 = 1000.0\ndef Predict():\n  s1 = s1 + s2\ndef Learn():",
      "def Setup():\n  s2 = 30.0\ndef Predict():\n  s1 = s1 + s2\ndef Learn():",
      "def Setup():\ndef Predict():\n  s1 = mean(v0)\ndef Learn():"]
  programs = text.parse_many(codes, space)
  together = evaluator.evaluate(programs)
  assert len(np.unique(together.fingerprint, axis=0)) == 3
  assert together.train_steps.tolist() == [0, 2 * 3, 2 * 40]
  for i in range(3):
    np.testing.assert_array_equal(
        evaluator.evaluate(programs[i]).fingerprint[0], together.fingerprint[i])
