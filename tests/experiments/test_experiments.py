"""Every experiment runs small, writes what it promises and refuses bad input."""

import contextlib
import dataclasses
import io
import json
import re
import shutil
import signal

import numpy as np
import pytest

import azero
from azero.search import checked_state
from experiments import custom_data, digits, evaluate_program, linear_regression, predict
from experiments.frame import discovery, island_discoveries, study
from experiments.frame.settings import build

_FILES = {
    "config.json", "metrics.jsonl", "improvements.jsonl", "hall_of_fame.json",
    "front.json", "lineage.json", "report.md", "progress.png", "findings.json", "program.txt",
    "report.html"}


def _lines(path):
  return [json.loads(line) for line in path.read_text().splitlines()]


def _check_directory(path, space, walks=True):
  """A complete run directory whose programs parse; whether its program has steps behind it."""
  assert {file.name for file in path.iterdir()} >= _FILES
  assert (path / "progress.png").read_bytes()[:4] == b"\x89PNG"
  improvements = _lines(path / "improvements.jsonl")
  best = {}
  for row in improvements:
    assert row["fitness"] > best.get(row["island"], -1)
    best[row["island"]] = row["fitness"]
    azero.parse(row["program"], space).validate()
  assert max(best.values()) == _lines(path / "metrics.jsonl")[-1]["best_fitness"]
  hall = json.loads((path / "hall_of_fame.json").read_text())
  assert [entry["fitness"] for entry in hall] == sorted(
      (entry["fitness"] for entry in hall), reverse=True)
  assert hall[0]["fitness"] == max(best.values())
  azero.parse((path / "program.txt").read_text(), space).validate()
  page = (path / "report.html").read_text(encoding="utf-8")
  sections = re.findall(r'<section id="(\w+)">', page)
  assert sections[: 3 + walks] == ["summary", "progress", *["walk"] * walks, "program"]


def _linear(tmp_path, name="run", **changes):
  settings = {
      "islands": 2, "population_size": 100, "max_train_steps": 300_000,
      "select_every": 1000, "progress": "off", "output_dir": str(tmp_path), "run_name": name,
      "cycles_per_step": 20}
  return linear_regression.run(build(linear_regression.Config, **settings | changes))


@pytest.fixture(scope="module")
def linear(tmp_path_factory):
  path = tmp_path_factory.mktemp("linear")
  return path, _linear(path)


def test_linear_regression_writes_a_complete_run(linear):
  path, result = linear
  _check_directory(path / "run", azero.spaces.demo())
  report = (path / "run" / "report.md").read_text()
  assert "python -m experiments.linear_regression --" in report
  assert "ended without a discovery" in report and "hand-written" in report
  assert result.final_fitness.shape == (100,)
  assert f"{result.final_fitness.mean():.6f}" in report
  islands = json.loads((path / "run" / "islands.json").read_text())
  assert all(300_000 <= steps for steps in islands["train_steps"])
  assert not islands["discoveries"] and not result.discovered


def test_linear_regression_has_one_history_for_a_seed(linear, tmp_path):
  path, first = linear
  second = _linear(tmp_path)
  assert second.program == first.program
  np.testing.assert_array_equal(second.final_fitness, first.final_fitness)
  assert (tmp_path / "run" / "improvements.jsonl").read_text() == (
      path / "run" / "improvements.jsonl").read_text()


@pytest.fixture(scope="module")
def discovered(tmp_path_factory):
  """A run with an easy goal."""
  path = tmp_path_factory.mktemp("discovered")
  return path, _linear(path, select_fitness=0.1)


def test_an_easy_goal_is_a_discovery_and_stops_the_search(discovered):
  path, result = discovered
  assert result.discovered
  assert all(steps < 300_000 for steps in result.discoveries.values())
  assert "discovered a learner" in (path / "run" / "report.md").read_text()


def test_without_stopping_every_island_comes_to_an_end(tmp_path):
  result = _linear(tmp_path, select_fitness=0.1, stop_at_first=False)
  assert set(result.discoveries) == {0, 1}
  assert "| 1 |" in (tmp_path / "run" / "report.md").read_text()


def _same_files(first, second, *names):
  for name in ("improvements.jsonl", "hall_of_fame.json", *names):
    assert (first / name).read_text() == (second / name).read_text()


def test_linear_regression_continues_as_if_it_had_not_been_stopped(linear, tmp_path, monkeypatch):
  path, whole = linear
  call = island_discoveries.Selection.__call__

  def interrupted(self, search):
    if search.cycle in (20, 60):
      signal.raise_signal(signal.SIGINT)
    return call(self, search)

  monkeypatch.setattr(island_discoveries.Selection, "__call__", interrupted)
  _linear(tmp_path)
  directory = tmp_path / "run"
  assert "| ended by | interrupted |" in (directory / "report.md").read_text()
  for _ in range(2):
    config = study.continued(linear_regression.Config, directory)
    result = linear_regression.run(config)
  assert "| ended by | budget |" in (directory / "report.md").read_text()
  _same_files(directory, path / "run", "islands.json")
  assert result.program == whole.program
  np.testing.assert_array_equal(result.final_fitness, whole.final_fitness)
  assert json.loads((directory / "config.json").read_text())["islands"] == 2


@pytest.mark.parametrize(("name", "value", "told"), [
    ("next", "5", "'next' is missing, or no whole number"), ("fitness", 3, "'fitness' is missing"),
    ("checked", {"x": 1.0}, "'checked' has an island that is none")])
def test_a_state_of_no_selection_is_refused(name, value, told):
  selection = island_discoveries.Selection(None, enough=0.9, every=10, stop_at_first=False)
  with pytest.raises(checked_state.StateError, match=told):
    selection.restore(selection.state() | {name: value})
  assert selection.state() == {"next": 10, "checked": {}, "fitness": {}, "discoveries": {}}


def test_a_discovery_stays_one(discovered, tmp_path):
  path, first = discovered
  shutil.copytree(path / "run", tmp_path / "run")
  config = study.continued(linear_regression.Config, tmp_path / "run", max_train_steps=600_000)
  again = linear_regression.run(config)
  assert again.discoveries == first.discoveries and again.program == first.program
  assert "| ended by | stopped |" in (tmp_path / "run" / "report.md").read_text()


@pytest.mark.parametrize(("changes", "message"), [
    ({"seed": 1}, "seed is 0 there and 1 here"),
    ({"islands": 3, "dtype": "float64"},
     "islands is 2 there and 3 here; dtype is 'float32' there and 'float64' here"),
    ({"run_name": "other"}, "run_name is 'run' there and 'other' here"),
])
def test_a_run_is_not_continued_with_other_settings(linear, changes, message):
  path, _ = linear
  with pytest.raises(ValueError, match=message) as raised:
    study.continued(linear_regression.Config, path / "run", **changes)
  assert "only max_train_steps, max_programs, num_devices, lanes" in str(raised.value)
  with pytest.raises(ValueError, match="has other settings: select_every is 1000 there and 4000"):
    linear_regression.run(build(linear_regression.Config,
        resume=str(path / "run"), islands=2, population_size=100,
        cycles_per_step=20,
        output_dir=str(path), run_name="run"))


def test_a_run_is_not_continued_by_another_experiment(linear, tmp_path):
  path, _ = linear
  with pytest.raises(ValueError, match=(
      r"is one of another experiment, linear_regression: continue it with "
      r"python -m experiments\.linear_regression --resume=")):
    study.continued(digits.Config, path / "run")
  with pytest.raises(FileNotFoundError, match="There is no run directory"):
    study.continued(digits.Config, tmp_path / "nowhere")


def test_a_negative_time_between_checkpoints(tmp_path):
  with pytest.raises(ValueError, match="--checkpoint_seconds must not be negative, got -1"):
    _linear(tmp_path, checkpoint_seconds=-1.0)
  assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("module", [digits, linear_regression])
def test_tasks_that_no_memory_holds_are_refused_at_once(module, tmp_path):
  with pytest.raises(ValueError, match="GB of memory: take fewer --islands or --num_tasks"):
    module.run(build(module.Config, output_dir=str(tmp_path), islands=10**9))
  assert not list(tmp_path.iterdir())


def test_unseen_tasks_that_no_memory_holds_are_refused_as_well(tmp_path):
  """Of one island's own there are few."""
  with pytest.raises(ValueError, match=r"GB of memory: .* or a smaller --num_features"):
    _linear(tmp_path, islands=1, num_tasks=1, num_features=100_000)
  assert not list(tmp_path.iterdir())


def test_nothing_is_written_into_a_file(linear, tmp_path):
  (tmp_path / "notes").write_text("mine")
  with pytest.raises(ValueError, match=r"--output_dir: '.*notes' is a file, where a directory is"):
    _linear(tmp_path / "notes")
  assert (tmp_path / "notes").read_text() == "mine"


def test_an_existing_run_directory_is_left_alone(linear):
  path, _ = linear
  before = (path / "run" / "report.md").read_text()
  with pytest.raises(FileExistsError, match=r"run' already exists\. .* never overwrites"):
    _linear(path)
  assert (path / "run" / "report.md").read_text() == before


@pytest.mark.parametrize(("changes", "message"), [
    ({"islands": 0}, "--islands must be at least 1, got 0"),
    ({"select_fitness": 1.5}, r"--select_fitness must be in \(0, 1\], got 1.5"),
    ({"population_size": 0}, "population_size must be at least 1, got 0"),
    ({"num_features": 0}, "num_features must be at least 1"),
])
def test_bad_settings_of_linear_regression(tmp_path, changes, message):
  with pytest.raises(ValueError, match=message):
    _linear(tmp_path, **changes)
  assert not list(tmp_path.iterdir())


_SMALL = {
    "islands": 2, "population_size": 20, "max_programs": 400,
    "num_tasks": 2, "progress": "off", "run_name": "run"}


@pytest.mark.slow  # compiles for long
def test_digits_from_empty_programs_to_a_judged_one(tmp_path):
  config = build(digits.Config,
      **_SMALL, output_dir=str(tmp_path), num_features=8, num_train=60, num_valid=40,
      num_select=2, num_final=2)
  result = digits.run(config)
  _check_directory(tmp_path / "run", azero.spaces.baseline(8))
  assert list(result.final) == [
      "discovered program", "constant prediction", "linear model (Adam)",
      "neural network, 32 hidden units (Adam)"]
  assert all(fitness.shape == (2,) for fitness in result.final.values())
  assert result.final["linear model (Adam)"].mean() > result.final["constant prediction"].mean()
  assert 0.3 < result.final["discovered program"].mean() < 1
  report = (tmp_path / "run" / "report.md").read_text()
  assert "the constant prediction: " in report and " in the mean fitness of " in report


@pytest.mark.slow  # compiles for long
def test_digits_continue_as_if_they_had_not_been_stopped(tmp_path):
  settings = _SMALL | {
      "output_dir": str(tmp_path), "num_features": 8, "num_train": 60, "num_valid": 40,
      "num_select": 3, "num_final": 4, "hurdle": 0.25}
  whole = digits.run(build(digits.Config, **settings | {"run_name": "whole"}))
  digits.run(build(digits.Config, **settings | {"max_programs": 150}))
  result = digits.run(study.continued(digits.Config, tmp_path / "run", max_programs=400))
  _same_files(tmp_path / "run", tmp_path / "whole")
  assert result.program == whole.program
  assert result.run.search.counts == whole.run.search.counts
  assert whole.run.search.counts.hurdle_stopped > 0
  for name, fitness in whole.final.items():
    np.testing.assert_array_equal(result.final[name], fitness)


def test_digits_start_from_what_an_earlier_run_found(tmp_path):
  settings = _SMALL | {
      "output_dir": str(tmp_path), "num_features": 8, "num_train": 60, "num_valid": 40,
      "num_select": 2, "num_final": 2}  # as many as num_tasks: one shape
  first = digits.run(build(digits.Config, **settings))
  # No more than the initial population, whose programs are those of the hall of fame, best first.
  later = settings | {"run_name": "later", "max_programs": 20}
  second = digits.run(build(digits.Config, **later, warm_start=str(tmp_path / "run")))
  best, before = (result.run.search.hall_of_fame.best for result in (second, first))
  assert best.fitness >= before.fitness > 0 and best.num_programs == 1
  for name, start in (("run", "empty"), ("later", "given")):
    title = (tmp_path / name / "report.md").read_text().splitlines()[0]
    assert f"from {start} programs" in title
  nothing = settings | {"run_name": "nothing", "warm_start": str(tmp_path / "nowhere")}
  with pytest.raises(FileNotFoundError, match="no program file and no run directory"):
    digits.run(build(digits.Config, **nothing))
  assert not (tmp_path / "nothing").exists()


@pytest.mark.parametrize(("name", "space"), [
    ("restricted", azero.spaces.baseline(8)), ("all", azero.spaces.minimal_input(8))])
def test_digits_search_the_space_that_is_named(name, space, tmp_path, monkeypatch):
  searched = []
  monkeypatch.setattr(
      digits.discovery, "discover", lambda config, space, data, **_: searched.append(space))
  digits.run(build(digits.Config,
      **_SMALL, output_dir=str(tmp_path), space=name, num_features=8, num_train=60, num_valid=40,
      num_select=2, num_final=2))
  assert searched == [space]


def test_ten_digits_need_ten_features(tmp_path):
  with pytest.raises(ValueError, match="10"):
    digits.run(build(digits.Config,
        **_SMALL, output_dir=str(tmp_path), kind="ten_classes", num_features=8))


def _write_csv(path, rows, header="a,b,label"):
  path.write_text("\n".join([header, *(",".join(map(str, row)) for row in rows)]) + "\n")
  return str(path)


def _two_clusters(rng, count=80):
  labels = np.arange(count) % 2
  x = rng.normal(size=(count, 2)) + 2 * labels[:, None]
  return [(a, b, "no" if y == 0 else "yes") for (a, b), y in zip(x.round(3), labels)]


@pytest.fixture
def few_judges(monkeypatch):
  """As many select and final tasks as search tasks: one shape, compiled once."""
  monkeypatch.setattr(custom_data, "_MAX_JUDGES", _SMALL["num_tasks"])


@pytest.fixture(scope="module")
def clusters(tmp_path_factory):
  """A run on two clusters in a CSV file: its parent folder, its result and what it printed."""
  path, printed = tmp_path_factory.mktemp("clusters"), io.StringIO()
  file = _write_csv(path / "mine.csv", _two_clusters(np.random.default_rng(0)))
  config = build(custom_data.Config, **_SMALL, output_dir=str(path), data=file)
  with pytest.MonkeyPatch.context() as patch, contextlib.redirect_stdout(printed):
    patch.setattr(custom_data, "_MAX_JUDGES", _SMALL["num_tasks"])
    result = custom_data.run(config)
  return path, result, printed.getvalue()


def test_custom_data_of_a_csv_file(clusters, tmp_path):
  path, result, printed = clusters
  _check_directory(path / "run", azero.spaces.baseline(2), walks=False)  # a known program
  assert result.final["linear model (Adam)"].mean() > 0.9
  assert "mine.csv" in (path / "run" / "report.md").read_text()
  found = json.loads((path / "run" / "result.json").read_text())
  assert (found["target"], found["classes"], found["features"]) == (
      "label", ["no", "yes"], ["a", "b"])
  assert found["rows"] == {"search": 48, "select": 16, "judged": 16}
  assert found["scores"]["logistic regression"]["score"] > 0.8
  confusion = np.array(found["confusion"])
  assert confusion.shape == (2, 2) and confusion.sum() == 16
  assert np.trace(confusion) / 16 == found["scores"]["discovered program"]["score"]
  verdicts = found["verdicts"]
  assert verdicts.keys() == found["scores"].keys() - {"discovered program"}
  for name, each in verdicts.items():
    gain = found["scores"]["discovered program"]["score"] - found["scores"][name]["score"]
    assert each["gain"] == pytest.approx(gain) and each["verdict"] in ("better", "same", "worse")
  # The screen and the report tell the same scores as the file, of the program as it is used.
  score = f"{found['scores']['discovered program']['score']:.4g}"
  report = (path / "run" / "report.md").read_text()
  assert f"accuracy on 16 rows that nobody saw:\n  {'discovered program':38s} {score} (" in printed
  assert f"| discovered program | {score} |" in report and "candidates, " in printed
  _predicts_new_rows(path / "run", tmp_path)


@pytest.mark.parametrize("content", [
    b"", b"\x80", b"\x80\x05]", b"\x80\x05\x8c\xff", b"\x80\xff.", b"I1x\n.", b"(lp0\n0.",
    b"h\x07.", b"\x80\x05N\x93.", b"X\xff\xff\xff\x7f", b"cnowhere\nName\n.", b"csys\nName\n.",
    b"N."])
def test_a_damaged_model_is_one_clear_error(tmp_path, content):
  (tmp_path / "model.pkl").write_bytes(content)
  with pytest.raises(ValueError, match=r"model\.pkl is (damaged, or of|not a model of)"):
    predict.run(predict.Config(
        run=str(tmp_path), data=str(tmp_path / "new.csv"), output=str(tmp_path / "out.csv")))


def _predicts_new_rows(run, tmp_path):
  new = tmp_path / "new.csv"
  new.write_text("b;a\n4;4\n-2;-2\n")  # columns in another order, without a target
  config = predict.Config(
      run=str(run), data=str(new), output=str(tmp_path / "new" / "out.csv"))
  assert predict.run(config).tolist() == ["yes", "no"]
  header, first, _ = (tmp_path / "new" / "out.csv").read_text().splitlines()
  assert header == "prediction,probability of no,probability of yes"
  name, *parts = first.split(",")
  assert name == "yes" and sum(map(float, parts)) == pytest.approx(1)
  table, model = new.read_text(), (run / "model.pkl").read_bytes()
  for output, what in ((new, "the table itself"), (run / "model.pkl", "a file of the run")):
    with pytest.raises(ValueError, match=f"--output: .* is {what}; name another"):
      predict.run(dataclasses.replace(config, output=str(output)))
  assert new.read_text() == table and (run / "model.pkl").read_bytes() == model
  before = (tmp_path / "new" / "out.csv").read_text()
  with pytest.raises(FileExistsError, match=r"--output: .*out.csv' is there already; give another"):
    predict.run(config)
  assert (tmp_path / "new" / "out.csv").read_text() == before
  config = dataclasses.replace(config, output=str(tmp_path / "another.csv"))
  new.write_text("a;c\n1;2\n")
  with pytest.raises(ValueError, match=r"new.csv: 1 of the columns .* are not there: b"):
    predict.run(config)
  with pytest.raises(FileNotFoundError, match=r"there is no .*model\.pkl"):
    predict.run(dataclasses.replace(config, run=str(tmp_path)))


def test_custom_data_continues_on_the_same_data_only(clusters, tmp_path, few_judges):
  path, whole, _ = clusters
  rows = _two_clusters(np.random.default_rng(0))
  settings = _SMALL | {
      "output_dir": str(tmp_path), "data": _write_csv(tmp_path / "mine.csv", rows)}
  custom_data.run(build(custom_data.Config, **settings | {"max_programs": 100}))
  config = study.continued(custom_data.Config, tmp_path / "run", max_programs=400)
  _write_csv(tmp_path / "mine.csv", rows[::-1])
  with pytest.raises(ValueError, match="data_digest is '"):
    custom_data.run(config)
  _write_csv(tmp_path / "mine.csv", rows)
  result = custom_data.run(config)
  _same_files(tmp_path / "run", path / "run")
  assert result.program == whole.program


@pytest.mark.slow  # compiles for long
def test_custom_data_of_an_npz_file_with_a_regression_target(tmp_path):
  rng = np.random.default_rng(1)
  x = rng.normal(size=(60, 3))
  np.savez(tmp_path / "mine.npz", x=x, y=x @ [1.0, -2.0, 0.5])
  result = custom_data.run(build(custom_data.Config,
      **_SMALL, output_dir=str(tmp_path), data=str(tmp_path / "mine.npz")))
  assert result.final["linear model (Adam)"].mean() > 0.95


@pytest.mark.parametrize(("rows", "message"), [
    ([(k, 2.0, "a") for k in range(30)], "class"),
    ([(k, "inf" if k == 7 else k / 2, "ab"[k % 2]) for k in range(30)], "line 9.*'b': .*inf"),
    ([(k, "x" if k == 7 else k / 2, "ab"[k % 2]) for k in range(30)], "line 9, column 'b': .*'x'"),
    ([(k, k, "" if k == 7 else "ab"[k % 2]) for k in range(30)], "line 9: the target 'label'"),
    ([(1.0, 2.0)], "line 2"),
    ([(1.0, 2.0, "a"), (1.0, 2.0, "b")] * 20, "a: always 1; b: always 2. There is nothing"),
])
def test_unusable_csv_files_are_refused_with_their_place(tmp_path, rows, message):
  file = _write_csv(tmp_path / "bad.csv", rows)
  with pytest.raises(ValueError, match=message):
    custom_data.run(build(custom_data.Config, **_SMALL, output_dir=str(tmp_path), data=file))
  assert not (tmp_path / "run").exists()


def test_a_tab_separated_file_with_a_header_of_numbers(tmp_path, few_judges):
  rows = _two_clusters(np.random.default_rng(0))
  file = tmp_path / "mine.tsv"
  file.write_text("1\t2\ty\n" + "".join("\t".join(map(str, row)) + "\n" for row in rows) + " \n")
  result = custom_data.run(build(custom_data.Config,
      **_SMALL, output_dir=str(tmp_path), data=str(file), delimiter="tab", header="yes"))
  assert result.final["linear model (Adam)"].mean() > 0.9


@pytest.mark.parametrize(("data", "error"), [
    ("", ValueError), ("table.xlsx", FileNotFoundError), ("missing.csv", FileNotFoundError)])
def test_data_that_is_no_file_is_refused(tmp_path, data, error):
  with pytest.raises(error, match=re.escape(data) or "--data="):
    custom_data.run(build(custom_data.Config, **_SMALL, output_dir=str(tmp_path), data=data))


def test_discovery_refuses_impossible_settings():
  with pytest.raises(ValueError, match="--num_tasks must be at least 1, got 0"):
    discovery.DiscoverySettings(num_tasks=0).check()


@pytest.fixture(scope="module")
def task_file(tmp_path_factory):
  path = tmp_path_factory.mktemp("tasks") / "tasks.npz"
  tasks = azero.linear_regression(3, seed=0, num_features=4, num_train=50, num_valid=20)
  np.savez(path, train_x=tasks.train_x, train_y=tasks.train_y, valid_x=tasks.valid_x,
           valid_y=tasks.valid_y, metric="rms")
  return str(path)


def test_evaluate_program_evaluates_a_directory_in_order(tmp_path, task_file, capsys):
  for name in ("linear_regressor", "plain_nn", "figure_5"):
    (tmp_path / f"{name}.txt").write_text(azero.zoo.source(name))
  (tmp_path / "broken.txt").write_text("def Predict():\n  s1 = sinus(s2)\n")
  (tmp_path / "note.md").write_text("not a program")
  (tmp_path / "wide.txt").write_bytes("def Predict():\n".encode("utf-16"))
  (tmp_path / ".hidden.txt").write_text("")
  (tmp_path / "folder.txt").mkdir()
  returned = evaluate_program.run(build(evaluate_program.Config,
      program=str(tmp_path), tasks=task_file, dtype="float64"))
  printed = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
  assert printed == returned
  assert [row["program"] for row in printed] == [
      "broken.txt", "figure_5.txt", "linear_regressor.txt", "plain_nn.txt", "wide.txt"]
  broken, _, linear_row, *_ = printed
  assert "save it as UTF-8" in printed.pop()["error"]
  assert broken["fitness"] is None and broken["fitness_per_task"] == []
  assert "line 2, column 8: unknown function 'sinus'" in broken["error"]
  assert all(row["error"] is None and len(row["fitness_per_task"]) == 3 for row in printed[1:])
  assert linear_row["fitness"] == np.median(linear_row["fitness_per_task"])


def test_evaluate_program_combines_as_told_and_agrees_with_the_evaluator(
    tmp_path, task_file, capsys):
  file = tmp_path / "linear.txt"
  file.write_text(azero.zoo.source("linear_regressor"))
  (row,) = evaluate_program.run(build(evaluate_program.Config,
      program=str(file), tasks=task_file, combine="mean"))
  expected = azero.evaluate(file.read_text(), azero.load_tasks_npz(task_file))
  assert row["fitness_per_task"] == expected.per_task[0].tolist()
  assert row["fitness"] == expected.per_task[0].mean()
  assert capsys.readouterr().out.count("\n") == 1


def test_programs_that_share_no_space_are_evaluated_apart(tmp_path, task_file, capsys):
  """Together these use more addresses than one space may have."""
  for name, address in (("a", "s40"), ("b", "v40"), ("c", "s3")):
    kind = address[0]
    line = f"s{address[1:]} = 0.5" if kind == "s" else f"{address} = v0 + v0"
    (tmp_path / f"{name}.txt").write_text(f"def Predict():\n  {line}\n  s1 = dot(v0, v0)\n")
  rows = evaluate_program.run(
      build(evaluate_program.Config, program=str(tmp_path), tasks=task_file))
  assert len({row["fitness"] for row in rows}) == 1 and rows[0]["error"] is None


@pytest.mark.parametrize(("changes", "error", "message"), [
    ({"program": ""}, ValueError, "--program is missing"),
    ({"program": "nowhere"}, FileNotFoundError, "no file or directory 'nowhere'"),
    ({"tasks": ""}, ValueError, "--tasks is missing"),
    ({"tasks": "nowhere.npz"}, FileNotFoundError, "nowhere.npz"),
    ({"num_epochs": 0}, ValueError, "num_epochs must be at least 1"),
    ({"max_abs_error": -1.0}, ValueError, "max_abs_error must be positive"),
])
def test_bad_arguments_of_evaluate_program(tmp_path, task_file, changes, error, message):
  file = tmp_path / "linear.txt"
  file.write_text(azero.zoo.source("linear_regressor"))
  settings = {"program": str(file), "tasks": task_file} | changes
  with pytest.raises(error, match=message):
    evaluate_program.run(build(evaluate_program.Config, **settings))
