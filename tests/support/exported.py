"""Runs exported NumPy files in an interpreter of their own, see tests/export/alone.py."""

import json
import pathlib
import subprocess
import sys
from typing import NamedTuple

import numpy as np

from azero.export import numpy_source
from azero.language.program import Programs
from azero.tasks.task import Tasks

_ALONE = pathlib.Path(__file__).parents[1] / "export" / "alone.py"


class Outcome(NamedTuple):
  """What N programs did on D tasks.

  Attributes:
    steps: [N, D] examples trained on.
    scores: [N, D, V, P] normalised predictions; NaN where training has failed.
    memory: [N][D] by address, the memory after the last validation example.
  """

  steps: np.ndarray
  scores: np.ndarray
  memory: list[list[dict]]


def run_alone(
    programs: Programs, tasks: Tasks, directory: pathlib.Path, *, seed: int,
    dtype: str = "float64",
) -> Outcome:
  """Writes a file for each program and runs all in one fresh interpreter without azero."""
  sources = [
      numpy_source(programs[i], tasks.num_classes, dtype=dtype) for i in range(len(programs))]
  (directory / "sources.json").write_text(json.dumps(sources))
  np.savez(
      directory / "tasks.npz", train_x=tasks.train_x, train_y=tasks.train_y,
      valid_x=tasks.valid_x, seeds=tasks.seeds, seed=seed)
  subprocess.run([sys.executable, "-I", str(_ALONE), str(directory)], check=True)
  results = np.load(directory / "results.npz")
  scores = results["scores"]
  return Outcome(
      results["steps"], scores.reshape(*scores.shape[:3], -1),
      json.loads((directory / "memory.json").read_text()))
