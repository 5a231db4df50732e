"""The benchmark: fair programs, honest counts, and the files it promises."""

import dataclasses
import functools
import json
import time

import numpy as np
import pytest

from azero.compiler import canonical
from azero.executors.evaluator import Evaluator
from azero.language import ops, spaces, text, zoo
from azero.language.program import EMPTY, Function
from azero.search.threads import in_threads
from experiments import benchmark
from experiments.benchmarks import (
    benchmark_parts,
    benchmark_programs,
    benchmark_report,
    device_rates,
    measuring,
    searches,
)
from experiments.frame import linear_demo
from experiments.frame.settings import build

_EFFORT = measuring.Effort(seconds=0.005, runs=1)
# Two columns of independent instructions, with reads before and after writes of one address.
_NETWORK = """
def Setup():
  s2 = 0.1
  v1[0.2] = 0.3
  v2[0.7] = 0.4
  s3 = 0.2
def Predict():
  s4 = dot(v0, v1)
  s5 = dot(v0, v2)
  v3 = s2 * v0
  s1 = s4 + s5
  s4 = s2 * s3
  v4 = maximum(v3, v0)
def Learn():
  s6 = s0 - s1
  s6 = s6 * s4
  v5 = s6 * v4
  v1 = v1 + v5
  v6 = s6 * v3
  v2 = v2 + v6
  s3 = minimum(s3, s2)
"""


@pytest.fixture(autouse=True)
def _small_batches(monkeypatch):
  monkeypatch.setattr(device_rates, "_BATCH_WORK", 1.0)


@pytest.fixture(scope="module")
def network():
  """An evaluator for the plain neural network."""
  return Evaluator(
      zoo.load("plain_nn", 4).space, device_rates.scaled_tasks(2, 4, 30, 10), num_devices=1)


@pytest.fixture(scope="module")
def small_search():
  """The demo search, small, and compiled once for all tests."""
  return linear_demo.make_search(
      dataclasses.replace(linear_demo.SEARCH, population_size=20, cycles_per_step=20), islands=2)


def test_another_legal_order_changes_no_result():
  program = text.parse(_NETWORK, num_features=4)
  programs = benchmark_programs.reordered(
      program[np.zeros(64, int)], np.random.default_rng(0)).validate()
  orders = {tuple(row) for row in programs.opcode.tolist()}
  assert len(orders) > 20
  for one in programs.opcode:
    assert sorted(one) == sorted(program.opcode[0])
  tasks = device_rates.scaled_tasks(2, 4, 30, 10)
  fitness = Evaluator(program.space, tasks, num_devices=1).evaluate(programs).fitness
  assert 0 < fitness[0] < 1
  np.testing.assert_allclose(fitness, fitness[0], rtol=1e-6)


def test_reordering_keeps_what_reads_behind_what_writes(network):
  program = zoo.load("plain_nn", 4)
  programs = benchmark_programs.reordered(program[np.zeros(200, int)], np.random.default_rng(1))
  setup = program.space.slots(Function.SETUP)
  # A random op draws by its position, so that only the others can be compared.
  same = programs[(programs.opcode[:, setup] == program.opcode[:, setup]).all(1)]
  assert (same.opcode != program.opcode).any()
  fitness = network.evaluate(same).fitness
  np.testing.assert_allclose(fitness, fitness[0], rtol=1e-6)
  # The linear regressor has no other order.
  linear = zoo.load("linear_regressor", 4)
  assert benchmark_programs.reordered(linear, np.random.default_rng(0)) == linear


def test_variants_differ_in_constants_and_are_distinct():
  program = zoo.load("linear_regressor", 4)
  programs = benchmark_programs.variants(program, 50, seed=3).validate()
  rates = programs.constants[:, 0, 0]
  assert len(set(rates)) == 50
  assert 0.0005 <= rates.min() and rates.max() <= 0.001
  assert len(benchmark_programs.distinct(programs)) == 50
  np.testing.assert_array_equal(programs.constants[:, 1:], 0)


@pytest.mark.parametrize("kind", ["scalar", "vector"])
def test_all_instructions_of_a_chain_are_live(kind):
  program = benchmark_programs.chain(kind, 7, 4)
  analysis = canonical.analyse(program)
  assert analysis.live[0].sum() == (program.opcode[0] != EMPTY).sum()
  assert program.lengths[0, Function.LEARN] == 7


def test_a_repeated_op_adds_its_executions():
  op = ops.op_by_name("matrix_vector_product")
  space = benchmark_programs.op_space([op], 4)
  one, without = (
      benchmark_programs.repeated_op(each, op, 5, space, 3, 0) for each in (op, None))
  assert (one.opcode == op.id).sum(1).tolist() == [5, 5, 5]
  assert (one.lengths - without.lengths).tolist() == [[0, 0, 5]] * 3


def test_every_counted_step_was_trained(network):
  programs = benchmark_programs.variants(zoo.load("plain_nn", 4), 24, 0)
  rates = measuring.measure_batch(network, programs, _EFFORT)
  assert rates.steps == 24 * 2 * 30 and rates.trained == 1.0
  assert rates.device > 0 and rates.end_to_end > 0


def test_steps_that_were_not_trained_do_not_count(network):
  programs = benchmark_programs.variants(zoo.load("plain_nn", 4), 24, 0)
  programs.constants[3, : programs.space.offsets[1]] = 1e6  # weights and a rate that explode
  rates = measuring.measure_batch(network, programs, _EFFORT)
  assert 23 * 2 * 30 <= rates.steps < 24 * 2 * 30 and rates.trained == pytest.approx(23 / 24)


def test_evolved_programs_are_distinct():
  rng = np.random.default_rng(0)
  programs = benchmark_programs.random_population(spaces.demo(), 100, 0)
  again = benchmark_programs.distinct(programs[rng.integers(len(programs), size=300)])
  keys = canonical.analyse(again).key
  assert len(np.unique(keys, axis=0)) == len(again) <= len(programs) <= 100


def test_stages_are_those_of_what_was_called(network, small_search):
  small_search.step()
  shares = measuring.stage_shares(small_search, 0.1)
  assert tuple(shares) == measuring.STAGES and sum(shares.values()) == pytest.approx(1)
  assert all(share >= 0 for share in shares.values())
  assert shares["other"] < 0.5


def test_waiting_for_a_thread_is_no_commit():
  class Search:
    def step(self):
      in_threads([lambda: None, functools.partial(time.sleep, 0.2)])

  shares = measuring.stage_shares(Search(), 0.1)
  assert shares["wait for threads"] > 0.9


def _small(islands, seed):
  """What `small_search` searches."""
  group = linear_demo.make_group(
      dataclasses.replace(
          linear_demo.SEARCH, population_size=20, cycles_per_step=20, seed=seed), islands=islands)
  return group.space, group.task_sets, group.config


@pytest.fixture
def _small_searches(monkeypatch):
  monkeypatch.setattr(searches, "_WARM_UP", 0.0)
  monkeypatch.setattr(searches, "SEARCHES", {"some": functools.partial(_small, 2)})


def test_searches_are_what_their_names_say(monkeypatch):
  monkeypatch.setattr(searches, "_S10_EXAMPLES", (40, 20))
  made = {name: make(0) for name, make in searches.SEARCHES.items()}
  assert {name: len(sets) for name, (_, sets, _) in made.items()} == {
      "demo": 32, "demo_1": 1, "digits": 8, "basic_1": 1, "basic_24": 24, "fec_1": 1,
      "fec_24": 24, "table": 8}
  for name, (space, sets, config) in made.items():
    assert all(len(tasks) == 10 for tasks in sets)
    assert space.num_features == {"d": 4, "b": 16, "f": 16, "t": 30}[name[0]] or name == "digits"
    assert not config.bounded
    assert config.fingerprint == config.canonical_cache == ("basic" not in name)
    assert config.hurdle == (0.1 if "fec" in name else None)
  # Both classes are there, and no two tasks are alike.
  for name in ("fec_24", "table"):
    labels = np.concatenate([tasks.train_y for tasks in made[name][1]])
    assert set(np.unique(labels)) == {0, 1} and len(np.unique(labels, axis=0)) == len(labels)


def _tiny(tmp_path, **changes):
  settings = {
      "seconds": 0.005, "runs": 1, "num_train": 20, "num_valid": 10, "warm_up_seconds": 0.0,
      "search_seconds": 0.1, "output_dir": str(tmp_path), "run_name": "run"}
  return build(benchmark.Config, **settings | changes)


def test_quick_writes_exactly_the_headline_figures(
    tmp_path, monkeypatch, small_search, _small_searches):
  monkeypatch.setattr(benchmark_parts, "_demo_search", lambda config: small_search)
  assert benchmark_parts._QUICK_FEATURES == (4, 8, 16)
  monkeypatch.setattr(benchmark_parts, "_QUICK_FEATURES", (4, 8))
  monkeypatch.setattr(benchmark_parts, "_QUICK_TASKS", 2)
  monkeypatch.setattr(device_rates, "PROGRAMS", {
      "linear": "linear_regressor", "neural_net": "linear_regressor"})  # which compiles sooner
  file = tmp_path / "quick.json"
  benchmark.run(_tiny(tmp_path, quick=True, json=str(file)))
  figures = json.loads(file.read_text())
  assert set(figures) == {"steps_per_second", "demo", "searches"}
  assert set(figures["steps_per_second"]) == {"linear", "neural_net"}
  for rates in figures["steps_per_second"].values():
    assert set(rates) == {"4", "8"}
    assert all(rate > 0 for rate in rates.values())
  assert set(figures["demo"]) == {"programs_per_second", "num_devices"}
  assert figures["demo"]["programs_per_second"] > 0
  assert figures["demo"]["num_devices"] == 2
  assert set(figures["searches"]) == {"some"}
  row = figures["searches"]["some"]
  assert set(row) == {
      "programs_per_second", "train_steps_per_second", "device_idle_share", "num_devices"}
  assert row["programs_per_second"] > 0 and row["train_steps_per_second"] > 0
  assert 0 < row["device_idle_share"] < 1 and row["num_devices"] == 2
  assert not (tmp_path / "run").exists()


def test_parts_are_measured_and_saved(tmp_path, monkeypatch, small_search, _small_searches):
  monkeypatch.setattr(benchmark_parts, "_demo_search", lambda config: small_search)
  op_costs = device_rates.op_costs
  few = [ops.op_by_name(name) for name in ("scalar_exp", "vector_uniform")]
  monkeypatch.setattr(device_rates, "op_costs", lambda *args, **kwargs: op_costs(
      *args, **kwargs | {"ops": few, "num_programs": 4}))
  results = benchmark.run(_tiny(tmp_path, parts="demo,searches,ops", op_features="3"))
  directory = tmp_path / "run"
  assert (directory / "benchmark.png").read_bytes()[:4] == b"\x89PNG"
  saved = json.loads((directory / "benchmark.json").read_text())
  assert saved == json.loads(json.dumps(results))
  for stages in (saved["demo"]["stages"], saved["searches"]["some"]["stages"]):
    assert tuple(stages) == measuring.STAGES and sum(stages.values()) == pytest.approx(1)
    assert all(stages[name] > 0 for name in (
        "propose", "caches", "schedule", "launch", "devices", "commit"))
  assert {row["op"] for row in saved["ops"]} == {
      "scalar_sum", "vector_sum", "matrix_sum", "scalar_exp", "vector_uniform"}
  assert all(row["ns_per_element"] >= 0 for row in saved["ops"])
  report = (directory / "report.md").read_text()
  assert "python -m experiments.benchmark --" in report and "jaxlib" in report
  assert "## Searches" in report and "programs per second" in report
  assert "| vector_uniform | vector |" in report


@pytest.mark.slow  # compiles for long
def test_growth_varies_one_size_at_a_time(monkeypatch):
  monkeypatch.setattr(device_rates, "PROGRAMS", {"linear": "linear_regressor"})
  rows = list(device_rates.growth([2], [5], 4, 2, _EFFORT))
  assert [(row["varied"], row["program"]) for row in rows] == [
      ("length", "scalar chain"), ("length", "vector chain"), ("examples", "linear")]
  assert rows[-1]["train"] == 5
  assert all(row["ns_per_step"] > 0 and row["trained"] == 1 for row in rows)
  assert benchmark_report.tables({"growth": rows}, "growth")[0] == "## How cost grows"


@pytest.mark.parametrize(("changes", "message"), [
    ({"parts": "speed"}, "--parts must list some of programs"),
    ({"features": "4,x"}, "--features must list different numbers from 1 .* got '4,x'"),
    ({"seconds": 0.0}, "--seconds and --search_seconds must be positive"),
    ({"runs": 0}, "--runs must be at least 1"),
])
def test_bad_settings_are_refused(tmp_path, changes, message):
  with pytest.raises(ValueError, match=message):
    benchmark.run(_tiny(tmp_path, **changes))
