"""A program's fitness does not depend, in any bit, on what else is evaluated, or where.

And no batch, however odd, makes JAX compile again.
"""

import concurrent.futures
import dataclasses
import logging

import jax
from jax.experimental.compilation_cache import compilation_cache
import numpy as np
import pytest
from reference import counter_hash
from support import random_programs
from support.random_programs import ALL_OPS, LANES, fast_evaluator, full_space

from azero.executors.evaluator import Evaluation, Evaluator
from azero.language import ops as op_table
from azero.language import text
from azero.language.ops import Kind
from azero.language.program import EMPTY, PREDICTION_SCALAR, Component, Programs, SearchSpace

SPACE = full_space(5)
_FEW_OPS = Component((2, 3, 18, 23, 27, 62), 3)
SMALL = SearchSpace(3, 3, 1, 5, _FEW_OPS, _FEW_OPS, _FEW_OPS)  # compiles quickly
# Of the same shapes in all tests, so that each kind of evaluation of SMALL is compiled once.
SETS = [
    random_programs.random_tasks(5, seed=seed, num_train=12, num_valid=9) for seed in range(3)]
CUT = [
    dataclasses.replace(
        tasks, train_x=tasks.train_x[:, :7], train_y=tasks.train_y[:, :7],
        valid_x=tasks.valid_x[:, :5], valid_y=tasks.valid_y[:, :5]) for tasks in SETS]
FEW_LANES = 16


@pytest.fixture(scope="module")
def programs() -> Programs:
  # Two chunks on each device, the last one not full.
  return random_programs.random_programs(SPACE, 4 * LANES - 7, seed=1)


@pytest.fixture(scope="module")
def reference(programs) -> Evaluation:
  result = fast_evaluator().evaluate(programs)
  assert len(np.unique(result.per_task)) > 50
  return result


def assert_same(got: Evaluation, wanted: Evaluation, index=slice(None)) -> None:
  """Bit for bit: fitness has neither NaN nor negative zeros."""
  for name in ("fitness", "per_task", "train_steps", "trained"):
    np.testing.assert_array_equal(getattr(got, name), getattr(wanted, name)[index], err_msg=name)


def test_place_in_the_batch(programs, reference):
  for seed in range(3):
    order = np.random.default_rng(seed).permutation(len(programs))
    assert_same(fast_evaluator().evaluate(programs[order]), reference, order)


def test_number_of_devices(programs, reference):
  assert len(jax.devices()) == 2
  assert_same(fast_evaluator(1).evaluate(programs), reference)


def test_second_device(programs, reference):
  # Filler that is longer than any of the programs takes the first chunk, on device 0.
  filler = random_programs.random_programs(SPACE, LANES, seed=5, full=True)
  for start in range(0, len(programs), LANES):
    part = programs[start : start + LANES]
    short = part[part.lengths[:, 1:].sum(1) < 6]
    index = start + np.flatnonzero(part.lengths[:, 1:].sum(1) < 6)
    result = fast_evaluator().evaluate(Programs.concatenate([filler, short]), raw=True)
    got = Evaluation(*(values[LANES:] for values in result[:4]))
    assert_same(got, reference, index)


def test_dead_code(programs, reference):
  analysis = fast_evaluator().analyse(programs)
  assert (analysis.live.sum(1) < programs.lengths.sum(1)).mean() > 0.8
  assert_same(fast_evaluator().evaluate(programs, raw=True), reference)


def test_alone(programs, reference):
  for i in range(0, len(programs), 20):
    assert_same(fast_evaluator().evaluate(programs[i]), reference, [i])
    assert_same(fast_evaluator().evaluate(programs[i], raw=True), reference, [i])


def test_every_lane(programs, reference):
  for i in np.argsort(-reference.train_steps)[:4]:
    copies = np.full(LANES, i)
    assert_same(fast_evaluator().evaluate(programs[copies]), reference, copies)


def test_neighbours(programs, reference):
  others = random_programs.random_programs(SPACE, len(programs), seed=2, full=True)
  mixed = Programs.concatenate([others, programs])
  order = np.random.default_rng(3).permutation(len(mixed))
  result = fast_evaluator().evaluate(mixed[order])
  own = order >= len(others)
  got = Evaluation(*(values[own] for values in result[:4]))
  assert_same(got, reference, order[own] - len(others))


def test_place_of_a_task(programs, reference):
  result = fast_evaluator().evaluate(programs, task_set=1)
  np.testing.assert_array_equal(result.per_task[:, ::-1], reference.per_task)


def test_task_sets_of_neighbours(programs, reference):
  other = fast_evaluator().evaluate(programs, task_set=2)
  assert np.mean(other.per_task != reference.per_task) > 0.5
  sets = np.random.default_rng(4).choice([0, 2], len(programs))
  mixed = fast_evaluator().evaluate(programs, task_set=sets)
  assert_same(Evaluation(*(values[sets == 0] for values in mixed[:4])), reference, sets == 0)
  assert_same(Evaluation(*(values[sets == 2] for values in mixed[:4])), other, sets == 2)


def test_tiny_numbers_do_not_depend_on_the_device():
  # Subnormal numbers become zero or not by a mode of the processor's thread.
  code = """
def Setup():
  s2 = 1e-30
  s3 = 1e-15
def Predict():
  s4 = s2 * s3
  s1 = s4 / s4
  s4 = s4 * s3
  s1 = s4 / s4
def Learn():
"""
  tiny = text.parse(code, SPACE)
  copies = tiny[np.zeros(4 * LANES, int)]
  result = fast_evaluator().evaluate(copies)
  assert len(np.unique(result.fitness)) == 1
  assert_same(fast_evaluator(1).evaluate(tiny), result, [0])


# A space that compiles in no time, for the numbers of random ops.
NOISE_SPACE = SearchSpace(
    4, 2, 1, 3, Component((59,), 2), Component((1, 50, 59, 60, 62), 4), Component((59,), 2))


def _noise_evaluator(seed: int) -> Evaluator:
  return Evaluator(
      NOISE_SPACE, random_programs.random_tasks(3, num_tasks=3), num_epochs=2, trace=True,
      lanes=16, seed=seed)


def _listings(*predicts: str) -> Programs:
  texts = [f"def Setup():\ndef Predict():\n{body}\ndef Learn():\n" for body in predicts]
  return text.parse_many(texts, NOISE_SPACE)


def test_random_numbers_of_an_evaluation():
  """The noise is that of the independent hash, whatever surrounds the program."""
  evaluator = _noise_evaluator(5)
  tasks = evaluator.task_sets[0]
  plain = "  s1 = uniform(0, 1)"
  dead = "  s2 = uniform(0, 1)\n  s3 = uniform(0, 1)\n  s1 = uniform(0, 1)\n  v1 = uniform(0, 1)"
  second = "  s2 = uniform(0, 1)\n  s1 = uniform(0, 1)\n  s1 = s1 + s3\n  s3 = s2 + s2"
  programs = _listings(*[plain, dead, second] * 20)
  for raw in (False, True):
    result = evaluator.evaluate(programs, raw=raw)
    for part, phase, count in zip(
        result.trace, ("train_predict", "valid_predict"), (tasks.num_train, tasks.num_valid)):
      wanted = np.array([[[
          counter_hash.numbers(5, int(seed), phase, epoch * count + t, 0, (), "uniform")
          for t in range(count)] for epoch in range(2)] for seed in tasks.seeds])
      for k in (0, 1):
        np.testing.assert_array_equal(
            part[k::3, ..., 1], np.broadcast_to(wanted, part[k::3, ..., 1].shape))
  # Live instructions above move a random op to another position: other numbers.
  first, moved = (result.trace[0][k, :, 0, :, 1] for k in (0, 2))
  assert not np.any(first == moved)


def test_random_numbers_of_other_seeds():
  programs = _listings("  s1 = gaussian(0, 1)", "  v1 = uniform(-1, 2)\n  s1 = mean(v1)")
  one, other = (_noise_evaluator(seed).evaluate(programs) for seed in (1, 2))
  assert not np.any(one.trace[0][..., 1] == other.trace[0][..., 1])
  # Nor do tasks, epochs and examples share their numbers.
  assert len(np.unique(one.trace[0][..., 1])) == one.trace[0][..., 1].size


class _Compilations(logging.Handler):
  """Counts what JAX compiles, by the messages of jax.log_compiles."""

  def __init__(self):
    super().__init__()
    self.names = []

  def emit(self, record: logging.LogRecord) -> None:
    message = record.getMessage()
    if message.startswith("Finished XLA compilation of"):
      self.names.append(message.split()[4])


def _compilations(run) -> list[str]:
  handler, logger = _Compilations(), logging.getLogger("jax")
  propagate = logger.propagate
  logger.addHandler(handler)
  logger.propagate = False
  before = jax.config.jax_log_compiles
  jax.config.update("jax_log_compiles", True)  # of all threads, unlike jax.log_compiles()
  try:
    run()
  finally:
    jax.config.update("jax_log_compiles", before)
    logger.removeHandler(handler)
    logger.propagate = propagate
  return handler.names


def test_later_batches_compile_nothing(programs, reference):
  evaluator = fast_evaluator()
  # Without an output that any of them writes, all instructions are dead.
  dead = programs[np.arange(len(programs))]
  scalar = op_table.columns().output_kind[dead.opcode] == Kind.SCALAR
  dead.out[scalar & (dead.opcode != EMPTY) & (dead.out == PREDICTION_SCALAR)] = 2
  assert not evaluator.analyse(dead).live.any()
  every_op = random_programs.random_programs(SPACE, 2 * LANES, seed=9, full=True)
  assert set(np.unique(every_op.opcode)) == set(ALL_OPS)
  batches = [
      every_op, dead, programs[0], programs[:0], Programs.empty(SPACE, 3), programs[: LANES + 1],
      random_programs.random_programs(SPACE, 9 * LANES, seed=10, full=True)]

  def run():
    for batch in batches:
      for raw in (False, True):
        assert len(evaluator.evaluate(batch, raw=raw).fitness) == len(batch)
    evaluator.evaluate(every_op, task_set=np.arange(len(every_op)) % 3)
    evaluator.evaluate(every_op, analysis=evaluator.analyse(every_op))

  assert _compilations(run) == []


@pytest.fixture
def nothing_on_disk():
  """Compiles anew what an earlier run of the tests has left on disk."""
  before = jax.config.jax_enable_compilation_cache
  jax.config.update("jax_enable_compilation_cache", False)
  compilation_cache.reset_cache()
  yield
  jax.config.update("jax_enable_compilation_cache", before)
  compilation_cache.reset_cache()


@pytest.mark.parametrize(("executor", "name"), [
    ("waves", "jit(execute)"), ("interpreter", "jit(run)")])
def test_first_batch_compiles_once_for_all_devices(executor, name, nothing_on_disk):
  # A first batch of one program reaches one device only, later ones both.
  space = SearchSpace(2, 1, 0, 4, Component((), 0), Component((50,), 1), Component((), 0))
  tasks = random_programs.random_tasks(4)
  evaluator = Evaluator(space, tasks, lanes=16, executor=executor)
  code = "def Setup():\ndef Predict():\n  s1 = mean(v0)\ndef Learn():"
  programs = text.parse_many([code] * 50, space)
  first = _compilations(lambda: evaluator.evaluate(programs[0]))
  assert first == [name]
  assert _compilations(lambda: evaluator.evaluate(programs)) == []
  # Nor does another evaluator of the same shapes compile anything.
  again = Evaluator(
      space, tasks[::-1], lanes=16, seed=3, max_abs_error=50.0, executor=executor)
  assert _compilations(lambda: again.evaluate(programs)) == []


def test_other_numbers_of_examples_epochs_and_task_sets_compile_nothing():
  programs = random_programs.random_programs(SMALL, 20, seed=6)
  shapes = ((6, 4, 1), (40, 30, 1), (11, 9, 5))  # T, V, task sets

  def run(num_epochs):
    for num_train, num_valid, num_sets in shapes:
      sets = [random_programs.random_tasks(
          5, seed=seed, num_train=num_train, num_valid=num_valid) for seed in range(num_sets)]
      evaluator = Evaluator(
          SMALL, sets, num_epochs=num_epochs, num_devices=1, lanes=FEW_LANES)
      evaluator.evaluate(programs, np.arange(len(programs)) % num_sets)
      evaluator.part(3, 2, fingerprint=True).evaluate(programs)

  run(1)
  run(2)  # shuffled, so another executable
  assert _compilations(lambda: (run(1), run(2), run(3))) == []


@pytest.mark.parametrize("executor", ["waves", "interpreter"])
def test_a_part_is_an_evaluation_on_the_first_examples(executor):
  settings = {"num_devices": 1, "executor": executor, "lanes": FEW_LANES}
  programs = random_programs.random_programs(SMALL, 40, seed=7)
  islands = np.arange(40) % 3
  whole = Evaluator(SMALL, SETS, num_epochs=2, **settings)
  part = whole.part(7, 5, fingerprint=True)
  got = part.evaluate(programs, islands)
  wanted = Evaluator(SMALL, CUT, fingerprint=True, **settings).evaluate(programs, islands)
  assert_same(got, wanted)
  np.testing.assert_array_equal(got.fingerprint, wanted.fingerprint)
  assert len(np.unique(got.fingerprint, axis=0)) > 3
  # The whole is what it was, and takes the same plan.
  plan = part.plan(programs, part.analyse(programs))
  assert_same(whole.evaluate_plan(plan, islands), whole.evaluate(programs, islands))
  assert whole.evaluate(programs, islands).fingerprint is None


def test_parts_that_there_are_not():
  evaluator = Evaluator(SMALL, random_programs.random_tasks(5, num_train=6), num_devices=1)
  for counts in ((7, 4), (0, 4), (6, 5), (6, 0)):
    with pytest.raises(ValueError, match=r"from 1 to 6 training and 1 to 4 validation"):
      evaluator.part(*counts)
  traced = Evaluator(SMALL, random_programs.random_tasks(5), trace=True, num_devices=1)
  with pytest.raises(ValueError, match="no parts"):
    traced.part(1, 1)


@pytest.mark.parametrize("executor", ["waves", "interpreter"])
def test_threads_with_a_device_each(executor):
  programs = random_programs.random_programs(SMALL, 60, seed=8)
  evaluator = Evaluator(SMALL, SETS, num_epochs=2, executor=executor, lanes=FEW_LANES)
  part = evaluator.part(7, 5, fingerprint=True)
  sets = np.arange(len(programs), dtype=np.int32) % len(SETS)
  wanted, short = (each.evaluate(programs, sets) for each in (evaluator, part))
  plan = evaluator.plan(programs, evaluator.analyse(programs))

  def work(device):
    return [each.evaluate_plan(plan, sets, device) for _ in range(5) for each in (evaluator, part)]

  with concurrent.futures.ThreadPoolExecutor(2) as threads:
    for results in threads.map(work, range(2)):
      for full, first in zip(results[::2], results[1::2]):
        assert_same(full, wanted)
        assert_same(first, short)
        np.testing.assert_array_equal(first.fingerprint, short.fingerprint)


def test_a_bit_does_not_depend_on_how_few_lanes_there_are():
  programs = random_programs.random_programs(SMALL, 60, seed=9)
  wanted, *others = (
      Evaluator(SMALL, SETS, num_devices=1, lanes=lanes).evaluate(programs)
      for lanes in (FEW_LANES, 1, 8))
  for other in others:
    assert_same(other, wanted)


def test_after_an_interrupt_an_evaluator_goes_on():
  programs = random_programs.random_programs(SMALL, 40, seed=8)
  evaluator = Evaluator(SMALL, SETS, num_epochs=2, num_devices=1, lanes=FEW_LANES)
  wanted = evaluator.evaluate(programs)
  own = evaluator._executor._devices[0]
  execute = own.execute

  def interrupted(*arguments):
    execute(*arguments)
    raise KeyboardInterrupt

  own.execute = interrupted
  with pytest.raises(KeyboardInterrupt):
    evaluator.evaluate(programs)
  own.execute = execute
  assert_same(evaluator.evaluate(programs), wanted)


@pytest.mark.parametrize("executor", ["waves", "interpreter"])
@pytest.mark.parametrize("trace", [False, True])
def test_no_programs_have_no_results(executor, trace):
  tasks, none = CUT[0], Programs.empty(SMALL, 0)
  result = Evaluator(
      SMALL, CUT, executor=executor, trace=trace, fingerprint=True, num_devices=1,
      lanes=FEW_LANES).evaluate(none)
  assert result.fitness.shape == result.train_steps.shape == (0,)
  assert result.per_task.shape == result.trained.shape == (0, len(tasks))
  assert result.fingerprint.shape == (0, 2)
  if trace:
    assert [part.shape[:4] for part in result.trace] == [
        (0, len(tasks), 1, tasks.num_train), (0, len(tasks), 1, tasks.num_valid)]


def test_islands_with_the_same_tasks_share_them_unseen():
  tasks, other = SETS[1:]
  programs = random_programs.random_programs(SMALL, 40, seed=3)
  islands = np.arange(40) % 3
  settings = {"num_devices": 1, "lanes": FEW_LANES, "trace": True}
  shared = Evaluator(SMALL, [tasks, other, tasks], **settings)
  apart = Evaluator(SMALL, [tasks, other, dataclasses.replace(tasks)], **settings)
  one, two = shared.evaluate(programs, islands), apart.evaluate(programs, islands)
  assert len(shared.task_sets) == 3
  np.testing.assert_array_equal(one.per_task, two.per_task)
  for part, same in zip(one.trace, two.trace):
    np.testing.assert_array_equal(part, same)
