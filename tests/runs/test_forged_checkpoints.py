"""Checkpoints whose checksums are right, and whose contents no run has saved."""

import json
import shutil

import numpy as np
import pytest
from support import forged

from azero.runs.checkpoints import CheckpointError
from azero.search import origins

BEGUN, CONTINUED = 24, 36


@pytest.fixture(scope="module")
def begun(tmp_path_factory):
  """A run with a single checkpoint."""
  path = tmp_path_factory.mktemp("forged") / "run"
  forged.advance(path, BEGUN)
  for version in sorted((path / "checkpoints").iterdir())[:-1]:
    shutil.rmtree(version)
  return path


@pytest.fixture
def run(begun, tmp_path):
  return shutil.copytree(begun, tmp_path / "run")


def _in_population(state):
  state["islands"]["population"]["opcode"][3, 0] = 999


def _beyond_the_addresses(state):
  state["islands"]["population"]["in1"][:] = 30_000


def _far_ahead(state):
  state["cycle"] = 10**15


def _without_a_number(state):
  state["stages"]["hurdles"]["fitness"][0, 0] = np.nan


def _in_a_ring(state):
  state["ancestry"]["facts"][0, 1] = 0


def _outside_of_the_cache(state):
  state["canonical"]["places"][-1] = 10**9


def _of_more_words(state):
  state["hall_of_fame"]["entries"]["lineages"]["words"][5] = 10**9


def _of_another_number(state):
  state["front"]["entries"]["complexity"][:] = 10**9


def _of_another_width(state):
  state["islands"]["fitness"] = state["islands"]["fitness"][:, :-1].copy()


@pytest.mark.parametrize(("change", "what"), [
    (_in_population, "'population' are no programs of this search"),
    (_beyond_the_addresses, "'in1' has numbers that cannot be"),
    (_far_ahead, "'cycle' has numbers that cannot be"),
    (_without_a_number, "'fitness' has numbers that cannot be"),
    (_in_a_ring, "'facts' are no lines of ancestors"),
    (_outside_of_the_cache, "'places' has numbers that cannot be"),
    (_of_more_words, "'words' are no steps of lineages"),
    (_of_another_number, "'complexity' has numbers that cannot be"),
    (_of_another_width, "'fitness' is missing, or no array of float64"),
])
def test_a_state_of_no_such_search_is_refused(run, change, what):
  state = forged.state_of(run)
  change(state["search"]["searches"]["0"])
  forged.write_state(run, state)
  before = {path: path.read_bytes() for path in run.rglob("*") if path.is_file()}
  with pytest.raises(CheckpointError) as refused:
    forged.advance(run, CONTINUED)
  message = str(refused.value)
  assert what in message and str(forged.newest(run)) in message
  assert "Put a copy of it back, or remove it" in message and len(message) < 1000
  assert {path: path.read_bytes() for path in run.rglob("*") if path.is_file()} == before


def test_a_line_of_ancestors_that_is_none_in_the_state_is_one_in_memory(begun):
  """What `_in_a_ring` changes is a first ancestor, which has no parent."""
  facts = forged.state_of(begun)["search"]["searches"]["0"]["ancestry"]["facts"]
  assert facts[0, 1] == origins.NONE


def test_lines_of_other_files_are_not_cut(run):
  other = run.parent / "other.txt"
  other.write_text("mine")
  state = forged.state_of(run)
  state["sizes"] = {"../other.txt": 0}
  forged.write_state(run, state)
  with pytest.raises(CheckpointError, match="'sizes' are not those of the JSON lines"):
    forged.advance(run, CONTINUED)
  assert other.read_text() == "mine"


def test_terabytes_that_are_only_claimed_are_not_asked_for(run):
  described = json.loads((forged.newest(run) / "arrays/checkpoint/.zarray").read_text())
  described |= {"shape": [10**12], "chunks": [10**12]}
  forged.write_file(run, "arrays/checkpoint/.zarray", json.dumps(described).encode())
  with pytest.raises(CheckpointError, match="arrays does not hold the arrays of"):
    forged.advance(run, CONTINUED)


@pytest.mark.parametrize(("content", "what"), [
    ([], "it has no info, or no list of files"),
    ({"info": {}, "files": {"/dev/zero": {"bytes": 1}}}, "its list of files is none"),
    ({"info": {}, "files": {"../../config.json": {"bytes": 1}}}, "its list of files is none"),
])
def test_a_manifest_of_no_checkpoint_is_damaged(run, content, what):
  forged.write_manifest(run, content)
  with pytest.raises(CheckpointError, match=what):
    forged.advance(run, CONTINUED)


def test_a_size_that_is_an_endless_word_is_not_told_whole(run):
  content = json.loads((forged.newest(run) / "manifest.json").read_text().splitlines()[0])
  content["files"]["state.json"]["bytes"] = "x" * 100_000
  forged.write_manifest(run, content)
  with pytest.raises(CheckpointError, match=r"state\.json has \d+ bytes instead of x") as refused:
    forged.advance(run, CONTINUED)
  assert len(str(refused.value)) < 1000


def test_the_version_before_is_taken_once_it_is_removed(run, tmp_path):
  whole = tmp_path / "whole"
  shutil.copytree(run, whole)
  forged.advance(whole, CONTINUED)
  forged.advance(run, BEGUN + 4)
  state = forged.state_of(run)
  _far_ahead(state["search"]["searches"]["0"])
  forged.write_state(run, state)
  with pytest.raises(CheckpointError, match="remove it"):
    forged.advance(run, CONTINUED)
  shutil.rmtree(forged.newest(run))
  forged.advance(run, CONTINUED)
  for name in ("improvements.jsonl", "hall_of_fame.json", "front.json"):
    assert (run / name).read_bytes() == (whole / name).read_bytes()
