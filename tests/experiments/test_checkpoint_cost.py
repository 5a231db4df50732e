"""What checkpoints cost: the numbers that are printed are those of a state that comes back."""

import dataclasses

import pytest

from azero.runs import recorder
from azero.runs.checkpoints import Checkpoints
from experiments import checkpoint_cost
from experiments.benchmarks import checkpoint_saves
from experiments.frame import linear_demo
from experiments.frame.settings import build, leaves


@pytest.fixture(scope="module")
def search():
  return linear_demo.make_search(
      dataclasses.replace(linear_demo.SEARCH, population_size=100), islands=2)


def test_costs_grow_with_the_caches(search, tmp_path):
  small, large = (
      checkpoint_saves.measure(search, entries, tmp_path, saves=2, checkpoint_seconds=60.0)
      for entries in (10, 5000))
  # A key of two words, a value, a stamp and a place, in two caches of two islands.
  assert large.array_bytes - small.array_bytes == 2 * 2 * 4990 * 5 * 8
  assert 0 < small.disk_bytes < large.disk_bytes < large.array_bytes
  for cost in (small, large):
    assert 0 < cost.waiting_seconds <= cost.save_seconds
    assert cost.pause == max(60.0, cost.waiting_seconds / recorder.WAITING_SHARE)
    assert cost.waiting_seconds / cost.pause <= cost.share


def test_what_is_measured_is_a_state_of_the_search(search, tmp_path):
  search.restore(checkpoint_saves.filled(search, 30))
  with Checkpoints(tmp_path, schema=0) as checkpoints:
    checkpoints.save(search.state())
    state = checkpoints.load().state
  for part, name in ((state, "canonical"), (state["stages"], "fingerprints")):
    assert len(part[name]["places"]) == 60


@pytest.mark.slow
def test_a_line_for_each_state(tmp_path, capsys):
  costs = checkpoint_cost.run(build(checkpoint_cost.Config,
      islands=2, entries="10,500", saves=1, output_dir=str(tmp_path)))
  lines = capsys.readouterr().out.splitlines()
  assert [cost.entries for cost in costs] == [10, 500] and list(tmp_path.iterdir()) == []
  assert [line.split(" | ")[0] for line in lines[-2:]] == ["| 10", "| 500"]


def test_both_caches_are_measured():
  assert {"canonical_cache", "fingerprint"}.isdisjoint(leaves(checkpoint_cost.Config))


@pytest.mark.parametrize(("settings", "message"), [
    ({"entries": "100001"}, "--entries must be at most 100000, the size of a cache; got 100001"),
    ({"entries": "0"}, "--entries must list different numbers from 1"),
    ({"saves": 0}, "--saves must be at least 1, got 0")])
def test_bad_settings(settings, message):
  with pytest.raises(ValueError, match=message):
    checkpoint_cost.run(build(checkpoint_cost.Config, islands=1, **settings))
