"""Memory of this process and of the machine, as far as they can be told."""

import pathlib

import numpy as np
import psutil


def peak_memory() -> float | None:
  """Most memory that this process has held, in bytes; None where that cannot be read."""
  status = pathlib.Path("/proc/self/status")
  if not status.exists():
    return None
  lines = dict(line.split(":", 1) for line in status.read_text().splitlines())
  return float(lines["VmHWM"].split()[0]) * 1024 if "VmHWM" in lines else None


def task_bytes(
    num_tasks: int, num_examples: int, num_features: int, dtype: str = "float32") -> int:
  """Bytes of a task batch, once in main memory and once on the device.

  Args:
    num_tasks: D.
    num_examples: of each, to train and to validate.
    num_features: F.
    dtype: of programs' memory.
  """
  numbers = num_tasks * num_examples * (num_features + 1)
  return numbers * (8 + np.dtype(dtype).itemsize)


def require_memory(num_bytes: float, remedy: str) -> None:
  """Refuses tasks that this machine's memory cannot hold.

  Args:
    num_bytes: of the tasks of all workers.
    remedy: what to do about it.

  Raises:
    ValueError: they take more than there is.
  """
  memory = psutil.virtual_memory().total
  if num_bytes > memory:
    raise ValueError(
        f"The tasks of all workers take about {num_bytes / 1e9:,.0f} GB, but this machine has "
        f"{memory / 1e9:,.0f} GB of memory: {remedy}.")
