"""Golden traces of the published evaluator as azero objects; see data/README.md."""

from collections.abc import Sequence
import dataclasses
import functools
import gzip
import json
import pathlib

import numpy as np

from azero.language.ops import MAX_CONSTANTS, MAX_INPUTS
from azero.language.program import Component, Programs, SearchSpace
from azero.tasks.task import Tasks, make_tasks

PATH = pathlib.Path(__file__).parents[1] / "data" / "reference_traces.json.gz"
FEATURES = (4, 8, 16)

# The traces use each op of table S1 that is not random, and addresses up to 6.
OPS = tuple(range(1, 59))
NUM_ADDRESSES = 7

# Which of an instruction's four constants [s, f0, f1, f2] become c0, c1, ...
_CONSTANTS = {56: (0,), 57: (1, 2), 58: (1, 2, 3)}


@dataclasses.dataclass(frozen=True)
class Group:
  """All cases of one number of features and one metric: N programs, one task.

  Attributes:
    name: e.g. "F4_rms".
    programs: N programs; all groups of one F share their search space.
    tasks: D = 1.
    kinds: [N] how the case was made: "hand", "op27", "random" or "mutant".
    fitness: [N] float64.
    train_errors: N arrays [examples trained on], at most T each.
    valid_errors: N arrays [examples validated], at most V each.
    learns: [N] bool, whether training changes the predictions.
  """

  name: str
  programs: Programs
  tasks: Tasks
  kinds: tuple[str, ...]
  fitness: np.ndarray
  train_errors: tuple[np.ndarray, ...]
  valid_errors: tuple[np.ndarray, ...]
  learns: np.ndarray


@functools.cache
def groups() -> tuple[Group, ...]:
  """Every case, grouped by features and metric: 6 groups."""
  return tuple(group for num_features in FEATURES for group in cases(num_features))


@functools.cache
def cases(num_features: int) -> tuple[Group, ...]:
  """The groups with F = `num_features` (4, 8 or 16): "rms" and "accuracy"."""
  content = _content()
  rows = [case for case in content["cases"] if case["F"] == num_features]
  lengths = [max(len(case["program"][function]) for case in rows) for function in range(3)]
  space = SearchSpace(
      NUM_ADDRESSES, NUM_ADDRESSES, NUM_ADDRESSES, num_features,
      *(Component(OPS, length) for length in lengths))
  return tuple(
      _group(metric, space, [case for case in rows if case["eval"] == metric], content["data"])
      for metric in ("rms", "accuracy"))


def pack(space: SearchSpace, listings: Sequence[Sequence[Sequence[Sequence[float]]]]) -> Programs:
  """Programs from plain lists.

  Args:
    space: their search space.
    listings: N programs of three lists each (Setup, Predict, Learn); an instruction is
      (op id, in1, in2, out, c0, c1, c2), from which trailing zeros may be left out.

  Returns:
    The programs, validated.

  Raises:
    ValueError: an instruction does not fit the space.
  """
  programs = Programs.empty(space, len(listings))
  for row, listing in enumerate(listings):
    for function, instructions in enumerate(listing):
      for offset, instruction in enumerate(instructions):
        slot = space.offsets[function] + offset
        padded = [*instruction, *[0] * (2 + MAX_INPUTS + MAX_CONSTANTS - len(instruction))]
        names = ("opcode", "in1", "in2", "out")
        for name, value in zip(names, padded):
          getattr(programs, name)[row, slot] = value
        programs.constants[row, slot] = padded[len(names):]
  return programs.validate()


@functools.cache
def _content() -> dict:
  with gzip.open(PATH, "rt") as file:
    return json.load(file)


def _group(metric: str, space: SearchSpace, rows: list[dict], data: dict) -> Group:
  name = f"F{space.num_features}_{metric}"
  train_x, train_y, valid_x, valid_y = (
      np.array(data[name][part])[None] for part in ("train_x", "train_y", "valid_x", "valid_y"))
  listings = [
      [[_instruction(raw) for raw in instructions] for instructions in case["program"]]
      for case in rows]
  return Group(
      name, pack(space, listings), make_tasks(train_x, train_y, valid_x, valid_y, metric),
      tuple(case["kind"] for case in rows),
      np.array([case["fitness"] for case in rows]),
      tuple(np.array(case["train_errors"]) for case in rows),
      tuple(np.array(case["valid_errors"]) for case in rows),
      np.array([case["learns"] for case in rows]))


def _instruction(raw: list) -> list:
  """[op, in1, in2, out, s, f0, f1, f2] with only the constants that the op uses."""
  return raw[:4] + [raw[4 + k] for k in _CONSTANTS.get(raw[0], ())]
