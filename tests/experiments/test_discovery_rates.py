"""The bench of discovery: lines that add up, cells that go on after a stop, an honest report."""

import json
import math
import signal

import numpy as np
import pytest

from azero.executors import evaluator
from azero.language import text
from azero.language.program import Programs
from azero.search.config import SearchConfig
from experiments import discovery_rates
from experiments.details import discovery_rates_arms as arms
from experiments.details import discovery_rates_cells as cells
from experiments.details import discovery_rates_lines as lines_lib
from experiments.details import discovery_rates_problems as problems
from experiments.details import discovery_rates_spaces as spaces
from experiments.details import discovery_rates_statistics as statistics
from experiments.details.task_difficulty_types import TASK_TYPES
from experiments.frame import study
from experiments.frame.settings import build, preset

_BOTH = ("paper", "paper_no_fingerprint")


def _run(tmp_path, name="run", **changes):
  return discovery_rates.run(preset(
      discovery_rates.Config, "smoke", run_name=name, progress="off", output_dir=str(tmp_path),
      **changes))


def _timeless(rows):
  """What does not depend on the clock, by arm and seed."""
  return sorted(
      ({name: [[*point[:3], point[4]] for point in value] if name == "curve" else value
        for name, value in row.items() if name != "seconds"} for row in rows),
      key=lambda row: (row["arm"], row["seed"]))


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
  path = tmp_path_factory.mktemp("rates")
  return path / "run", _run(path)


def test_a_line_says_what_became_of_a_seed(whole):
  path, result = whole
  assert result.status == "done"
  rows = [json.loads(line) for line in (path / "seeds.jsonl").read_text().splitlines()]
  assert rows == list(result.lines)
  assert [(row["arm"], row["seed"]) for row in rows] == [
      (arm, seed) for arm in _BOTH for seed in (0, 1)]
  assert {row["success"] for row in rows} == {True, False}
  for row in rows:
    assert row["success"] == (row["ended"] == "success") == (row["fitness"] >= 0.324)
    assert row["success"] or (row["ended"], row["programs"]) == ("programs", 1500)
    assert row["curve"][0][0] == 500 and row["curve"][-1] == [
        row[name] for name in (*statistics.MEASURES, "fitness")]
    assert (np.diff([point[:4] for point in row["curve"]], axis=0) >= 0).all()
    assert 0 < row["evaluated"] <= row["programs"] and row["seconds"] > 0
    # The fitness is that of the program that the line holds.
    exam = problems.Exam(**row["exam"])
    space = spaces.SPACES["demo"].make("linear", 4)
    unseen, _ = problems.unseen_tasks("linear", exam)
    again = evaluator.Evaluator(space, [unseen, unseen], combine="mean").evaluate(
        text.parse(row["program"], space))
    assert again.fitness[0] == row["fitness"]
  assert rows[0]["settings"]["fingerprint"] and not rows[2]["settings"]["fingerprint"]
  assert rows[0]["digest"] == rows[1]["digest"] != rows[2]["digest"]


def test_the_report_has_costs_and_verdicts(whole):
  path, result = whole
  report = (path / "report.md").read_text()
  assert (path / "discovery_rates.png").read_bytes()[:4] == b"\x89PNG"
  assert "python -m experiments.discovery_rates --problems=linear" in report
  assert "## linear, demo" in report and "not decided: " in report and "p = 1 |" in report
  assert (path / "report.html").exists()
  [place] = result.places
  for arm in place.arms:
    rows = result.lines.of("linear", "demo", arm.arm)
    spent, solved = (sum(row[name] for row in rows) for name in ("train_steps", "success"))
    assert arm.costs["train_steps"].estimate == spent / solved
    assert arm.rate.estimate == solved / 2


def test_arms_and_seeds_add_up_over_runs(whole, tmp_path):
  _, result = whole
  first = _run(tmp_path, arms="paper")
  assert {row["arm"] for row in first.lines} == {"paper"}
  # A seed does what it does, whatever runs beside it: two more, in searches of two.
  more = discovery_rates.run(study.continued(
      discovery_rates.Config, tmp_path / "run", arms=",".join(_BOTH), seeds=4, at_once=2))
  assert len(more.lines) == 8
  assert _timeless(row for row in more.lines if row["seed"] < 2) == _timeless(result.lines)
  programs = {row["program"] for row in more.lines if row["arm"] == "paper"}
  assert len(programs) == 4
  with pytest.raises(ValueError, match="max_programs is 1500 there and 4000 here"):
    study.continued(discovery_rates.Config, tmp_path / "run", max_programs=4000)


def test_finished_cells_are_kept_after_a_stop(whole, tmp_path, monkeypatch, capsys):
  _, result = whole
  call, looks = cells.Looks.__call__, []

  def interrupted(self, search):
    looks.append(search.config.fingerprint)
    if looks.count(False) == 2:
      signal.raise_signal(signal.SIGINT)
    return call(self, search)

  monkeypatch.setattr(cells.Looks, "__call__", interrupted)
  stopped = _run(tmp_path)
  assert stopped.status == "interrupted"
  assert [row["arm"] for row in stopped.lines] == ["paper", "paper"]
  assert "**The run was interrupted**" in (tmp_path / "run" / "report.md").read_text()
  assert f"--resume={tmp_path / 'run'} continues" in capsys.readouterr().out
  monkeypatch.setattr(cells.Looks, "__call__", call)
  again = discovery_rates.run(study.continued(discovery_rates.Config, tmp_path / "run"))
  assert again.status == "done" and _timeless(again.lines) == _timeless(result.lines)


def test_a_seed_ends_with_its_share_of_the_time(tmp_path):
  result = _run(tmp_path, arms="paper", max_seconds=1e-6)
  assert [(row["ended"], row["programs"]) for row in result.lines] == [
      ("success", 500), ("seconds", 500)]
  # Both searched for the whole time, of which each has half.
  assert result.lines[0]["seconds"] == result.lines[1]["seconds"] > 0
  report = (tmp_path / "run" / "report.md").read_text()
  assert "at most 1,500 programs or 1e-06 s" in report and "no success" not in report


def test_lines_of_other_runs_are_taken_in_once(whole, tmp_path):
  path, result = whole
  added = _run(tmp_path, add=(str(path), str(path / "seeds.jsonl")))
  assert list(added.lines) == list(result.lines)  # nothing was left to search
  assert (tmp_path / "run" / "seeds.jsonl").read_text() == (path / "seeds.jsonl").read_text()
  config = study.continued(discovery_rates.Config, tmp_path / "run")
  assert config.add == ()  # they are the run's own by now, wherever the files go


def test_what_cannot_be_compared_is_refused(whole, tmp_path):
  path, result = whole
  with pytest.raises(ValueError, match=(
      r"These settings \(problem linear / space demo / arm paper / seed any\) cannot be compared "
      r"with the line of .* seed 0 that is there: max_programs is 1500 there and 3000 here\.")):
    _run(tmp_path, max_programs=3000, add=(str(path),))
  assert not list(tmp_path.iterdir())
  other = [dict(row, settings=row["settings"] | {"population_size": 7}) for row in result.lines]
  (tmp_path / "other.jsonl").write_text("".join(json.dumps(row) + "\n" for row in other[1:]))
  lines = lines_lib.Lines(result.lines[:1])
  with pytest.raises(ValueError, match=r"population_size is 1000 there and 7 here"):
    lines.take_in(other[1:], tmp_path / "other.jsonl")
  assert lines == result.lines[:1]
  with pytest.raises(ValueError, match=r"Line 1 of .* is no line of this bench: it lacks arm, cur"):
    lines.take_in([{"problem": "linear"}], tmp_path / "other.jsonl")
  with pytest.raises(FileNotFoundError, match="--add: there is no file"):
    _run(tmp_path, name="nothing", add=(str(tmp_path / "nowhere"),))
  assert not (tmp_path / "nothing").exists()


def test_settings_that_came_later_stand_for_their_defaults(whole):
  _, result = whole
  settings = dict(result.lines[0]["settings"])
  del settings["hurdle"]
  older = dict(result.lines[1], settings=settings)
  assert lines_lib.Lines(result.lines[:1]).take_in([older], "older") == [older]
  machines = {"settings": settings | {"num_devices": 7, "lanes": 3}}
  assert lines_lib.Lines(result.lines[:1]).take_in([older | machines], "older")


@pytest.mark.parametrize(("changes", "message"), [
    ({"arms": "tabu"}, "--arms must list some of paper,"),
    ({"problems": "linear,linear"}, "--problems must list some of"),
    ({"goal": 1.5}, r"--goal must be in \(0, 1\], or none for the problem's own; got 1.5"),
    ({"max_seconds": 0.0}, "--max_seconds must be positive or none, got 0"),
    ({"seeds": 0}, "--seeds must be at least 1, got 0"),
    ({"look_every": 0}, "--look_every must be at least 1, got 0")])
def test_bad_settings(tmp_path, changes, message):
  with pytest.raises(ValueError, match=message):
    _run(tmp_path, **changes)
  assert not list(tmp_path.iterdir())


_NETWORK = """
def Setup():
  m0 = gaussian(0, 0.3)
  s2 = 0.03
  v1 = gaussian(0, 0.3)
def Predict():
  v2 = dot(m0, v0)
  v3 = maximum(v2, v4)
  s1 = dot(v3, v1)
def Learn():
  s3 = s0 - s1
  s3 = s3 * s2
  v5 = s3 * v3
  v6 = s3 * v1
  v7 = heaviside(v2)
  v6 = v7 * v6
  m1 = outer(v6, v0)
  m0 = m0 + m1
  v1 = v1 + v5
"""


def _solution(learner, rate, space):
  if learner == "network":
    return text.parse(_NETWORK.replace("0.03", str(rate)), space)
  return TASK_TYPES[f"{learner}_regressor"].reference(rate, space)


def test_every_space_holds_the_learner_of_its_problem():
  config = discovery_rates.Config()
  found = cells.cells_of(config)
  assert len(found) == len(problems.PROBLEMS) * len(spaces.SPACES) * len(arms.ARMS)
  for cell in found:
    learner = problems.PROBLEMS[cell.problem].learner
    space = cell.space
    if cell.space_name == "full":  # which has uniform numbers in place of Gaussian ones
      source = _NETWORK.replace("gaussian(0, 0.3)", "uniform(-0.3, 0.3)")
      program = text.parse(source, space) if learner == "network" else _solution(learner, 1, space)
    else:
      program = _solution(learner, 1, space)
    program.validate()
    assert space.num_features == (16 if cell.problem == "digits" else 4)


@pytest.mark.slow  # evidence: trains on hundreds of tasks
@pytest.mark.parametrize("name", problems.PROBLEMS)
def test_goals_are_reached_by_the_learner_and_missed_by_simpler_ones(name):
  problem = problems.PROBLEMS[name]
  look, _ = problems.unseen_tasks(name, problems.exam_of(discovery_rates.Config(), name))

  def best(learner):
    space = spaces.SPACES["minimal"].make(learner, problem.num_features)
    programs = Programs.concatenate([
        _solution(learner, rate, space) for rate in (0.003, 0.01, 0.03, 0.1, 0.2)])
    return evaluator.Evaluator(space, look, combine="mean").evaluate(programs).fitness.max()

  assert best(problem.learner) >= problem.goal
  simpler = {"affine": "linear", "network": "affine"}
  if problem.learner in simpler:
    assert best(simpler[problem.learner]) < problem.goal


def test_tasks_follow_from_the_seed_alone():
  exam = problems.exam_of(build(discovery_rates.Config, num_tasks=3, num_unseen=3), "teacher")
  first, again, other = (problems.search_tasks("teacher", exam, seed) for seed in (0, 0, 1))
  np.testing.assert_array_equal(first.train_x, again.train_x)
  parts = [first, other, *problems.unseen_tasks("teacher", exam)]
  assert len({part.train_x[0, 0, 0] for part in parts}) == 4
  assert [part.num_train for part in parts] == [1000] * 4 and len(first) == 3


def _row(arm, seed, spent, success, *, fitness=0.9, machine="this", **changes):
  """A line as those of searches, of which every measure is told by one number."""
  values = {"programs": 4 * spent, "evaluated": spent, "train_steps": 100 * spent,
            "seconds": spent / 10}
  point = [*values.values(), fitness]
  return {
      "problem": "linear", "space": "demo", "arm": arm, "seed": seed, "exam": {"goal": 0.8},
      "ops_and_sizes": "", "settings": {}, "digest": arm, "success": success, "ended": "",
      "fitness": fitness, "program": "", "machine": machine, "version": "", **values,
      "curve": [[1, 1, 1, 0.001, 0.1], point], **changes}


def _lines(*rows):
  lines = lines_lib.Lines()
  lines.take_in(rows, "test")
  return lines


def test_arms_are_ranked_by_what_a_success_costs():
  lines = _lines(
      *(_row("paper", seed, 100 + seed, seed < 5) for seed in range(10)),
      *(_row("fast", seed, 10 + seed, True) for seed in range(10)),
      *(_row("slow", seed, 105, False, fitness=0.2) for seed in range(10)),
      *(_row("stuck", seed, 105, False, fitness=0.3) for seed in range(10)))
  [place] = statistics.places_of(lines)
  assert [result.arm for result in place.arms] == ["fast", "paper", "stuck", "slow"]
  fast, paper, _, slow = place.arms
  assert (fast.costs["evaluated"].estimate, paper.costs["evaluated"].estimate) == (14.5, 209)
  assert slow.costs["evaluated"].estimate == math.inf
  assert slow.costs["evaluated"].low == pytest.approx(1050 / -math.log(0.025))
  assert place.horizons["evaluated"] == 105
  assert fast.means["evaluated"].estimate == 14.5 and slow.means["evaluated"].estimate == 105
  verdicts = {result.arm: result.tests["evaluated"].verdict for result in (fast, slow)}
  assert verdicts["fast"] == "better" and not paper.tests
  assert fast.tests["evaluated"].ratio.estimate == pytest.approx(209 / 14.5)
  assert slow.tests["evaluated"].ratio.estimate == 0 and slow.tests["evaluated"].ratio.high < 2
  # Six tests were made: the smallest p-value counts six times.
  assert fast.tests["evaluated"].corrected == pytest.approx(6 * fast.tests["evaluated"].pvalue)


def test_more_arms_make_a_verdict_harder():
  rows = [
      *(_row("paper", seed, 100, False) for seed in range(6)),
      *(_row("good", seed, 50, seed < 4) for seed in range(6))]
  [place] = statistics.places_of(_lines(*rows))
  assert place.arms[0].tests["evaluated"].verdict == "better"
  others = [_row(f"other {k}", seed, 100, False) for k in range(9) for seed in range(6)]
  [place] = statistics.places_of(_lines(*rows, *others))
  good = place.arms[0]
  assert good.arm == "good" and good.tests["evaluated"].verdict == "not decided"
  worse = statistics.places_of(_lines(
      *(_row("paper", seed, 10 + seed, True) for seed in range(8)),
      *(_row("bad", seed, 90, False) for seed in range(8))))[0].arms[1]
  assert worse.tests["seconds"].verdict == "worse"


def test_seconds_of_other_machines_are_not_compared():
  [place] = statistics.places_of(_lines(
      *(_row("paper", seed, 100, True) for seed in range(3)),
      *(_row("moved", seed, 10, True, machine="another") for seed in range(3))))
  assert [list(result.tests) for result in place.arms] == [["evaluated"], []]


def test_fitness_is_compared_at_equal_costs_and_by_pairs():
  curve = [[4, 1, 100, 0.1, 0.3], [8, 2, 200, 0.2, 0.5], [40, 10, 1000, 1.0, 0.7]]
  row = _row("paper", 0, 10, False, curve=curve)
  found = [statistics.fitness_at(row, "train_steps", spent) for spent in (50, 199, 200, 999, 1e9)]
  assert found == [0.3, 0.3, 0.5, 0.5, 0.7]
  assert statistics.fitness_at(row, "seconds", 0.25) == 0.5
  # Who succeeded after 1000 steps keeps what it had; one was broken off at 500.
  rows = [_row("paper", 0, 5, False, fitness=0.4), _row("paper", 1, 20, True, fitness=0.9)]
  assert statistics.known_until(rows, "train_steps") == 500
  assert statistics.known_until(rows[1:], "train_steps") == 2000
  [place] = statistics.places_of(_lines(
      *rows, _row("arm", 0, 5, False, fitness=0.6), _row("arm", 1, 4, True, fitness=0.8)))
  level = next(result for result in place.arms if result.arm == "arm").levels["train_steps"]
  assert (level.spent, level.mean) == (500, pytest.approx(0.7))
  # Pairs gain 0.2 and, since the paper's second seed still had its first fitness, 0.7.
  assert level.gain.estimate == pytest.approx(0.45) and level.wins == (2, 2)


def test_arms_are_settings_of_a_search():
  base = SearchConfig(population_size=50, combine="mean")
  assert arms.arm_config("paper", base) == base
  for arm in arms.ARMS:
    changed = arms.arm_config(arm, base)
    assert (changed.combine, changed.seed) == ("mean", 0)
    assert (changed == base) == (arm == "paper")
