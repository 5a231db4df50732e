"""The estimate of time and memory: what it says, and when."""

import pytest

from experiments.frame import estimate, run_settings


@pytest.fixture
def clock(monkeypatch):
  """The time, which a test sets."""
  now = [0.0]
  monkeypatch.setattr(estimate.time, "monotonic", lambda: now[0])
  return now


def test_the_budget_that_is_spent_first_decides(clock, capsys):
  shown = estimate.Estimate(5.0, {"searches of this experiment": 3, "others": 1})
  clock[0] = 4.9
  assert not shown.due
  clock[0] = 10.0
  assert shown.due and not shown.shown
  shown.show(
      {"train_steps": 1_000_000, "programs": 1000}, {"train_steps": 10**12, "programs": 5000})
  out = capsys.readouterr().out
  assert "Estimate after 10 s: at 100,000 training steps a second this search takes 60 s" in out
  assert "the 3 searches of this experiment 3.0 minutes, with " in out
  assert "others" not in out
  assert shown.shown and not shown.due


def test_a_continued_search_leaves_out_what_came_before(clock, capsys):
  shown = estimate.Estimate(5.0, skip_first=True)
  left = {"train_steps": 10**12, "programs": 100 * 600}
  clock[0] = 10.0
  assert shown.due
  shown.show({"train_steps": 1_000_000, "programs": 1000}, left)
  clock[0] = 20.0
  shown.show({"train_steps": 2_000_000, "programs": 2000}, left)
  out = capsys.readouterr().out
  assert "at 100,000 training steps a second this search takes 10.3 minutes" in out
  assert "searches of this experiment" not in out


def test_no_limit_and_no_estimate(clock, capsys):
  never = estimate.Estimate(None)
  clock[0] = 1e9
  assert not never.due
  shown = estimate.Estimate(1.0)
  clock[0] += 5.0
  shown.show({"train_steps": 10, "programs": 10}, {"train_steps": None, "programs": 400_000})
  assert "this search takes 2.3 days" in capsys.readouterr().out
  with pytest.raises(ValueError, match="--estimate_seconds must not be negative, got -1"):
    run_settings.RunSettings(estimate_seconds=-1.0).check()
