"""The experiments of figures 4 and 5: smoke presets, reports, stop and resume."""

import json
import types

import pytest

import azero
from azero.language import spaces
from azero.search.proposals import mutation
from experiments import backprop_discovery, task_difficulty
from experiments.details import (
  backprop_discovery_report,
  task_difficulty_report,
  task_difficulty_rounds,
)
from experiments.details import task_difficulty_density as density
from experiments.frame import study
from experiments.frame.settings import build, leaves, preset

_PROGRAMS = 60_000  # of random search, in one round


def _difficulty(tmp_path, name, **changes):
  settings = {"round_programs": _PROGRAMS, "max_random_programs": _PROGRAMS} | changes
  return task_difficulty.run(preset(
      task_difficulty.Config, "smoke", progress="off", output_dir=str(tmp_path), run_name=name,
      **settings))


def _timeless(rows):
  return [{name: value for name, value in row.items() if name != "seconds"} for row in rows]


@pytest.fixture(scope="module")
def difficulty(tmp_path_factory):
  path = tmp_path_factory.mktemp("difficulty")
  return path / "run", _difficulty(path, "run")


def test_task_difficulty_reports_both_methods(difficulty):
  path, result = difficulty
  assert result.status == "done"
  assert [point.name for point in result.points] == ["linear backprop", "linear regressor"]
  assert (path / "success_ratio.png").read_bytes()[:4] == b"\x89PNG"
  report = (path / "report.md").read_text()
  assert "python -m experiments.task_difficulty --" in report and "10^7" in report
  assert "only in the figure" in report
  rows = [json.loads(line) for line in (path / "results.jsonl").read_text().splitlines()]
  assert rows == list(result.rows)
  assert {(row["task_type"], row["method"]) for row in rows} == {
      (kind, method) for kind in ("linear_backprop", "linear_regressor")
      for method in task_difficulty_report.METHODS}
  for row in rows:
    assert row["programs"] == (_PROGRAMS if row["method"] == "random search" else 2 * 400)
    assert 0 < row["evaluated"] <= row["programs"] and row["acceptable"] >= len(row["found"])
  first = result.points[0]
  successes = sum(
      row["acceptable"] for row in rows
      if (row["task_type"], row["method"]) == ("linear_backprop", "random search"))
  assert first.density.estimate == successes / _PROGRAMS and first.density.high > 0


def test_task_difficulty_goes_on_after_a_stop(difficulty, tmp_path, monkeypatch):
  _, whole = difficulty
  sample, calls = density.sample, []

  def interrupted(*args, **settings):
    calls.append(args)
    if len(calls) == 2:
      raise KeyboardInterrupt
    return sample(*args, **settings)

  monkeypatch.setattr(density, "sample", interrupted)
  stopped = _difficulty(tmp_path, "run")
  assert stopped.status == "interrupted"
  assert [point.name for point in stopped.points] == ["linear backprop"]
  assert "interrupted" in (tmp_path / "run" / "report.md").read_text()
  again = task_difficulty.run(study.continued(task_difficulty.Config, tmp_path / "run"))
  assert again.status == "done"
  assert _timeless(again.rows) == _timeless(whole.rows)


def test_budgets_may_change_and_what_is_finished_stays(difficulty, tmp_path):
  kind, (_, whole) = "linear_backprop", difficulty
  first = _difficulty(tmp_path, "run", task_types=kind, max_random_programs=20_000)
  with pytest.raises(ValueError, match=r"islands is 2 there and 4 here.* only successes, max_r"):
    study.continued(task_difficulty.Config, tmp_path / "run", islands=4)
  longer = task_difficulty.run(study.continued(
      task_difficulty.Config, tmp_path / "run", max_random_programs=_PROGRAMS + 1,
      max_evolution_programs=2399))
  assert longer.rows[:2] == first.rows
  # Budgets are kept: random search has less in its last round, evolution whole rounds only.
  assert [(row["method"], row["round"], row["programs"]) for row in longer.rows] == [
      ("random search", 0, 20_000), ("evolution", 0, 800), ("random search", 1, 40_001),
      ("evolution", 1, 800)]
  (alike,) = (row for row in whole.rows if (row["task_type"], row["method"]) == (kind, "evolution"))
  assert _timeless([alike]) == _timeless([first.rows[1]])
  saved = json.loads((tmp_path / "run" / "config.json").read_text())
  assert saved["max_evolution_programs"] == 2399
  fewer = task_difficulty.run(study.continued(
      task_difficulty.Config, tmp_path / "run", successes=1, max_random_programs=1))
  assert fewer.rows == longer.rows and fewer.status == "done"
  with pytest.raises(ValueError, match=r"max_evolution_programs \(799\) must be at least 800"):
    _difficulty(tmp_path, "other", max_evolution_programs=799)


class _StartedError(Exception):
  """A search has begun."""


def _start(search, *, should_stop, **settings):
  """In place of `runner.run`: up to the estimate, for which the first step may not count."""
  assert not should_stop(search)
  assert not should_stop(search)
  raise _StartedError


def test_what_evolution_cannot_start_from_is_told_before_random_search(tmp_path):
  with pytest.raises(ValueError, match=r"--initial=empty: the mutations alter, randomize_function"):
    task_difficulty.run(build(
        task_difficulty.Config, initial="empty", output_dir=str(tmp_path), run_name="run"))
  assert not (tmp_path / "run").exists()
  assert "task_sample" not in leaves(task_difficulty.Config)


def test_the_paper_preset_of_task_difficulty_shows_an_estimate(tmp_path, monkeypatch, capsys):
  sample = density.sample

  def fewer(space, task_sets, acceptance, num_programs, **settings):
    assert num_programs == 10_000_000
    return sample(space, task_sets, acceptance, 20_000, **settings)

  monkeypatch.setattr(density, "sample", fewer)
  monkeypatch.setattr(task_difficulty_rounds.runner, "run", _start)
  with pytest.raises(_StartedError):
    task_difficulty.run(build(task_difficulty.Config,
        task_types="linear_backprop", num_train=50, num_valid=10, islands=2, progress="off",
        tolerance=5.0, output_dir=str(tmp_path), run_name="run", estimate_seconds=1e-9))
  random, evolution = capsys.readouterr().out.split("Estimate after ")[1:]
  assert "the 100,000 rounds of random search on the linear_backprop at most" in random
  assert "the 50,000,000 rounds of evolution on the linear_backprop at most" in evolution
  assert "GB of memory now" in random and "GB of memory now" in evolution


def test_the_paper_preset_of_backprop_discovery_needs_much_memory(tmp_path, monkeypatch, capsys):
  settings = {"output_dir": str(tmp_path), "run_name": "run"}
  machine = types.SimpleNamespace(total=4e9)
  monkeypatch.setattr(
      backprop_discovery.memory, "psutil", types.SimpleNamespace(virtual_memory=lambda: machine))
  with pytest.raises(ValueError, match=r"take about 331 GB, but this machine has 4 GB.*--workers"):
    backprop_discovery.run(preset(backprop_discovery.Config, "paper", **settings))
  assert not (tmp_path / "run").exists()
  monkeypatch.setattr(study.runner, "run", _start)
  with pytest.raises(_StartedError):
    backprop_discovery.run(preset(
        backprop_discovery.Config, "paper", workers=4, groups="1000/10/100,100/1/1000",
        estimate_seconds=1e-9, **settings))
  out = capsys.readouterr().out
  assert "Estimate after 0 s" in out and "days" in out and "GB of memory now" in out


def test_enough_successes_end_a_method(tmp_path):
  result = _difficulty(
      tmp_path, "run", task_types="linear_backprop", tolerance=50.0, successes=1,
      max_random_programs=3_000_000)
  random = [row for row in result.rows if row["method"] == "random search"]
  assert len(random) == 1 and random[0]["acceptable"] >= 1
  azero.parse(random[0]["found"][0], spaces.linear(8, learn_only=True)).validate()


@pytest.mark.parametrize("changes, message", [
    ({"task_types": "quadratic"}, "--task_types must list some of"),
    ({"task_types": "linear_backprop,linear_backprop"}, "--task_types must list some of"),
    ({"tolerance": 0.0}, "--tolerance must be positive"),
    ({"tolerance": float("inf")}, "--tolerance must be positive and finite, got inf"),
    ({"reference_rate": float("inf")}, "--reference_rate must be positive and finite, got inf"),
    ({"reference_rate": 1e10}, "reference itself fails .* try a smaller --reference_rate"),
    # Random search has two sets of tasks, which it does not fail on.
    ({"reference_rate": 0.22, "islands": 64, "experiment_programs": 20,
      "max_evolution_programs": 1280}, "reference itself fails .* try a smaller"),
    ({"successes": 0}, "--successes must be at least 1"),
    ({"mutations": "swap"}, r"Unknown mutations \['swap'\]; choose from alter"),
    ({"experiment_programs": 5}, "must be at least --population_size")])
def test_task_difficulty_refuses_bad_settings(tmp_path, changes, message):
  with pytest.raises(ValueError, match=message):
    _difficulty(tmp_path, "run", **changes)
  assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("name", task_difficulty.TASK_TYPES)
def test_the_references_fit_their_spaces(name):
  kind = task_difficulty.TASK_TYPES[name]
  space = kind.space(8)
  reference, template = kind.reference(0.01, space), kind.template(0.01, space)
  assert reference.validate().lengths[0, 2] <= space.learn.max_length
  assert (template is None) == (not kind.learn_only)
  if template is not None:
    assert template.lengths[0].tolist() == [*reference.lengths[0, :2], 0]


def _backprop(tmp_path, name="smoke", **changes):
  return backprop_discovery.run(preset(
      backprop_discovery.Config, name, progress="off", output_dir=str(tmp_path),
      run_name="run", num_devices=1, **changes))


def test_backprop_discovery_writes_a_complete_run(tmp_path):
  result = _backprop(tmp_path)
  path = tmp_path / "run"
  assert (path / "progress.png").read_bytes()[:4] == b"\x89PNG"
  report = (path / "report.md").read_text()
  assert "m0 = outer(v3, v0)" in report  # the program of the paper
  assert "T=50 D=5 P=30" in report
  assert f"{result.progress:.0%}" in report
  assert result.final["discovered program"].shape == (5,)
  means = {name: fitness.mean() for name, fitness in result.final.items()}
  floor = means["constant prediction"]
  assert result.progress == pytest.approx(
      (means["discovered program"] - floor)
      / (means["hand-written network (plain NN)"] - floor))
  assert not result.success
  assert result.run.search.migrations > 0
  assert (result.run.search.train_steps >= 50_000).all()


def test_the_network_may_be_given_and_learn_alone_searched(tmp_path):
  result = _backprop(
      tmp_path, "given", rate=0.03, workers=2, groups=("50/5/30",), max_train_steps=50_000,
      num_unseen=5, unseen_train=50, estimate_seconds=None,
      # Others are long in compiling; these are compiled for azero's method.
      mutations=("alter", "rewire", "add_constant"), filters=("valid",), constant_trials=2,
      restart_patience=None)
  mutation.mutator(preset(backprop_discovery.Config, "given").search.mutations)
  space = spaces.backprop(4, learn_only=True)
  given = azero.parse(backprop_discovery._GIVEN.format(rate=0.03), space)
  assert result.program.space == space and result.program.lengths[0, 2] == 9
  count = space.offsets[2]
  for name in ("opcode", "in1", "in2", "out", "constants"):
    assert (getattr(result.program, name)[:, :count] == getattr(given, name)[:, :count]).all()
  assert "Backpropagation of a given network" in (tmp_path / "run" / "report.md").read_text()


@pytest.mark.parametrize("rate", [0.0, float("inf"), float("nan")])
def test_a_rate_must_be_positive_and_finite(tmp_path, rate):
  with pytest.raises(ValueError, match=f"--rate must be positive and finite, got {rate}"):
    _backprop(tmp_path, learn_only=True, rate=rate)
  assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(("values", "progress", "success"), [
    ((0.5, 0.25, 0.5), 1.0, True), ((0.375, 0.25, 0.5), 0.5, False),
    ((0.0, 0.5, 0.25), 2.0, False),  # both are worse than the constant
])
def test_a_success_is_near_a_network_that_is_one_itself(values, progress, success):
  assert backprop_discovery_report.progress_of(*values) == (progress, success)


@pytest.mark.parametrize("changes, message", [
    ({"groups": "40/3"}, "--groups must be T/D/P"),
    ({"groups": "40/0/9"}, "--groups must be T/D/P"),
    ({"groups": ""}, "--groups must be T/D/P"),
    ({"groups": f"{'9' * 5000}/1/1"}, "--groups must be T/D/P"),
    ({"workers": 3, "groups": "20/2/30,30/1/30"}, "must be a multiple"),
    ({"migration_steps": -1}, "--migration_steps must be at least 1, got -1"),
    ({"mutations": "swap"}, r"Unknown mutations \['swap'\]; choose from alter")])
def test_backprop_discovery_refuses_bad_settings(tmp_path, changes, message):
  with pytest.raises(ValueError, match=message):
    _backprop(tmp_path, **changes)
  assert not (tmp_path / "run").exists()
