"""The experiment on scaling: its smoke preset, its report, bad settings."""

import json

import numpy as np
import pytest

from experiments import scaling
from experiments.frame.settings import preset
from experiments.simulations import scaling_cases


def _run(tmp_path, name="run", **changes):
  return scaling.run(preset(
      scaling.Config, "smoke", output_dir=str(tmp_path), run_name=name, **changes))


def test_report_has_costs_load_and_mixing(tmp_path):
  result = _run(tmp_path)
  path = tmp_path / "run"
  assert [row.workers for row in result.costs] == [4, 12]
  assert {(row["workers"], row["births"], row["pools"], row["mode"]) for row in result.load} == {
      (workers, births, pools, mode) for workers in (4, 12) for births in (20, 50)
      for pools in (1, 2)
      for mode in (
          scaling_cases.ASYNCHRONOUS, scaling_cases.BARRIERS, scaling_cases.STRAGGLERS)}
  assert all(0 < row["utilisation"] <= 1 + 1e-9 for row in result.load)
  for name in ("server_load.png", "mixing.png"):
    assert (path / name).read_bytes()[:4] == b"\x89PNG"
  report = (path / "report.md").read_text()
  for words in ("An exchange, measured", "What a cluster needs", "| 100 | ", "| ranked | 12 |",
                "python -m experiments.scaling --", "| processor |"):
    assert words in report
  saved = json.loads((path / "results.json").read_text(), parse_constant=pytest.fail)
  assert len(saved["curves"]) == len(result.curves) and saved["island"]["program"] == 640


def test_given_times_make_the_simulations_reproducible(tmp_path):
  settings = {
      "parts": "load,mixing", "service_microseconds": 500.0, "workers": "8", "births": "20",
      "turns": 3}
  first, again = (_run(tmp_path, name, **settings) for name in ("first", "again"))
  assert first.costs is None and first.island is None
  assert first.load == again.load
  for one, other in zip(first.curves, again.curves, strict=True):
    assert one.keys() == other.keys()
    for name, value in one.items():
      np.testing.assert_array_equal(value, other[name])
  other = _run(tmp_path, "other", seed=1, **settings | {"parts": "load"})
  assert other.load != first.load


@pytest.mark.parametrize(("changes", "message"), [
    ({"workers": "10,ten"}, "--workers must list different numbers"),
    ({"pools": "0"}, "--pools must list different numbers"),
    ({"parts": "load,luck"}, "--parts must list some of costs,load,mixing"),
    ({"turns": 0}, "--turns must be at least 1"),
    ({"service_microseconds": -1.0}, "--service_microseconds must be positive, got -1"),
    ({"device_steps": 0.0}, "--device_steps must be positive"),
    ({"migrants": 30}, "20 cannot send 30 migrants"),
    ({"stragglers": 2.0}, "stragglers of clocks is a part of the workers"),
])
def test_bad_settings_end_before_work_starts(tmp_path, changes, message):
  with pytest.raises(ValueError, match=message):
    _run(tmp_path, **changes)
  assert not (tmp_path / "run").exists()
