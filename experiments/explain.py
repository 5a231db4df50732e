"""Explains a program: simplified, in words, and with the loss by each part that is knocked out.

    python -m experiments.explain --program=figure_6 --tasks=pairs
    python -m experiments.explain --run=DIR --tasks=FILE.npz

Tasks are those of an .npz file or of a name: synthetic regression (linear, affine, teacher) or
held-out projected digits (pairs, groups, ten_classes). Without tasks nothing is measured. It prints
the explanation, and writes explain.md, explain.json and ablations.png; see docs/understanding.md.
"""

from __future__ import annotations

import dataclasses
import json
import pathlib
from typing import TYPE_CHECKING

from azero.search.config import SearchConfig
from experiments.details import explain_tasks
from experiments.frame import command_line, lazy, settings
from experiments.frame.settings import nested, setting

with lazy.imports():
  from azero import files
  from azero.insight import ablation, bench, decoupling, explanation, simplification
  from azero.insight.plots import ablation_plot
  from azero.language.program import check_num_classes
  from azero.tasks.tables import npz
  from experiments.frame import candidates, reporting

if TYPE_CHECKING:
  from azero.insight.ablation import Ablations
  from azero.insight.decoupling import Decoupling
  from azero.insight.explanation import Explanation
  from azero.insight.simplification import Simplification
  from azero.language.program import Programs
  from azero.tasks.task import Tasks

_PICTURE = "ablations.png"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Config:
  """Settings of an explanation."""

  program: str | None = setting(
      None, "A text file, a JSON file of experiments.export, or the name of a program of the zoo.",
      path=True)
  run: str | None = setting(None, "In place of it a run directory: its best program.", path=True)
  tasks: str | None = setting(
      None, f"An .npz file of tasks, or one of {', '.join(explain_tasks.NAMES)}; best such as the "
      "program was not searched on.", path=True)
  num_tasks: int = setting(10, "D, of tasks by name.")
  num_features: int | None = setting(
      None, "F; default that of the tasks, the run or the JSON file, else 16 for digits and 4.")
  num_classes: int | None = setting(
      None, "Of the program's tasks, where --tasks is none; default that of the run or the JSON "
      "file, else 0.")
  tolerance: float = setting(
      0.0, "Fitness that simplification may lose, by the upper bound of its interval.")
  num_seeds: int = setting(3, "Evaluations with other random numbers.")
  num_trials: int = setting(
      0, "Settings of the constants by which each knocked-out program is tuned; 0 for none.")
  output_dir: str | None = setting(
      None, "Where to write; default the run directory, else explain-NAME.", path=True)
  evaluation: SearchConfig = nested(
      SearchConfig(combine="mean"),
      only=tuple(name for name in SearchConfig().evaluator_settings() if name != "combine"))


@dataclasses.dataclass(frozen=True)
class Explained:
  """What there is to say of a program.

  Attributes:
    simplification: how the simple program was reached.
    explanation: of the simple program.
    ablations: of the simple program; None without tasks.
    decoupling: of its constants; None without tasks.
  """

  simplification: Simplification
  explanation: Explanation
  ablations: Ablations | None = None
  decoupling: Decoupling | None = None


def run(config: Config) -> Explained:
  """Explains, prints and writes.

  Raises:
    ValueError: a bad setting, program or tasks.
    FileNotFoundError: no such program, run or tasks.
  """
  settings.require_positive(config, "num_tasks", "num_seeds")
  name = config.run or config.program
  if not name or (config.run and config.program):
    raise ValueError("Give either --program, a file or a name of the zoo, or --run, a directory.")
  if config.run and not pathlib.Path(config.run).is_dir():
    raise FileNotFoundError(f"--run: there is no directory '{config.run}'.")
  given = None if config.tasks in (None, *explain_tasks.NAMES) else npz.load_tasks_npz(
      str(config.tasks))
  num_classes = explain_tasks.num_classes_of(config, name) if given is None else given.num_classes
  check_num_classes(num_classes)
  num_features = config.num_features if given is None else given.num_features
  if num_features is None and not config.run:
    num_features = explain_tasks.num_features_of(config, name)
  candidate = candidates.named(name, num_features=num_features, multiclass=num_classes > 2)
  directory = pathlib.Path(config.output_dir or config.run or f"explain-{candidate.name}")
  files.require_directory(directory, "--output_dir: ")
  tasks = given or explain_tasks.make(config, candidate.program.space.num_features)
  explained = _look(candidate.program, tasks, num_classes, config)
  _write(directory, candidate.name, explained)
  return explained


def _look(program: Programs, tasks: Tasks | None, num_classes: int, config: Config) -> Explained:
  if tasks is None:
    simple = simplification.simplify(program, num_classes=num_classes, tolerance=config.tolerance)
    return Explained(simple, explanation.explain(simple.program, num_classes=num_classes))
  place = bench.Bench(
      tasks, num_seeds=config.num_seeds, **config.evaluation.evaluator_settings())
  simple = simplification.simplify(program, place, tolerance=config.tolerance)
  return Explained(
      simple, explanation.explain(simple.program, num_classes=tasks.num_classes),
      ablation.ablate(simple.program, place, num_trials=config.num_trials),
      decoupling.decouple(simple.program, place))


def _write(directory: pathlib.Path, name: str, explained: Explained) -> None:
  simple, words = explained.simplification, explained.explanation
  parts = [f"# {name}, explained", words.markdown(), "## Simplified", simple.markdown()]
  found = {"explanation": words.as_dict(), "simplification": simple.as_dict()}
  files.make_place(directory / _PICTURE, "--output_dir: ")
  print(f"{words}\n\n{simple}")
  if explained.ablations is not None and explained.decoupling is not None:
    ablations, constants = explained.ablations, explained.decoupling
    print(f"\n{ablations}\n\n{constants.markdown()}")
    picture = ablation_plot.plot_ablations(ablations, title=f"{name}: what each part is worth")
    picture.savefig(directory / _PICTURE, dpi=130)
    parts += ["## Knocked out", ablations.markdown(), f"![losses]({_PICTURE})"]
    parts += ["## Constants", constants.markdown()]
    found |= {"ablations": ablations.as_dict(), "constants": constants.as_dict()}
  parts += ["## As it was given", reporting.code_block(str(simple.original))]
  files.write_whole(directory / "explain.md", ("\n\n".join(parts) + "\n").encode())
  files.write_whole(directory / "explain.json", (json.dumps(found, indent=2) + "\n").encode())
  print(f"\nWritten: {directory / 'explain.md'}")


if __name__ == "__main__":
  command_line.main(Config, run)
