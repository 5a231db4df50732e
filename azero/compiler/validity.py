"""Validity: which programs are learners by their data flow, whatever they compute.

Nearly all random programs, and nearly all mutants of a good one, cannot be learners, and their
data flow shows it. What a program carries from one example to the next and changes on the way is
a *parameter*. A program is valid if, over one pass of Predict and Learn,

1. every parameter follows from its own earlier value, and not by way of the prediction alone: it
   is updated, not replaced;
2. every parameter that the prediction reads also follows from the label and the prediction;
3. the prediction follows from the features and from at least one parameter.

The rules are near those of a published search of learning algorithms as graphs (docs/methods.md
names it). They also exclude learners: one that ignores its own prediction, such as a sum of the
examples of each class, is not valid. So they are a filter that a search may use, never a part of
what a program means.

The analysis follows for every address the set of what its value follows from, a word of bits: the
values of addresses before the pass, of which the label and the features are two, and the
prediction as Learn finds it, whatever that follows from.
"""

import numpy as np

from azero.compiler.arrays import (
  LEARN,
  PREDICT,
  READS,
  WRITES,
  ProgramArrays,
  Scratch,
  Tables,
  arrays,
  scratch,
  tables,
)
from azero.compiler.kernels import inner_kernel, kernel
from azero.compiler.liveness import list_instructions
from azero.language.program import Programs, SearchSpace

_NONE, _ONE = np.uint64(0), np.uint64(1)
_PREDICTED = np.uint64(1 << 63)  # a source: the prediction
MOST_ADDRESSES = 63  # one bit each, and that one


def is_valid(programs: Programs, *, multiclass: bool = False) -> np.ndarray:
  """Which programs are learners by their data flow.

  Args:
    programs: N programs; their Setup is not looked at, since it runs before any example.
    multiclass: whether the prediction is v2 and the label v1.

  Returns:
    [N] bool.

  Raises:
    ValueError: a space of too many addresses.
  """
  space = programs.space
  check_space(space)
  result = np.zeros(len(programs), np.bool_)
  _check_all(arrays(programs), tables(space, multiclass), result, scratch(space))
  return result


def check_space(space: SearchSpace) -> None:
  """Refuses a space that the analysis cannot hold.

  Raises:
    ValueError: it has too many addresses.
  """
  if sum(space.num_addresses) > MOST_ADDRESSES:
    raise ValueError(
        f"Whether a program is valid can be told in spaces of at most {MOST_ADDRESSES} addresses; "
        f"this one has {sum(space.num_addresses)}: take a scalar, vector or matrix less.")


@kernel
def _check_all(
    programs: ProgramArrays, tables: Tables, result: np.ndarray, scratch: Scratch) -> None:
  for i in range(len(result)):
    result[i] = program_is_valid(programs, i, tables, scratch)


@inner_kernel
def program_is_valid(programs: ProgramArrays, i: int, tables: Tables, scratch: Scratch) -> bool:
  """As `is_valid`, of program i."""
  read = _follow_predict(programs, i, tables, scratch)
  label, features = _ONE << np.uint64(tables.label), _ONE << np.uint64(tables.features)
  if read & features == _NONE:
    return False  # as most random programs
  _follow_learn(tables, scratch)
  return _updates_parameters(read, label | features, label | _PREDICTED, scratch.origin)


@inner_kernel
def num_parameters(programs: ProgramArrays, i: int, tables: Tables, scratch: Scratch) -> int:
  """Parameters of program i that the prediction reads, and Predict or Learn changes."""
  return _count_changed(programs, i, ~_NONE, tables, scratch)


@inner_kernel
def follows_features(programs: ProgramArrays, i: int, tables: Tables, scratch: Scratch) -> bool:
  """Whether one of `num_parameters` follows from features, and not by way of the prediction."""
  return _count_changed(programs, i, _ONE << np.uint64(tables.features), tables, scratch) > 0


@inner_kernel
def _count_changed(
    programs: ProgramArrays, i: int, causes: np.uint64, tables: Tables, scratch: Scratch) -> int:
  """Parameters of program i that the prediction reads and that change, by one of some causes."""
  read, count = _follow_predict(programs, i, tables, scratch), 0
  _follow_learn(tables, scratch)
  given = _ONE << np.uint64(tables.label) | _ONE << np.uint64(tables.features)
  for address in range(len(scratch.origin)):
    bit, after = _ONE << np.uint64(address), scratch.origin[address]
    count += read & ~given & bit != _NONE and after != bit and after & causes != _NONE
  return count


@inner_kernel
def _follow_predict(
    programs: ProgramArrays, i: int, tables: Tables, scratch: Scratch) -> np.uint64:
  """Follows program i through Predict.

  Returns:
    The set of addresses whose earlier values the prediction follows from. What each address
    follows from is in the `origin` of the scratch.
  """
  list_instructions(programs, i, tables, scratch)
  sources, start = scratch.origin, scratch.start
  for address in range(len(sources)):
    sources[address] = _ONE << np.uint64(address)
  sources[tables.label] = _NONE  # Predict finds no label
  _follow(start[PREDICT], start[LEARN], sources, scratch.words)
  return sources[tables.prediction]


@inner_kernel
def _follow_learn(tables: Tables, scratch: Scratch) -> None:
  """Follows the program that was followed through Predict through Learn as well."""
  sources, start = scratch.origin, scratch.start
  sources[tables.prediction] = _PREDICTED
  sources[tables.label] = _ONE << np.uint64(tables.label)
  sources[tables.features] = _ONE << np.uint64(tables.features)
  _follow(start[LEARN], start[LEARN + 1], sources, scratch.words)


@inner_kernel
def _updates_parameters(
    read: np.uint64, given: np.uint64, required: np.uint64, sources: np.ndarray) -> bool:
  """Whether there are parameters and all of them are updated as they have to be.

  Args:
    read: the set of addresses whose earlier values the prediction follows from.
    given: those that are overwritten before every Predict or Learn.
    required: what parameters that the prediction reads have to follow from.
    sources: [A] uint64, what each address follows from after Learn.
  """
  carried, checked, learns = read & ~given, _NONE, False
  while carried != checked:
    for address in range(len(sources)):
      bit = _ONE << np.uint64(address)
      if carried & bit == _NONE or checked & bit != _NONE:
        continue
      checked |= bit
      after = sources[address]
      if after == bit:
        continue  # never changed: a constant
      if after & bit == _NONE:
        return False
      if read & bit != _NONE:
        if after & required != required:
          return False
        learns = True
      carried |= after & ~(given | _PREDICTED)
  return learns


@inner_kernel
def _follow(first: int, end: int, sources: np.ndarray, words: np.ndarray) -> None:
  """Follows the instructions of a component function.

  Args:
    first: its first instruction.
    end: behind its last.
    sources: [A] uint64, what each address follows from.
    words: [L, 3] uint64, with READS and WRITES, sets of addresses.
  """
  for k in range(first, end):
    if words[k, WRITES] == _NONE:
      continue
    reads, follows = words[k, READS], _NONE
    for address in range(len(sources)):
      if reads & (_ONE << np.uint64(address)) != _NONE:
        follows |= sources[address]
      if words[k, WRITES] == _ONE << np.uint64(address):
        written = address
    sources[written] = follows
