"""The experiments on image tasks: smoke presets on tiny data sets, and what they compare."""

import collections
import json
import signal

import numpy as np
import pytest
from tiny_tfds import prepare, random_images

from azero.language import text
from azero.search.federation import Federation
from azero.tasks import images
from azero.tasks.image_sources import find_source
from experiments import (
  ablation,
  adaptation,
  common,
  minimal_input,
  references,
  search_baselines,
  trials,
  workers,
)

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
  return common.preset(module.Config, "smoke", **settings | changes)


@pytest.mark.parametrize(("name", "changes", "num_outcomes", "published"), [
    # By default the test of a stop runs it.
    pytest.param(
        "search_baselines", {}, 8, "0.671 ± 0.004", marks=pytest.mark.slow),
    ("ablation", {"rows": "0,3,4"}, 3, "0.705 ± 0.001"),
    # All 58 ops take long to compile.
    pytest.param("minimal_input", {}, 1, "13 of 20", marks=pytest.mark.slow),
    pytest.param(
        "adaptation", {"task_type": "fast_training"}, 4, "3 of 30", marks=pytest.mark.slow),
    pytest.param(
        "adaptation", {"task_type": "few_examples"}, 4, "8 of 30", marks=pytest.mark.slow),
    pytest.param(
        "adaptation", {"task_type": "multiple_classes", "num_features": 10}, 4, "24 of 30",
        marks=pytest.mark.slow),
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
  assert (directory / "comparison.png").read_bytes()[:4] == b"\x89PNG"
  rows = [json.loads(line) for line in (directory / "outcomes.jsonl").read_text().splitlines()]
  for row, outcome in zip(rows, result.outcomes, strict=True):
    assert trials.Outcome(**row) == outcome
    assert 0 <= outcome.accuracy <= 1
    text.parse(outcome.program, num_features=config.num_features)
    assert outcome.programs >= config.max_programs  # of each worker
    assert outcome.train_steps > 0
  for accuracies in result.references.values():
    assert list(accuracies) == [references.LOGISTIC, references.NETWORK]


def _stop_after(monkeypatch, cycles):
  """Presses Ctrl-C after so many cycles of the next search."""
  run = trials.runner.run

  def stopping(search, **settings):
    def should_stop(search):
      if search.cycle >= cycles:
        signal.raise_signal(signal.SIGINT)
      return False

    monkeypatch.setattr(trials.runner, "run", run)
    return run(search, **settings | {"should_stop": should_stop})

  monkeypatch.setattr(trials.runner, "run", stopping)


def test_an_experiment_goes_on_after_a_stop(data_dir, tmp_path, monkeypatch, capsys):
  settings = {
      "processes": "2", "methods": "full", "repeats": 2, "repeats_at_once": 1,
      "cycles_per_step": 1, "checkpoint_seconds": 0.0}
  whole = search_baselines.run(
      _config(search_baselines, data_dir, tmp_path, run_name="whole", **settings))
  _stop_after(monkeypatch, 6)
  stopped = search_baselines.run(
      _config(search_baselines, data_dir, tmp_path, run_name="stopped", **settings))
  assert not stopped.complete and len(stopped.outcomes) == 1
  assert "Stopped before its end" in (tmp_path / "stopped" / "report.md").read_text()
  assert f"--resume={tmp_path / 'stopped'}" in capsys.readouterr().out
  assert not (tmp_path / "stopped" / "outcomes.jsonl").exists()
  continued = search_baselines.run(
      common.continued(search_baselines.Config, tmp_path / "stopped"))
  assert continued.complete and continued.outcomes == whole.outcomes
  again = search_baselines.run(common.continued(search_baselines.Config, tmp_path / "stopped"))
  assert again.outcomes == whole.outcomes
  with pytest.raises(ValueError, match="have ended with --max_programs=120"):
    search_baselines.run(
        common.continued(search_baselines.Config, tmp_path / "stopped", max_programs=240))


@pytest.mark.parametrize(("changes", "error", "message"), [
    ({"second_dataset": "svhn_cropped"}, FileNotFoundError,
     "prepare_data --dataset=svhn_cropped"),
    ({"hurdle": 2.0}, ValueError, "hurdle"),
    ({"num_select": 451}, ValueError, "--num_select must be at most 450"),
])
def test_what_would_fail_a_later_arm_is_told_before_anything_is_made(
    changes, error, message, data_dir, tmp_path):
  config = _config(ablation, data_dir, tmp_path, **changes)
  with pytest.raises(error, match=message):
    ablation.run(config)
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
  every = images.select_tasks("mnist", 4, workers._seed(config.seed, workers._SELECT), 16,
                              num_train=40, num_valid=20, data_dir=data_dir)
  np.testing.assert_array_equal(every.seeds, both)


def test_references_are_tried_with_rates_from_a_hundredth_to_a_hundred_times():
  kind = workers.Kind(
      name="k", datasets=("mnist",), num_features=4, num_tasks=1, num_train=8, num_valid=4)
  network = references.references(kind)[references.NETWORK]
  tried = trials.with_rates(network)
  rates = {float(row[row.nonzero()[0][-1]]) for row in tried.constants[:, 2, :]}
  assert len(tried) == 9
  np.testing.assert_allclose(sorted(rates), 0.01 * np.logspace(-2, 2, 9))
  np.testing.assert_array_equal(tried.constants[:, :2], network.constants[[0] * 9, :2])


@pytest.mark.parametrize("given", ["", "0", "1,1", "1;2", "-3", "ten"])
def test_lists_of_numbers_are_checked(given):
  with pytest.raises(ValueError, match="--processes must list different numbers from 1"):
    common.numbers("processes", given)


def test_lists_of_names_are_checked():
  assert common.choices("methods", "full, basic", ("basic", "full")) == ["full", "basic"]
  with pytest.raises(ValueError, match="--methods must list some of basic,full"):
    common.choices("methods", "best", ("basic", "full"))


@pytest.mark.parametrize("given", ["800", "800x0", "x1", "8x1,9y2"])
def test_lists_of_examples_are_checked(given):
  with pytest.raises(ValueError, match="--examples must list training examples and epochs"):
    minimal_input.make_arm(minimal_input.Config(examples=given))


def test_a_report_shows_the_best_program_of_the_experiment_not_of_its_control(tmp_path):
  config = adaptation.Config(task_type="multiple_classes", output_dir=str(tmp_path))
  arms = adaptation.make_arms(config)
  network = references.ten_class_network()
  outcomes = [
      trials.Outcome("experiment", 3, network, 0.5, 0.5, 0.5, 1, 1),
      trials.Outcome("control", 0, "def Setup():\ndef Predict():\n  s1 = 0.5\ndef Learn():\n",
                     0.9, 0.9, 0.9, 1, 1)]
  directory = config.directory("adaptation")
  trials.conclude(
      config, arms, directory, trials.Trials(outcomes, {}, True, 1.0), title="Title", summary=[],
      tables=[], picture=None)
  report = (directory.path / "report.md").read_text()
  assert "The program below is of 'Experiment', repeat 4." in report
  live = report.partition("without dead instructions")[2].partition("as evolved")[0]
  assert "v2 = dot(m1, v4)" in live and "s1 = 0.5" not in live


def test_the_estimate_of_a_continued_search_leaves_out_what_came_before(monkeypatch, capsys):
  class Search:
    counts = trials.Counts(programs=1000, train_steps=1_000_000)
    searches = ()

    def budget_left(self):
      return {"train_steps": 10**12, "programs": 100 * 600}

  now = [0.0]
  monkeypatch.setattr(trials.time, "monotonic", lambda: now[0])
  estimate, search = trials.Estimate(5.0, 1, continued=True), Search()
  now[0] = 10.0
  assert not estimate(search)
  now[0] = 20.0
  search.counts = trials.Counts(programs=2000, train_steps=2_000_000)
  assert not estimate(search)
  out = capsys.readouterr().out
  assert "at 100,000 training steps a second this search takes 10.3 minutes" in out


def test_the_estimate_is_shown_once(data_dir, tmp_path, capsys):
  config = _config(
      ablation, data_dir, tmp_path, rows="2", estimate_seconds=1e-3, repeats=2,
      repeats_at_once=1)
  ablation.run(config)
  out = capsys.readouterr().out
  assert out.count("Estimate after") == 1
  assert "the 2 searches of this experiment" in out and "GB of memory now" in out
