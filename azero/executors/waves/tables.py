"""Tables that the wave executor reads: waves, phases, copies and places of programs.

They have fixed shapes and lie in two arrays, one pair for each call of the executor. The
schedule fills them, but for waves and copies beyond those that there are: none reads these.
"""

from collections.abc import Iterable
import math
from typing import Any, NamedTuple

import numpy as np

from azero.executors.waves.layout import Layout
from azero.language.ops import Kind
from azero.language.program import Function

# Sections of a chunk: the component functions, then Predict in validation, which finds what
# it wrote an example before where training finds what Learn wrote.
VALIDATE = len(Function)
NUM_SECTIONS = len(Function) + 1

# Rows that are copied when the evaluation goes from one loop to the other.
TO_TRAINING, TO_VALIDATION, BACK_TO_TRAINING = range(3)
NUM_COPY_SETS = 3


class WaveTable(NamedTuple):
  """Waves of one class: [W] waves of C lanes.

  Attributes:
    branch: [W] int32, index of the op in its class.
    out: [W] int32, row of the first lane; the others follow.
    arguments: [W, A, C] int32, rows of the arguments.
    constants: [W, C, K] floats; an index constant is its position.
    position: [W, C] int32, index among the program's live instructions; random ops draw by it.
    task_set: [W, C] int32; random ops draw by its tasks.
  """

  branch: np.ndarray
  out: np.ndarray
  arguments: np.ndarray
  constants: np.ndarray
  position: np.ndarray
  task_set: np.ndarray


class Tables(NamedTuple):
  """What one call of the executor runs: G chunks of P programs at most, Q in all.

  Programs, and task sets, stand in one list, chunk by chunk.

  Attributes:
    waves: a table for each class.
    phases: [F, classes, 2] int32, first and last + 1 wave of each class in each phase.
    sections: [G, sections, 2] int32, first and last + 1 phase.
    copies: for each kind, [K, 2] int32: from and to.
    copy_sets: [G, copy sets, kinds, 2] int32, first and last + 1 copy.
    task_sets: [Q] int32, the task sets of each chunk from its first program on.
    num_task_sets: [G] int32.
    first_program: [G] int32, the first program of each chunk.
    num_programs: [G] int32.
    labels: [Q] int32, row of each program's labels.
    trained: [Q] int32, row of each program's prediction in training.
    validated: [Q] int32, the same in validation.
    num_chunks: [] int32.
  """

  waves: tuple[WaveTable, ...]
  phases: np.ndarray
  sections: np.ndarray
  copies: tuple[np.ndarray, ...]
  copy_sets: np.ndarray
  task_sets: np.ndarray
  num_task_sets: np.ndarray
  first_program: np.ndarray
  num_programs: np.ndarray
  labels: np.ndarray
  trained: np.ndarray
  validated: np.ndarray
  num_chunks: np.ndarray


class Call(NamedTuple):
  """One call of the executor.

  Attributes:
    integers: [...] int32, the tables in one array; see `unpack`.
    constants: [...] floats, those of the tables.
    programs: [n] int, which programs it runs, in the order of its lists.
  """

  integers: np.ndarray
  constants: np.ndarray
  programs: np.ndarray


_ALIGNMENT = 64  # bytes, of memory that XLA uses as it is

Shapes = dict[str, tuple[int, ...]]


def _shapes(layout: Layout) -> tuple[list[Shapes], Shapes, list[tuple[int, ...]]]:
  """Shapes of the integers of each class's waves and of the other tables, and of constants."""
  waves: list[Shapes] = []
  for own in layout.classes:
    random = (own.capacity, own.lanes) if own.is_random else (0, 0)
    waves.append({
        "branch": (own.capacity,), "out": (own.capacity,),
        "arguments": (own.capacity, own.num_inputs, own.lanes), "position": random,
        "task_set": random})
  chunks = layout.num_chunks
  others: Shapes = {
      "phases": (layout.num_phases, len(layout.classes), 2),
      "sections": (chunks, NUM_SECTIONS, 2),
      "copy_sets": (chunks, NUM_COPY_SETS, len(Kind), 2),
      "num_task_sets": (chunks,), "first_program": (chunks,), "num_programs": (chunks,),
      "num_chunks": ()}
  others |= {
      name: (layout.num_listed,) for name in ("task_sets", "labels", "trained", "validated")}
  return waves, others, [(own.capacity, own.lanes, own.num_constants) for own in layout.classes]


def new_arrays(layout: Layout, dtype: np.dtype) -> tuple[np.ndarray, np.ndarray]:
  """Tables of any content as two arrays, which reach a device faster than many."""
  waves, others, constants = _shapes(layout)
  sizes = [math.prod(shape) for shapes in (*waves, others) for shape in shapes.values()]
  sizes.append(len(Kind) * layout.num_copies * 2)
  return (_aligned(sum(sizes), np.dtype(np.int32)),
          _aligned(sum(math.prod(shape) for shape in constants), dtype))


def _aligned(size: int, dtype: np.dtype) -> np.ndarray:
  """An array that a device reads where it is: XLA copies others, in a thread of its own."""
  room = np.empty(size * dtype.itemsize + _ALIGNMENT, np.uint8)
  start = -room.ctypes.data % _ALIGNMENT
  return room[start : start + size * dtype.itemsize].view(dtype)


def unpack(layout: Layout, integers: Any, constants: Any) -> Tables:
  """Tables as views of the two arrays; of NumPy arrays or of those of a traced function."""
  waves, others, constant_shapes = _shapes(layout)
  ends = {"integers": 0, "constants": 0}

  def cut(array: Any, name: str, shape: tuple[int, ...]) -> Any:
    start, ends[name] = ends[name], ends[name] + math.prod(shape)
    return array[start : ends[name]].reshape(shape)

  tables = tuple(
      WaveTable(constants=cut(constants, "constants", constant_shape), **{
          name: cut(integers, "integers", shape) for name, shape in shapes.items()})
      for shapes, constant_shape in zip(waves, constant_shapes))
  # Apart from each other: a slice of one array would be taken anew in every pass of the loop.
  copies = tuple(cut(integers, "integers", (layout.num_copies, 2)) for _ in Kind)
  return Tables(
      waves=tables, copies=copies,
      **{name: cut(integers, "integers", shape) for name, shape in others.items()})


class Starts(NamedTuple):
  """Where each table of `Tables` starts in the two arrays, for kernels.

  Attributes:
    waves: [classes, 6] int64, of the fields of `WaveTable`.
    copies: [kinds] int64.
    others: [11] int64, of the other fields of `Tables` in their order.
  """

  waves: np.ndarray
  copies: np.ndarray
  others: np.ndarray


def starts(layout: Layout) -> Starts:
  """Where the tables of a layout start."""
  integers, constants = new_arrays(layout, np.dtype(np.float32))
  places = unpack(layout, np.arange(len(integers)), np.arange(len(constants)))

  def first(views: Iterable[np.ndarray]) -> list[int]:
    return [int(view.flat[0]) if view.size else 0 for view in views]

  waves = np.array([first(own) for own in places.waves], np.int64)
  others = first(getattr(places, name) for name in Tables._fields if name not in _SPLIT)
  return Starts(
      waves.reshape(-1, len(WaveTable._fields)), np.array(first(places.copies)), np.array(others))


_SPLIT = ("waves", "copies")  # fields of `Tables` that are several tables
