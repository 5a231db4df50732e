"""Runs the cells of the bench of discovery: the seeds of an arm on a problem in a space.

Each seed is an island of its own: tasks, random numbers and history follow from its number,
whatever runs beside it. Seeds of a cell run side by side, which keeps the devices busy. The wall
time between two looks is divided evenly over the seeds that still search, since each of them makes
as many children in it; so the seconds of all seeds add up to those of the machine, and seconds per
success are exact. With --at_once=1 each has the machine by itself, at the price of small batches.

Compilation, and the looks at unseen tasks, are not part of a method: a small search of the same
shapes comes first, and the clock stands still during looks.
"""

from __future__ import annotations

from collections.abc import Sequence
import dataclasses
import functools
import itertools
import time
from typing import TYPE_CHECKING, Any

import numpy as np

from azero.executors.evaluator import Evaluator
from azero.language import text
from azero.runs import runner
from azero.runs.display import durations
from azero.search.evolution import Evolution
from experiments.details import discovery_rates_arms as arms
from experiments.details import discovery_rates_lines as lines_lib
from experiments.details import discovery_rates_problems as problems
from experiments.details import discovery_rates_spaces as spaces
from experiments.details.discovery_rates_lines import Lines
from experiments.frame import interruption, island_discoveries

if TYPE_CHECKING:
  from azero.language.program import SearchSpace
  from azero.runs.directory import RunDirectory
  from azero.search.config import SearchConfig
  from azero.tasks.task import Tasks
  from experiments.details.discovery_rates_problems import Exam

_FEW = 200  # programs that make a search compile all it needs


@dataclasses.dataclass(frozen=True, kw_only=True)
class Cell:
  """An arm on a problem in a space.

  Attributes:
    problem: name.
    space_name: name.
    arm: name.
    exam: tasks, goal and budget.
    space: ops and sizes.
    config: settings of the search.
  """

  problem: str
  space_name: str
  arm: str
  exam: Exam
  space: SearchSpace
  config: SearchConfig

  def __str__(self) -> str:
    """Its name."""
    return f"{self.problem} / {self.space_name} / {self.arm}"

  @functools.cached_property
  def common(self) -> dict[str, Any]:
    """What its lines have in common."""
    return {
        "problem": self.problem, "space": self.space_name, "arm": self.arm,
        **lines_lib.described(self.exam, self.space, self.config)}


def cells_of(config: Any) -> list[Cell]:
  """All cells of some settings; arms are the last to change, as they share what is compiled.

  Raises:
    ValueError: settings that no search accepts.
  """
  found = []
  for problem in config.problems:
    exam = problems.exam_of(config, problem)
    learner = problems.PROBLEMS[problem].learner
    for name in config.spaces:
      base = dataclasses.replace(
          spaces.base_config(name, config.search), max_programs=exam.max_programs,
          cycles_per_step=exam.look_every)
      found += [
          Cell(problem=problem, space_name=name, arm=arm, exam=exam,
               space=spaces.SPACES[name].make(learner, exam.num_features),
               config=arms.arm_config(arm, base)) for arm in config.arms]
  return found


def lines_of(config: Any, cells: Sequence[Cell], directory: RunDirectory) -> Lines:
  """The lines that a run begins with: its own, and those of --add, which become its own.

  Raises:
    ValueError: they do not fit each other, or what the cells will add.
    FileNotFoundError: there are none to add.
  """
  lines = Lines.read(directory)
  added = [row for path in config.add for row in lines.add_file(path)]
  for cell in cells:
    lines.require_fit(cell.common)
  lines_lib.keep(directory, added)
  directory.config["add"] = []
  directory.save_config()
  return lines


def run_all(
    config: Any, cells: Sequence[Cell], lines: Lines, directory: RunDirectory) -> int | None:
  """Runs every cell that has seeds left, and keeps its lines.

  Args:
    config: of the experiment.
    cells: to run.
    lines: what is there, to which each cell is added.
    directory: where they are kept.

  Returns:
    The number of the signal that interrupted it, of which cells that were done are kept; None if
    nothing is left.
  """
  todo = {cell: _seeds_left(cell, config.seeds, lines) for cell in cells}
  todo = {cell: left for cell, left in todo.items() if left}
  if todo and config.max_seconds is not None:
    most = sum(map(len, todo.values())) * config.max_seconds
    print(f"At most {durations.format_duration(most)} of searching, beside compilation and looks")
  for number, (cell, left) in enumerate(todo.items(), start=1):
    print(f"{cell}: {len(left)} seeds (cell {number} of {len(todo)})", flush=True)
    try:
      rows = _run(cell, left, config)
    except KeyboardInterrupt as interrupt:  # while it compiles, or for the second time
      return int(interruption.signum_of(interrupt))
    if isinstance(rows, int):
      return rows
    lines.append_to(directory, rows)
    solved = sum(row["success"] for row in rows)
    print(f"{cell}: {solved} of {len(rows)} seeds solved it with "
          f"{sum(row['evaluated'] for row in rows):,} evaluated programs", flush=True)
  return None


def _seeds_left(cell: Cell, seeds: int, lines: Lines) -> list[int]:
  done = {row["seed"] for row in lines.of(cell.problem, cell.space_name, cell.arm)}
  return [seed for seed in range(seeds) if seed not in done]


def _run(cell: Cell, seeds: list[int], config: Any) -> list[dict[str, Any]] | int:
  """The lines of some seeds of a cell, or the number of the signal that interrupted it."""
  settings = cell.config.evaluator_settings() | {"combine": "mean"}
  judge = _judge(cell.problem, cell.exam, cell.space, tuple(settings.items()))
  at_once = config.at_once or len(seeds)
  # Seconds of seeds that share the machine with others are not those of a seed alone.
  common = cell.common | {"machine": f"{cell.common['machine']}, {at_once} seeds at once"}
  rows = []
  for together in _batches(seeds, at_once):
    found = _search(cell, together, judge, config.run.progress)
    if isinstance(found, int):
      return found
    rows += [{**common, "seed": seed, **row} for seed, row in zip(together, found)]
  return rows


def _batches(seeds: list[int], at_once: int) -> list[list[int]]:
  """Seeds to run side by side: their numbers follow each other, as those of islands do."""
  stretches = itertools.groupby(enumerate(seeds), lambda pair: pair[1] - pair[0])
  numbers = [[seed for _, seed in stretch] for _, stretch in stretches]
  return [
      part[first : first + at_once] for part in numbers for first in range(0, len(part), at_once)]


def _search(
    cell: Cell, seeds: list[int], judge: Evaluator, progress: str) -> list[dict[str, Any]] | int:
  task_sets = [problems.search_tasks(cell.problem, cell.exam, seed) for seed in seeds]
  _warm_up(cell, task_sets)
  search = Evolution(cell.space, task_sets, cell.config, first_island=seeds[0])
  looks = Looks(judge, cell.exam, search)
  with interruption.second_leaves():
    ended = runner.run(search, progress=progress, should_stop=looks)
  return looks.rows(search) if ended.signum is None else ended.signum


def _warm_up(cell: Cell, task_sets: list[Tasks]) -> None:
  """Compiles what a search of these shapes needs."""
  few = dataclasses.replace(
      cell.config, population_size=min(_FEW // 4, cell.config.population_size),
      max_programs=_FEW, cycles_per_step=_FEW)
  Evolution(cell.space, task_sets, few).step()


@functools.lru_cache(maxsize=1)  # arms of a problem in a space share it
def _judge(
    problem: str, exam: Exam, space: SearchSpace, settings: tuple[tuple[str, Any], ...]
) -> Evaluator:
  return Evaluator(space, problems.unseen_tasks(problem, exam), **dict(settings))


class Looks(island_discoveries.Looks):
  """Looks at all seeds of a cell after each step of their search; ends who succeeded or is late.

  A success is a program whose mean fitness reaches the goal on the tasks to look on and, since
  there were many looks, also on the tasks to confirm it on, which are looked at then alone.
  """

  def __init__(self, judge: Evaluator, exam: Exam, search: Evolution):
    """Lets the clock begin; looks at nothing yet.

    Args:
      judge: on tasks to look on and tasks to confirm on.
      exam: with goal and limit of time.
      search: that begins now.
    """
    super().__init__(judge, enough=exam.goal)
    self._most = np.inf if exam.max_seconds is None else exam.max_seconds
    self._seconds = np.zeros(search.num_islands)  # of each
    self._late = np.zeros(search.num_islands, bool)
    self._curves: list[list[tuple[int, int, int, float, float]]] = [
        [] for _ in range(search.num_islands)]
    self._searching, self._since = search.active.copy(), time.monotonic()

  def __call__(self, search: Evolution) -> bool:
    """Looks, and lets the clock go on; never stops the search as a whole."""
    passed = time.monotonic() - self._since
    self._seconds[self._searching] += passed / max(self._searching.sum(), 1)
    self.check(search)
    self._note(search)
    for island in np.flatnonzero(search.active & (self._seconds >= self._most)):
      self._late[island] = True
      search.finish(int(island))
    self._searching, self._since = search.active.copy(), time.monotonic()
    return False

  def _confirmed(self, search: Any, island: int) -> bool:
    again = self._evaluator.evaluate(search.best_programs[island], 1)
    return bool(again.fitness[0] >= self._enough)

  def _note(self, search: Evolution) -> None:
    """Adds a point to the curves of the islands that were searching."""
    for island in np.flatnonzero(self._searching).tolist():
      self._curves[island].append((
          int(search.num_programs[island]), int(search.num_evaluated[island]),
          int(search.train_steps[island]), round(float(self._seconds[island]), 3),
          self.fitness.get(island, 0.0)))

  def rows(self, search: Evolution) -> list[dict[str, Any]]:
    """What became of each seed; of its curve the points where the fitness changed, and the last."""
    rows = []
    for island, curve in enumerate(self._curves):
      programs, sent, steps, seconds, fitness = curve[-1]
      success = island in self.discoveries
      kept = [
          list(point) for k, point in enumerate(curve)
          if k in (0, len(curve) - 1) or point[-1] != curve[k - 1][-1]]
      rows.append({
          "success": success,
          "ended": "success" if success else "seconds" if self._late[island] else "programs",
          "programs": programs, "evaluated": sent, "train_steps": steps, "seconds": seconds,
          "fitness": fitness, "curve": kept,
          "program": text.format_program(search.best_programs[island])})
    return rows
