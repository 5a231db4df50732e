"""Settings are taken as people give them, and kept as plain Python values."""

import dataclasses
import json

import numpy as np
import pytest
from support.search_cases import FIXED, tasks

from azero.search.groups.federation import Group
from azero.search.groups.migration import Migration
from azero.search.search import SearchConfig


@pytest.mark.parametrize(("name", "given", "kept"), [
    ("seed", np.int64(3), 3), ("seed", np.uint8(3), 3), ("seed", 3.0, 3),
    ("seed", np.array(3), 3), ("max_programs", 1e5, 100_000),
    ("max_programs", np.float64(2e9), 2_000_000_000), ("max_programs", None, None),
    ("population_size", np.int32(10), 10), ("lanes", None, None),
    ("mutation_probability", 1, 1.0), ("mutation_probability", np.float32(0.5), 0.5),
    ("train_budget", 4, 4.0), ("train_budget", np.int64(4), 4.0), ("hurdle", None, None),
    ("fingerprint", np.bool_(False), False),
    ("mutations", ["alter", "insert"], ("alter", "insert")),
    ("combine", np.str_("mean"), "mean"),
])
def test_a_setting_is_kept_as_a_plain_value(name, given, kept):
  config = SearchConfig(**{name: given})
  value = getattr(config, name)
  assert value == kept and type(value) is type(kept)
  assert config == SearchConfig(**{name: kept})
  assert json.loads(json.dumps(dataclasses.asdict(config)))["tournament_size"] == 10


def test_migration_and_groups_keep_plain_values():
  exchange = Migration(every=1e3, migrants=np.int64(5), seed=np.uint8(2))
  assert json.dumps(dataclasses.asdict(exchange)) == '{"every": 1000, "migrants": 5, "seed": 2}'
  given = {"space": FIXED, "task_sets": tasks(2), "config": SearchConfig()}
  group = Group(name=np.str_("one"), migration_every=np.int32(7), first_worker=2.0, **given)
  kept = [(each, type(each)) for each in (group.name, group.migration_every, group.first_worker)]
  assert kept == [("one", str), (7, int), (2, int)]
  assert group.space is FIXED and group.task_sets is given["task_sets"]
  with pytest.raises(ValueError, match=r"^every of a migration must be a whole number, got 2\.5"):
    Migration(every=2.5)
  with pytest.raises(
      ValueError, match=r"^migration_every of group 'one' must be a whole number or None, got '7'"):
    Group(name="one", migration_every="7", **given)


@pytest.mark.parametrize(("name", "given", "message"), [
    ("seed", None, "seed must be a whole number, got None."),
    ("seed", 0.5, "seed must be a whole number, got 0.5."),
    ("seed", "3", "seed must be a whole number, got '3'."),
    ("seed", True, "seed must be a whole number, got True."),
    ("seed", -1.0, "seed must not be negative, got -1."),
    ("max_programs", 1e-5, "max_programs must be a whole number or None, got 1e-05."),
    ("max_programs", float("inf"), "max_programs must be a whole number or None, got inf."),
    ("max_programs", float("nan"), "max_programs must be a whole number or None, got nan."),
    ("max_programs", 0.0, "max_programs must be at least 1 or None, got 0."),
    ("hurdle", "half", "hurdle must be a number or None, got 'half'."),
    ("mutation_probability", 1j, "mutation_probability must be a number, got 1j."),
    ("fingerprint", 1, "fingerprint must be True or False, got 1."),
    ("mutations", "alter", "mutations must be a sequence, got 'alter'."),
    ("combine", 3, "combine must be a text, got 3."),
])
def test_what_is_no_setting_is_named(name, given, message):
  with pytest.raises(ValueError) as caught:
    SearchConfig(**{name: given})
  assert str(caught.value) == message
