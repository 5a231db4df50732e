"""A study from its directory to its report, without a search: what is handed to whom."""

import dataclasses
import json
import types

import numpy as np
import pytest

from azero.executors import evaluator
from azero.language.program import Programs
from experiments import custom_data, digits, linear_regression
from experiments.frame import interruption, study
from experiments.frame.settings import build

_JUDGED_WITH = {"num_devices": 1, "executor": "interpreter", "dtype": "float64", "seed": 3}


class _JudgedError(Exception):
  """An evaluator was made."""


def _spy(monkeypatch):
  """Notes the settings of all evaluators but those of the search, which does not take place."""
  made = []

  class Spy:

    def __init__(self, space, tasks, **settings):
      made.append(settings)

    def evaluate(self, programs, *args):
      raise _JudgedError

  def search(name, config, groups, **settings):
    # Islands that start from programs are given those and not random ones.
    assert all(dataclasses.replace(
        group.config, initial=config.search.initial) == config.search for group in groups)
    found = types.SimpleNamespace(
        hall_of_fame=[], best_programs=Programs.empty(groups[0].space, 2))
    if "last_look" in settings:
      raise _JudgedError
    return types.SimpleNamespace(search=found)

  monkeypatch.setattr(evaluator, "Evaluator", Spy)
  monkeypatch.setattr(study, "search", search)
  return made


@pytest.mark.parametrize("module", [digits, custom_data, linear_regression])
def test_programs_are_judged_as_they_were_searched(module, tmp_path, monkeypatch):
  settings = {"islands": 2, "num_tasks": 2} | _JUDGED_WITH
  if module is custom_data:
    rng = np.random.default_rng(0)
    np.savez(tmp_path / "mine.npz", x=rng.normal(size=(60, 3)), y=rng.normal(size=60))
    settings["data"] = str(tmp_path / "mine.npz")
  made = _spy(monkeypatch)
  config = build(module.Config, **settings)
  with pytest.raises(_JudgedError):
    module.run(config)
  assert made == [config.search.evaluator_settings()]
  assert _JUDGED_WITH.items() <= made[0].items()


def _refuse(config):
  directory = study.open_directory("digits", config)
  with study.discarded_if_refused(directory):
    raise ValueError("no")


def test_a_run_that_is_refused_leaves_no_directory(tmp_path):
  config = build(digits.Config, output_dir=str(tmp_path), run_name="run")
  with pytest.raises(ValueError, match="no"):
    _refuse(config)
  assert not list(tmp_path.iterdir())


def test_what_has_begun_stays(tmp_path):
  config = build(digits.Config, output_dir=str(tmp_path), run_name="run")
  directory = study.open_directory("digits", config)
  (directory.path / "metrics.jsonl").write_text("{}\n")
  with pytest.raises(ValueError, match="no"):
    with study.discarded_if_refused(directory):
      raise ValueError("no")
  with pytest.raises(ValueError, match="no"):
    _refuse(study.continued(digits.Config, tmp_path / "run"))
  assert (tmp_path / "run" / "metrics.jsonl").exists()


def test_settings_are_saved_by_their_names_and_taken_up_again(tmp_path):
  config = build(digits.Config, output_dir=str(tmp_path), run_name="run", population_size=30)
  study.open_directory("digits", config)
  saved = json.loads((tmp_path / "run" / "config.json").read_text())
  assert saved["population_size"] == 30 and saved["hurdle"] is None and "resume" not in saved
  again = study.continued(digits.Config, tmp_path / "run", max_programs=5)
  assert (again.search.population_size, again.search.max_programs) == (30, 5)
  assert again.run.resume == str(tmp_path / "run")


def test_data_may_move_but_not_change(tmp_path):
  config = build(
      custom_data.Config, output_dir=str(tmp_path), run_name="run", data=str(tmp_path / "a.csv"))
  study.open_directory("custom_data", config, {"data_digest": "12"})
  moved = study.continued(custom_data.Config, tmp_path / "run", data=str(tmp_path / "b.csv"))
  assert study.open_directory("custom_data", moved, {"data_digest": "12"}).resumed
  with pytest.raises(ValueError, match="data_digest is '12' there and '34' here"):
    study.open_directory("custom_data", moved, {"data_digest": "34"})


def test_signals_end_with_their_number(monkeypatch):
  monkeypatch.setattr(interruption, "_received", [])
  assert interruption.exit_status() == 0
  interruption.note(15)
  assert interruption.exit_status() == 143
