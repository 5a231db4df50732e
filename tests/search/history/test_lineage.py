"""Lineages: packed and read, shortened, carried by migrants, across stops and processes.

That each step is what the sequential algorithm did is checked in test_evolution.
"""

import dataclasses
import itertools
import pickle

import numpy as np
import pytest
from reference.breeding import Breeder
from reference.draws import Stream
from reference.textbook import from_programs
from support import federation_cases
from support.inline_runtime import InlineRuntime
from support.search_cases import EVERYTHING, FIXED, VARIABLE, assert_same_state, config, tasks
from support.toy_evaluator import ToyEvaluator

from azero.compiler import cost, liveness
from azero.distributed.cluster import Cluster
from azero.language.program import Programs
from azero.language.text import parse
from azero.search import ancestry, origins
from azero.search.evolution import Evolution
from azero.search.history import genealogy
from azero.search.history.lineage import KnownPrograms, Lineage, changes
from azero.search.origins import ARRIVED, MUTATIONS, STARTED
from azero.search.proposals import mutation
from azero.search.random_search import RandomSearch

ALTER = MUTATIONS.index("alter")


def lineage_of(fitness, islands=None, actions=None, space=VARIABLE):
  """Random programs of such fitnesses, numbered from 1."""
  count = len(fitness)
  programs = mutation.random_programs(space, count, seed=1)
  facts = zip(
      range(1, count + 1), islands or [3] * count,
      actions or [STARTED, *[ALTER] * (count - 1)], [0] * count)
  return Lineage.of(programs, fitness, list(facts)), programs


@pytest.mark.parametrize("space", [FIXED, VARIABLE, EVERYTHING])
def test_steps_come_back_as_they_were(space):
  fitness = np.random.default_rng(0).random(40).tolist()
  lineage, programs = lineage_of(fitness, space=space)
  programs.constants[7, 0, 0] = -0.0  # has bits of its own
  lineage = Lineage.of(programs, fitness, [(k, 5, ALTER, k % 3) for k in range(40)])
  assert len(lineage) == len(list(lineage)) == 40
  for k, step in enumerate(lineage):
    assert step.program == programs[k] and step.program.space == space
    assert step.program.constants.tobytes() == programs[k].constants.tobytes()
    assert (step.fitness, step.num_programs, step.island, step.mutation, step.skipped) == (
        fitness[k], k, 5, "alter", k % 3)
    assert step.gain == (max(0.0, fitness[k] - max(fitness[:k])) if k else 0.0)
  assert lineage.num_steps == 39 + sum(k % 3 for k in range(40))
  assert [step.num_programs for step in lineage[-3:]] == [37, 38, 39]
  assert lineage[-1].program == programs[39]
  with pytest.raises(IndexError):
    lineage[40]
  assert pickle.loads(pickle.dumps(lineage)) == lineage != lineage_of(fitness)[0]


def test_gains_are_those_of_one_island_after_another():
  fitness = [0.5, 0.4, 0.7, 0.7, 0.2, 0.1, 0.3, 0.9, 0.6, 0.8]
  islands = [0, 0, 0, 0, 1, 1, 1, 1, 1, 1]
  actions = [STARTED, ALTER, ALTER, ALTER, ARRIVED, ALTER, ALTER, ALTER, STARTED, ALTER]
  lineage, _ = lineage_of(fitness, islands, actions)
  expected = [0, 0, 0.7 - 0.5, 0, 0, 0, 0.3 - 0.2, 0.9 - 0.3, 0, 0.8 - 0.6]
  assert [step.gain for step in lineage] == expected
  assert [step.num_programs for step in lineage.inventions] == [1, 3, 7, 8, 10]
  assert [step.skipped for step in lineage.inventions] == [0, 1, 3, 0, 1]
  assert [step.mutation for step in lineage] == [
      "start", *["alter"] * 3, "migration", *["alter"] * 3, "start", "alter"]


def test_what_brought_least_is_left_out_and_of_equal_the_oldest():
  fitness = [0.0, 0.1, 0.1, 0.05, 0.4, 0.4, 0.45, 0.2, 0.3]
  lineage, programs = lineage_of(fitness)
  for most, kept in ((8, [0, 1, 3, 4, 5, 6, 7, 8]), (5, [0, 1, 4, 6, 8]), (4, [0, 1, 4, 8]),
                     (3, [0, 4, 8]), (2, [0, 8])):
    shorter = lineage.condensed(most)
    assert [step.num_programs - 1 for step in shorter] == kept
    assert [step.skipped for step in shorter] == [0, *(np.diff(kept) - 1)]
    assert shorter.num_steps == lineage.num_steps
    assert all(step.program == programs[k] for step, k in zip(shorter, kept))
    assert lineage.condensed(6).condensed(most) == shorter or most > 6
  assert lineage.condensed(9) is lineage
  with pytest.raises(ValueError, match="cannot be condensed to 1"):
    lineage.condensed(1)


@pytest.mark.parametrize("odd", [np.nan, np.inf])
def test_what_is_no_fitness_brings_nothing_to_a_halt(odd):
  lineage, _ = lineage_of([0.1, odd, odd, 0.3, 0.5, 0.6])
  assert len(lineage.condensed(3)) == 3


def test_changes_and_texts():
  before = parse("def Setup():\n  s2 = 0.5\ndef Predict():\n  s1 = s2 * s3\ndef Learn():", VARIABLE)
  after = parse("def Setup():\n  s2 = 0.5\ndef Predict():\n  s1 = dot(v0, v1)\ndef Learn():\n"
                "  s1 = s1 + s2", VARIABLE)
  told = ("- Predict: s1 = s2 * s3", "+ Predict: s1 = dot(v0, v1)", "+ Learn: s1 = s1 + s2")
  assert changes(before, after) == told and changes(after, after) == ()
  lineage = Lineage.of(
      Programs.concatenate([before, after]), [0.25, 0.75], [(1, 2, STARTED, 0), (9, 2, ALTER, 4)])
  assert str(lineage[1]) == "\n  ".join(
      ["program 9 of island 2, fitness 0.75 (+0.5): alter, after 4 others", *told])
  assert str(lineage) == "\n".join([
      "5 steps to fitness 0.75", "program 1 of island 2, fitness 0.25: start", str(lineage[1])])
  page = lineage._repr_html_()
  assert page.count("<tr>") == 3 and "+ Learn: s1 = s1 + s2" in page


def evolution(method=Evolution, *, islands=2, space=VARIABLE, **settings):
  chosen = {
      "initial": "empty", "mutations": ("insert_or_remove", "randomize_function", "alter"),
      "cycles_per_step": 50, "max_programs": 1500} | settings
  if method is RandomSearch:
    chosen["initial"] = "random"
  return method(space, tasks(islands), config(**chosen), evaluator=ToyEvaluator)


def finish(search):
  while not search.finished:
    search.step()
  return search


def everything(search):
  """All lineages that a search holds."""
  return [entry.lineage for entry in itertools.chain(search.hall_of_fame, search.front)]


def test_a_trunk_that_is_too_long_loses_what_brought_least(monkeypatch):
  whole = finish(evolution())
  monkeypatch.setattr(ancestry, "TRUNK", 6)
  search = finish(evolution())
  size = search.config.population_size
  assert search.islands.ancestry.nodes.shape == (2, 2 * size + 6, 8)
  shortened = 0
  for island, place in itertools.product(range(2), range(size)):
    full, short = (
        each._genealogy.lineage(island, place) for each in (whole, search))
    by_number = {step.num_programs: step for step in full}
    for step in short:
      same = by_number[step.num_programs]
      assert (step.program, step.fitness, step.mutation) == (
          same.program, same.fitness, same.mutation)
    assert short.num_steps == full.num_steps and short[0] == full[0]
    shortened += len(short) < len(full)
    # The greatest of all inventions survive.
    greatest = max(full, key=lambda step: step.gain)
    assert greatest.num_programs in {step.num_programs for step in short}
  assert shortened == 2 * size
  assert [entry.program for entry in search.hall_of_fame] == [
      entry.program for entry in whole.hall_of_fame]


@pytest.mark.parametrize("trunk", [6, 256])
@pytest.mark.parametrize("stop", [1, 7, 20])
def test_stopped_and_continued_lineages_are_the_same(monkeypatch, stop, trunk):
  monkeypatch.setattr(ancestry, "TRUNK", trunk)
  whole, first, later = evolution(), evolution(), evolution()
  for _ in range(stop):
    first.step()
  later.step()
  later.restore(first.state())
  assert_same_state(later.state(), first.state())
  assert everything(finish(later)) == everything(finish(whole))
  assert_same_state(later.state(), whole.state())


def test_the_front_and_the_fingerprints_of_a_search():
  search = finish(evolution())
  prints = [entry.fingerprint for entry in search.hall_of_fame]
  assert len(set(prints)) == len(prints) and None not in prints[:1]
  for entry in search.front:
    live = liveness.live_instructions(entry.program)
    assert entry.complexity == live.sum() and entry.cost == cost.costs(entry.program, live)[0]
    simple = [each for each in search.hall_of_fame if each.complexity < entry.complexity]
    assert all(each.fitness < entry.fitness for each in simple)
  assert search.front.at(10).fitness == search.best_fitness.max()
  without = finish(evolution(fingerprint=False, max_programs=200))
  assert {entry.fingerprint for entry in without.hall_of_fame} == {None}


def _nothing(programs, i, function, space, stream):
  """A mutation of the user's own that leaves a program as it is."""


def test_a_mutation_of_the_users_own_is_named(monkeypatch):
  monkeypatch.setattr(mutation, "_OWN", dict(mutation._OWN))
  monkeypatch.setattr(mutation, "_own_functions", dict(mutation._own_functions))
  monkeypatch.setattr(origins, "_own", {})
  mutation.register_mutation("nothing", _nothing)
  search = finish(evolution(initial="random", mutations=("nothing",), max_programs=100))
  lineages = [search._genealogy.lineage(0, place) for place in range(12)]
  assert {step.mutation for lineage in lineages for step in lineage} == {
      "start", "copy", "nothing"}
  assert all(lineage[0].program == lineage[-1].program for lineage in lineages)
  monkeypatch.setattr(origins, "_own", {})
  assert "a mutation of your own" in {step.mutation for step in lineages[0]}


def test_of_a_population_of_one_each_program_descends_from_the_one_whose_place_it_takes():
  search = finish(
      evolution(initial="random", population_size=1, tournament_size=1, max_programs=40))
  for island in range(2):
    lineage = search._genealogy.lineage(island, 0)
    assert lineage.num_steps + 1 == search.num_programs[island] == 40
    assert lineage[0].mutation == "start" and lineage[0].num_programs == 1
    assert lineage[len(lineage) - 1].program == search.population[island]


def test_a_random_search_has_lineages_of_one_step():
  for lineage in everything(finish(evolution(RandomSearch, max_programs=600))):
    assert [step.mutation for step in lineage] == ["start"]


def federation(**settings):
  return federation_cases.make(**settings)


def assert_true_to_the_rules(search):
  """Every step of every lineage is its mutation of the one before, or that program elsewhere."""
  arrived = 0
  for group in search.searches:
    breeder = Breeder(group.space, group.config.mutations, group.config.mutation_probability)
    for entry in itertools.chain(group.hall_of_fame, group.front):
      steps = list(entry.lineage)
      last = steps[-1]
      assert (last.program, last.fitness, last.island, last.num_programs) == (
          entry.program, entry.fitness, entry.island, entry.num_programs)
      assert steps[0].mutation == "start" and entry.program.space == last.program.space
      for before, after in itertools.pairwise(steps):
        if after.mutation == "migration":
          arrived += 1
          assert after.program == before.program
        else:
          assert after.island == before.island
          _assert_child(breeder, search, before, after)
  return arrived


def _assert_child(breeder, search, before, after):
  """Some child of the island, of such a number, is this mutation of that program."""
  parent, child = from_programs(before.program), from_programs(after.program)
  # Immigrants count as programs of an island, and are no children.
  numbers = range(max(0, after.num_programs - 1 - 60), after.num_programs)
  chosen = search.groups[0].config
  made = []
  for n in numbers:
    stream = Stream(chosen.seed, after.island, n)
    for _ in range(chosen.tournament_size):
      stream.uniform()
    made.append((breeder.mutate(parent, stream), breeder.mutation))
  assert (child, after.mutation) in made


def test_migrants_take_their_lineages_along(monkeypatch):
  monkeypatch.setattr(genealogy, "MOST_CARRIED", 1000)
  search = finish(federation())
  assert assert_true_to_the_rules(search) > 40
  islands = {step.island for lineage in everything(search) for step in lineage}
  assert islands == set(range(federation_cases.WORKERS))


def test_migrants_take_no_more_than_so_many_steps_along(monkeypatch):
  monkeypatch.setattr(genealogy, "MOST_CARRIED", 4)
  search = finish(federation(max_programs=300))
  brought = [
      lineage for group in search.searches for each in group._genealogy._brought
      for lineage in each.values()]
  assert brought and max(map(len, brought)) == 4
  assert all(lineage[0].mutation == "start" for lineage in brought)


@pytest.mark.parametrize("most", [2, 5, 9])
def test_what_leaves_is_the_lineage_condensed(monkeypatch, most):
  monkeypatch.setattr(genealogy, "MOST_CARRIED", most)
  search = finish(federation())
  condensed, arrived = 0, 0
  for group in search.searches:
    places = np.arange(group.config.population_size)[::-1]
    for island in range(len(group.islands.made)):
      lines = [group._genealogy.lineage(island, place) for place in places]
      assert group._genealogy.leaving(island, places) == [line.condensed(most) for line in lines]
      condensed += sum(len(line) > most for line in lines)
      arrived += sum(step.mutation == "migration" for line in lines for step in line)
  assert condensed and arrived


@pytest.mark.parametrize("processes", [2, 3])
def test_processes_tell_the_lineages_of_one(processes):
  expected = finish(federation())
  with Cluster(
      federation_cases.groups(), federation_cases.EVERY_TEN, InlineRuntime(1),
      num_processes=processes, slice_seconds=0.0) as cluster:
    finish(cluster)
    assert everything(cluster) == everything(expected)
    assert [entry.program for entry in cluster.front] == [
        entry.program for entry in expected.front]


def test_a_stopped_federation_continues_its_lineages():
  whole, first, later = federation(), federation(), federation()
  for _ in range(9):
    first.step()
  later.restore(first.state())
  assert_same_state(later.state(), first.state())
  assert everything(finish(later)) == everything(finish(whole))


def test_a_start_with_a_past_continues_it():
  past = finish(evolution())
  entries = list(past.hall_of_fame)[:2]
  template = Programs.concatenate([entry.program for entry in entries])
  known = KnownPrograms.of(template, [entries[0].lineage, None])
  search = finish(Evolution(
      VARIABLE, tasks(1), config(
          initial="empty", mutations=("alter",), max_programs=300, cycles_per_step=50),
      template=known, evaluator=ToyEvaluator))
  seen = set()
  for lineage in everything(search):
    starts = [k for k, step in enumerate(lineage) if step.mutation == "start"]
    seen.add(len(starts))
    begin = lineage[starts[-1]]
    origin = (begin.num_programs - 1) % 2
    assert begin.program == template[origin]
    if origin == 0:
      assert lineage[: starts[-1]] == list(entries[0].lineage)
    else:
      assert starts == [0]
  assert seen == {1, 2}
  with pytest.raises(ValueError, match="1 lineages for 2 programs; give one, or None, for each"):
    dataclasses.replace(known, pasts=(None,))
  longer = dataclasses.replace(VARIABLE, learn=dataclasses.replace(VARIABLE.learn, max_length=20))
  foreign, _ = lineage_of([0.1], space=longer)
  with pytest.raises(ValueError, match="a space with as many instructions as theirs"):
    dataclasses.replace(known, pasts=(foreign, None))


def test_each_start_has_its_own_past_however_many_programs_were_before():
  entries = list(finish(evolution()).hall_of_fame)[:4]
  known = KnownPrograms.of(
      Programs.concatenate([entry.program for entry in entries]),
      [entry.lineage for entry in entries])
  search = Evolution(
      VARIABLE, tasks(1), config(
          initial="empty", mutations=("alter", "rewire", "add_constant"), max_programs=400,
          cycles_per_step=12,
          constant_trials=3, restart_patience=20), template=known, evaluator=ToyEvaluator)
  origins = set()
  while not search.finished:
    search.step()
    for place in range(search.config.population_size):
      lineage = search._genealogy.lineage(0, place)
      start = [k for k, step in enumerate(lineage) if step.mutation == "start"][-1]
      origin = next(k for k, entry in enumerate(entries) if lineage[:start] == list(entry.lineage))
      # Other constants may have been tried.
      for name in ("opcode", "in1", "in2", "out"):
        np.testing.assert_array_equal(
            getattr(lineage[start].program, name), getattr(entries[origin].program, name))
      origins.add((origin, lineage[start].num_programs > 100))
  assert search.islands.epoch[0] > 0  # it began anew
  assert {origin for origin, _ in origins} == {0, 1, 2, 3} and len(origins) > 4


def test_what_a_start_was_drawn_over_is_no_past():
  entry = finish(evolution()).hall_of_fame.best
  known = KnownPrograms.of(entry.program, [entry.lineage])
  for search in (
      Evolution(
          VARIABLE, tasks(1), config(initial="random", max_programs=100, cycles_per_step=50),
          template=known, evaluator=ToyEvaluator),
      RandomSearch(
          VARIABLE, tasks(1), config(max_programs=100, cycles_per_step=50), template=known,
          evaluator=ToyEvaluator)):
    for lineage in everything(finish(search)):
      assert [k for k, step in enumerate(lineage) if step.mutation == "start"] == [0]
