"""Puts a page together: sections as HTML, figures and their library in it, nothing fetched."""

import base64
from collections.abc import Callable, Sequence
import dataclasses
import functools
import html
import importlib.resources
import os
import pathlib
import shlex
import time
from typing import Any

from azero import files, lazy
from azero.export import svg_diagram
from azero.language.program import Programs
from azero.report import anatomy, facts, figures, history, library, scores
from azero.report.figures import Figure
from azero.runs import reader
from azero.runs.display.durations import format_clock
from azero.runs.reader import Run

FILE = "report.html"
_MODEL = "model.pkl"
PROGRAM = "program.txt"


@dataclasses.dataclass(frozen=True)
class Report:
  """The report of a run, which a notebook shows.

  Attributes:
    run: what it is about.
    html: the whole page.
  """

  run: Run
  html: str = dataclasses.field(repr=False)

  def write(self, path: str | os.PathLike | None = None) -> pathlib.Path:
    """Writes the page, by default as report.html into the run directory; returns its path.

    Raises:
      OSError: it cannot be written.
    """
    target = self.run.path / FILE if path is None else pathlib.Path(path)
    files.write_whole(target, self.html.encode())
    return target

  def _repr_html_(self) -> str:
    """The page in a frame of its own, so that its style is not the notebook's."""
    return (
        f'<iframe srcdoc="{html.escape(self.html)}" sandbox="allow-scripts" title="report of '
        f'{html.escape(self.run.path.name)}" style="width:100%;height:44rem;border:0"></iframe>')


def read(directory: str | os.PathLike) -> Report:
  """The report of a run directory as it is now.

  Args:
    directory: of the run, finished or under way.

  Raises:
    ValueError: it is none, or a file in it cannot be read.
    MissingPackageError: jinja2, markdown-it-py or vl-convert-python is not installed.
  """
  for package in ("jinja2", "markdown_it"):
    lazy.require(package, extra="report", purpose="Reports as pages")
  with reader.reading(directory):
    run = reader.read_run(directory)
    return Report(run, _render(run))


def _render(run: Run) -> str:
  import jinja2

  place = importlib.resources.files("azero.report")
  environment = jinja2.Environment(
      loader=jinja2.FunctionLoader(lambda name: place.joinpath(name).read_text("utf-8")),
      autoescape=True, trim_blocks=True, lstrip_blocks=True)
  environment.filters["markdown"] = _markdown
  return environment.get_template("page.html.jinja").render(
      library=library.script(), now=time.strftime("%Y-%m-%d %H:%M"), **_sections(run))


def _sections(run: Run) -> dict[str, Any]:
  """What the template shows, by name."""
  findings, num_classes = run.findings(), facts.num_classes_of(run)
  source, parts, ablations = (
      facts.program_of(run)[1], anatomy.anatomy_of(run), anatomy.ablations_of(run))
  progress, walk, front = history.progress_of(run), history.walk_of(run), history.front_of(run)
  comparison, residuals = scores.comparison_of(run), scores.residuals_of(run)
  steps = () if walk is None else walk.steps
  drawn: list[tuple[Any, Callable[[Any], Figure]]] = [
      (progress, lambda found: figures.progress(found, steps)), (front, figures.front),
      (ablations, figures.ablations), (comparison, figures.comparison),
      (residuals, figures.residuals)]
  return {
      "title": findings.get("title") or f"{run.experiment}: {run.path.name}",
      "run": run, "findings": findings, "result": run.result(), "picture": _picture(run),
      "facts": _facts(run), "progress": progress, "walk": walk, "front": front,
      "comparison": comparison,
      "confusion": scores.confusion_of(run),
      "figures": {figure.key: figure for figure in (
          draw(found) for found, draw in drawn if found is not None)},
      "source": source,
      "anatomy": parts, "ablations": ablations,
      "diagram": None if parts is None else _diagram(parts.program, num_classes),
      "commands": _commands(run), "took": facts.took(run),
      "settings": facts.settings_of(run)}


def _facts(run: Run) -> list[tuple[str, str]]:
  """The first things to know: names and values."""
  seconds, programs = run.total("seconds"), run.total("programs")
  shown = [
      ("experiment", run.experiment),
      ("status", run.findings().get("ended") or run.status),
      ("wall time", None if seconds is None else format_clock(seconds, hours=True)),
      ("programs", None if programs is None else f"{programs:,.0f}"),
      ("best search fitness", None if run.best_fitness is None else f"{run.best_fitness:.4f}")]
  return [(name, value) for name, value in shown if value]


def _picture(run: Run) -> str | None:
  """The picture of what came out, as an address that holds all of it."""
  name = run.findings().get("picture")
  if not name or not (run.path / name).exists():
    return None
  data = base64.b64encode((run.path / name).read_bytes()).decode()
  return f"data:image/png;base64,{data}"


def _diagram(program: Programs, num_classes: int) -> str | None:
  """The data flow as SVG; None for a program that does not fit such tasks."""
  try:
    return svg_diagram.diagram(program, num_classes)
  except ValueError:
    return None


def _commands(run: Run) -> list[tuple[str, str]]:
  """What to do next: in words, and as a command or as Python."""
  found = []
  path, quoted = run.path, shlex.quote(str(run.path))
  if run.status in ("interrupted", "broken off", "open") and "experiment" in run.about:
    found.append((
        "Go on with the search", f"python -m experiments.{run.experiment} --resume={quoted}"))
  if (path / _MODEL).exists():
    found.append((
        "Predict new rows",
        f"python -m experiments.predict --run={quoted} --data=NEW.csv --output=PREDICTIONS.csv"))
  if run.hall_of_fame():
    found.append((
        "Say what the best program does, and measure its parts on tasks of your choice",
        f"python -m experiments.explain --run={quoted} --tasks=TASKS.npz"))
  findings = run.findings()
  if (path / PROGRAM).exists() and findings:  # none of a run that went on since
    options = f"--num_features={findings['num_features']} --num_classes={findings['num_classes']}"
    found += [
        ("Export the program as NumPy that needs nothing of azero (or jax, latex, svg, json)",
         f"python -m experiments.export --program={quoted}/{PROGRAM} {options} "
         "--format=numpy --output=program.py"),
        ("Train it on data of your own, as a scikit-learn estimator", _estimator(run))]
  found.append(("Make this page again", f"python -m experiments.runs report {quoted}"))
  return found


def _estimator(run: Run) -> str:
  kind = "ProgramClassifier" if facts.num_classes_of(run) else "ProgramRegressor"
  return (
      f"import azero, pathlib\n\nprogram = pathlib.Path({str(run.path / PROGRAM)!r}).read_text()\n"
      f"model = azero.{kind}(program).fit(X, y)\nmodel.predict(X_new)")


def _markdown(texts: str | Sequence[str]) -> str:
  """Markdown as HTML; HTML in it is shown as it is written."""
  import markupsafe

  joined = texts if isinstance(texts, str) else "\n\n".join(texts)
  return markupsafe.Markup(_parser().render(joined))


@functools.cache
def _parser() -> Any:
  import markdown_it

  return markdown_it.MarkdownIt("commonmark", {"html": False}).enable("table")
