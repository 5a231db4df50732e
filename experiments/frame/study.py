"""A study, from its run directory to its report: what all experiments go through.

`search` opens a run (a new one, or one to continue), announces it, searches, and shows an
estimate meanwhile. The experiment selects and judges, with `judging`; `conclude` writes picture,
files and report, and says how to go on after a stop.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
import contextlib
import dataclasses
import datetime
import json
import os
import pathlib
import shlex
import shutil
import time
from typing import TYPE_CHECKING, Any

from azero import files, paths
from azero import lazy as lazy_packages
from experiments.frame import interruption, lazy, settings
from experiments.frame.settings import AnyConfig

with lazy.imports():
  from azero.language import text
  from azero.report import page
  from azero.runs import directory as directory_lib
  from azero.runs import reader, runner
  from azero.runs.display import tensorboard
  from experiments.frame import dissection, estimate, reporting, runtimes

if TYPE_CHECKING:
  from matplotlib.figure import Figure
  import numpy as np

  from azero.language.program import Programs
  from azero.runs.directory import RunDirectory
  from azero.runs.runner import RunResult
  from azero.search.groups.federation import Group
  from azero.search.groups.migration import Migration
  from azero.tasks.task import Tasks
  from experiments.frame.estimate import Estimate
  from experiments.frame.runtimes import GroupedSearch

PICTURE = "progress.png"
_FIRST = {"config.json", "run.json"}  # what a run directory begins with


@dataclasses.dataclass(frozen=True)
class Searched:
  """A search that has ended.

  Attributes:
    search: with its best programs; it is not stepped any more.
    result: how the run ended.
    directory: of the run.
  """

  search: GroupedSearch
  result: RunResult
  directory: RunDirectory


@dataclasses.dataclass(frozen=True, kw_only=True)
class Findings:
  """What a study says.

  Attributes:
    title: of the report.
    summary: its paragraphs.
    data: Markdown: what was learnt from, where that is worth a word.
    program: the best program, a batch of one.
    num_classes: of its task: 0 for real-valued labels, 2 for two classes, or more.
    tasks: that neither search nor selection saw, to say what each part of the program is worth.
    scores: [D] fitnesses on unseen tasks of the program and of what it is compared with, by name.
    tables: Markdown.
    figure: the picture.
    picture: its file name.
    files: other files of the run directory: their texts by name.
    lines: what is printed, after the program.
  """

  title: str
  summary: Sequence[str]
  data: str = ""
  program: Programs | None = None
  num_classes: int = 0
  tasks: Tasks | None = None
  scores: Mapping[str, np.ndarray] = dataclasses.field(default_factory=dict)
  tables: Sequence[str] = ()
  figure: Figure | None = None
  picture: str = PICTURE
  files: Mapping[str, str] = dataclasses.field(default_factory=dict)
  lines: Sequence[str] = ()

  @property
  def multiclass(self) -> bool:
    """Whether the task has vectors as labels and predictions."""
    return self.num_classes > 2


def search(
    name: str, config: Any, groups: Sequence[Group], migration: Migration | None = None, *,
    lockstep: bool = False, should_stop: Callable[[GroupedSearch], bool] | None = None,
    last_look: Callable[[GroupedSearch], None] | None = None,
    facts: Mapping[str, Any] | None = None,
) -> Searched:
  """Searches and records it in a run directory.

  Args:
    name: of the experiment.
    config: `StudySettings`.
    groups: of islands or workers.
    migration: how they exchange programs; None for not at all.
    lockstep: whether `should_stop` ends islands, see `Cluster`.
    should_stop: ends the search; see `runner.run`. Without it an estimate is shown.
    last_look: what to do with the search before its processes end.
    facts: what identifies the run besides its settings, see `open_directory`.

  Raises:
    ValueError: settings that do not fit each other. A run that is refused leaves no directory.
    FileExistsError: the run directory exists.
    FileNotFoundError: there is no run to continue.
  """
  islands = sum(len(group.task_sets) for group in groups)

  def record() -> RunDirectory:
    tasks = directory_lib.describe_tasks(groups[0].task_sets[0])
    directory = open_directory(name, config, facts, tasks)
    verb = "Continuing" if directory.resumed else "Searching"
    print(f"{verb} with {islands} islands; everything is recorded in {directory.path}")
    return directory

  config.run.check()
  return run_search(
      config, groups, migration, record, lockstep=lockstep, should_stop=should_stop,
      last_look=last_look,
      expected=estimate.Estimate(config.run.estimate_seconds, skip_first=True))


def run_search(
    config: Any, groups: Sequence[Group], migration: Migration | None,
    record: Callable[[], RunDirectory], *, lockstep: bool = False,
    should_stop: Callable[[GroupedSearch], bool] | None = None,
    last_look: Callable[[GroupedSearch], None] | None = None, expected: Estimate | None = None,
) -> Searched:
  """As `search`, recorded where `record` says once the search is made.

  Without `should_stop`, and where budgets alone end it, the estimate `expected` is shown, whose
  clock begins here.
  """
  estimable = should_stop is None and not config.stop.bounded and all(
      group.config.bounded for group in groups)
  with runtimes.opened(config, groups, migration, lockstep=lockstep) as found:
    directory = record()
    if estimable and expected is not None:
      expected.begin()
      should_stop = expected
    with discarded_if_refused(directory), interruption.second_leaves():
      result = runner.run(
          found, directory=directory, progress=config.run.progress, should_stop=should_stop,
          stop=config.stop,
          checkpoint_seconds=config.run.checkpoint_seconds, tensorboard=config.run.tensorboard)
    if last_look is not None:
      last_look(found)
  return Searched(found, result, directory)


def conclude(
    config: Any, directory: RunDirectory, findings: Findings, *, result: RunResult | None = None,
    signum: int | None = None,
) -> None:
  """Writes picture, files and report; prints what came out, and how to go on after a stop.

  Args:
    config: the settings, which the report lists.
    directory: of the run.
    findings: what to say.
    result: the search, for what it cost and how it ended.
    signum: of the signal that interrupted the study, where that is not in `result`.
  """
  if findings.figure is not None:
    findings.figure.savefig(directory.path / findings.picture, dpi=130)
  for name, content in findings.files.items():
    directory.write(name, content)
  directory.write("report.md", reporting.report(
      findings.title, summary=[*filter(None, [findings.data]), *findings.summary],
      program=findings.program,
      multiclass=findings.multiclass, tables=findings.tables, result=result, config=config,
      picture=None if findings.figure is None else findings.picture))
  if findings.program is not None:
    directory.write(page.PROGRAM, text.format_program(findings.program) + "\n")
    print(f"\n{reporting.live_text(findings.program, multiclass=findings.multiclass)}\n")
  for line in findings.lines:
    print(line)
  whole = signum is None and (result is None or result.signum is None)
  parts = {}
  if whole and findings.program is not None and findings.tasks is not None:
    parts = dissection.dissect(findings.program, findings.tasks, config.search)
  written = _to_json(findings, result, whole=whole) | parts
  directory.write(reader.FINDINGS, json.dumps(written, indent=2) + "\n")
  print(f"Report: {directory.path / 'report.md'}")
  write_page(directory.path)
  signum = result.signum if result is not None and signum is None else signum
  if signum is not None:
    print(f"Interrupted; --resume={shlex.quote(str(directory.path))} continues the search.")
    interruption.note(signum)


def write_page(path: str | os.PathLike) -> None:
  """Writes report.html into a run directory, or says what it takes."""
  try:
    print(f"Page: {page.read(path).write()}")
  except lazy_packages.MissingPackageError as error:
    print(f"No report.html: {error}")


def _to_json(findings: Findings, result: RunResult | None, *, whole: bool) -> dict[str, Any]:
  """Findings as their file holds them, for a page that is made from it."""
  program, ended = findings.program, "finished" if whole else "interrupted"
  if result is not None:
    ended = result.ended
  return {
      "title": findings.title, "summary": list(findings.summary), "data": findings.data,
      "tables": list(findings.tables), "ended": ended,
      # The page draws progress itself.
      "picture": None if findings.figure is None or findings.picture == PICTURE
      else findings.picture, "num_classes": findings.num_classes,
      "program": None if program is None else text.format_program(program),
      "num_features": None if program is None else program.space.num_features,
      "scores": {name: values.tolist() for name, values in findings.scores.items()}}


def open_directory(
    experiment: str, config: Any, facts: Mapping[str, Any] | None = None,
    tasks: Mapping[str, Any] | None = None,
) -> RunDirectory:
  """The run directory of settings with `run`: a new one, or the one to continue.

  Args:
    experiment: its name.
    config: the settings.
    facts: what identifies the run besides them, for instance a digest of the data: a run is
      not continued with others. `FACTS` of the settings' class names them.
    tasks: what its search tasks are, for readers; see `directory.describe_tasks`.

  Raises:
    FileExistsError: a new one exists already.
    FileNotFoundError: there is none to continue.
    ValueError: it holds a run of other settings, or --tensorboard lacks its extra.
  """
  config.run.check()
  if config.run.tensorboard:
    tensorboard.require()
  saved = _to_save(config) | dict(facts or {})
  if config.run.resume is not None:
    directory = directory_lib.RunDirectory.open(
        config.run.resume, saved, _may_change(type(config)))
    interruption.note_directory(directory.path)
    return directory
  now = datetime.datetime.now().strftime("%Y%m%d-%H%M%S")
  # The process id tells runs apart that are started in the same second.
  default = f"{experiment}-{now}-{os.getpid()}"
  name = config.run.run_name or default
  if pathlib.PurePath(name).name != name or name == "..":
    raise ValueError(f"--run_name must be a plain name, without a folder, got '{name}'.")
  path = pathlib.Path(config.run.output_dir) / name
  files.require_directory(path.parent, "--output_dir: ")
  directory = directory_lib.RunDirectory(path, saved)
  defaults = _without_resume(settings.defaults_of(config))
  directory.write("run.json", json.dumps(
      {"experiment": experiment, "started": time.time(), "command": reporting.command(config),
       "defaults": defaults} | ({} if tasks is None else {"tasks": dict(tasks)}),
      indent=2) + "\n")
  if "resume" in settings.leaves(type(config)):
    interruption.note_directory(directory.path)
  return directory


@contextlib.contextmanager
def discarded_if_refused(directory: RunDirectory) -> Iterator[None]:
  """A new run that is refused for its settings within the block leaves no directory behind."""
  try:
    yield
  except ValueError:
    if not directory.resumed and {path.name for path in directory.path.iterdir()} <= _FIRST:
      shutil.rmtree(directory.path)
    raise


def continued(
    config_class: type[AnyConfig], directory: str | os.PathLike, **changes: Any) -> AnyConfig:
  """The settings with which a run directory is continued.

  Args:
    config_class: of the experiment.
    directory: of the run.
    **changes: settings that are given anew.

  Raises:
    FileNotFoundError: there is no such run.
    ValueError: it is a run of another experiment, or has other settings than the changes
      and may not change them.
  """
  path = paths.expand(directory)
  saved = directory_lib.read_config(path)
  _require_run_of(config_class, path)
  for name in getattr(config_class, "FACTS", ()):
    saved.pop(name, None)
  settings.require_types(config_class, saved, path)
  names = settings.leaves(config_class).keys() - {"resume"}
  try:
    settings.build(config_class, **{name: saved[name] for name in names & saved.keys()})
  except ValueError as error:
    raise ValueError(
        f"'{path / 'config.json'}' is damaged, or of another version of azero: "
        f"{files.shortened(str(error))} Put a copy of the file back, or start a new run.") from None
  given = {name: saved.get(name) for name in names} | changes
  directory_lib.require_same(saved, given, path, _may_change(config_class))
  return settings.build(config_class, **given | {"resume": os.fspath(path)})


def _require_run_of(config_class: type[Any], path: pathlib.Path) -> None:
  """Refuses a run whose directory names another experiment, or none."""
  folder, _, own = reporting.module_name(config_class).rpartition(".")
  about = reader.read_about(path)
  if not about and "own_ops" in directory_lib.read_config(path):
    raise ValueError(
        f"The run in '{path}' was not begun by an experiment: continue it in Python, by "
        f"azero.evolve(..., directory='{path}', resume=True).")
  other = about.get("experiment", own)
  if other != own:
    raise ValueError(
        f"The run in '{path}' is one of another experiment, {other}: continue it with "
        f"python -m {folder}.{other} --resume={shlex.quote(str(path))}.")


def _to_save(config: Any) -> dict[str, Any]:
  """The settings by name, without the one that only continues a run."""
  return _without_resume(settings.flat(config))


def _without_resume(values: Mapping[str, Any]) -> dict[str, Any]:
  return {name: value for name, value in values.items() if name != "resume"}


def _may_change(config_class: type[Any]) -> Sequence[str]:
  """Settings that a run need not be continued with.

  Those of a recorded search and what `ALSO_MAY_CHANGE` of the class adds, or its `MAY_CHANGE`.
  """
  usual = (*directory_lib.MAY_CHANGE, *getattr(config_class, "ALSO_MAY_CHANGE", ()))
  return getattr(config_class, "MAY_CHANGE", usual)
