"""Looking at run directories, written here as searches leave them."""

import contextlib
import fcntl
import importlib.util
import json
import os
import pathlib
import subprocess
import sys
import time

import pytest

from azero.report import facts
from azero.runs import reader
from experiments import linear_regression, runs
from experiments.frame import study
from experiments.frame.settings import build

_ROOT = pathlib.Path(__file__).parents[2]
PROGRAM = "def Setup():\ndef Predict():\n  s1 = dot(v0, v1)\ndef Learn():"


def row(programs, best, status="running", **fields):
  return {
      "programs": programs, "train_steps": 100 * programs, "seconds": programs / 10,
      "best_fitness": best, "median_best_fitness": best / 2, "canonical_hit_rate": 0.5,
      "active_islands": 2, "time": 1.7e9, "status": status} | fields


def make(path, *rows, report=False, started=None, **settings):
  """A run directory with these lines of metrics."""
  path.mkdir(parents=True)
  config = {"seed": 0, "islands": 4, "max_programs": 100, "output_dir": "runs"} | settings
  (path / "config.json").write_text(json.dumps(config))
  if started:
    (path / "run.json").write_text(json.dumps({
        "experiment": "digits", "started": started,
        "defaults": {"seed": 0, "islands": 8, "max_programs": 100}}))
  if rows:
    (path / "metrics.jsonl").write_text("".join(json.dumps(each) + "\n" for each in rows))
  if report:
    (path / "report.md").write_text("# Digits\n")
  return path


@contextlib.contextmanager
def under_way(path):
  handle = os.open(path, os.O_RDONLY)
  try:
    fcntl.flock(handle, fcntl.LOCK_EX)
    yield
  finally:
    os.close(handle)


@pytest.fixture
def call(capsys):
  """Runs a command; returns exit status, lines of output and errors."""

  def run(*arguments):
    status = runs.main([str(argument) for argument in arguments])
    captured = capsys.readouterr()
    return status, [line.rstrip() for line in captured.out.splitlines()], captured.err

  return run


@pytest.mark.parametrize(("rows", "report", "status"), [
    ([row(10, 0.5), row(20, 0.5, "budget")], False, "finished"),
    ([row(20, 0.5, "stopped")], True, "finished"),
    ([row(20, 0.5, "interrupted")], True, "interrupted"),
    ([row(20, 0.5)], False, "broken off"), ([], True, "finished"), ([], False, "stopped")])
def test_status(tmp_path, rows, report, status):
  path = make(tmp_path / "run", *rows, report=report)
  assert reader.read_run(path).status == status
  with under_way(path):
    assert reader.read_run(path).status == "running"
  assert reader.read_run(path).status == status  # and looking leaves no lock behind


@pytest.mark.parametrize(("active", "status"), [(0, "finished"), (3, "stopped")])
def test_status_of_an_earlier_version(tmp_path, active, status):
  fields = row(20, 0.5, active_islands=active)
  del fields["status"]
  assert reader.read_run(make(tmp_path / "run", fields)).status == status


def test_status_of_an_experiment_is_that_of_its_searches(tmp_path):
  path = make(tmp_path / "run")
  first = make(path / "arm-001-008", row(20, 0.5, "budget"))
  assert reader.read_run(path).status == "open"
  (path / "report.md").write_text("# Report\n")
  assert reader.read_run(path).status == "finished"
  make(path / "arm-009-016", row(20, 0.5, "interrupted"))
  assert reader.read_run(path).status == "interrupted"
  with under_way(first):
    assert reader.read_run(path).status == "running"


def test_list(tmp_path, call):
  now = time.time()
  path = make(tmp_path / "first", row(10, 0.25), row(2000, 0.75, "budget"), started=now - 3723)
  (path / "checkpoints" / "00000001").mkdir(parents=True)
  os.utime(path / "checkpoints" / "00000001", (now - 60, now - 60))
  experiment = make(tmp_path / "adaptation-20260101-120000-77")
  make(experiment / "b-001-002", row(30, 0.5, "interrupted"))
  make(experiment / "a-001-002", row(10, 0.75, "budget"))
  (experiment / "outcomes.jsonl").write_text('{"repeat": 0}\n{"repeat": 1}\n{"rep')
  status, lines, _ = call("list", tmp_path)
  assert status == 0
  header, *rows = (line.split() for line in lines)
  assert header[:3] == ["run", "experiment", "status"]
  parent, one, other, first = rows
  assert parent[:6] == [
      "adaptation-20260101-120000-77", "adaptation", "interrupted,", "2", "repeats", "ended"]
  assert parent[8:12] == ["0:00:04", "40", "4,000", "0.7500"]
  assert [one[0], one[1], other[0], other[1]] == [
      "a-001-002", "finished", "b-001-002", "interrupted"]
  assert lines[2].startswith("  a-001-002")
  assert first[:3] == ["first", "digits", "finished"] and first[3].startswith("1:02:0")
  assert first[5:9] == ["0:03:20", "2,000", "200,000", "0.7500"] and first[9].startswith("0:01:0")


def test_list_adds_up_rounds_of_an_experiment_without_searches_of_its_own(tmp_path, call):
  path = make(tmp_path / "task_difficulty-20260101-120000-77", report=True)
  (path / "results.jsonl").write_text("".join(
      json.dumps({"task_type": "linear", "method": method, "round": 0, "programs": 1500,
                  "acceptable": acceptable, "train_steps": 20_000, "seconds": 31.5}) + "\n"
      for method, acceptable in (("random", 1), ("evolution", 6))))
  status, (_, line), _ = call("list", tmp_path)
  assert status == 0
  assert "finished, 2 rounds ended with 7 acceptable programs" in line
  assert line.split()[-5:] == ["0:01:03", "3,000", "40,000", "-", "-"]


def test_list_adds_up_seeds_of_the_bench_of_discovery(tmp_path, call):
  path = make(tmp_path / "discovery_rates-20260101-120000-77", report=True)
  (path / "seeds.jsonl").write_text("".join(
      json.dumps({"seed": seed, "programs": 700, "success": seed == 1, "train_steps": 9000,
                  "seconds": 62.5}) + "\n" for seed in range(3)))
  status, (_, line), _ = call("list", tmp_path)
  assert status == 0
  assert "finished, 3 seeds ended, 1 with success" in line
  assert line.split()[-5:] == ["0:03:07", "2,100", "27,000", "-", "-"]


def test_list_says_that_an_experiment_without_searches_of_its_own_was_interrupted(tmp_path, call):
  path = make(tmp_path / "discovery_rates-20260101-120000-78", report=True)
  for ended in ("interrupted", "finished"):
    (path / "findings.json").write_text(json.dumps({"ended": ended}))
    assert reader.read_run(path).status == ended
    assert ended in call("list", tmp_path)[1][1]


def test_a_checkpoint_may_be_a_directory_of_versions(tmp_path):
  path = make(tmp_path / "run")
  assert reader.read_run(path).checkpoint is None
  for number, age in ((1, 500), (2, 100)):
    version = path / "checkpoints" / str(number)
    version.mkdir(parents=True)
    os.utime(version, (1e9 - age, 1e9 - age))
  os.utime(path / "checkpoints", (1e9 - 300, 1e9 - 300))
  assert reader.read_run(path).checkpoint == 1e9 - 100


def test_list_has_a_line_for_what_it_cannot_read(tmp_path, call):
  make(tmp_path / "good", row(10, 0.25))
  (make(tmp_path / "settings", row(10, 0.25)) / "config.json").write_text("{torn")
  (make(tmp_path / "rows") / "metrics.jsonl").write_bytes(b"\xff\xfe\n")
  (make(tmp_path / "kind") / "metrics.jsonl").write_text("[1, 2]\n")
  (tmp_path / "photos").mkdir()
  (tmp_path / "note.txt").write_text("mine")
  status, (_, good, *others), _ = call("list", tmp_path)
  assert status == 0 and good.startswith("good ")
  kind, rows, settings, foreign = others
  assert kind.startswith("kind: '") and "a JSON dict was expected" in kind
  assert rows.startswith("rows: '") and "no text" in rows
  assert settings.startswith("settings: '") and "config.json' cannot be read (Exp" in settings
  assert foreign == "no run directories, without config.json: photos"


def test_an_empty_directory_and_none(tmp_path, call):
  assert call("list", tmp_path) == (0, [f"no runs in '{tmp_path}'"], "")
  for command in ("list", "show", "compare"):
    status, lines, error = call(command, tmp_path / "nowhere")
    assert (status, lines) == (2, []) and error.startswith("error: there is no directory '")
  assert call("show", tmp_path)[2] == (
      f"error: '{tmp_path}' is no run directory: it has no config.json\n")


@pytest.mark.parametrize("length", [0, 50, 1 << 16, 1 << 18])
def test_the_last_whole_line_is_found_from_the_end(tmp_path, length):
  path = make(tmp_path / "run", row(10, 0.25, note="x" * length), row(20, 0.5, note="y" * length))
  with open(path / "metrics.jsonl", "a", encoding="utf-8") as file:
    file.write('{"programs": 3')
  assert reader.read_run(path).last["programs"] == 20
  assert [each["programs"] for each in reader.read_run(path).rows()] == [10, 20]


def test_a_first_line_under_way_is_none(tmp_path):
  path = make(tmp_path / "run")
  (path / "metrics.jsonl").write_text('{"programs": 3')
  run = reader.read_run(path)
  assert run.last is None and run.rows() == [] and run.best_fitness is None


def test_show(tmp_path, call):
  group = {"programs": 10, "best_fitness": 0.25}
  path = make(
      tmp_path / "run", row(2000, 0.75, "budget", groups={"F=8": group, "F=16": group}),
      started=time.time())
  (path / "hall_of_fame.json").write_text(json.dumps([
      {"fitness": 0.75, "island": 2, "num_programs": 1234, "program": PROGRAM},
      {"fitness": 0.5, "island": 0, "num_programs": 7, "program": "another"}]))
  (path / "workers.json").write_text(json.dumps({
      "seconds": 10.0, "programs": list(range(7)), "train_steps": [200] * 7,
      "best_fitness": [0.1 * k for k in range(7)], "active": [1] * 7}))
  status, lines, _ = call("show", path)
  text = "\n".join(lines)
  assert status == 0
  assert "settings that are no defaults\n  islands  4  (default 8)\n\n" in text
  pairs = dict(line.strip().split(None, 1) for line in lines if line.startswith("  "))
  assert pairs["programs"] == "2,000" and pairs["best_fitness"] == "0.7500"
  assert pairs["canonical_hit_rate"] == "50.0%" and pairs["seconds"] == "0:03:20"
  assert "F=16   10        0.2500" in lines
  start = next(k for k, line in enumerate(lines) if line.startswith("island"))
  assert [line.split()[0] for line in lines[start + 1 : start + 6]] == ["6", "5", "4", "3", "2"]
  assert lines[start + 1].split()[-1] == "20" and lines[start + 6].startswith("and 2 more islands")
  assert "fitness 0.7500, island 2, after 1,234 programs of it" in lines
  assert PROGRAM in text and "another" not in text
  assert "another" in "\n".join(call("show", path, "--programs=2")[1])


def test_a_notebook_shows_how_a_run_stands_and_its_best_program(tmp_path):
  path = make(tmp_path / "run", row(2000, 0.75, "budget"))
  (path / "hall_of_fame.json").write_text(json.dumps([{"program": "s1 < s2"}]))
  shown = reader.read_run(path)._repr_html_()
  for text in ("finished", "2,000", "0.750000", "s1 &lt; s2"):
    assert text in shown


def test_the_best_program_of_several_searches_is_the_best_of_all(tmp_path):
  path = make(tmp_path / "run")
  for name, fitness in (("a", 0.3), ("b", 0.9), ("c", 0.5)):
    part = make(path / name, row(20, fitness))
    (part / "hall_of_fame.json").write_text(
        json.dumps([{"program": f"program {name}", "fitness": fitness}]))
  run = reader.read_run(path)
  assert run.best_entry()["program"] == "program b" and "program b" in run._repr_html_()
  assert facts.program_of(run) == (None, "program b")


def test_a_setting_called_tasks_is_no_description_of_them(tmp_path):
  path = make(tmp_path / "run", row(20, 0.5))
  config = json.loads((path / "config.json").read_text())
  (path / "config.json").write_text(json.dumps(config | {"tasks": [1, 10]}))
  assert reader.read_run(path).tasks == {}
  (path / "run.json").write_text(json.dumps({"tasks": {"num_classes": 2}}))
  assert reader.read_run(path).tasks == {"num_classes": 2}


def test_findings_count_until_the_run_goes_on(tmp_path):
  path = make(tmp_path / "run", row(20, 0.5, "interrupted"))
  assert reader.read_run(path).findings() == {}
  (path / "findings.json").write_text('{"title": "one"}')
  assert reader.read_run(path).findings() == {"title": "one"}
  with open(path / "metrics.jsonl", "a", encoding="utf-8") as file:
    file.write(json.dumps(row(30, 0.5, time=time.time() + 5)) + "\n")
  assert reader.read_run(path).findings() == {}


def test_report(tmp_path, call):
  path = make(tmp_path / "run", row(2000, 0.75, "budget"))
  status, lines, _ = call("report", path)
  assert (status, lines) == (0, [f"page: {path / 'report.html'}"])
  assert "2,000" in (path / "report.html").read_text(encoding="utf-8")
  other = tmp_path / "a.html"
  assert call("report", path, "--output", other)[1] == [f"page: {other}"]
  (tmp_path / "mine.txt").write_text("mine")
  error = call("report", path, "--output", tmp_path / "mine.txt")[2]
  assert "is there already, and no page" in error
  assert (tmp_path / "mine.txt").read_text() == "mine"
  assert call("report", tmp_path / "nowhere")[2].startswith("error: there is no directory '")


def test_show_without_known_defaults_has_all_settings(tmp_path, call):
  _, lines, _ = call("show", make(tmp_path / "run", search={"seed": 3, "hurdle": None}))
  assert "settings" in lines and "  search.seed   3" in lines
  assert not any("hurdle" in line for line in lines)


def test_compare(tmp_path, call):
  make(tmp_path / "a", row(10, 0.25), row(20, 0.5), row(30, 0.75, "budget"), output_dir="here")
  make(tmp_path / "b", row(12, 0.125), row(25, 0.875, "interrupted"), seed=3)
  status, lines, _ = call("compare", tmp_path / "a", tmp_path / "b")
  assert status == 0 and lines[0].split() == ["setting", "a", "b"]
  assert lines[1].split() == ["seed", "0", "3"] and lines[2] == ""
  assert lines[3].endswith("best  median  best at 25 programs  best at 2,500 steps")
  assert lines[4].split() == [
      "a", "finished", "0:00:03", "30", "3,000", "0.7500", "0.3750", "0.5000", "0.5000"]
  assert lines[5].split() == [
      "b", "interrupted", "0:00:02", "25", "2,500", "0.8750", "0.4375", "0.8750", "0.8750"]


def test_compare_takes_the_searches_of_experiments(tmp_path, call):
  for name in ("one", "two"):
    make(make(tmp_path / name) / "arm-001-008", row(10, 0.25, "budget"))
  _, lines, _ = call("compare", tmp_path / "one", tmp_path / "two")
  assert lines[0].startswith("the settings are the same")
  assert [line.split()[0] for line in lines[3:]] == [
      str(tmp_path / name / "arm-001-008") for name in ("one", "two")]


def test_pictures(tmp_path, call):
  for name in "ab":
    make(tmp_path / name, row(10, 0.25), row(20, 0.5))
  for command, names in (("show", "a"), ("compare", "ab")):
    file = tmp_path / f"{command}.png"
    status, lines, _ = call(command, *(tmp_path / name for name in names), f"--plot={file}")
    assert status == 0 and lines[-1] == f"picture: {file}"
    assert file.read_bytes().startswith(b"\x89PNG")


def test_a_picture_that_has_no_place_is_one_message(tmp_path, call):
  path, file = make(tmp_path / "run", row(10, 0.25)), tmp_path / "nowhere" / "a.png"
  status, _, error = call("show", path, f"--plot={file}")
  assert (status, error) == (
      2, f"error: --plot={file}: there is no directory '{file.parent}'.\n")


def test_settings_are_written_as_on_the_command_line(tmp_path, call):
  for name, size in (("a", None), ("b", [1, 20])):
    make(tmp_path / name, row(10, 0.25), sizes=size)
  _, lines, _ = call("compare", tmp_path / "a", tmp_path / "b")
  assert lines[1].split() == ["sizes", "none", "1,20"]


def test_another_version_is_one_message(tmp_path, call):
  make(tmp_path / "run", {"programs": 3})
  status, _, error = call("compare", tmp_path / "run")
  assert status == 2 and error == (
      f"error: '{tmp_path / 'run'}' has a file that is damaged, or of another version of azero: it "
      "lacks 'best_fitness'\n")


@pytest.mark.parametrize(("name", "value"), [
    ("metrics.jsonl", row(10, 0.5, best_fitness="best")),
    ("metrics.jsonl", row(10, 0.5, seconds=[3])),
    ("metrics.jsonl", row(10, 0.5, time=1e300)), ("metrics.jsonl", row(10, 0.5, status=[])),
    ("hall_of_fame.json", [{"fitness": "0.5"}]), ("hall_of_fame.json", [7]),
    ("workers.json", {"programs": 5}), ("run.json", {"experiment": "a", "defaults": 5})])
def test_values_of_another_kind_are_one_message_that_names_the_run(tmp_path, call, name, value):
  path = make(tmp_path / "run", row(10, 0.25), started=time.time())
  (path / name).write_text(json.dumps(value) + "\n")
  status, lines, error = call("show", path)
  said = error if status else lines[-1]
  assert f"'{path}' has a file that is damaged" in said
  assert "Traceback" not in error


@pytest.mark.parametrize("name", ["config.json", "run.json", "metrics.jsonl"])
def test_json_that_is_too_deep_is_damage(tmp_path, call, name):
  path = make(tmp_path / "run", row(10, 0.25), started=time.time())
  (path / name).write_text("[" * 100_000 + "\n")
  status, _, error = call("show", path)
  assert status == 2 and name in error and "nested too deeply" in error


def test_experiments_say_what_they_are(tmp_path):
  config = build(linear_regression.Config, output_dir=str(tmp_path), run_name="mine", islands=3)
  run = reader.read_run(study.open_directory("linear_regression", config).path)
  assert run.experiment == "linear_regression" and 0 <= time.time() - run.started < 60
  assert run.changed() == {
      "output_dir": (str(tmp_path), "runs"), "run_name": ("mine", None), "islands": (3, 32)}


def test_curves_without_their_package_are_refused_before_anything_happens(tmp_path, monkeypatch):
  monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
  config = build(linear_regression.Config, output_dir=str(tmp_path / "runs"), tensorboard=True)
  with pytest.raises(ValueError, match=r"pip install 'azero\[tensorboard\]'"):
    study.open_directory("linear_regression", config)
  assert not (tmp_path / "runs").exists()


def test_no_device_and_no_jax_are_needed(tmp_path):
  make(tmp_path / "run", row(10, 0.25), started=time.time())
  script = (
      "import sys\nfrom experiments import runs\n"
      f"assert runs.main(['list', {str(tmp_path)!r}]) == 0\n"
      f"assert runs.main(['show', {str(tmp_path / 'run')!r}]) == 0\n"
      "assert not {'jax', 'matplotlib', 'ray', 'sklearn'} & sys.modules.keys()\n")
  result = subprocess.run(
      [sys.executable, "-c", script], cwd=_ROOT, text=True, capture_output=True, timeout=60,
      env=os.environ | {"JAX_PLATFORMS": "nonexistent"})
  assert result.returncode == 0, result.stderr
  assert result.stdout.startswith("run ")


@pytest.mark.parametrize(("arguments", "words"), [
    (["--help"], "compare"), (["list", "--help"], "where runs are; default runs"),
    (["show", "--help"], "--plot FILE"), (["compare", "--help"], "the one that did least")])
def test_help(arguments, words, capsys):
  with pytest.raises(SystemExit) as ended:
    runs.main(arguments)
  assert ended.value.code == 0
  assert words in " ".join(capsys.readouterr().out.split())
