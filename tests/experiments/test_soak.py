import pytest

from experiments import soak
from experiments.benchmarks import soak_report
from experiments.frame.settings import build


def row(seconds, programs, memory, *others):
  return {
      "seconds": seconds, "programs": programs, "memory_bytes": memory,
      "process_memory_bytes": list(others), "recent_programs_per_second": 100.0,
      "checkpoint_wait_seconds": seconds / 50, "device_idle_share": 0.25, "migrations": 3}


def test_changes_are_those_after_the_beginning():
  # Fast and small at first; then half the rate, and memory that grows by a tenth.
  rows = [row(10.0 * k, 1000 * k, 1e6, 1e6) for k in range(20)]
  rows += [row(10.0 * k, 20_000 + 50 * (k - 20), 5e6, 5e6) for k in range(20, 60)]
  rows += [row(10.0 * k, 22_000 + 40 * (k - 60), 5.5e6, 5.5e6) for k in range(60, 101)]
  summary = soak_report.summarise(rows)
  assert summary["programs a second, first half"] == pytest.approx(5.0)
  assert summary["programs a second, second half"] == pytest.approx(4.0)
  assert summary["change of the rate"] == pytest.approx(-0.2)
  assert summary["change of the memory"] == pytest.approx(0.1)
  assert summary["memory at most, MB"] == pytest.approx(11.0)
  assert summary["part of the time that waited for checkpoints"] == pytest.approx(0.02)


def test_a_short_soak(tmp_path):
  result = soak.run(build(soak.Config,
      minutes=0.05, islands=2, population_size=20, migration_every=80,
      migrants=5, progress="off", output_dir=str(tmp_path), run_name="short",
      checkpoint_seconds=0.5))
  assert result.run.status == "stopped" and 3 <= result.summary["seconds"] < 60
  assert result.summary["migrations"] > 0 and result.summary["programs"] > 80
  assert (tmp_path / "short" / "soak.png").stat().st_size > 10_000
  report = (tmp_path / "short" / "report.md").read_text()
  assert "change of the memory" in report and "device idle share" in report


@pytest.mark.parametrize("changes, message", [
    ({"minutes": 0.0}, "--minutes must be positive, got 0"),
    ({"migration_every": -1}, "--migration_every must be at least 1, got -1"),
    ({"migrants": 2000}, "2000 migrants of a population of 1000"),
])
def test_bad_settings(tmp_path, changes, message):
  with pytest.raises(ValueError, match=message):
    soak.run(build(soak.Config, output_dir=str(tmp_path / "runs"), **changes))
  assert not (tmp_path / "runs").exists()
