"""A program made simpler: exact steps first, then steps within a tolerance (supplement S6).

Static analysis takes out what no prediction depends on. Then instructions are left out, their
readers given an operand, a constant or zero instead, as long as every prediction on the given
tasks stays the same. Last, where a tolerance is given, as long as the loss of fitness, paired over
tasks and with its interval, stays within it. That is how figure S1a of the AutoML-Zero paper
becomes figure S1b and then figure 6.

A program with random numbers draws them by the places of its instructions, so that in front of
the last one of these nothing can be left out without other draws; then only a tolerance allows it.
"""

from collections.abc import Iterator, Sequence
import dataclasses
from typing import Any

import numpy as np

from azero import html_text
from azero.insight import bench as bench_lib
from azero.insight import observation, rewriting, surgery, tables
from azero.insight.bench import Bench
from azero.insight.rewriting import Subject
from azero.insight.statistics import Interval
from azero.insight.surgery import At, Code, Drop, Hold
from azero.language.ops import Kind
from azero.language.program import (
  EMPTY,
  Function,
  Programs,
  format_instruction,
  format_program,
)
from azero.tasks.task import Tasks

KEY, ORDER, PREDICTIONS, TOLERANCE = (
    "canonical key", "order of execution", "equal predictions", "tolerance")


@dataclasses.dataclass(frozen=True)
class Step:
  """A step of a simplification.

  Attributes:
    what: was done, as a phrase.
    proof: why it may be done: KEY, ORDER, PREDICTIONS on all examples of the tasks, or TOLERANCE.
    num_instructions: that are left after it.
    loss: of TOLERANCE what was lost against the original so far; else None.
  """

  what: str
  proof: str
  num_instructions: int
  loss: Interval | None = None


@dataclasses.dataclass(frozen=True)
class Simplification:
  """A simpler program, and how it was reached.

  Attributes:
    original: a batch of one.
    program: a batch of one, in the smallest space that holds it.
    steps: in their order.
    original_fitness: on the tasks; None without.
    fitness: of the simpler program.
    loss: of fitness, paired over the tasks, on which the steps were chosen as well.
  """

  original: Programs
  program: Programs
  steps: tuple[Step, ...]
  original_fitness: float | None = None
  fitness: float | None = None
  loss: Interval | None = None

  def __str__(self) -> str:
    table = [tables.plain(*self._table())] if self.steps else []
    return "\n".join([self._caption(), *table, "", format_program(self.program)])

  def _repr_html_(self) -> str:
    return html_text.table(*self._table(), caption=self._caption()) + self.program._repr_html_()

  def markdown(self) -> str:
    """The steps in Markdown."""
    table = [tables.markdown(*self._table())] if self.steps else []
    return "\n\n".join([self._caption(), *table])

  def as_dict(self) -> dict[str, Any]:
    """What JSON can hold of it."""
    return {
        "original": format_program(self.original), "program": format_program(self.program),
        "original_fitness": self.original_fitness, "fitness": self.fitness,
        "loss": None if self.loss is None else tables.interval_dict(self.loss),
        "steps": [dataclasses.asdict(step) | {
            "loss": None if step.loss is None else tables.interval_dict(step.loss)}
                  for step in self.steps]}

  def _caption(self) -> str:
    before, after = (int(each.lengths.sum()) for each in (self.original, self.program))
    text = f"{before} instructions became {after}." if self.steps else (
        f"Nothing could be simplified: {before} instructions.")
    if self.loss is not None:
      text += (f" Fitness {self.original_fitness:.4f} became {self.fitness:.4f}: a loss of "
               f"{' (95 %: '.join(tables.interval_cells(self.loss))}).")
    return text

  def _table(self) -> tuple[Sequence[str], list[Sequence[str]]]:
    return ("step", "proof", "instructions", "loss so far", "95 % interval"), [
        (step.what, step.proof, str(step.num_instructions),
         *(("", "") if step.loss is None else tables.interval_cells(step.loss)))
        for step in self.steps]


def simplify(
    program: Programs | str, tasks: Tasks | Bench | None = None, *, tolerance: float = 0.0,
    num_classes: int = 0, num_seeds: int | None = None, rename: bool = True, **settings: Any,
) -> Simplification:
  """Makes a program simpler.

  Args:
    program: a batch of one, or its text.
    tasks: to compare on, or a `Bench`; without them only what follows from the program alone.
    tolerance: fitness that may be lost, by the upper bound of the interval, which a single task
      without random numbers does not have; 0 for none.
    num_classes: of the program's tasks, where none are given.
    num_seeds: evaluations with other random numbers; default 3, or what the `Bench` has.
    rename: whether addresses are numbered anew and instructions reordered, at the end.
    **settings: of `Evaluator`.

  Raises:
    ValueError: a malformed program, one that fails on all tasks, or a bad setting.
  """
  if not 0 <= tolerance < 1:
    raise ValueError(f"tolerance must be from 0 to 1, got {tolerance}.")
  if tasks is None and (tolerance or settings):
    raise ValueError("A tolerance and settings of evaluations need tasks to evaluate on.")
  bench = None if tasks is None else bench_lib.bench_for(tasks, num_seeds, settings)
  multiclass = num_classes > 2 if bench is None else bench.multiclass
  program = (bench_lib.read_program(program, multiclass=multiclass) if bench is None
             else bench.read(program))
  work = _Work(program, bench, tolerance, multiclass)
  work.drop_dead()
  if bench is not None:
    work.search()
  if rename:
    work.tidy()
  return work.result()


class _Work:
  """A simplification under way."""

  def __init__(self, program: Programs, bench: Bench | None, tolerance: float, multiclass: bool):
    self._original, self._bench, self._tolerance = program, bench, tolerance
    self._multiclass = multiclass
    self._first = self._subject(surgery.take_apart(program))
    self._now = self._first
    self._steps: list[Step] = []

  def drop_dead(self) -> None:
    """Leaves out what no prediction depends on."""
    dead = int(self._original.lengths.sum()) - self._first.num_instructions
    if dead:
      noun = "instruction" if dead == 1 else "instructions"
      self._note(f"{dead} {noun} without effect left out", KEY)

  def search(self) -> None:
    """Takes the step that leaves the smallest program, as long as there is one."""
    assert self._bench is not None
    if not self._bench.measure([self._first.code]).per_task.any():
      raise ValueError(
          "The program fails on every task, so that nothing can be compared; give tasks that it "
          "was made for, or no tasks for the exact steps alone.")
    while self._take_one():
      pass

  def tidy(self) -> None:
    """Reorders and renames."""
    ordered = self._subject(rewriting.reordered(self._now.code))
    if ordered.code != self._now.code:
      self._now = ordered
      self._note("related instructions moved to each other", ORDER)
    named = self._subject(rewriting.renamed(self._now.code, multiclass=self._multiclass))
    if named.code != self._now.code and named.key == self._now.key:
      self._now = named
      self._note("addresses numbered in the order of their use", KEY)

  def result(self) -> Simplification:
    """What came of it."""
    if self._bench is None:
      return Simplification(self._original, self._now.program, tuple(self._steps))
    measured = self._bench.measure([self._first.code, self._now.code])
    return Simplification(
        self._original, self._now.program, tuple(self._steps), measured.fitness(0),
        measured.fitness(1), measured.loss(1))

  def _subject(self, code: Code) -> Subject:
    return rewriting.subject(
        code, self._original.space.num_features, multiclass=self._multiclass)

  def _note(self, what: str, proof: str, loss: Interval | None = None) -> None:
    self._steps.append(Step(what, proof, self._now.num_instructions, loss))

  def _take_one(self) -> bool:
    """Takes the best step of a round of candidates, all measured at once."""
    assert self._bench is not None
    candidates = list(self._candidates())
    if not candidates:
      return False
    measured = self._bench.measure([self._first.code] + [each.code for _, each in candidates])
    losses = [measured.loss(k) for k in range(1, len(candidates) + 1)]
    for proof, allowed in (
        (PREDICTIONS, measured.same),
        (TOLERANCE, np.array([loss.high <= self._tolerance for loss in losses]))):
      if proof == TOLERANCE and not self._tolerance:
        continue
      rows = [k for k in range(len(candidates)) if allowed[k]]
      if rows:
        # Of equal ones the one that loses least, then the first.
        best = min(rows, key=lambda k: (candidates[k][1].size, losses[k].estimate, k))
        what, self._now = candidates[best]
        self._note(what, proof, losses[best] if proof == TOLERANCE else None)
        return True
    return False

  def _candidates(self) -> Iterator[tuple[str, Subject]]:
    """Smaller programs, each once, and what leads to them."""
    seen = {self._now.key}
    texts = self._texts()
    for at, how, code in self._rewritings():
      subject = self._subject(code)
      if subject.size < self._now.size and subject.num_instructions and subject.key not in seen:
        seen.add(subject.key)
        yield f"{at.function.name.title()}: {texts[at]} {how}", subject

  def _rewritings(self) -> Iterator[tuple[At, str, Code]]:
    assert self._bench is not None
    code = self._now.code
    typical = observation.typical_values(
        observation.observe(self._now.program, self._bench.tasks))
    for function, lines in zip(Function, code):
      for number, line in enumerate(lines, start=1):
        at = At(function, number)
        yield at, "left out", surgery.apply(code, [Drop(at)])
        if line.op.output is Kind.SCALAR and not rewriting.is_constant(line):
          value = typical[at]
          yield at, f"held at {value:.4g}", surgery.apply(code, [Hold(at, value)])
    yield from rewriting.redirections(self._now)
    yield from rewriting.hoists(self._now)

  def _texts(self) -> dict[At, str]:
    program = self._now.program
    lines = [
        format_instruction(program, slot)
        for slot in np.flatnonzero(program.opcode[0] != EMPTY).tolist()]
    places = [
        At(function, k) for function, part in zip(Function, self._now.code)
        for k in range(1, len(part) + 1)]
    return dict(zip(places, lines, strict=True))
