"""Lineages: what a program came from, step by step from the program that its search began with.

A lineage is packed into words, see `packed_steps`: a few hundred bytes for each step. It owns what
it says, so that an entry of the hall of fame, a migrant or a checkpoint carries it anywhere.
"""

from collections.abc import Iterator, Mapping, Sequence
import dataclasses
import difflib
import functools
import html
from typing import Any, overload

import numpy as np

from azero.compiler.arrays import ProgramArrays, arrays
from azero.compiler.kernels import kernel
from azero.language.program import (
  EMPTY,
  Function,
  Programs,
  SearchSpace,
  format_instruction,
)
from azero.search import checked_state
from azero.search.history.packed_steps import (
  FITNESS,
  HEADER,
  LEFT_OUT,
  LENGTH,
  MADE_BY,
  NUMBER,
  copy_step,
  instruction_of,
  leave_out,
  read_step,
  scan,
  write_step,
)
from azero.search.origins import ARRIVED, name_of


@dataclasses.dataclass(frozen=True)
class Step:
  """A program on the way to another one.

  Attributes:
    program: a batch of one.
    fitness: on the search tasks of its island.
    island: whose.
    num_programs: evaluated on that island up to it.
    mutation: what made it from the program before: the name of a mutation, "copy" if it was not
      mutated, "migration" if it came from another island, "start" if a search began with it.
    skipped: programs between the one before and this one that were left out; the mutation is then
      the last of several.
    gain: by how much it is fitter than all before it on its island; 0 if it is not, and at the
      start and after a migration.
    changes: what differs from the program before, as "+ Learn: s1 = s0 - s1" and "- Learn: ...".
  """

  program: Programs
  fitness: float
  island: int
  num_programs: int
  mutation: str
  skipped: int
  gain: float
  changes: tuple[str, ...]

  def __str__(self) -> str:
    more = f" (+{self.gain:.4g})" if self.gain else ""
    left_out = f", after {self.skipped} others" if self.skipped else ""
    head = (
        f"program {self.num_programs} of island {self.island}, fitness {self.fitness:.6g}{more}: "
        f"{self.mutation}{left_out}")
    return "\n  ".join([head, *self.changes])


class Lineage(Sequence[Step]):
  """The steps from a first program to a last one, decoded when they are asked for.

  Attributes:
    space: in which programs are shown.
    words: [W] int64, the steps packed; not to be changed.
  """

  def __init__(self, space: SearchSpace, words: np.ndarray):
    """A line of packed steps."""
    self.space = space
    self.words = words

  @classmethod
  def of(
      cls, programs: Programs, fitness: Sequence[float], facts: Sequence[Sequence[int]]
  ) -> "Lineage":
    """Packs N steps.

    Args:
      programs: N programs.
      fitness: N numbers.
      facts: of each step NUMBER, ISLAND, MADE_BY and LEFT_OUT, as in `packed_steps`.
    """
    numbers = np.array(facts, np.int64).reshape(len(programs), 4)
    values, batch = np.array(fitness, np.float64), arrays(programs)
    words = np.empty(_pack(np.empty(0, np.int64), batch, values, numbers), np.int64)
    _pack(words, batch, values, numbers)
    return cls(programs.space, words)

  def __len__(self) -> int:
    return len(self._found[0])

  @overload
  def __getitem__(self, index: int) -> Step: ...

  @overload
  def __getitem__(self, index: slice) -> list[Step]: ...

  def __getitem__(self, index: int | slice) -> Step | list[Step]:
    """A step, or several."""
    chosen = range(len(self))[index]
    if isinstance(chosen, int):
      return self._step(chosen)
    return [self._step(k) for k in chosen]

  def __iter__(self) -> Iterator[Step]:
    return (self._step(k) for k in range(len(self)))

  def __eq__(self, other: object) -> bool:
    if not isinstance(other, Lineage):
      return NotImplemented
    return self.space == other.space and np.array_equal(self.words, other.words)

  __hash__ = None  # type: ignore[assignment]  # like the programs that it holds

  def __reduce__(self) -> tuple[Any, ...]:
    """Packed, without what was decoded."""
    return Lineage, (self.space, self.words)

  def __str__(self) -> str:
    number = self.num_steps
    head = f"{number} step{'' if number == 1 else 's'} to fitness {self[-1].fitness:.6g}"
    return "\n".join([head, *map(str, self.inventions)])

  def __repr__(self) -> str:
    return f"<Lineage of {self.num_steps} steps>"

  def _repr_html_(self) -> str:
    """What a notebook shows: the inventions as rows of a table."""
    cells = "".join(
        f"<tr><td>{step.num_programs}</td><td>{step.island}</td><td>{step.fitness:.6g}</td>"
        f"<td>{html.escape(step.mutation)}</td><td style='text-align:left'><pre>"
        f"{html.escape(chr(10).join(step.changes))}</pre></td></tr>"
        for step in self.inventions)
    heads = "".join(
        f"<th>{name}</th>" for name in ("program", "island", "fitness", "mutation", "changes"))
    return f"<table><tr>{heads}</tr>{cells}</table>"

  @property
  def num_steps(self) -> int:
    """From the first program to the last, also those that were left out."""
    return len(self) - 1 + int(self.words[self._found[0] + LEFT_OUT].sum())

  @property
  def inventions(self) -> list[Step]:
    """The first program, and each that was fitter than all before it on its island.

    All between two of them counts as left out, and what it changed is told with the second.
    """
    starts, gains = self._found
    chosen = [k for k, gain in enumerate(gains.tolist()) if gain > 0 or k == 0]
    skipped = self.words[starts + LEFT_OUT] + 1
    return [
        dataclasses.replace(
            self._step(k), changes=self._changes(before, k),
            skipped=int(skipped[0 if before is None else before + 1 : k + 1].sum()) - 1)
        for before, k in zip([None, *chosen], chosen)]

  def keys(self) -> list[bytes]:
    """What tells each step from those of other lineages: two of one key are equal."""
    starts, gains = self._found
    ends = [*starts[1:].tolist(), len(self.words)]
    # With the step before, from which a step's changes are told.
    befores = [0, *starts[:-1].tolist()]
    return [
        self.words[before:end].tobytes() + gain.tobytes()
        for before, end, gain in zip(befores, ends, gains)]

  def condensed(self, most: int) -> "Lineage":
    """The same with so many steps at most: those that brought least are left out.

    The first and the last stay; of equal ones the oldest go.

    Args:
      most: 2 or more.

    Raises:
      ValueError: fewer.
    """
    if most < 2:
      raise ValueError(f"A lineage has a first and a last step; it cannot be condensed to {most}.")
    size = len(self.words) // HEADER
    words = np.empty_like(self.words)
    end = _condense(self.words, most, np.empty(size, np.int64), np.empty(size), words)
    return self if end == len(self.words) else Lineage(self.space, words[:end].copy())

  @functools.cached_property
  def _found(self) -> tuple[np.ndarray, np.ndarray]:
    """[N] int64, where steps begin; [N] float64, what they gain."""
    most = len(self.words) // HEADER
    starts, gains = np.empty(most, np.int64), np.empty(most)
    count = _find(self.words, starts, gains)
    return starts[:count], gains[:count]

  def _program(self, k: int) -> Programs:
    program = Programs.empty(self.space)
    _unpack(self.words, self._found[0][k : k + 1], arrays(program))
    return program

  def _step(self, k: int) -> Step:
    start = self._found[0][k]
    _, number, island, action, skipped, _ = self.words[start : start + HEADER].tolist()
    return Step(
        self._program(k), float(self.words.view(np.float64)[start + FITNESS]), island, number,
        name_of(action), skipped, float(self._found[1][k]),
        self._changes(k - 1 if k else None, k))

  def _changes(self, before: int | None, k: int) -> tuple[str, ...]:
    """What differs between two steps; of the first one nothing."""
    return () if before is None else changes(self._program(before), self._program(k))


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class KnownPrograms(Programs):
  """Programs of which it is known what they came from, to start a search from.

  Attributes:
    pasts: the lineage of each, or None, which ends with the program itself.
  """

  pasts: tuple[Lineage | None, ...] = ()

  def __post_init__(self) -> None:
    if len(self.pasts) != len(self):
      raise ValueError(
          f"{len(self.pasts)} lineages for {len(self)} programs; give one, or None, for each.")
    if any(past and past.space.num_slots != self.space.num_slots for past in self.pasts):
      raise ValueError(
          "The pasts of programs must be of a space with as many instructions as theirs.")

  @classmethod
  def of(cls, programs: Programs, pasts: Sequence[Lineage | None]) -> "KnownPrograms":
    """Programs with their lineages."""
    arrays = programs.opcode, programs.in1, programs.in2, programs.out, programs.constants
    return cls(programs.space, *arrays, tuple(pasts))


def changes(before: Programs, after: Programs) -> tuple[str, ...]:
  """The instructions by which a program differs from another one, as "+ Learn: s1 = s0 - s1"."""
  first, second = _lines(before), _lines(after)
  found: list[str] = []
  for tag, start, stop, begin, end in difflib.SequenceMatcher(
      None, first, second, autojunk=False).get_opcodes():
    if tag != "equal":
      found += [f"- {line}" for line in first[start:stop]]
      found += [f"+ {line}" for line in second[begin:end]]
  return tuple(found)


def _lines(program: Programs) -> list[str]:
  """Instructions, each with its component function."""
  functions = program.space.function_of_slot
  return [
      f"{Function(functions[slot]).name.title()}: {format_instruction(program, slot)}"
      for slot in np.flatnonzero(program.opcode[0] != EMPTY).tolist()]


def lineages_state(lineages: Sequence[Lineage]) -> dict[str, np.ndarray]:
  """Lineages as arrays: their words end to end, and how many words each has."""
  words = [lineage.words for lineage in lineages]
  return {
      "words": np.concatenate([np.empty(0, np.int64), *words]),
      "lengths": np.array([len(each) for each in words], np.int64)}


def lineages_in(space: SearchSpace, state: Mapping[str, np.ndarray]) -> list[Lineage]:
  """The lineages of such a state, which stays as it is."""
  parts = np.split(state["words"], np.cumsum(state["lengths"]))[:-1]
  return [Lineage(space, part.copy()) for part in parts]


def check_lineages(space: SearchSpace, state: Mapping[str, Any], count: int) -> None:
  """Refuses what `lineages_in` cannot read.

  Raises:
    StateError: another number of lineages, or words that are no steps of programs of the space.
  """
  lineages = checked_state.part(state, "lineages")
  lengths = checked_state.array(lineages, "lengths", np.int64, (count,))
  words = checked_state.array(lineages, "words", np.int64, (None,))
  checked_state.within("lengths", lengths, HEADER, len(words))
  if sum(lengths.tolist()) != len(words):
    raise checked_state.StateError("'words' are more or fewer than 'lengths'")
  starts = np.empty(len(words) // HEADER, np.int64)
  number = _find_steps(words, lengths, space.num_slots, starts)
  if number < 0:
    raise checked_state.StateError("'words' are no steps of lineages")
  batch = Programs.empty(space, number)
  _unpack(words, starts[:number], arrays(batch))
  checked_state.programs(
      space, {"lineages": {name: getattr(batch, name) for name in Programs.ARRAYS}}, "lineages")


@kernel
def _find_steps(
    words: np.ndarray, lengths: np.ndarray, num_slots: int, starts: np.ndarray) -> int:
  """Finds where the steps of lineages of such lengths begin.

  Returns:
    How many there are; -1 if words are none.
  """
  count = at = 0
  for k in range(len(lengths)):
    last = at + lengths[k]
    while at < last:
      if last - at < HEADER:
        return -1
      end = at + words[at + LENGTH]
      if (not at + HEADER <= end <= last or words[at + MADE_BY] < ARRIVED
          or words[at + LEFT_OUT] < 0):
        return -1
      starts[count] = at
      count += 1
      at += HEADER
      while at < end:
        slot, num_constants = instruction_of(words[at])
        if not 0 <= slot < num_slots:
          return -1
        at += 1 + num_constants
      if at != end:
        return -1
  return count


@kernel
def _pack(
    words: np.ndarray, programs: ProgramArrays, fitness: np.ndarray, facts: np.ndarray) -> int:
  """Writes steps, unless there are no words; returns how many it takes."""
  bits, end = fitness.view(np.int64), 0
  for k in range(len(programs.opcode)):
    if len(words) > 0:
      words[end + FITNESS] = bits[k]
      for column in range(facts.shape[1]):
        words[end + NUMBER + column] = facts[k, column]
    end = write_step(words, end, programs, k)
  return end


@kernel
def _unpack(words: np.ndarray, starts: np.ndarray, programs: ProgramArrays) -> None:
  """Reads the steps that begin at `starts` into as many empty programs."""
  for k in range(len(starts)):
    read_step(words, starts[k], programs, k)


@kernel
def _find(words: np.ndarray, starts: np.ndarray, gains: np.ndarray) -> int:
  return scan(words, starts, gains)


@kernel
def _condense(
    words: np.ndarray, most: int, starts: np.ndarray, gains: np.ndarray, shorter: np.ndarray
) -> int:
  """Writes what is left of steps, unless all are; returns where it ends."""
  count = scan(words, starts, gains)
  if count <= most:
    return len(words)
  leave_out(gains[:count], most)
  end, skipped = 0, 0
  for k in range(count):
    start = starts[k]
    if gains[k] < 0:
      skipped += words[start + LEFT_OUT] + 1
      continue
    after = copy_step(words, start, shorter, end)
    shorter[end + LEFT_OUT] += skipped
    end, skipped = after, 0
  return end
