"""The final evaluation runs small, writes what it promises and refuses bad input."""

import json

import numpy as np
import pytest

from azero.insight.plots import final_plot
from azero.language import text, zoo
from experiments import final_evaluation
from experiments.details import final_evaluation_report, final_evaluation_tuning
from experiments.frame import candidates, study
from experiments.frame.settings import build, preset


def _run(tmp_path, name="run", **changes):
  config = preset(
      final_evaluation.Config, "smoke", output_dir=str(tmp_path), run_name=name, **changes)
  return final_evaluation.run(config)


@pytest.fixture(scope="module")
def smoke(tmp_path_factory):
  path = tmp_path_factory.mktemp("final")
  return path / "run", _run(path, pair="3,8;1,7")


def test_smoke_writes_table_picture_and_numbers(smoke):
  path, rows = smoke
  assert [(row["task"], row["program"]) for row in rows] == [
      (task, program) for task in ("3 or 8", "1 or 7")
      for program in ("s1b", "logistic regression", "neural network")]
  assert json.loads((path / "results.json").read_text()) == rows
  assert (path / "final.png").read_bytes()[:4] == b"\x89PNG"
  report = (path / "report.md").read_text()
  for row in rows:
    assert row["trials"] == 8 and len(row["test"]) == 2
    assert row["valid_tuned"] >= row["valid_original"] == row["history"][0]["fitness"]
    assert row["mean"] == pytest.approx(np.mean(row["test"])) and row["mean"] > 0.8
    assert row["std"] == pytest.approx(abs(np.subtract(*row["test"])) / np.sqrt(2))
    assert f"| {row['mean']:.4f} | {row['std']:.4f} |" in report
  assert "Learn: v9 = uniform(0.002, 0.7)" in report and "interrupted" not in report
  assert "python -m experiments.final_evaluation --dataset=digits" in report


@pytest.mark.slow  # compiles for long
def test_one_seed_has_one_result(smoke, tmp_path):
  _, rows = smoke
  again = _run(tmp_path, pair="3,8")
  for row, other in zip(rows, again):
    assert {**row, "seconds": 0} == {**other, "seconds": 0}


def _stop_in_test(monkeypatch, number):
  """Ends the process of a run, so to say, in its test of the program of this number."""
  test, calls = final_evaluation_tuning.measure, []

  def stopping(*args):
    calls.append(args)
    if len(calls) == number:
      raise KeyboardInterrupt
    return test(*args)

  monkeypatch.setattr(final_evaluation_tuning, "measure", stopping)


@pytest.mark.slow  # compiles for long
def test_a_stopped_evaluation_goes_on_with_what_is_missing(smoke, tmp_path, monkeypatch):
  _, rows = smoke
  with monkeypatch.context() as patch:
    _stop_in_test(patch, 3)
    with pytest.raises(KeyboardInterrupt):
      _run(tmp_path, pair="3,8")
  path = tmp_path / "run"
  saved = json.loads((path / "results.json").read_text())
  assert [row["program"] for row in saved] == ["s1b", "logistic regression"]
  assert "logistic regression" in (path / "report.md").read_text()
  # As if Ctrl-C had ended the tuning of the first program.
  (path / "results.json").write_text(json.dumps(
      [saved[0] | {"interrupted": True, "mean": 0.0}, saved[1] | {"seconds": -1.0}]))
  again = final_evaluation.run(study.continued(final_evaluation.Config, path))
  for row, other in zip(rows[:3], again, strict=True):
    assert {**row, "seconds": 0} == {**other, "seconds": 0}
  assert again[1]["seconds"] == -1.0  # kept
  assert json.loads((path / "results.json").read_text()) == again
  assert final_evaluation.run(study.continued(final_evaluation.Config, path)) == again


def test_an_evaluation_goes_on_with_its_own_settings_and_programs(tmp_path, monkeypatch):
  file = tmp_path / "mine.txt"
  file.write_text(zoo.source("linear_regressor"))
  _stop_in_test(monkeypatch, 2)
  with pytest.raises(KeyboardInterrupt):
    _run(tmp_path, program=str(file))
  path = tmp_path / "run"
  with pytest.raises(ValueError, match="num_trials is 8 there and 9 here"):
    study.continued(final_evaluation.Config, path, num_trials=9)
  file.write_text(zoo.source("linear_regressor").replace("0.001", "0.002"))
  with pytest.raises(ValueError, match="'mine' is not the program any more"):
    final_evaluation.run(study.continued(final_evaluation.Config, path))


@pytest.mark.slow  # compiles for long
def test_the_paper_preset_shows_an_estimate(tmp_path, monkeypatch, capsys):
  search = final_evaluation_tuning.tuning.random_search

  def few(evaluator, *, num_trials, progress, **settings):
    return search(evaluator, num_trials=2, progress=progress, **settings)

  monkeypatch.setattr(final_evaluation_tuning.tuning, "random_search", few)
  final_evaluation.run(build(final_evaluation.Config,
      dataset="digits", program="linear_regressor", pair="3,8", num_train=160, num_valid=60,
      num_test=60, output_dir=str(tmp_path), run_name="run", estimate_seconds=1e-9))
  out = capsys.readouterr().out
  assert out.count("Estimate after") == 1
  assert "this tuning takes" in out and "GB of memory now" in out
  assert "the 2 tunings of this experiment, if the other programs cost as much," in out


def test_programs_come_from_files_runs_and_the_zoo(tmp_path):
  (tmp_path / "mine.txt").write_text(zoo.source("figure_6"))
  run = tmp_path / "a_run"
  run.mkdir()
  (run / "config.json").write_text('{"num_features": 8}')
  best = "def Setup():\n  v1[15] = 0.5\ndef Predict():\n  s1 = dot(v0, v1)\ndef Learn():\n"
  (run / "hall_of_fame.json").write_text(json.dumps([{"program": best, "num_features": 16}]))
  found = candidates.load_candidates([f"{tmp_path}/mine.txt", str(run), "s1b"])
  assert [candidate.name for candidate in found] == [
      "mine", "a_run", "s1b", "logistic regression", "neural network"]
  assert found[0].program == text.parse(zoo.source("figure_6"))
  assert found[1].program.constants[0, 0, 0] == 15.5 / 16  # the last part of the features
  # An experiment with repeats has chosen a program in each of them.
  (run / "hall_of_fame.json").unlink()
  rows = [{"program": code, "select_fitness": fitness} for code, fitness in (
      (zoo.source("s1b"), 0.7), ("def Predict():\n  v2 = v0 + v0\n", 0.9),
      (zoo.source("plain_nn"), 0.8))]
  (run / "outcomes.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
  found = candidates.load_candidates([str(run)])
  assert found[0].program == text.parse(zoo.source("plain_nn"), num_features=8)
  (run / "outcomes.jsonl").write_text(json.dumps(rows[1]) + "\n")
  with pytest.raises(ValueError, match=(
      r"No program of the run '.*a_run' writes what is the prediction in tasks of a quantity")):
    candidates.load_candidates([str(run)])


@pytest.mark.parametrize("changes, message", [
    ({"program": "nonsense"}, "no file or directory 'nonsense'"),
    ({"program": " , "}, "--program is empty"),
    ({"program": "s2c"}, "more than two classes"),
    ({"pair": "3"}, "two different classes"),
    ({"pair": "3,3"}, "two different classes"),
    ({"pair": "a,b"}, "two different classes"),
    ({"num_trials": 0}, "--num_trials must be at least 1"),
    ({"seed": -1}, "--seed must not be negative"),
    ({"tuner": "gradient", "num_epochs": 2}, "trains for one epoch"),
    ({"num_train": 5000}, "at most"),
    ({"num_test": 5000}, "Test images, as many as --num_test=5000: .*at most"),
    ({"pair": "3,8;3,11"}, "11")])
def test_bad_settings_say_what_is_wrong_and_leave_nothing(tmp_path, changes, message):
  with pytest.raises((ValueError, FileNotFoundError), match=message):
    _run(tmp_path, **changes)
  assert not list(tmp_path.iterdir())


@pytest.mark.slow
def test_gradients_tune_too(tmp_path):
  rows = _run(tmp_path, pair="3,8", tuner="gradient", num_trials=3, program="plain_nn")
  assert [row["program"] for row in rows] == ["logistic regression", "neural network"]
  assert all(row["trials"] == 3 for row in rows)


def test_the_picture_shows_every_program_and_seed():
  rows = [
      {"task": task, "program": program, "test": [0.8, 0.9], "train_steps": 100,
       "history": [{"train_steps": 10, "fitness": 0.7}]}
      for task in ("a", "b") for program in ("one", "two", "three")]
  left, right = final_plot.plot_final(rows).axes
  assert [text.get_text() for text in left.get_legend().get_texts()] == ["one", "two", "three"]
  assert sum(len(points.get_offsets()) for points in left.collections if hasattr(
      points, "get_offsets") and len(points.get_offsets()) == 2) == 12
  assert [line.get_ydata().tolist() for line in right.lines] == 9 * [[0.7, 0.7]]
  assert [text.get_text() for text in right.get_legend().get_texts()] == [
      "one, mean", "two, mean", "three, mean"]
  with pytest.raises(ValueError, match="Nothing to plot"):
    final_plot.plot_final([])


def test_the_mean_of_tunings_goes_from_the_first_to_the_last_point_that_all_have():
  rows = [
      {"task": task, "program": "one", "test": [0.8], "train_steps": end, "history": history}
      for task, end, history in (
          ("a", 100, [{"train_steps": 10, "fitness": 0.5}, {"train_steps": 40, "fitness": 0.9}]),
          ("b", 80, [{"train_steps": 20, "fitness": 0.7}]))]
  _, right = final_plot.plot_final(rows).axes
  mean = right.lines[-1]
  assert mean.get_xdata().tolist() == [20, 40, 80]
  assert mean.get_ydata().tolist() == pytest.approx([0.6, 0.8, 0.8])


def test_the_report_says_how_far_the_first_is_ahead():
  row = {"std": 0.0, "valid_original": 0.5, "valid_tuned": 0.6, "trials": 1, "train_steps": 10,
         "seconds": 1.0, "interrupted": False, "constants_of": [], "original_constants": [],
         "constants": []}
  rows = [
      row | {"program": program, "task": task, "mean": mean}
      for program, means in (("one", (0.9, 0.8, 0.7)), ("two", (0.8, 0.8, 0.6)))
      for task, mean in zip("abc", means)]
  overall, = final_evaluation_report._over_pairs(rows)
  assert "mean of 3 pairs" in overall and "| one | 0.8000 | - | - |" in overall
  assert "| two | 0.7333 | +0.0667 (-0.0768 to +0.2101) | 2 of 3 |" in overall
  # A pair that not all programs were measured on counts for none.
  overall, = final_evaluation_report._over_pairs(rows[:-1])
  assert "| two | 0.8000 | +0.0500 (-0.5853 to +0.6853) | 1 of 2 |" in overall
  assert not final_evaluation_report._over_pairs(rows[:3])
  assert not final_evaluation_report._over_pairs(rows[::3])


def test_a_pair_that_is_given_twice_is_evaluated_once():
  assert final_evaluation._parse_pairs("0,6;2,4;0,6") == [(0, 6), (2, 4)]


def test_programs_are_loaded_once_and_have_different_names(tmp_path):
  assert [item.name for item in candidates.load_candidates(["s1b", "s1b"])] == [
      "s1b", "logistic regression", "neural network"]
  for part in ("one", "other"):
    (tmp_path / part).mkdir()
    (tmp_path / part / "found.txt").write_text("def Setup():\ndef Predict():\ndef Learn():\n")
  with pytest.raises(ValueError, match="two programs the same"):
    candidates.load_candidates(
        [f"{tmp_path}/one/found.txt", f"{tmp_path}/other/found.txt"])
