"""Runs the arms of an experiment, repeat by repeat, and keeps what comes out.

An experiment has a run directory with a line of `outcomes.jsonl` for every repeat that
ended, and in it a run directory for each batch of repeats. A stopped experiment is continued
from there: ended repeats are kept, the batch under way goes on from its checkpoint. With a larger
budget ended repeats go on, too; what they had come to is moved to `earlier_outcomes.jsonl` first.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
import dataclasses
import functools
import shutil
import time
from typing import TYPE_CHECKING

import numpy as np

from experiments.frame import lazy

with lazy.imports():
  from azero.insight import statistics, tables
  from azero.insight.plots import comparison_plot
  from azero.language import ops, program, text
  from azero.runs import directory as directory_lib
  from azero.runs import json_lines, reader
  from experiments.frame import estimate, judging, references, study, workers

if TYPE_CHECKING:
  from azero.language.program import Programs, SearchSpace
  from azero.runs.directory import RunDirectory
  from experiments.frame.estimate import Estimate
  from experiments.frame.runtimes import GroupedSearch
  from experiments.frame.workers import Arm, Kind, WorkersSettings

_PICTURE = "comparison.png"
_EARLIER = "earlier_outcomes.jsonl"
_BUDGETS = ("max_train_steps", "max_programs")
_MAX_CANDIDATES = 50  # of each kind of worker in a repeat, by fitness on T_search
# Learning rates, relative to those printed, that references are tried with.
_RATE_FACTORS = np.logspace(-2, 2, 9)


@dataclasses.dataclass(frozen=True)
class Outcome:
  """What a repeat ended with.

  Attributes:
    arm: name.
    repeat: number.
    program: text of the chosen program.
    search_fitness: on the search tasks of the worker that found it.
    select_fitness: median accuracy on the tasks that it was chosen on.
    accuracy: mean accuracy on the other tasks of T_select.
    train_steps: of all workers of the repeat.
    programs: of all workers of the repeat.
  """

  arm: str
  repeat: int
  program: str
  search_fitness: float
  select_fitness: float
  accuracy: float
  train_steps: int
  programs: int


@dataclasses.dataclass(frozen=True)
class Trials:
  """All that an experiment has by now.

  Attributes:
    outcomes: of the repeats that ended.
    references: mean accuracy of reference programs, by name, on the tasks that judge, for
      each arm.
    complete: whether no repeat is missing.
    seconds: wall time of this part of the run.
    signum: of the signal that interrupted it, if one did.
    earlier: what repeats had come to when smaller budgets were spent, by these in words, in order.
  """

  outcomes: list[Outcome]
  references: dict[str, dict[str, float]]
  complete: bool
  seconds: float
  signum: int | None = None
  earlier: dict[str, list[Outcome]] = dataclasses.field(default_factory=dict)

  def of(self, arm: Arm) -> list[Outcome]:
    """The outcomes of one arm."""
    return [outcome for outcome in self.outcomes if outcome.arm == arm.name]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Comparison:
  """What an experiment says of its outcomes.

  Attributes:
    title: of the report.
    summary: paragraphs.
    tables: Markdown.
    settings: what the picture compares.
    label: of its vertical axis.
    picture_title: of the picture.
    references: its horizontal lines by name.
    files: other files of the run directory: their texts by name.
  """

  title: str
  summary: Sequence[str]
  tables: Sequence[str]
  settings: Sequence[comparison_plot.Setting]
  label: str
  picture_title: str
  references: Mapping[str, float] = dataclasses.field(default_factory=dict)
  files: Mapping[str, str] = dataclasses.field(default_factory=dict)


def run_experiment(
    name: str, config: WorkersSettings, arms: Sequence[Arm],
    compare: Callable[[Trials], Comparison],
) -> Trials:
  """Runs an experiment and writes its directory.

  Args:
    name: of the experiment.
    config: the settings.
    arms: with different names.
    compare: what the experiment says of the outcomes.

  Returns:
    What came out. After Ctrl-C the repeats under way are judged as they are; continued,
    they go on.

  Raises:
    FileNotFoundError: a data set is not prepared.
    FileExistsError: the run directory exists.
    BlockingIOError: another process continues it.
    ValueError: settings that do not fit each other, or a smaller budget than that with which
      repeats have ended.
  """
  workers.require(config, arms)
  directory = study.open_directory(name, config)
  print(f"Everything is recorded in {directory.path}")
  with directory.locked(), study.discarded_if_refused(directory):
    result = _run(config, arms, directory)
  conclude(config, arms, directory, result, compare(result))
  return result


def _run(config: WorkersSettings, arms: Sequence[Arm], directory: RunDirectory) -> Trials:
  """Runs every repeat of every arm that has not ended yet."""
  start = time.monotonic()
  if directory.resumed:
    _take_over_budgets(config, directory)
  outcomes, earlier = _read_outcomes(directory), _read_earlier(directory)
  spaces = {arm.select: arm.space for arm in arms}
  shared = {kind: _Judge(config, space, kind) for kind, space in spaces.items()}
  judges = {arm.name: shared[arm.select] for arm in arms}
  print("First the references, with several learning rates, on the tasks that judge", flush=True)
  by_kind = {kind: judge.references() for kind, judge in shared.items()}
  compared = {arm.name: by_kind[arm.select] for arm in arms}
  pending = _pending(config, arms, outcomes)
  estimated = set()  # arms: they do not cost the same
  for number, (arm, repeats) in enumerate(pending):
    groups, migration = workers.groups_of(config, arm, repeats)
    print(f"{arm.title}: repeats {repeats[0] + 1} to {repeats[-1] + 1} of {config.repeats}, "
          f"{arm.workers * len(repeats)} workers", flush=True)
    expected = _estimate(config, [other for other, _ in pending[number:]])
    searched = study.run_search(
        config, groups, migration, functools.partial(_batch_directory, directory, arm, repeats),
        expected=None if arm.name in estimated else expected)
    if expected.shown:
      estimated.add(arm.name)
    found = [
        judges[arm.name].outcome(arm, searched.search, n, repeat)
        for n, repeat in enumerate(repeats)]
    outcomes += found
    if searched.result.signum is not None:
      return Trials(
          outcomes, compared, False, time.monotonic() - start, searched.result.signum, earlier)
    _write_outcomes(directory, outcomes)
  return Trials(outcomes, compared, True, time.monotonic() - start, earlier=earlier)


def _estimate(config: WorkersSettings, left: Sequence[Arm]) -> Estimate:
  """The estimate that the first of the searches that are left shows."""
  arm = left[0]
  same = sum(other.name == arm.name for other in left)
  totals = {f"searches for '{arm.title}'": same}
  if same < len(left):
    totals["searches of this experiment, if those of other settings cost as much,"] = len(left)
  return estimate.Estimate(config.run.estimate_seconds, totals, skip_first=True)


def _pending(
    config: WorkersSettings, arms: Sequence[Arm], outcomes: Sequence[Outcome]
) -> list[tuple[Arm, list[int]]]:
  """Batches of repeats that have not ended. Arms take turns, so that none waits for long."""
  ended = {(outcome.arm, outcome.repeat) for outcome in outcomes}
  batches = []
  for arm in arms:
    count = config.at_once(arm.workers)
    for first in range(0, config.repeats, count):
      if (arm.name, first) not in ended:
        batches.append((arm, list(range(first, min(first + count, config.repeats)))))
  return sorted(batches, key=lambda batch: batch[1][0])  # stable: in the order of the arms


class _Judge:
  """Chooses the program of a repeat on one half of the T_select tasks, judges it on the other."""

  def __init__(self, config: WorkersSettings, space: SearchSpace, kind: Kind):
    self._kind = kind
    self._space = space.with_features(kind.num_features)
    self._judge = judging.Judge(
        *workers.select_tasks(config, kind),
        config.search.evaluator_settings() | {"num_epochs": kind.num_epochs})

  def outcome(self, arm: Arm, search: GroupedSearch, number: int, repeat: int) -> Outcome:
    """What the workers of experiment `number` of a search found."""
    programs, fitness = _candidates(search, number)
    programs = programs.with_features(self._space.num_features)
    best, chosen = self._judge.choose(programs)
    accuracy = float(self._judge.judge(programs[best]).mean())
    own = search.experiments == number
    return Outcome(
        arm.name, repeat, text.format_program(programs[best]), float(fitness[best]), chosen,
        accuracy, int(search.train_steps[own].sum()), int(search.num_programs[own].sum()))

  def references(self) -> dict[str, float]:
    """Mean accuracy of the references on the tasks that judge, at their best learning rate."""
    accuracies = {}
    for name, program in references.references(self._kind, self._space).items():
      variants = with_rates(program)
      best, _ = self._judge.choose(variants)
      accuracies[name] = float(self._judge.judge(variants[best]).mean())
    return accuracies


def _candidates(search: GroupedSearch, number: int) -> tuple[Programs, np.ndarray]:
  """The best programs of the workers of an experiment, with their fitness on T_search."""
  programs, fitness = [], []
  own = np.flatnonzero(search.experiments == number)
  best = search.best_programs
  for part in search.searches:
    first, last = part.first_island, part.first_island + part.num_islands
    workers_of_kind = own[(own >= first) & (own < last)]
    order = np.argsort(-search.best_fitness[workers_of_kind], kind="stable")
    chosen = workers_of_kind[order[:_MAX_CANDIDATES]]
    programs.append(best[chosen])
    fitness.append(search.best_fitness[chosen])
  mine = [entry for entry in search.hall_of_fame if entry.island in own]
  features = best.space.num_features
  programs += [entry.program.with_features(features) for entry in mine]
  fitness.append(np.array([entry.fitness for entry in mine]))
  return program.Programs.concatenate(programs), np.concatenate(fitness)


def with_rates(program: Programs) -> Programs:
  """A program with its learning rate, the scalar constants, multiplied by several factors.

  Args:
    program: a batch of one.

  Returns:
    One program for each factor from 0.01 to 100.
  """
  variants = program[np.zeros(len(_RATE_FACTORS), int)]
  scalar = variants.opcode == ops.op_by_name("scalar_constant").id
  factors = np.where(scalar, _RATE_FACTORS[:, None], 1.0)
  return dataclasses.replace(variants, constants=variants.constants * factors[..., None])


def conclude(
    config: WorkersSettings, arms: Sequence[Arm], directory: RunDirectory, result: Trials,
    comparison: Comparison,
) -> None:
  """Writes report and picture, prints the tables and says how to go on after a stop.

  The program that it shows is the best of the first arm and of those judged on the same tasks.
  """
  state = (
      "Every repeat ended." if result.complete else
      "**Stopped before its end**: repeats under way are judged as they were.")
  comparable = {arm.name: arm.title for arm in arms if arm.select == arms[0].select}
  best = max(
      (outcome for outcome in result.outcomes if outcome.arm in comparable),
      key=lambda outcome: outcome.accuracy)
  study.conclude(config, directory, study.Findings(
      title=comparison.title,
      summary=[
          *comparison.summary, state, *_epochs(arms),
          f"Wall time of this part of the run: {result.seconds:.0f} s.",
          f"The program below is of {comparable[best.arm]!r}, repeat {best.repeat + 1}."],
      program=text.parse(best.program, num_features=config.num_features, multiclass=True),
      num_classes=10 if arms[0].select.ten_classes else 2, tables=comparison.tables,
      figure=comparison_plot.plot_comparison(
          comparison.settings, label=comparison.label, title=comparison.picture_title,
          references=comparison.references),
      picture=_PICTURE, files=comparison.files,
      lines=["\n\n".join(comparison.tables), f"\n{state}"]), signum=result.signum)


def _epochs(arms: Sequence[Arm]) -> list[str]:
  """What to know about accuracies if there are several epochs."""
  if all(arm.select.num_epochs == 1 for arm in arms):
    return []
  return ["Accuracy is that after the best epoch, as it is in the search: with several epochs it "
          "is chosen by the examples that it is measured on, and a little too high."]


def summary_cells(values: Sequence[float], references: Mapping[str, float]) -> list[str]:
  """Cells of a table: mean with two standard errors, and fractions above each reference."""
  if not values:
    return ["-"] * (1 + len(references))
  mean, error = statistics.mean_and_two_sem(values)
  cells = [f"{mean:.3f}" if len(values) == 1 else f"{mean:.3f} ± {error:.3f}"]
  for bar in references.values():
    above = sum(value > bar for value in values)
    fraction, deviation = statistics.fraction_and_two_sigma(above, len(values))
    cells.append(f"{fraction:.2f} ± {deviation:.2f}")
  return cells


def reference_table(references: Mapping[str, float]) -> str:
  """Accuracies of the references on the tasks that judge."""
  return tables.markdown(("reference, here", "accuracy"), [
      (name, f"{accuracy:.4f}") for name, accuracy in references.items()])


def _batch_directory(
    directory: RunDirectory, arm: Arm, repeats: Sequence[int]) -> RunDirectory:
  path = directory.path / f"{arm.name}-{repeats[0] + 1:03}-{repeats[-1] + 1:03}"
  if reader.is_run(path):
    return directory_lib.RunDirectory.open(path, directory.config)
  if path.exists():  # killed before its settings were there
    shutil.rmtree(path)
  return directory_lib.RunDirectory(path, directory.config)


def _take_over_budgets(config: WorkersSettings, directory: RunDirectory) -> None:
  """Notes the settings that a run is continued with; with a larger budget all repeats go on.

  Raises:
    ValueError: a smaller budget than that with which repeats have ended, or another end.
  """
  saved = directory_lib.read_config(directory.path)
  old = {name: saved[name] for name in _BUDGETS}
  if outcomes := _read_outcomes(directory):
    for name, limit in old.items():
      if _smaller(directory.config[name], limit):
        raise ValueError(
            f"Repeats in '{directory.path}' have ended with --{name}={limit}, so that they cannot "
            f"have {directory.config[name]}: continue with at least as much, or start a new run.")
    for name in (field.name for field in dataclasses.fields(config.stop)):
      if directory.config[name] != saved[name]:
        raise ValueError(
            f"Repeats in '{directory.path}' have ended with --{name}={saved[name]}, so that the "
            f"others cannot have {directory.config[name]}: leave it, or start a new run.")
    if any(directory.config[name] != limit for name, limit in old.items()):
      spent = dataclasses.replace(config, search=dataclasses.replace(config.search, **old))
      _move_to_earlier(directory, spent.budget(), outcomes)
  directory.save_config()


def _smaller(limit: int | None, other: int | None) -> bool:
  return limit is not None and (other is None or limit < other)


def _move_to_earlier(directory: RunDirectory, budget: str, outcomes: Sequence[Outcome]) -> None:
  """Keeps what repeats have come to with a budget. Done again after a stop, it changes nothing."""
  earlier = _read_earlier(directory) | {budget: list(outcomes)}
  rows = [
      {"budget": name, **dataclasses.asdict(outcome)}
      for name, found in earlier.items() for outcome in found]
  directory.write(_EARLIER, json_lines.text(rows))
  (directory.path / directory_lib.OUTCOMES).unlink()


def _read_earlier(directory: RunDirectory) -> dict[str, list[Outcome]]:
  path, earlier = directory.path / _EARLIER, dict[str, list[Outcome]]()
  with reader.reading(path):
    for row in json_lines.read(path) if path.exists() else []:
      earlier.setdefault(row.pop("budget"), []).append(Outcome(**row))
  return earlier


def _read_outcomes(directory: RunDirectory) -> list[Outcome]:
  path = directory.path / directory_lib.OUTCOMES
  with reader.reading(path):
    return [Outcome(**row) for row in json_lines.read(path)] if path.exists() else []


def _write_outcomes(directory: RunDirectory, outcomes: Sequence[Outcome]) -> None:
  """Replaces the file, in which a loss of power leaves no half of a line then."""
  directory.write(directory_lib.OUTCOMES, json_lines.text(map(dataclasses.asdict, outcomes)))
