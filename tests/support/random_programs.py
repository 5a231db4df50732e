"""Random programs, tasks and evaluators that several tests share, so that JAX compiles once."""

import functools

import numpy as np

from azero.executors.evaluator import Evaluator
from azero.language import ops as op_table
from azero.language.ops import NUM_PAPER_OPS, Kind
from azero.language.program import (
  EMPTY,
  FIRST_WRITABLE,
  PREDICTION_SCALAR,
  PREDICTION_VECTOR,
  Component,
  Function,
  Programs,
  SearchSpace,
)
from azero.tasks.task import Tasks, make_tasks

ALL_OPS = tuple(range(NUM_PAPER_OPS))
NUM_TASKS, NUM_TRAIN, NUM_VALID = 2, 6, 4
LANES = 64
SEED = 17


def full_space(num_features: int) -> SearchSpace:
  """All ops in Predict and Learn, constants and random numbers in Setup."""
  return SearchSpace(
      5, 5, 3, num_features, Component((0, *range(56, 65)), 5), Component(ALL_OPS, 6),
      Component(ALL_OPS, 5))


def fusing_space(num_features: int) -> SearchSpace:
  """Few ops, many of whose pairs the wave executor fuses: scaled vectors, outer products, sums."""
  ops = (18, 23, 24, 27, 28, 31, 39, 40)
  return SearchSpace(
      3, 4, 3, num_features, Component((56, 57, 58), 4), Component(ops, 8), Component(ops, 8))


def random_programs(
    space: SearchSpace, count: int, seed: int, *, multiclass: bool = False, full: bool = False
) -> Programs:
  """Random programs whose instructions often use the one above, so that much of them is live.

  Args:
    space: their space.
    count: N.
    seed: of the generator.
    multiclass: whether Predict should favour v2 as its output instead of s1.
    full: whether every slot is filled; else lengths are random.

  Returns:
    N programs, validated.
  """
  rng = np.random.default_rng(seed)
  programs = Programs.empty(space, count)
  table = op_table.columns()
  rows = np.arange(count)
  # A missing operand has kind -1, the last entry: address 0.
  sizes = np.array([*space.num_addresses, 1])
  first = np.array([FIRST_WRITABLE[kind] for kind in Kind] + [0])
  latest = np.zeros((count, len(sizes)), int)  # what was written last, of each kind
  prediction = (
      (Kind.VECTOR, PREDICTION_VECTOR) if multiclass else (Kind.SCALAR, PREDICTION_SCALAR))
  for function, component in zip(Function, space.components):
    if not component.ops:
      continue
    ops = np.array(component.ops)
    predicting = ops[table.output_kind[ops] == prediction[0]]
    shortest = component.max_length if full else component.min_length
    length = rng.integers(shortest, component.max_length, count, endpoint=True)
    for k in range(component.max_length):
      slot = space.offsets[function] + k
      opcode = rng.choice(component.ops, count)
      ends = (function is Function.PREDICT) & (k == length - 1)
      if ends.any() and len(predicting):
        opcode = np.where(ends, rng.choice(predicting, count), opcode)
      for operand, name in enumerate(("in1", "in2")):
        kind = table.input_kind[opcode, operand]
        address = np.where(
            rng.random(count) < 0.5, latest[rows, kind], rng.integers(sizes[kind]))
        getattr(programs, name)[:, slot] = np.where(kind < 0, 0, address)
      kind = table.output_kind[opcode]
      out = rng.integers(first[kind], sizes[kind])
      if function is Function.PREDICT:
        out = np.where((kind == prediction[0]) & ends, prediction[1], out)
      latest[rows, kind] = out
      draws = rng.random((count, op_table.MAX_CONSTANTS))
      signed = table.is_signed[opcode] | table.is_std[opcode]
      programs.opcode[:, slot] = opcode
      programs.out[:, slot] = out
      programs.constants[:, slot] = np.where(
          signed, 2 * draws - 1, np.where(table.is_index[opcode], draws, 0))
      for name in Programs.ARRAYS:
        getattr(programs, name)[length <= k, slot] = EMPTY if name == "opcode" else 0
  return programs.validate()


def random_tasks(
    num_features: int, num_classes: int = 0, *, num_tasks: int = NUM_TASKS,
    num_train: int = NUM_TRAIN, num_valid: int = NUM_VALID, seed: int = 0,
) -> Tasks:
  """Gaussian features; Gaussian labels, or classes in turn."""
  rng = np.random.default_rng(seed)
  arrays = []
  for count in (num_train, num_valid):
    arrays.append(rng.standard_normal((num_tasks, count, num_features)))
    if num_classes:
      labels = (np.arange(count) + rng.integers(num_classes, size=(num_tasks, 1))) % num_classes
      arrays.append(labels)
    else:
      arrays.append(rng.standard_normal((num_tasks, count)))
  seeds = rng.integers(2**32, size=num_tasks)
  if num_classes:
    return make_tasks(*arrays, "accuracy", num_classes=num_classes, seeds=seeds)
  return make_tasks(*arrays, "rms", seeds=seeds)


@functools.cache
def traced_evaluator(
    num_features: int, num_classes: int = 0, executor: str = "waves"
) -> Evaluator:
  """An evaluator of `full_space` on `random_tasks` in float64, with traces."""
  return Evaluator(
      full_space(num_features), random_tasks(num_features, num_classes), dtype="float64",
      num_devices=1, lanes=LANES, seed=SEED, trace=True, executor=executor)


@functools.cache
def fast_evaluator(num_devices: int = 2) -> Evaluator:
  """An evaluator of `full_space(5)` in float32 as a search uses it.

  It has three sets of tasks: a set, the same tasks in reverse order, and another set.
  """
  tasks, other = random_tasks(5), random_tasks(5, seed=1)
  return Evaluator(
      full_space(5), [tasks, tasks[::-1], other], num_devices=num_devices, lanes=LANES,
      seed=SEED)
