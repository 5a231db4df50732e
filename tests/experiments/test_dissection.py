"""What an experiment leaves of its program for the page, with tasks that take part."""

import types

import numpy as np
import pytest

import azero
from azero.compiler import liveness
from azero.insight import bench
from azero.search.config import SearchConfig
from experiments.frame import dissection

_TEXT = azero.zoo.source("linear_regressor").replace("Learn():", "Learn():\n  s4 = s0 - s0")
_TASKS = azero.linear_regression(num_tasks=30, seed=3, num_train=100, num_valid=20)


class _Counting:
  """An evaluator that gives a tenth for each live instruction, or nothing for `bad` ones."""

  made, bad = [], False

  def __init__(self, space, sets, **settings):
    self.space = space
    self.made.append((len(sets), len(sets[0]), settings["num_epochs"], settings["executor"]))

  def evaluate(self, programs, sets):
    counts = 0 * len(sets) if self.bad else liveness.live_instructions(programs).sum(1)
    fitness = np.broadcast_to(counts / 10, len(programs))
    return types.SimpleNamespace(
        per_task=np.tile(fitness[:, None], self.made[-1][1]),
        fingerprint=np.stack([fitness, fitness], 1).view(np.uint64))


@pytest.mark.parametrize(("epochs", "examples", "count"), [
    (1, dissection._EXAMPLES, 20), (1, 1000, 10), (4, 1000, 2), (4, 1, 2)])
def test_few_tasks_are_taken_and_settings_are_those_of_the_search(
    monkeypatch, epochs, examples, count):
  monkeypatch.setattr(bench, "Evaluator", _Counting)
  monkeypatch.setattr(_Counting, "made", [])
  monkeypatch.setattr(dissection, "_EXAMPLES", examples)
  found = dissection.dissect(
      azero.parse(_TEXT, num_features=4), _TASKS,
      SearchConfig(num_epochs=epochs, executor="interpreter"))
  assert _Counting.made == [(1, count, epochs, "interpreter")]
  simple = found["simplification"]
  assert (simple["fitness"], simple["program"].count("=")) == (pytest.approx(0.6), 6)
  assert found["ablations"]["num_tasks"] == count
  lines = [row for row in found["ablations"]["ablations"] if row["kind"] == "instruction"]
  assert len(lines) == 6 and all(row["loss"]["estimate"] >= 0.1 - 1e-9 for row in lines)


def test_a_program_that_fails_on_all_tasks_is_left_whole(monkeypatch, capsys):
  monkeypatch.setattr(bench, "Evaluator", _Counting)
  monkeypatch.setattr(_Counting, "bad", True)
  assert dissection.dissect(azero.parse(_TEXT, num_features=4), _TASKS, SearchConfig()) == {}
  assert "The program is not taken apart: " in capsys.readouterr().out


@pytest.mark.slow
def test_a_learner_is_made_simple_and_taken_apart():
  found = dissection.dissect(azero.parse(_TEXT, num_features=4), _TASKS, SearchConfig())
  assert found["simplification"]["program"].count("=") == _TEXT.count("=") - 1
  rows = found["ablations"]["ablations"]
  assert rows[0]["name"] == "gradient steps" and rows[0]["loss"]["low"] > 0
