"""The experiments on image tasks: smoke presets on tiny data sets, and what they compare."""

import collections
import dataclasses
import functools
import json
import signal
import types

import numpy as np
import pytest
from support.tiny_tfds import prepare, random_images

from azero.insight import motifs, statistics, surgery
from azero.insight.plots import comparison_plot
from azero.language import spaces, text, zoo
from azero.runs import lock
from azero.runs.directory import RunDirectory
from azero.search.groups import starts
from azero.search.groups.federation import Federation
from azero.tasks.images import paper_tasks
from azero.tasks.images.sources import find_source
from experiments import ablation, adaptation, minimal_input, search_baselines
from experiments.details import adaptation_motifs, adaptation_worth
from experiments.frame import references, study, trials, workers
from experiments.frame import settings as settings_lib
from experiments.frame.settings import build, preset

_EXPERIMENTS = {
    "ablation": ablation, "adaptation": adaptation, "minimal_input": minimal_input,
    "search_baselines": search_baselines}


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory):
  """Two data sets of ten classes of 100 images each, and a cache of their own."""
  path = tmp_path_factory.mktemp("data")
  with pytest.MonkeyPatch.context() as patch:
    patch.setenv("AZERO_CACHE_DIR", str(path / "cache"))
    for k, name in enumerate(("mnist", "fashion_mnist")):
      source = find_source(name)
      split = random_images(source, dict.fromkeys(range(10), 100), seed=k)
      prepare(source, {"train": split, "test": split}, path)
    yield path


def _config(module, data_dir, tmp_path, **changes):
  settings = {
      "dataset": "mnist", "data_dir": str(data_dir), "output_dir": str(tmp_path),
      "run_name": "run", "progress": "off", "num_devices": 1}
  if "second_dataset" in {field for field in module.Config.PRESETS["smoke"]}:
    settings["second_dataset"] = "fashion_mnist"
  return preset(module.Config, "smoke", **settings | changes)


@pytest.mark.parametrize(("name", "changes", "num_outcomes", "published"), [
    ("search_baselines", {}, 8, "0.671 ± 0.004"),
    ("ablation", {"rows": "0,3,4"}, 3, "0.705 ± 0.001"),
    ("minimal_input", {}, 1, "13 of 20"),
    # Both arms shuffle, so that one executable serves them.
    ("adaptation", {"task_type": "fast_training", "fast_epochs": 2, "num_epochs": 3}, 4,
     "3 of 30"),
    # Compile for long, and do little that fast training does not.
    pytest.param(
        "adaptation", {"task_type": "few_examples", "num_epochs": 1}, 4, "8 of 30",
        marks=pytest.mark.slow),
    pytest.param(
        "adaptation", {"task_type": "multiple_classes"}, 4, "24 of 30", marks=pytest.mark.slow),
])
def test_smoke_presets_write_what_they_promise(
    name, changes, num_outcomes, published, data_dir, tmp_path):
  module = _EXPERIMENTS[name]
  config = _config(module, data_dir, tmp_path, **changes)
  result = module.run(config)
  assert result.complete and len(result.outcomes) == num_outcomes
  directory = tmp_path / "run"
  report = (directory / "report.md").read_text()
  assert published in report and "Every repeat ended." in report
  assert name != "search_baselines" or "Search on mnist and fashion_mnist, F" in report
  assert (directory / "comparison.png").read_bytes()[:4] == b"\x89PNG"
  rows = [json.loads(line) for line in (directory / "outcomes.jsonl").read_text().splitlines()]
  for row, outcome in zip(rows, result.outcomes, strict=True):
    assert trials.Outcome(**row) == outcome
    assert 0 <= outcome.accuracy <= 1
    text.parse(outcome.program, num_features=config.num_features)
    assert outcome.programs >= config.search.max_programs  # of each worker
    assert outcome.train_steps > 0
  for accuracies in result.references.values():
    assert list(accuracies) == [references.LOGISTIC, references.NETWORK]


def test_workers_of_several_numbers_of_features_find_one_candidate(
    data_dir, tmp_path, monkeypatch):
  """In a small space and without what takes executors of its own, which compile for long."""
  monkeypatch.setattr(trials._Judge, "references", lambda judge: {references.NETWORK: 0.75})
  config = _config(minimal_input, data_dir, tmp_path, features="4,8")
  arm = dataclasses.replace(
      minimal_input.make_arm(config), space=spaces.demo(), fingerprint=False, hurdle=False)
  result = trials.run_experiment(
      "several", config, [arm], functools.partial(minimal_input._compare, config, arm))
  assert result.complete and len(result.outcomes) == 1
  text.parse(result.outcomes[0].program, spaces.demo(8))
  directory = tmp_path / "run" / "experiment-001-001"
  metrics = (directory / "metrics.jsonl").read_text().splitlines()
  assert json.loads(metrics[-1])["programs"] >= 4 * 120
  found = (directory / "improvements.jsonl").read_text().splitlines()
  assert {json.loads(line)["num_features"] for line in found} == {4, 8}


def test_references_run_in_the_space_of_the_experiment_if_it_allows_them():
  kind = workers.Kind(
      name="k", datasets=("mnist",), num_features=4, num_tasks=1, num_train=8, num_valid=4)
  for space, own in ((spaces.baseline(4), set()), (spaces.ablation(4), {references.NETWORK})):
    found = references.references(kind, space)
    assert {name for name, program in found.items() if program.space != space} == own
    assert {program.space.num_features for program in found.values()} == {4}


@pytest.mark.parametrize("name", _EXPERIMENTS)
def test_paper_presets_name_the_data_set_that_is_missing(name, tmp_path):
  module = _EXPERIMENTS[name]
  config = preset(
      module.Config, "paper", data_dir=str(tmp_path / "data"), output_dir=str(tmp_path / "runs"))
  with pytest.raises(
      FileNotFoundError, match=r"python -m experiments\.prepare_data --dataset=cifar10"):
    module.run(config)
  assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize("name", _EXPERIMENTS)
def test_paper_presets_start_on_other_data(name, data_dir, tmp_path, monkeypatch, capsys):
  """Up to the second look at the first search, whose estimate is of all searches."""
  module = _EXPERIMENTS[name]
  changes = {
      "dataset": "fashion_mnist", "second_dataset": "mnist", "num_train": 64, "num_valid": 8,
      "examples": "64x1,64x10", "class_train": 64, "class_valid": 8, "binary_train": 64,
      "few_examples": 8, "workers": 2, "tasks": "1,4", "processes": "1,2", "features": "8,16",
      "num_tasks": 4, "num_select": 4}
  fields = settings_lib.leaves(module.Config).keys()
  config = preset(
      module.Config, "paper", data_dir=str(data_dir), output_dir=str(tmp_path), run_name="run",
      repeats_at_once=1, estimate_seconds=1e-9,
      **{key: value for key, value in changes.items() if key in fields})

  class StartedError(Exception):
    """The first search has begun."""

  def start(search, *, should_stop, **settings):
    assert not should_stop(search)  # the first step does not count
    assert not should_stop(search)
    raise StartedError

  monkeypatch.setattr(study.runner, "run", start)
  monkeypatch.setattr(trials._Judge, "references", lambda judge: {})
  with pytest.raises(StartedError):
    module.run(config)
  out = capsys.readouterr().out
  assert "Estimate after 0 s" in out and "days" in out and "GB of memory now" in out


def _stop_after(monkeypatch, cycles):
  """Presses Ctrl-C after so many cycles of the next search."""
  run = study.runner.run

  def stopping(search, **settings):
    def should_stop(search):
      if search.cycle >= cycles:
        signal.raise_signal(signal.SIGINT)
      return False

    monkeypatch.setattr(study.runner, "run", run)
    return run(search, **settings | {"should_stop": should_stop})

  monkeypatch.setattr(study.runner, "run", stopping)


def test_an_experiment_goes_on_after_a_stop(data_dir, tmp_path, monkeypatch, capsys):
  settings = {
      "processes": "2", "methods": "full", "repeats": 2, "repeats_at_once": 1,
      "cycles_per_step": 4, "checkpoint_seconds": 0.0}
  whole = search_baselines.run(
      _config(search_baselines, data_dir, tmp_path, run_name="whole", **settings))
  _stop_after(monkeypatch, 8)
  stopped = search_baselines.run(
      _config(search_baselines, data_dir, tmp_path, run_name="stopped", **settings))
  assert not stopped.complete and len(stopped.outcomes) == 1
  assert "Stopped before its end" in (tmp_path / "stopped" / "report.md").read_text()
  assert f"--resume={tmp_path / 'stopped'}" in capsys.readouterr().out
  assert not (tmp_path / "stopped" / "outcomes.jsonl").exists()
  continued = search_baselines.run(
      study.continued(search_baselines.Config, tmp_path / "stopped"))
  assert continued.complete and continued.outcomes == whole.outcomes
  again = search_baselines.run(study.continued(search_baselines.Config, tmp_path / "stopped"))
  assert again.outcomes == whole.outcomes
  with pytest.raises(ValueError, match="have ended with --max_programs=120"):
    search_baselines.run(
        study.continued(search_baselines.Config, tmp_path / "stopped", max_programs=100))
  with pytest.raises(ValueError, match="have ended with --patience=None, so that the others"):
    search_baselines.run(
        study.continued(search_baselines.Config, tmp_path / "stopped", patience=100))
  with lock.locked(tmp_path / "stopped"):
    with pytest.raises(BlockingIOError, match="under way in another process"):
      search_baselines.run(study.continued(search_baselines.Config, tmp_path / "stopped"))


def test_searches_that_were_killed_before_they_had_a_file_are_begun(tmp_path):
  directory, arm = RunDirectory(tmp_path / "run", {"seed": 3}), types.SimpleNamespace(name="full-1")
  (directory.path / "full-1-002-004").mkdir()
  (directory.path / "full-1-002-004" / "config.json.tmp").write_text("{")
  begun = trials._batch_directory(directory, arm, range(1, 4))
  assert not begun.resumed and begun.path == directory.path / "full-1-002-004"
  assert trials._batch_directory(directory, arm, range(1, 4)).resumed


def test_ended_repeats_go_on_with_a_larger_budget(data_dir, tmp_path, monkeypatch):
  """Without the references, which take executors of their own."""
  monkeypatch.setattr(trials._Judge, "references", lambda judge: {
      references.LOGISTIC: 0.9, references.NETWORK: 0.95})
  settings = {
      "processes": "1", "repeats": 3, "cycles_per_step": 4, "max_train_steps": "none"}

  def run(name, **changes):
    return search_baselines.run(_config(
        search_baselines, data_dir, tmp_path, run_name=name, **settings | changes))

  first, whole = run("run"), run("whole", max_programs=200)
  grown = search_baselines.run(
      study.continued(search_baselines.Config, tmp_path / "run", max_programs=200))
  assert grown.complete and grown.outcomes == whole.outcomes
  assert grown.earlier == {"120 programs": first.outcomes} and not whole.earlier
  assert {outcome.programs for outcome in grown.outcomes} == {200}
  report = (tmp_path / "run" / "report.md").read_text()
  assert report.count("| 120 programs | 3 | 120 |") == 2  # Basic and Full
  assert report.count("| 200 programs | 3 | 200 |") == 2
  assert report.count("| 120 programs | 200 programs | 3 |") == 2
  assert report.count("| 1 | 120 programs |") == report.count("| 1 | 200 programs |") == 1


@pytest.mark.parametrize(("changes", "error", "message"), [
    ({"second_dataset": "svhn_cropped"}, FileNotFoundError,
     "prepare_data --dataset=svhn_cropped"),
    ({"hurdle": 2.0}, ValueError, "hurdle"),
    ({"mutations": "swap"}, ValueError, r"Unknown mutations \['swap'\]; choose from alter"),
    ({"migration_every": 0}, ValueError, "every"),
    ({"task_sets": 10**9, "repeats": 10**9, "repeats_at_once": 10**9, "num_train": 80}, ValueError,
     r"The tasks of all workers take about .* GB of memory: use fewer --task_sets"),
    ({"num_devices": 99}, ValueError, "num_devices must be from 1 to"),
    ({"num_select": 451}, ValueError, "--num_select must be at most 450"),
])
def test_what_would_fail_a_later_arm_is_told_before_anything_is_made(
    changes, error, message, data_dir, tmp_path):
  with pytest.raises(error, match=message):
    ablation.run(_config(ablation, data_dir, tmp_path, **changes))
  assert not (tmp_path / "run").exists()


def test_rows_of_the_ablation_add_one_upgrade_each():
  arms = ablation.make_arms(ablation.Config())
  upgrades = [
      (arm.migration, arm.fingerprint, len(arm.kinds) == 2, arm.hurdle) for arm in arms]
  assert upgrades == [
      (False, False, False, False), (True, False, False, False), (True, True, False, False),
      (True, True, True, False), (True, True, True, True), (True, True, False, False)]
  datasets = [[kind.datasets for kind in arm.kinds] for arm in arms]
  assert datasets == [[("cifar10",)]] * 3 + [[("cifar10",), ("mnist",)]] * 2 + [[("mnist",)]]
  assert {(arm.workers, arm.select.datasets, arm.select.num_epochs) for arm in arms} == {
      (1000, ("cifar10",), 10)}


def test_basic_lacks_what_full_has():
  arms = {arm.name: arm for arm in search_baselines.make_arms(search_baselines.Config())}
  assert list(arms) == ["basic-1", "basic-10", "basic-100", "full-1", "full-10", "full-100"]
  for name, arm in arms.items():
    assert (arm.fingerprint, arm.hurdle) == (name.startswith("full"),) * 2
    assert arm.migration and arm.workers == int(name.split("-")[1])
  assert [kind.datasets for kind in arms["full-1"].kinds] == [("cifar10", "mnist")]
  assert [kind.datasets for kind in arms["full-10"].kinds] == [("cifar10",), ("mnist",)]
  assert [kind.datasets for kind in arms["basic-10"].kinds] == [("cifar10",)]


def test_minimal_input_has_the_papers_grid():
  arm = minimal_input.make_arm(minimal_input.Config())
  cells = {
      (*kind.datasets, kind.num_train, kind.num_epochs, kind.num_tasks, kind.num_features)
      for kind in arm.kinds}
  assert len(cells) == len(arm.kinds) == 2 * 3 * 2 * 3
  assert ("mnist", 800, 10, 1, 256) in cells and ("cifar10", 8000, 1, 10, 8) in cells


@pytest.mark.parametrize("num_workers", [1, 2, 5, 6])
def test_workers_are_divided_evenly(data_dir, tmp_path, num_workers):
  config = _config(
      minimal_input, data_dir, tmp_path, workers=num_workers, tasks="1,2", repeats=12)
  arm = minimal_input.make_arm(config)
  search = Federation(*workers.groups_of(config, arm, range(12)))
  sizes = [len(group.task_sets) for group in search.groups]
  assert sum(sizes) == 12 * num_workers and max(sizes) - min(sizes) <= 2
  assert collections.Counter(search.experiments.tolist()) == dict.fromkeys(
      range(12), num_workers)


def test_repeats_have_the_same_tasks_in_whatever_batches_they_run(data_dir, tmp_path):
  config = _config(search_baselines, data_dir, tmp_path, task_sets=4, repeats=4)
  arm = search_baselines.make_arms(config)[0]

  def tasks_of(repeats):
    groups, _ = workers.groups_of(config, arm, repeats)
    return [tasks for group in groups for tasks in group.task_sets]

  together = tasks_of(range(4))
  alone = [tasks_of([repeat])[0] for repeat in range(4)]
  assert [tasks.seeds.tolist() for tasks in alone] == [tasks.seeds.tolist() for tasks in together]
  assert len({tuple(tasks.seeds.tolist()) for tasks in alone}) == 4


def test_search_tasks_mix_the_data_sets_of_a_kind(data_dir, tmp_path):
  config = _config(search_baselines, data_dir, tmp_path)
  kind = workers.Kind(
      name="both", datasets=("mnist", "fashion_mnist"), num_features=8, num_tasks=3,
      num_train=40, num_valid=20)
  one, other = (workers.search_tasks(config, kind, number) for number in (0, 1))
  assert len(one) == 3 and not np.array_equal(one.train_x, other.train_x)
  alone = workers.search_tasks(
      config, workers.Kind(**{**vars(kind), "datasets": ("mnist",)}), 0)
  np.testing.assert_array_equal(one.train_x[:2], alone.train_x[:2])
  assert not np.array_equal(one.train_x[2], alone.train_x[2])


def test_programs_are_judged_on_other_tasks_than_those_they_are_chosen_on(data_dir, tmp_path):
  config = _config(ablation, data_dir, tmp_path)
  choose, judge = workers.select_tasks(config, ablation.make_arms(config)[0].select)
  both = np.concatenate([choose.seeds, judge.seeds])
  assert len(choose) == len(judge) == config.num_select and len(set(both.tolist())) == len(both)
  every = paper_tasks.select_tasks(
      "mnist", 4, workers._seed(config.search.seed, workers._SELECT), 16, num_train=40,
      num_valid=20, data_dir=data_dir)
  np.testing.assert_array_equal(every.seeds, both)


def test_references_are_tried_with_rates_from_a_hundredth_to_a_hundred_times():
  kind = workers.Kind(
      name="k", datasets=("mnist",), num_features=4, num_tasks=1, num_train=8, num_valid=4)
  network = references.references(kind, spaces.baseline(4))[references.NETWORK]
  tried = trials.with_rates(network)
  rates = {float(row[row.nonzero()[0][-1]]) for row in tried.constants[:, 2, :]}
  assert len(tried) == 9
  np.testing.assert_allclose(sorted(rates), 0.01 * np.logspace(-2, 2, 9))
  np.testing.assert_array_equal(tried.constants[:, :2], network.constants[[0] * 9, :2])


@pytest.mark.parametrize("given", ["", "0", "1,1", "1;2", "-3", "ten"])
def test_lists_of_numbers_are_checked(given):
  with pytest.raises(ValueError, match="--processes must list different numbers from 1"):
    settings_lib.numbers("processes", given)


def test_lists_of_names_are_checked():
  assert settings_lib.choices("methods", "full, basic", ("basic", "full")) == ("full", "basic")
  with pytest.raises(ValueError, match="--methods must list some of basic,full"):
    settings_lib.choices("methods", "best", ("basic", "full"))


@pytest.mark.parametrize("given", ["", "800", "800x0", "x1", "8x1,9y2", f"{'9' * 5000}x1"])
def test_lists_of_examples_are_checked(given):
  with pytest.raises(ValueError, match="--examples must list training examples and epochs"):
    minimal_input.make_arm(build(minimal_input.Config, examples=given))


def test_populations_start_from_a_given_program(data_dir, tmp_path):
  file = tmp_path / "mine.txt"
  code = "def Setup():\ndef Predict():\n  s1 = dot(v0, v1)\ndef Learn():\n  v1 = s0 * v0\n"
  for name, module in _EXPERIMENTS.items():
    make = module.make_arm if name == "minimal_input" else module.make_arms
    config = _config(module, data_dir, tmp_path, warm_start=str(file))
    file.write_text(code)
    arms = [make(config)] if name == "minimal_input" else make(config)
    for arm in arms:
      assert arm.template == text.parse(code, arm.space)
      groups, _ = workers.groups_of(config, arm, [0])
      assert all(group.template == arm.template for group in groups)
    file.write_text(code.replace("s1", "s2"))
    with pytest.raises(ValueError, match=r"mine.txt predicts nothing in tasks of two classes"):
      make(config)


def test_the_control_of_ten_classes_has_its_own_start(data_dir, tmp_path):
  file = tmp_path / "ten.txt"
  file.write_text("def Setup():\ndef Predict():\n  v2 = v0 + v3\ndef Learn():\n")
  config = _config(
      adaptation, data_dir, tmp_path, task_type="multiple_classes", warm_start=str(file))
  experiment, control = adaptation.make_arms(config)
  assert experiment.template == text.parse(file.read_text(), experiment.space)
  assert control.template == text.parse(zoo.source("figure_5"), control.space)
  with pytest.raises(ValueError, match="figure_5 predicts nothing in tasks of ten classes"):
    adaptation.make_arms(dataclasses.replace(config, warm_start="figure_5"))


def test_motifs_are_looked_for_over_the_same_examples_in_the_control(monkeypatch):
  watched = []
  monkeypatch.setattr(
      adaptation_motifs.motifs, "find_motifs",
      lambda program, *, multiclass, num_examples: watched.append(num_examples) or [])
  config = build(
      adaptation.Config, num_train=200, fast_epochs=2, num_epochs=20, motif_trials=0)
  arms = adaptation.make_arms(config)
  outcomes = [
      trials.Outcome(arm.name, 0, zoo.source("figure_5"), 0.5, 0.5, 0.5, 1, 1) for arm in arms]
  adaptation._compare(config, arms, trials.Trials(
      outcomes, {arm.name: {references.NETWORK: 0.9} for arm in arms}, True, 1.0))
  assert watched == [400, 400]


@pytest.mark.slow
@pytest.mark.parametrize("task_type", adaptation.PAPER)
def test_what_a_motif_is_worth_is_measured_on_other_tasks(task_type, data_dir, tmp_path):
  motif = adaptation_motifs.MOTIFS[task_type]
  config = _config(
      adaptation, data_dir, tmp_path, task_type=task_type, num_select=3, num_features=10,
      num_epochs=1)
  arms = adaptation.make_arms(config)
  found = adaptation_worth.measure(config, arms, motif, num_trials=8, num_tunings=2)
  assert [each.arm for each in found] == ["Experiment", "Control"]
  for each, arm in zip(found, arms):
    assert (each.num_tasks, len(each.tunings)) == (3, 2)
    assert each.gain.estimate == pytest.approx(each.fitness - each.start)
    assert each.gain.estimate == pytest.approx(np.mean(each.tunings))
    multiclass = arm.select.ten_classes
    program = text.parse(each.program, num_features=10, multiclass=multiclass)
    names = [item.name for item in motifs.find_motifs(program, multiclass=multiclass)]
    # A schedule may have been tuned to fall over more examples than are looked at.
    assert set(names) <= {motif} and (names or motif == motifs.RATE_DECAY)
  again = adaptation_worth.measure(config, arms[:1], motif, num_trials=8, num_tunings=2)
  assert again == found[:1]


def test_constants_are_only_exchanged_for_better_ones():
  """A bench whose fitness is how near the first constant is to three."""

  class Toy:
    def measure(self, codes):
      near = [-abs(surgery.spots(code)[0].value - 3.0) for code in codes]
      sizes.append(len(codes))
      return types.SimpleNamespace(per_task=np.array(near).reshape(-1, 1, 1))

  sizes: list[int] = []
  code = surgery.take_apart(
      text.parse("def Setup():\n  s2 = 0.1\n  s3 = 7.0\n", num_features=2))
  tuned = adaptation_worth._tuned(Toy(), code, 400, np.random.default_rng(0))
  assert sizes == [101] * 4
  assert surgery.spots(tuned)[0].value == pytest.approx(3.0, abs=0.2)
  assert surgery.spots(code)[0].value == 0.1
  assert adaptation_worth._tuned(Toy(), code, 0, np.random.default_rng(0)) == code


@pytest.mark.parametrize(("low", "high", "tunings", "verdict"), [
    (0.01, 0.03, (0.02, 0.021, 0.019), "pays"), (-0.03, -0.01, (-0.02, -0.021), "costs"),
    (-0.01, 0.03, (0.01, 0.011, 0.009), "not decided"),
    (0.01, 0.03, (0.07, -0.03, 0.02), "not decided"),  # luck of the tunings
    (0.01, 0.03, (0.02,), "pays")])
def test_a_motif_pays_if_tasks_and_tunings_say_so(low, high, tunings, verdict):
  gain = statistics.Interval(float(np.mean(tunings)), low, high)
  worth = adaptation_worth.Worth(
      "Experiment", "noisy ReLU", 0.8, 0.8 + gain.estimate, gain, tunings, "def Setup():\n", 9)
  assert worth.verdict == verdict
  assert verdict in adaptation_worth.table([worth])
  line = json.loads(adaptation_worth.lines([worth]))
  assert (line["verdict"], line["tunings"]) == (verdict, list(tunings))


def test_trials_are_shared_out_among_the_rounds():
  for count in (-4, 6):
    with pytest.raises(ValueError, match=f"must be 0 or a multiple of 4, got {count}"):
      adaptation.make_arms(build(adaptation.Config, motif_trials=count))


def test_one_process_of_the_full_method_needs_two_tasks():
  with pytest.raises(ValueError, match="--num_tasks must be at least 2 for a single process"):
    search_baselines.make_arms(build(search_baselines.Config, num_tasks=1))
  search_baselines.make_arms(build(search_baselines.Config, num_tasks=1, methods="basic"))
  search_baselines.make_arms(build(search_baselines.Config, num_tasks=1, processes="10"))


def test_a_report_shows_the_best_program_of_the_experiment_not_of_its_control(tmp_path):
  config = build(adaptation.Config, task_type="multiple_classes", output_dir=str(tmp_path))
  arms = adaptation.make_arms(config)
  network = starts.NETWORK_OF_CLASSES
  outcomes = [
      trials.Outcome("experiment", 3, network, 0.5, 0.5, 0.5, 1, 1),
      trials.Outcome("control", 0, "def Setup():\ndef Predict():\n  s1 = 0.5\ndef Learn():\n",
                     0.9, 0.9, 0.9, 1, 1)]
  directory = study.open_directory("adaptation", config)
  settings = [comparison_plot.Setting(arm.title, [0.5]) for arm in arms]
  trials.conclude(
      config, arms, directory, trials.Trials(outcomes, {}, True, 1.0), trials.Comparison(
          title="Title", summary=[], tables=[], settings=settings, label="accuracy",
          picture_title="", files={"motifs.jsonl": "{}\n"}))
  assert (directory.path / "motifs.jsonl").read_text() == "{}\n"
  report = (directory.path / "report.md").read_text()
  assert "The program below is of 'Experiment', repeat 4." in report
  live = report.partition("without dead instructions")[2].partition("as evolved")[0]
  assert "v2 = dot(m1, v4)" in live and "s1 = 0.5" not in live


def test_the_estimate_is_shown_once_for_each_setting(data_dir, tmp_path, capsys, monkeypatch):
  config = _config(
      ablation, data_dir, tmp_path, rows="0,2", estimate_seconds=1e-3, repeats=2,
      repeats_at_once=1, cycles_per_step=8)
  monkeypatch.setattr(trials._Judge, "references", lambda judge: {references.NETWORK: 1.0})
  ablation.run(config)
  first, second = capsys.readouterr().out.split("Estimate after ")[1:]
  assert "the 2 searches for 'Row 0: baseline'" in first
  assert "the 4 searches of this experiment, if those of other settings cost as much," in first
  assert "the 2 searches for 'Row 2: + functional equivalence checking'" in second
  assert "GB of memory now" in second
