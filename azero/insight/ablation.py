"""Ablations: every live instruction and every found mechanism knocked out, and what that costs.

Supplement S8 (c) of the AutoML-Zero paper: a section of code is removed, the constants are tuned
again, and the loss of accuracy is computed. All variants are measured in one batch; the loss is
paired over tasks.
"""

from collections.abc import Iterable, Sequence
import dataclasses
from typing import Any

from azero import html_text
from azero.insight import bench as bench_lib
from azero.insight import mechanisms as mechanisms_lib
from azero.insight import observation, surgery, tables, variants
from azero.insight.bench import Bench
from azero.insight.statistics import Interval
from azero.insight.surgery import At, Drop, Edit, Typical
from azero.insight.terms import Mechanism, Place, Terms
from azero.language.program import Programs
from azero.tasks.task import Tasks

MECHANISM, INSTRUCTION = "mechanism", "instruction"


@dataclasses.dataclass(frozen=True)
class Ablation:
  """A knock-out and what it cost.

  Attributes:
    name: of the mechanism, or the instruction as it is printed.
    kind: MECHANISM or INSTRUCTION.
    places: the instructions that it is about.
    without: what was done, as a phrase.
    loss: fitness lost, as a mean over tasks with its interval; negative where something is won.
    fitness: what is left.
    program: the program without it, a batch of one.
  """

  name: str
  kind: str
  places: tuple[Place, ...]
  without: str
  loss: Interval
  fitness: float
  program: Programs

  @property
  def matters(self) -> bool:
    """Whether the loss is clear: its interval is above zero."""
    return self.loss.low > 0


@dataclasses.dataclass(frozen=True)
class Ablations:
  """The knock-outs of one program.

  Attributes:
    program: the program, a batch of one.
    fitness: what it reaches.
    rows: mechanisms first, then instructions, both in the order of the program.
    num_tasks: D, that the losses are paired over.
    num_seeds: S.
    num_trials: settings of the constants that each variant was tuned by; 0 for none.
  """

  program: Programs
  fitness: float
  rows: tuple[Ablation, ...]
  num_tasks: int
  num_seeds: int
  num_trials: int = 0

  @property
  def mechanisms(self) -> tuple[Ablation, ...]:
    """Those of mechanisms."""
    return tuple(row for row in self.rows if row.kind == MECHANISM)

  @property
  def instructions(self) -> tuple[Ablation, ...]:
    """Those of single instructions."""
    return tuple(row for row in self.rows if row.kind == INSTRUCTION)

  def __str__(self) -> str:
    return f"{self._caption()}\n{tables.plain(*self._table())}"

  def _repr_html_(self) -> str:
    return html_text.table(*self._table(), caption=self._caption())

  def markdown(self) -> str:
    """The table in Markdown."""
    return tables.markdown(*self._table())

  def as_dict(self) -> dict[str, Any]:
    """What JSON can hold of it."""
    return {
        "fitness": self.fitness, "num_tasks": self.num_tasks, "num_seeds": self.num_seeds,
        "num_trials": self.num_trials, "ablations": [
            {"name": row.name, "kind": row.kind, "places": list(map(str, row.places)),
             "without": row.without, "fitness": row.fitness,
             "loss": tables.interval_dict(row.loss)} for row in self.rows]}

  def _caption(self) -> str:
    tuned = f", constants tuned by {self.num_trials} trials each" if self.num_trials else ""
    return (
        f"Fitness {self.fitness:.4f}; losses with 95 % intervals, paired over {self.num_tasks} "
        f"task(s), {self.num_seeds} seed(s){tuned}.")

  def _table(self) -> tuple[Sequence[str], list[Sequence[str]]]:
    return ("without", "loss", "95 % interval", "fitness", "what was done"), [
        (row.name if row.kind == MECHANISM else str(row.places[0]),
         *tables.interval_cells(row.loss), f"{row.fitness:.4f}", row.without)
        for row in self.rows]


def ablate(
    program: Programs | str, tasks: Tasks | Bench, *, mechanisms: Sequence[Mechanism] | None = None,
    instructions: bool = True, num_seeds: int | None = None, num_trials: int = 0, **settings: Any,
) -> Ablations:
  """Knocks out each mechanism and each live instruction of a program.

  Args:
    program: a batch of one, or its text.
    tasks: to measure on, best such as the program was not searched or chosen on; or a `Bench`,
      whose compiled evaluator serves again.
    mechanisms: what to knock out; by default what `find_mechanisms` finds.
    instructions: whether each live instruction is knocked out, too.
    num_seeds: evaluations with other random numbers, for programs that have some; default 3, or
      what the `Bench` has.
    num_trials: so many settings of the constants are tried for the program and for each variant
      (S8); the best on every other task, from the first, is measured on the tasks between.
    **settings: of `Evaluator`.

  Raises:
    ValueError: a program that does not fit the tasks, a bad setting, or too few tasks to tune.
  """
  bench = bench_lib.bench_for(tasks, num_seeds, settings)
  program = bench.read(program)
  variants.check_trials(bench, num_trials)
  terms = Terms(program, multiclass=bench.multiclass)
  if mechanisms is None:
    mechanisms = mechanisms_lib.mechanisms_of(terms, max(2, bench.tasks.num_train))
  planned = [(MECHANISM, each) for each in mechanisms]
  if instructions:
    places = [terms.place(n) for n in range(len(terms.flow.instructions))]
    planned += [(INSTRUCTION, Mechanism(
        place.text, (place,), "", "the instruction is left out",
        (Drop(At(place.function, place.line)),))) for place in places]
  codes = [surgery.take_apart(program)]
  typical = typical_for(program, [each.edits for _, each in planned], bench)
  codes += [
      surgery.apply(codes[0], each.edits, typical=typical, multiclass=bench.multiclass)
      for _, each in planned]
  codes, measured = variants.measure(bench, codes, num_trials)
  space = surgery.space_of(codes, bench.tasks.num_features, multiclass=bench.multiclass)
  programs = surgery.assemble(codes, space)
  rows = [
      Ablation(each.name, kind, each.places, each.without, measured.loss(k), measured.fitness(k),
               programs[k])
      for k, (kind, each) in enumerate(planned, start=1)]
  return Ablations(
      program, measured.fitness(0), tuple(rows), measured.per_task.shape[2], bench.num_seeds,
      num_trials)


def typical_for(
    program: Programs, edits: Iterable[Sequence[Edit]], bench: Bench) -> dict[At, float]:
  """The typical values that some edits ask for; nothing is run where they ask for none."""
  wanted = any(
      isinstance(getattr(edit, "value", None), Typical) for group in edits for edit in group)
  if not wanted:
    return {}
  return observation.typical_values(observation.observe(program, bench.tasks))
