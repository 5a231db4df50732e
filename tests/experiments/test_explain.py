"""experiments.explain: what it writes, and what it refuses."""

import json

import numpy as np
import pytest

from azero.export import json_text, numpy_source
from azero.language import zoo
from azero.language.program import Programs
from experiments import explain, export, predict
from experiments.explain import Config
from experiments.frame import settings


def _config(tmp_path, **changes) -> Config:
  return settings.build(Config, output_dir=str(tmp_path / "out"), **changes)


def test_without_tasks_it_says_in_words_what_there_is(tmp_path, capsys):
  found = explain.run(_config(tmp_path, program="s2c"))
  assert found.ablations is None and found.decoupling is None and found.simplification.loss is None
  explained = found.explanation
  assert "learning rate from the mean of weights" in [each.name for each in explained.mechanisms]
  report = (tmp_path / "out" / "explain.md").read_text()
  assert report.startswith("# s2c, explained\n\nA neural network with a rectified hidden layer")
  assert explained.summary in capsys.readouterr().out
  assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [
      "explain.json", "explain.md"]


def test_with_tasks_it_measures(tmp_path):
  path = tmp_path / "tasks.npz"
  rng = np.random.default_rng(0)
  x, w = rng.standard_normal((3, 60, 4)), rng.standard_normal((3, 4, 1))
  y = (x @ w)[..., 0]
  np.savez(path, train_x=x[:, :40], train_y=y[:, :40], valid_x=x[:, 40:], valid_y=y[:, 40:],
           metric="rms")
  program = tmp_path / "program.txt"
  program.write_text(zoo.source("linear_regressor").replace("0.001", "0.1"))
  config = _config(tmp_path, program=str(program), tasks=str(path), num_seeds=1)
  explained = explain.run(config)
  found = json.loads((tmp_path / "out" / "explain.json").read_text())
  assert found["explanation"]["summary"] == explained.explanation.summary
  assert found["constants"]["couplings"] == []
  assert found["ablations"]["num_tasks"] == 3
  assert explained.ablations.mechanisms[0].loss.estimate > 0.2
  report = (tmp_path / "out" / "explain.md").read_text()
  assert "![losses](ablations.png)" in report and (tmp_path / "out" / "ablations.png").is_file()
  assert "## Knocked out" in report and "| gradient steps |" in report
  assert "## Constants\n\nNo constants are coupled." in report


def test_a_run_is_explained_by_its_best_program(tmp_path):
  run = tmp_path / "run"
  run.mkdir()
  entry = {"program": str(zoo.load("figure_6", 8)), "num_features": 8}
  (run / "hall_of_fame.json").write_text(json.dumps([entry]))
  explained = explain.run(settings.build(Config, run=str(run))).explanation
  assert explained.program.space.num_features == 8
  assert (run / "explain.md").read_text().startswith("# run, explained\n\nA bilinear model")
  # What the experiment has chosen comes before the best of the search.
  chosen = {"program": str(zoo.load("linear_regressor", 5)), "num_features": 5, "num_classes": 2}
  (run / "config.json").write_text("{}")
  (run / "findings.json").write_text(json.dumps(chosen))
  explained = explain.run(settings.build(Config, run=str(run))).explanation
  assert explained.program == zoo.load("linear_regressor", 5)
  (run / "program.txt").write_text(chosen["program"])
  for number, source in enumerate((run, run / "program.txt")):
    output = tmp_path / f"{number}.py"
    export.run(export.Config(program=str(source), output=str(output)))
    assert "NUM_FEATURES = 5\nNUM_CLASSES = 2 " in output.read_text()
  (run / "findings.json").unlink()
  # What a run says of its tasks is known.
  (run / "hall_of_fame.json").write_text(json.dumps(
      [{"program": str(zoo.load("s2c", 8)), "num_features": 8}]))
  (run / "findings.json").write_text(json.dumps({"num_classes": 8}))
  explained = explain.run(settings.build(Config, run=str(run))).explanation
  assert "learning rate from the mean of weights" in explained.summary


def test_a_json_file_keeps_the_number_of_classes(tmp_path):
  written, output = tmp_path / "program.json", tmp_path / "learner.py"
  export.run(export.Config(
      program="s2c", format="json", num_classes=5, num_features=6, output=str(written)))
  export.run(export.Config(program=str(written), output=str(output)))
  assert output.read_text() == numpy_source(zoo.load("s2c", 6), 5)


def test_a_json_file_is_explained(tmp_path):
  path = tmp_path / "program.json"
  path.write_text(json_text(zoo.load("s2c", 6), 5))
  explained = explain.run(_config(tmp_path, program=str(path))).explanation
  assert explained.program.space.num_features == 6
  assert "learning rate from the mean of weights" in [each.name for each in explained.mechanisms]
  path.write_text(json_text(Programs.concatenate([zoo.load("s2c", 6)] * 2), 5))
  with pytest.raises(ValueError, match=r"--program: '.*json' must hold one program, it has 2"):
    explain.run(_config(tmp_path, program=str(path)))


def test_what_cannot_be_written_is_refused_before_work(tmp_path, monkeypatch):
  (tmp_path / "notes").write_text("mine")
  monkeypatch.setattr(explain, "_look", None)
  monkeypatch.setattr(export, "_write", None)
  with pytest.raises(ValueError, match=r"--output_dir: '.*notes' is a file, where a directory is"):
    explain.run(settings.build(Config, program="figure_6", output_dir=str(tmp_path / "notes")))
  with pytest.raises(ValueError, match=r"--output: '.*notes' is a file, where a directory is"):
    export.run(export.Config(program="figure_6", output=str(tmp_path / "notes" / "a.py")))
  with pytest.raises(ValueError, match=r"--output: '.*' is a directory; name a file in it"):
    predict.run(predict.Config(run="nowhere", data="nothing.csv", output=str(tmp_path)))
  with pytest.raises(FileNotFoundError, match="--run: there is no"):  # a new folder is welcome
    predict.run(predict.Config(
        run="nowhere", data="nothing.csv", output=str(tmp_path / "new" / "folder" / "a.csv")))
  assert [path.name for path in tmp_path.iterdir()] == ["notes"]


def test_bad_settings_are_refused_before_anything_is_written(tmp_path):
  for changes, message in (
      ({}, "Give either --program"), ({"program": "figure_6", "run": "x"}, "Give either"),
      ({"program": "figure_6", "num_seeds": 0}, "num_seeds"),
      ({"program": "figure_6", "num_classes": 1}, "num_classes must be 0 for .* got 1"),
      ({"program": "figure_6", "num_classes": -3}, "num_classes must be 0 for .* got -3"),
      ({"program": "figure_6", "tolerance": 0.1}, "tolerance and settings .* need tasks")):
    with pytest.raises(ValueError, match=message):
      explain.run(_config(tmp_path, **changes))
  for changes, message in (
      ({"program": "nothing.txt"}, "no file or directory 'nothing.txt', and the zoo has only"),
      ({"run": str(tmp_path / "none")}, "--run: there is no directory"),
      ({"program": "figure_6", "tasks": "none.npz"}, "none.npz")):
    with pytest.raises(FileNotFoundError, match=message):
      explain.run(_config(tmp_path, **changes))
  assert not (tmp_path / "out").exists()
