"""Programs to measure an evaluator with, made so that the measurement is fair.

Copies of one program would let an executor share work that no search lets it share. So every
variant has constants of its own and its instructions in a legal order of its own. Populations
are random, or those that evolution really reached, dead code and all. Chains and repeated ops
show what costs what.
"""

from collections.abc import Sequence
import dataclasses

import numpy as np

from azero.compiler import arrays, canonical, liveness
from azero.language import ops as op_table
from azero.language.ops import Kind, Op
from azero.language.program import EMPTY, Component, Function, Programs, SearchSpace
from azero.language.text import parse
from azero.search.config import SearchConfig
from azero.search.evolution import Evolution
from azero.search.proposals import mutation
from azero.tasks.task import Tasks

_SCALES = 0.5, 1.0  # what constants of variants are multiplied by
_CHAINED = {"vector": "v1 = {}(v1, v0)", "scalar": "s2 = {}(s2, s0)"}
_COPY_BYTES = 512 * 1024  # rows of a program of repeated ops: no more than a cache holds
_MAX_COPIES = 16
_FIRST = {Kind.SCALAR: 2, Kind.VECTOR: 1, Kind.MATRIX: 1}  # of the operands of repeated ops


def variants(program: Programs, count: int, seed: int) -> Programs:
  """Programs that do what one program does, with other constants and in another order.

  Args:
    program: a batch of one.
    count: N.
    seed: of constants and orders.

  Returns:
    N programs, each with its constants scaled by factors of its own and with the instructions
    of each component function in a random order that keeps its data flow.
  """
  rng = np.random.default_rng(seed)
  return reordered(rescaled(program[np.zeros(count, int)], rng), rng)


def rescaled(programs: Programs, rng: np.random.Generator) -> Programs:
  """The programs with every constant but indices scaled by a random factor of its own."""
  factors = rng.uniform(*_SCALES, programs.constants.shape)
  is_index = op_table.columns().is_index[programs.opcode] & (programs.opcode != EMPTY)[..., None]
  return dataclasses.replace(
      programs, constants=np.where(is_index, programs.constants, programs.constants * factors))


def reordered(programs: Programs, rng: np.random.Generator) -> Programs:
  """The programs with the instructions of each component function in a random legal order.

  An instruction stays behind whatever writes what it reads, and behind whatever reads or
  writes what it writes.
  """
  rows = np.arange(len(programs))
  order = np.tile(np.arange(programs.space.num_slots), (len(programs), 1))
  for function in Function:
    slots = programs.space.slots(function)
    before = _before(programs, slots)  # [N, l, l]
    filled = programs.opcode[:, slots] != EMPTY
    left = filled.copy()
    priority = rng.random(left.shape)
    for k in range(left.shape[1]):
      free = left & ~(before & left[:, :, None]).any(1)
      chosen = np.where(free, priority, -1.0).argmax(1)
      some = filled[:, k]
      order[some, slots.start + k] = slots.start + chosen[some]
      left[rows, chosen] = False
  return Programs(
      programs.space,
      *(getattr(programs, name)[rows[:, None], order] for name in Programs.ARRAYS))


def _before(programs: Programs, slots: slice) -> np.ndarray:
  """[N, l, l] bool, whether instruction i of these slots must run before instruction j."""
  opcode = programs.opcode[:, slots]
  bases = arrays.address_bases(programs.space)[:, opcode]
  operands = bases + np.stack(
      [getattr(programs, name)[:, slots] for name in ("in1", "in2", "out", "out")])
  reads, writes = operands[:3], operands[3]

  def same(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    return (first[:, :, None] == second[:, None, :]) & (first >= 0)[:, :, None]

  conflict = same(writes, writes)
  for read in reads:
    conflict |= same(writes, read) | same(read, writes)
  count = opcode.shape[1]
  return conflict & (np.arange(count)[:, None] < np.arange(count))


def work(program: Programs) -> float:
  """Scalar additions that the live instructions of Predict and Learn of one program make up."""
  live = liveness.live_instructions(program)[0]
  live &= program.space.function_of_slot != Function.SETUP
  num_features = program.space.num_features
  return sum(op_table.op_by_id(int(op)).cost(num_features) for op in program.opcode[0, live])


def distinct(programs: Programs) -> Programs:
  """The programs without those whose canonical key an earlier one has."""
  _, first = np.unique(canonical.analyse(programs).key, axis=0, return_index=True)
  return programs[np.sort(first)]


def random_population(space: SearchSpace, count: int, seed: int) -> Programs:
  """At most N random programs of distinct keys, as random search draws them."""
  return distinct(mutation.random_programs(space, count, seed=seed))


def evolved_population(
    space: SearchSpace, task_sets: Sequence[Tasks], config: SearchConfig, count: int
) -> tuple[Programs, float]:
  """Programs that evolution reached.

  Args:
    space: the search space.
    task_sets: of each island.
    config: of the search, with a budget of programs.
    count: N.

  Returns:
    At most N programs of distinct keys, the youngest first, from the populations at the end
    of the search and one, two, ... generations before; and the best fitness that was reached.
  """
  generation = config.population_size
  search = Evolution(space, task_sets, dataclasses.replace(config, cycles_per_step=generation))
  populations: list[Programs] = []
  while not search.finished:
    search.step()
    populations.append(search.population[np.arange(len(search.population))])
  youngest = Programs.concatenate(populations[::-1])
  return distinct(youngest)[:count], float(search.best_fitness.max())


def chain(kind: str, length: int, num_features: int) -> Programs:
  """A program whose Learn is a chain of instructions, each of which needs the one above.

  Args:
    kind: "vector" or "scalar".
    length: k, instructions of Learn.
    num_features: F.

  Returns:
    A batch of one.
  """
  learn = [_CHAINED[kind].format(("maximum", "minimum")[k % 2]) for k in range(length)]
  lines = ["def Setup():", "def Predict():", "  s1 = dot(v0, v1)"]
  lines += ["  s1 = s1 + s2"] if kind == "scalar" else []
  return parse("\n".join([*lines, "def Learn():", *(f"  {line}" for line in learn)]),
               num_features=num_features)


def op_space(ops: Sequence[Op], num_features: int) -> SearchSpace:
  """A space for the programs of `repeated_op` with any of these ops."""
  names = ("scalar_sum", "vector_sum", "matrix_sum", "vector_outer_product",
           "vector_inner_product")
  ids = {op.id for op in ops} | {op_table.op_by_name(name).id for name in names}
  scalars, vectors, matrices = (_FIRST[kind] + _MAX_COPIES + 1 for kind in Kind)
  return SearchSpace(
      scalars, vectors, matrices, num_features, Component((), 0), Component(tuple(ids), 1),
      Component(tuple(ids), 1 + 3 * _MAX_COPIES))


def num_copies(op: Op, num_features: int, num_tasks: int) -> int:
  """How often `repeated_op` executes an op: so often that its rows stay in a cache."""
  kind = widest(op)
  row = 4 * num_tasks * num_features ** int(kind)
  return max(1, min(_MAX_COPIES, _COPY_BYTES // (2 * row)))


def widest(op: Op) -> Kind:
  """The largest kind among the operands of an op."""
  return max(kind for kind in (*op.inputs, op.output) if kind is not None)


def repeated_op(
    op: Op | None, operands_of: Op, copies: int, space: SearchSpace, count: int, seed: int
) -> Programs:
  """Programs that execute an op k times in Learn, to be run with their dead instructions.

  Its inputs are sums over the examples so far, one for each execution, so that the op has to
  be executed for every example after the one before it.

  Args:
    op: the op, or None for the same programs without it.
    operands_of: an op, whose operands the program sums up.
    copies: k.
    space: of `op_space`.
    count: N.
    seed: of the constants.

  Returns:
    N programs.
  """
  program = Programs.empty(space)
  slot = space.offsets[Function.LEARN]

  def add(name: str, in1: int, in2: int, out: int, at: int) -> int:
    program.opcode[0, at] = op_table.op_by_name(name).id
    program.in1[0, at], program.in2[0, at], program.out[0, at] = in1, in2, out
    return at + 1

  add("vector_inner_product", 0, 1, 1, space.offsets[Function.PREDICT])
  kinds = set(operands_of.inputs)
  if operands_of.updates_output and operands_of.output is not None:
    kinds.add(operands_of.output)
  if Kind.MATRIX in kinds:
    slot = add("vector_outer_product", 0, 0, 0, slot)
  for kind in sorted(kinds):
    for k in range(copies):
      address = _FIRST[kind] + k
      slot = add(f"{kind.name.lower()}_sum", address, 0, address, slot)
  if op is not None and op.output is not None:
    rng = np.random.default_rng(seed)
    for k in range(copies):
      inputs = [_FIRST[kind] + (k + place) % copies for place, kind in enumerate(op.inputs)]
      in1, in2, *_ = *inputs, 0, 0
      out = k if op.updates_output else _MAX_COPIES
      slot = add(op.name, in1, in2, _FIRST[op.output] + out, slot)
      program.constants[0, slot - 1, : len(op.constants)] = rng.random(len(op.constants))
  return rescaled(program[np.zeros(count, int)], np.random.default_rng(seed)).validate()
