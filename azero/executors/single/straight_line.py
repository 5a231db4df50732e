"""A program as straight-line code: what a compiler needs to know of its live instructions.

The executors of a search run any program of a space; here is one program alone, as the final
evaluation needs it (supplement S7 of the AutoML-Zero paper): instructions in order, constants
as a vector that can be tuned, the addresses that must be carried from one example to the
next, and after how many validation examples nothing changes in memory any more, so that the
rest of them can be predicted at once.
"""

from collections.abc import Collection, Iterable, Mapping
import dataclasses
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from azero.compiler import canonical, liveness
from azero.executors import noise
from azero.executors.single import large_rules
from azero.language.ops import Constant, Kind, Op, op_by_id
from azero.language.program import (
  FEATURES_VECTOR,
  LABEL_SCALAR,
  LABEL_VECTOR,
  PREDICTION_SCALAR,
  PREDICTION_VECTOR,
  Function,
  Programs,
  format_instruction,
)


class Address(NamedTuple):
  """One address of the memory, sortable."""

  kind: Kind
  number: int


Memory = dict[Address, jax.Array]  # addresses that it lacks are zero

FEATURES = Address(Kind.VECTOR, FEATURES_VECTOR)


@dataclasses.dataclass(frozen=True)
class Instruction:
  """A live instruction.

  Attributes:
    op: its op.
    inputs: what it reads, beside the old value of its output if the op updates it.
    output: what it writes.
    constants: for each constant of the op its place in the vector of constants; of an index
      the position that it stands for.
    position: index among the program's live instructions; random ops draw by it.
  """

  op: Op
  inputs: tuple[Address, ...]
  output: Address
  constants: tuple[int, ...]
  position: int

  @property
  def reads(self) -> tuple[Address, ...]:
    """Every address that it reads."""
    return self.inputs + ((self.output,) if self.op.updates_output else ())


@dataclasses.dataclass(frozen=True)
class Constants:
  """The K constants of a program's live instructions, but not its indices.

  Attributes:
    values: [K] float64.
    meanings: what each is to its op.
    lines: the instruction that each belongs to, for reports.
  """

  values: np.ndarray
  meanings: tuple[Constant, ...]
  lines: tuple[str, ...]


@dataclasses.dataclass(frozen=True)
class Straight:
  """One program as straight-line code.

  Attributes:
    functions: live instructions of Setup, Predict and Learn.
    constants: what may be tuned.
    label: where the evaluation puts the label.
    prediction: where it finds the prediction.
    carried: addresses whose value an example passes on to the next one, sorted.
    settles: validation examples after which memory stays as it is; None if never.
    varying_matrices: matrices in Predict that differ from one validation example to the next.
  """

  functions: tuple[tuple[Instruction, ...], ...]
  constants: Constants
  label: Address
  prediction: Address
  carried: tuple[Address, ...]
  settles: int | None
  varying_matrices: int


def straighten(program: Programs, *, multiclass: bool = False) -> Straight:
  """Analyses one program.

  Args:
    program: a batch of one.
    multiclass: whether the prediction is v2 and the label v1.

  Returns:
    Its live instructions as straight-line code.

  Raises:
    ValueError: not exactly one program, or a malformed one.
  """
  if len(program) != 1:
    raise ValueError(f"Only one program at a time can be straightened, got {len(program)}.")
  analysis = canonical.analyse(program.validate(), multiclass=multiclass)
  functions, constants = _instructions(program, analysis)
  if multiclass:
    label, prediction = (
        Address(Kind.VECTOR, index) for index in (LABEL_VECTOR, PREDICTION_VECTOR))
  else:
    label, prediction = (
        Address(Kind.SCALAR, index) for index in (LABEL_SCALAR, PREDICTION_SCALAR))
  _, predict, learn = functions
  given = {FEATURES, label}
  at_start = _exposed(predict, given, also={prediction})
  at_start |= _exposed(learn, given | {prediction} | {line.output for line in predict})
  written = {line.output for line in predict + learn} | {prediction}
  carried = tuple(sorted(at_start & written))
  settles, varying_matrices = _settling(predict, label, carried)
  return Straight(functions, constants, label, prediction, carried, settles, varying_matrices)


def with_constants(
    program: Programs, values: np.ndarray, *, multiclass: bool = False) -> Programs:
  """The program with other constants.

  Args:
    program: a batch of one.
    values: [K], in the order of `straighten(program).constants`.
    multiclass: as for `straighten`.

  Returns:
    A batch of one.
  """
  live = liveness.live_instructions(program, multiclass=multiclass)
  constants = program.constants.copy()
  places = _tunable(program, live)
  for (slot, k), value in zip(places, values, strict=True):
    constants[0, slot, k] = value
  return dataclasses.replace(program, constants=constants)


def execute(
    code: Iterable[Instruction], memory: Memory, constants: jax.Array, key: noise.Key,
    num_features: int,
) -> Memory:
  """Runs instructions.

  Args:
    code: instructions of one component function.
    memory: before; it is not changed.
    constants: [K], in the type of the memory.
    key: the key of this execution for random ops.
    num_features: F.

  Returns:
    The memory after.
  """
  memory, dtype = dict(memory), constants.dtype
  rules = large_rules.RULES if num_features >= large_rules.SMALLEST else {}
  for line in code:
    op, shape = line.op, line.output.kind.shape(num_features)
    arguments = [read(memory, line.output, num_features, dtype)] if op.updates_output else []
    arguments += [read(memory, address, num_features, dtype) for address in line.inputs]
    arguments += [
        jnp.int32(place) if meaning is Constant.INDEX else constants[place]
        for meaning, place in zip(op.constants, line.constants)]
    if op.noise is not None:
      arguments.append(noise.draw(noise.fold(key, line.position), op.noise, shape, dtype))
    value = rules.get(op.name, op.compute)(*arguments)
    memory[line.output] = jnp.broadcast_to(value.astype(dtype), shape)
  return memory


def read(memory: Memory, address: Address, num_features: int, dtype: jnp.dtype) -> jax.Array:
  """What an address holds."""
  if address in memory:
    return memory[address]
  return jnp.zeros(address.kind.shape(num_features), dtype)


def _tunable(program: Programs, live: np.ndarray) -> list[tuple[int, int]]:
  """Slot and number of every constant of live instructions that is not an index."""
  return [
      (int(slot), k) for slot in np.flatnonzero(live[0])
      for k, meaning in enumerate(op_by_id(int(program.opcode[0, slot])).constants)
      if meaning is not Constant.INDEX]


def _instructions(
    program: Programs, analysis: canonical.Analysis
) -> tuple[tuple[tuple[Instruction, ...], ...], Constants]:
  space, places = program.space, _tunable(program, analysis.live)
  functions: list[list[Instruction]] = [[] for _ in Function]
  meanings = []
  lines = []
  for slot in np.flatnonzero(analysis.live[0]).tolist():
    op = op_by_id(int(program.opcode[0, slot]))
    assert op.output is not None
    constants = []
    for k, meaning in enumerate(op.constants):
      if meaning is Constant.INDEX:
        constants.append(int(program.constants[0, slot, k] * space.num_features))
      else:
        constants.append(places.index((slot, k)))
        meanings.append(meaning)
        lines.append(_text_of(program, slot))
    inputs = tuple(
        Address(kind, int(address[0, slot]))
        for kind, address in zip(op.inputs, (program.in1, program.in2)))
    functions[space.function_of_slot[slot]].append(Instruction(
        op, inputs, Address(op.output, int(program.out[0, slot])), tuple(constants),
        int(analysis.position[0, slot])))
  values = np.array([program.constants[0, slot, k] for slot, k in places])
  return tuple(map(tuple, functions)), Constants(values, tuple(meanings), tuple(lines))


def _text_of(program: Programs, slot: int) -> str:
  """One instruction as it prints, with its component function in front."""
  function = Function(program.space.function_of_slot[slot])
  return f"{function.name.title()}: {format_instruction(program, slot)}"


def _exposed(
    code: Iterable[Instruction], written: Collection[Address], also: Collection[Address] = (),
) -> set[Address]:
  """Addresses read before they are written.

  Args:
    code: instructions.
    written: what was written before them.
    also: what is read behind them.
  """
  found, done = set(), set(written)
  for line in code:
    found |= set(line.reads) - done
    done.add(line.output)
  return found | (set(also) - done)


def _settling(
    predict: tuple[Instruction, ...], label: Address, carried: Collection[Address]
) -> tuple[int | None, int]:
  """After how many examples of validation memory stays, and how many matrices vary even then.

  What Predict leaves at an address is settled from example n on if all that it is made of is:
  features and random numbers never are; the label, hidden, and what Predict does not write
  always are.
  """
  never = len(predict) + 2  # more than any chain of addresses, each settled one example later

  def ages(at_start: Mapping[Address, int]) -> tuple[dict[Address, int], int]:
    """From which example on every write is settled; and the matrices that never are."""
    current, varying = {FEATURES: never, label: 0}, 0
    for line in predict:
      operands = [current[a] if a in current else at_start.get(a, 0) for a in line.reads]
      age = never if line.op.noise is not None else min(never, max([1, *operands]))
      current[line.output] = age
      varying += line.output.kind is Kind.MATRIX and age == never
    return {line.output: current[line.output] for line in predict}, varying

  left, varying = ages({})
  while True:
    now, varying = ages({address: age + 1 for address, age in left.items()})
    if now == left:
      break
    left = now
  latest = max((left.get(address, 0) for address in carried), default=0)
  return (None if latest == never else latest), varying
