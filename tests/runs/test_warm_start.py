import dataclasses
import json

import numpy as np
import pytest
from support.search_cases import FIXED, VARIABLE, config, tasks
from support.toy_evaluator import ToyEvaluator

import azero
from azero.executors.evaluator import Evaluator
from azero.language.program import Programs
from azero.language.text import parse, parse_many
from azero.runs import runner
from azero.runs.directory import RunDirectory, settings_of
from azero.runs.warm_start import read_programs
from azero.search.evolution import Evolution
from azero.search.proposals import mutation
from azero.search.random_search import RandomSearch

TEXTS = [
    "def Setup():\n  s2 = 0.5\ndef Predict():\n  s1 = dot(v0, v1)\ndef Learn():\n",
    "def Setup():\n  v2[1] = 0.25\ndef Predict():\n  s1 = dot(v0, v2)\ndef Learn():\n",
    "def Setup():\ndef Predict():\n  s1 = dot(v0, v0)\ndef Learn():\n  s3 = s0 + s1\n",
]
SIZE = 8


def search(
    template, method=Evolution, space=VARIABLE, evaluator=ToyEvaluator, **settings):
  given = {
      "population_size": SIZE, "cycles_per_step": SIZE, "initial": "empty",
      "mutations": ("insert_or_remove",)}
  return method(
      space, tasks(3), config(**(given | settings)), template=template, evaluator=evaluator)


@pytest.mark.parametrize("count", [1, 2, 3])
def test_templates_are_spread_over_every_population_in_turn(count):
  template = parse_many(TEXTS[:count], VARIABLE)
  evolution = search(template, fingerprint=False)
  evolution.step()
  assert evolution.population == template[[k % count for k in range(SIZE)] * 3]
  assert evolution.counts.evaluated == 3 * count
  assert evolution.counts.canonical_hits == 3 * (SIZE - count)


def test_of_more_templates_than_a_population_holds_the_first_are_taken():
  template = parse_many(TEXTS * 4, VARIABLE)
  template.constants[:, 0, 2] = np.arange(len(template))
  evolution = search(template, fingerprint=False)
  evolution.step()
  assert evolution.population == template[list(range(SIZE)) * 3]


def test_random_programs_keep_what_is_not_searched_of_each_template():
  space = dataclasses.replace(
      VARIABLE, setup=dataclasses.replace(VARIABLE.setup, searched=False))
  template = parse_many(TEXTS[:2], space)
  for method in (Evolution, RandomSearch):
    random = search(template, method, space, initial="random")
    random.step()
    size = random.islands.fitness.shape[1]
    rows = (np.arange(3)[:, None] * size + np.arange(SIZE)).ravel()
    programs = Programs(space, *random.islands.population)[rows]
    expected = template[[k % 2 for k in range(SIZE)] * 3]
    slots = space.slots(0)
    for name in Programs.ARRAYS:
      np.testing.assert_array_equal(
          getattr(programs, name)[:, slots], getattr(expected, name)[:, slots])
    assert (programs.lengths[:, 1:] == [4, 3]).all()


def test_one_template_serves_all_random_programs():
  template = parse(TEXTS[0], VARIABLE)
  np.testing.assert_array_equal(
      mutation.random_programs(VARIABLE, 4, seed=0, template=template).opcode,
      mutation.random_programs(VARIABLE, 4, seed=0).opcode)


def test_one_program_that_can_change_is_enough_to_start():
  without = ("alter",)
  empty = "def Setup():\n"
  search(parse_many([empty, TEXTS[0]], VARIABLE), mutations=without)
  with pytest.raises(ValueError, match="leave empty programs empty"):
    search(parse_many([empty, empty], VARIABLE), mutations=without)


def run(path, **settings):
  evolution = search(
      parse_many(TEXTS, VARIABLE), max_programs=60, hall_of_fame_size=5, **settings)
  return runner.run(
      evolution, directory=RunDirectory(path, settings_of(evolution)), progress="off")


def test_a_search_starts_from_what_another_found(tmp_path):
  first = run(tmp_path / "run", evaluator=Evaluator)
  read = azero.read_programs(tmp_path / "run", VARIABLE)
  assert [repr(program) for program in (read[k] for k in range(5))] == [
      repr(entry.program) for entry in first.search.hall_of_fame]
  second = search(read, hall_of_fame_size=5, evaluator=Evaluator)
  second.step()
  # Of the same tasks the best was the best already.
  np.testing.assert_array_equal(
      second.best_fitness.max(), first.search.hall_of_fame.best.fitness)


def test_programs_are_read_into_a_space_of_another_number_of_features(tmp_path):
  run(tmp_path / "run")
  for features in (2, 16):
    read = read_programs(tmp_path / "run", VARIABLE.with_features(features))
    assert read == read_programs(tmp_path / "run", VARIABLE).with_features(features)
  entry = {"program": TEXTS[1], "num_features": 4}
  (tmp_path / "run" / "hall_of_fame.json").write_text(json.dumps([entry]))
  wide = read_programs(tmp_path / "run", VARIABLE.with_features(16))
  assert "v2[6] = 0.25" in repr(wide)  # 1.5 / 4 of sixteen


def test_the_repeats_of_an_experiment_are_read_the_best_first(tmp_path):
  (tmp_path / "config.json").write_text('{"num_features": 8}')
  rows = [
      {"program": code, "select_fitness": fitness} for code, fitness in zip(TEXTS, (0.6, 0.7))]
  (tmp_path / "outcomes.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
  read = read_programs(tmp_path, VARIABLE)
  wide = VARIABLE.with_features(8)
  assert read == parse_many([TEXTS[1], TEXTS[0]], wide).with_features(VARIABLE.num_features)
  (tmp_path / "outcomes.jsonl").write_text(json.dumps(
      {"program": "def Learn():\n  s2 = s0 - s1\n", "select_fitness": 0.7}) + "\n")
  with pytest.raises(ValueError, match=r"No program of '.*' predicts anything in regression"):
    read_programs(tmp_path, VARIABLE)


def test_a_program_file_is_read(tmp_path):
  file = tmp_path / "mine.txt"
  file.write_text(TEXTS[0], encoding="utf-8")
  assert read_programs(file, VARIABLE) == parse(TEXTS[0], VARIABLE)
  file.write_bytes(b"\xff\xfe")
  with pytest.raises(ValueError, match=r"mine.txt' is not a text file in UTF-8"):
    read_programs(file, VARIABLE)
  file.write_text(TEXTS[0], encoding="utf-8")
  with pytest.raises(ValueError, match="The space has 2 vectors; 3 are needed"):
    read_programs(file, dataclasses.replace(VARIABLE, num_vectors=2), multiclass=True)


MISFITS = {
    "def Setup():\n  s2 = sin(s3)\n": r"op 7 \(scalar_sin\) is not allowed in Setup",
    "def Predict():\n  s9 = s0 + s1\n": "address s9 is out of range: the space has s0 to s3",
    "def Learn():\n" + 4 * "  s2 = s0 - s1\n": "more than the 3 instructions that the space allows",
    "def Learn():\n  s2 = s0 &\n": "line 2",
}


@pytest.mark.parametrize("text", MISFITS)
def test_what_does_not_fit_is_named(tmp_path, text):
  file = tmp_path / "mine.txt"
  file.write_text(text, encoding="utf-8")
  with pytest.raises(ValueError, match=MISFITS[text]) as raised:
    read_programs(file, FIXED)
  assert str(raised.value).startswith(f"{file} is no program of the search space: ")
  entries = [{"program": TEXTS[0], "num_features": 4}, {"program": text, "num_features": 4}]
  (tmp_path / "hall_of_fame.json").write_text(json.dumps(entries))
  with pytest.raises(ValueError, match=MISFITS[text]) as raised:
    read_programs(tmp_path, FIXED)
  assert ", program 2 is no program of" in str(raised.value)


def test_files_that_hold_no_programs_are_refused(tmp_path):
  with pytest.raises(FileNotFoundError, match=r"no program file and no run directory '.*nowhere'"):
    read_programs(tmp_path / "nowhere", FIXED)
  with pytest.raises(FileNotFoundError, match=r"has no hall_of_fame\.json or outcomes\.jsonl"):
    read_programs(tmp_path, FIXED)
  for content in ("{", "[" * 100_000, "[1]", '[{"program": "def Setup():"}]', '{"a": 1}'):
    (tmp_path / "hall_of_fame.json").write_text(content)
    with pytest.raises(ValueError, match=r"json' cannot be read as the programs of a run"):
      read_programs(tmp_path, FIXED)
  (tmp_path / "hall_of_fame.json").write_text("[]")
  with pytest.raises(ValueError, match="holds no program to start from"):
    read_programs(tmp_path, FIXED)


def test_lineages_go_on_in_the_next_run(tmp_path):
  found = run(tmp_path / "run").search.hall_of_fame
  read = read_programs(tmp_path / "run", VARIABLE)
  for entry, program, past in zip(found, read, read.pasts, strict=True):
    assert past[-1].program == program
    assert [(step.fitness, step.island, step.num_programs, step.mutation, step.skipped)
            for step in past] == [
                (step.fitness, step.island, step.num_programs, step.mutation, step.skipped)
                for step in entry.lineage]
    assert [repr(step.program) for step in past] == [repr(step.program) for step in entry.lineage]
  later = search(read, max_programs=60)
  while not later.finished:
    later.step()
  best = later.hall_of_fame.best.lineage
  starts = [step for step in best if step.mutation == "start"]
  assert len(starts) == 2 and starts[1].program in list(read)
  # A narrower space: what does not fit is left out, and counted.
  narrow = dataclasses.replace(VARIABLE, setup=dataclasses.replace(VARIABLE.setup, max_length=1))
  fitting = [entry for entry in found if entry.program.lengths[0, 0] <= 1]
  assert 0 < len(fitting)
  file = tmp_path / "run" / "hall_of_fame.json"
  rows = [row for row, entry in zip(json.loads(file.read_text()), found) if entry in fitting]
  file.write_text(json.dumps(rows))
  for entry, past in zip(fitting, read_programs(tmp_path / "run", narrow).pasts, strict=True):
    kept = [step for step in entry.lineage if step.program.lengths[0, 0] <= 1]
    assert [step.num_programs for step in past] == [step.num_programs for step in kept]
    assert past.num_steps == entry.lineage.num_steps
    assert repr(past[-1].program) == repr(entry.program)


def test_a_damaged_file_of_lineages_is_named(tmp_path):
  (tmp_path / "hall_of_fame.json").write_text(json.dumps([
      {"program": TEXTS[0], "num_features": 4, "island": 0, "num_programs": 5}]))
  assert read_programs(tmp_path, VARIABLE).pasts == (None,)
  (tmp_path / "lineage.json").write_text('{"steps": [], "lineages": [{"island": 0}]}')
  with pytest.raises(ValueError, match=r"lineage\.json' cannot be read as lineages \(KeyErr"):
    read_programs(tmp_path, VARIABLE)
  step = {"island": 0, "num_programs": 5, "program": TEXTS[0], "num_features": 4, "skipped": 0}
  lineages = [{"island": 0, "num_programs": 5, "steps": [0]}]
  (tmp_path / "lineage.json").write_text(json.dumps({"steps": [step], "lineages": lineages}))
  with pytest.raises(ValueError, match=r"has a file that is damaged, .*: it lacks 'mutation'"):
    read_programs(tmp_path, VARIABLE)
