"""Runs NumPy files in an interpreter that has neither azero nor JAX: python -I alone.py DIRECTORY.

The directory has sources.json, a list of the texts of files, and tasks.npz, arrays as those of
`Tasks`. What the programs did goes to results.npz: `steps` [N, D], `scores` [N, D, V, ...], and
`memory` in the file `memory.json`, the memory of each program and task after the last row.
"""

import json
import pathlib
import sys

import numpy as np

for name in ("azero", "jax", "jaxlib", "scipy", "numba"):
  sys.modules[name] = None  # importing it raises ImportError


def main(directory):
  """Trains each program on each task, and predicts."""
  sources = json.loads((directory / "sources.json").read_text())
  tasks = np.load(directory / "tasks.npz")
  seed = int(tasks["seed"])
  steps, scores, memories = [], [], []
  for number, source in enumerate(sources):
    path = directory / f"program_{number}.py"
    names = {}
    exec(compile(source, path, "exec"), names)
    steps.append([])
    scores.append([])
    memories.append([])
    for task, task_seed in enumerate(tasks["seeds"].tolist()):
      try:
        memory = names["fit"](
            tasks["train_x"][task], tasks["train_y"][task], seed=seed, task_seed=task_seed)
        done = len(tasks["train_x"][task])
        found, memory = names["run"](tasks["valid_x"][task])
      except names["Stopped"] as stopped:
        done, found, memory = stopped.steps, None, {}
      steps[-1].append(done)
      scores[-1].append(found)
      memories[-1].append(
          {key: np.asarray(value).tolist() for key, value in memory.items() if key != "key"})
  shape = next(each.shape for rows in scores for each in rows if each is not None)
  nothing = np.full(shape, np.nan)
  np.savez(
      directory / "results.npz", steps=steps,
      scores=[[nothing if each is None else each for each in rows] for rows in scores])
  (directory / "memory.json").write_text(json.dumps(memories))


if __name__ == "__main__":
  main(pathlib.Path(sys.argv[1]))
