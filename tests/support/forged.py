"""Checkpoints that nobody's run has saved, whose checksums are right.

One file of a version is damaged, or one part of its state is changed, and what the manifest says
of it is written anew.
"""

from collections.abc import Iterator
import json
import pathlib
import shutil
from typing import Any

import hypothesis.strategies as st
import numpy as np
from support import fuzzing, search_cases
from support.inline_runtime import InlineRuntime
from support.toy_evaluator import ToyEvaluator

from azero.distributed.cluster import Cluster
from azero.runs import checkpoint_files, manifest, packing, runner
from azero.runs.checkpoints import Checkpoints
from azero.runs.directory import RunDirectory, settings_of
from azero.runs.recorder import SCHEMA
from azero.search.groups.federation import Federation, Group
from azero.search.groups.migration import Migration

NOTES = ("_CHECKPOINT_METADATA", "commit_success.txt")  # of which no manifest tells
_NUMBERS = (0, -1, 1, 2, 7, 63, 64, 10**4, 2**31, 2**62, 2**63 - 1, -(2**63))
_TYPES = ("i8", "u8", "f8", "i2", "f4", "?", "<u1", ">i8")


def advance(path: pathlib.Path, num_programs: int, num_processes: int = 0) -> None:
  """Begins or continues a run up to this number of programs, with all that a state can hold.

  Args:
    path: of the run.
    num_programs: of a worker.
    num_processes: that share the workers; 0 for a search in this process alone.
  """
  group = Group(
      name="all", space=search_cases.FIXED, task_sets=search_cases.tasks(2), evaluator=ToyEvaluator,
      config=search_cases.config(
          cycles_per_step=2, cache_size=16, max_programs=num_programs, fingerprint=True,
          hurdle=0.4))
  migration = Migration(every=5, seed=1)
  search = Federation([group], migration) if not num_processes else Cluster(
      [group], migration, InlineRuntime(), num_processes=num_processes, slice_seconds=0.0)
  directory = RunDirectory.open if path.exists() else RunDirectory
  runner.run(search, directory=directory(path, settings_of(search)), progress="off")


def state_of(run: pathlib.Path) -> dict[str, Any]:
  """The state of the newest checkpoint."""
  return Checkpoints(run / "checkpoints", schema=SCHEMA).load().state


def newest(run: pathlib.Path) -> pathlib.Path:
  """The newest version."""
  return max(path for path in (run / "checkpoints").iterdir())


def write_state(run: pathlib.Path, state: dict[str, Any]) -> None:
  """Puts a state in place of that of the newest checkpoint."""
  path = newest(run)
  info = manifest.read(path)
  shutil.rmtree(path)
  checkpoint_files.write(path, *packing.pack(state), info)


def write_file(run: pathlib.Path, name: str, content: bytes) -> None:
  """Puts a file in place of one of the newest checkpoint, and its checksum into the manifest."""
  path = newest(run)
  info = manifest.read(path)
  (path / name).write_bytes(content)
  manifest.write(path, info, ignore=NOTES)


def write_manifest(run: pathlib.Path, content: Any) -> None:
  """Puts this into the manifest of the newest checkpoint, with a checksum of its own."""
  body = json.dumps(content) + "\n"
  (newest(run) / manifest.NAME).write_text(body + manifest._digest_of(body) + "\n")


def leaves(state: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
  """What a state has that is no state itself, with the names that lead there."""
  if isinstance(state, dict):
    for name, part in state.items():
      yield from leaves(part, (*path, name))
  else:
    yield path, state


@st.composite
def changed_states(draw: Any, state: dict[str, Any]) -> dict[str, Any]:
  """A state with one or two of its leaves changed."""
  changed = _copy(state)
  places = list(leaves(state))
  for _ in range(draw(st.integers(1, 2))):
    path, leaf = draw(st.sampled_from(places))
    inside = changed
    for name in path[:-1]:
      inside = inside[name]
    if draw(st.integers(0, 19)) == 0:
      inside.pop(path[-1], None)
    elif isinstance(leaf, np.ndarray):
      inside[path[-1]] = draw(_changed_arrays(leaf))
    else:
      inside[path[-1]] = draw(fuzzing.json_values().filter(_storable))
  return changed


def _copy(state: Any) -> Any:
  if isinstance(state, dict):
    return {name: _copy(part) for name, part in state.items()}
  return state.copy() if isinstance(state, np.ndarray) else state


def _storable(value: Any) -> bool:
  """Whether a state may have it: what `pack` writes is JSON without names of arrays."""
  try:
    packing.pack({"value": value})
  except (TypeError, ValueError, RecursionError):
    return False
  return True


@st.composite
def _changed_arrays(draw: Any, array: np.ndarray) -> np.ndarray:
  """An array with other numbers, another type or another shape."""
  kind = draw(st.sampled_from(("number", "number", "number", "all", "type", "shape", "bits")))
  array = array.copy()
  if kind == "type":
    with np.errstate(all="ignore"):
      return array.astype(draw(st.sampled_from(_TYPES)))
  if kind == "shape":
    return draw(st.sampled_from(
        (array.ravel(), array[None], array[:0], array[:1], np.concatenate([array, array]),
         array.T.copy(), np.zeros((), array.dtype))))
  if not array.size:
    return array
  if kind == "bits":
    rng = np.random.default_rng(draw(st.integers(0, 99)))
    return np.frombuffer(rng.bytes(array.nbytes), array.dtype).reshape(array.shape) if (
        array.dtype != bool) else ~array
  value = draw(st.sampled_from(_NUMBERS))
  if array.dtype.kind == "f":
    value = draw(st.sampled_from((np.nan, np.inf, -np.inf, 1e308, -1.0, 0.0, 0.5, 2.0)))
  elif array.dtype.kind != "b":
    info = np.iinfo(array.dtype)
    value = min(max(value, info.min), info.max)
  if kind == "all":
    array[...] = value
  else:
    array.flat[draw(st.integers(0, array.size - 1))] = value
  return array
