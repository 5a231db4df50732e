"""Programs as fixed-shape arrays, and the search space that gives them their shape.

A candidate algorithm has three component functions: Setup, Predict and Learn (section
3.1 of the AutoML-Zero paper). Here a batch of N programs is a handful of NumPy arrays of
shape [N, L]: every component function owns a fixed range of the L slots, as long as the
longest it may become, and its instructions fill that range from the front. Programs print in
the paper's notation; `text` reads it.
"""

from collections.abc import Iterable, Mapping, Sequence
import dataclasses
import enum
import functools
import html
import re
import textwrap
from typing import Any

import numpy as np

from azero.language import ops as op_table
from azero.language.whole_numbers import require_whole

EMPTY = -1  # opcode of a slot that holds no instruction

# Addresses with a fixed meaning. Setup, Predict and Learn share one memory.
LABEL_SCALAR = 0  # s0: the label, zero while Predict runs; never written by a program
PREDICTION_SCALAR = 1  # s1: the prediction
FEATURES_VECTOR = 0  # v0: the features; never written by a program
LABEL_VECTOR = 1  # v1: one-hot label of a multi-class task
PREDICTION_VECTOR = 2  # v2: the prediction of a multi-class task

# First address of each kind that an instruction may write: s1, v1, m0.
FIRST_WRITABLE = {op_table.Kind.SCALAR: 1, op_table.Kind.VECTOR: 1, op_table.Kind.MATRIX: 0}

MAX_ADDRESSES = 64  # one bit each in the analysis of liveness
MAX_SLOTS = (1 << 16) - 2  # `compiler.sources` has 16 bits for an instruction
MAX_FEATURES = (1 << 31) - 1  # positions are int32

_OWN_OPS = "own_ops"  # in a pickled component function


class Function(enum.IntEnum):
  """The component functions, in the order of their slots."""

  SETUP = 0
  PREDICT = 1
  LEARN = 2


@dataclasses.dataclass(frozen=True)
class Component:
  """What one component function may contain.

  Attributes:
    ops: ids of the allowed ops.
    max_length: number of slots.
    min_length: fewest instructions that removal leaves; equal to `max_length` where the
      length is fixed.
    searched: whether search may change this component function, or must leave it as given.
  """

  ops: tuple[int, ...]
  max_length: int
  min_length: int = 0
  searched: bool = True

  def __post_init__(self) -> None:
    if isinstance(self.ops, str) or not isinstance(self.ops, Iterable) or not all(
        isinstance(op, (int, np.integer)) and not isinstance(op, bool) for op in self.ops):
      raise ValueError(
          f"Allowed ops must be a list of ids, as op_by_name(name).id, got {self.ops!r}.")
    object.__setattr__(self, "ops", tuple(sorted(int(op) for op in self.ops)))
    if len(set(self.ops)) != len(self.ops):
      raise ValueError(f"Allowed ops {self.ops} name an op twice.")
    for op in self.ops:
      op_table.op_by_id(op)
    require_whole(min_length=self.min_length, max_length=self.max_length)
    if not 0 <= self.min_length <= self.max_length:
      raise ValueError(
          f"Lengths must satisfy 0 <= min_length <= max_length, got {self.min_length} "
          f"and {self.max_length}."
      )

  def __getstate__(self) -> dict[str, Any]:
    """What is pickled: ops of the user's own with their names, since another table may differ."""
    own = {op: _described(op_table.op_by_id(op)) for op in self.ops
           if op >= op_table.NUM_PAPER_OPS}
    return {**vars(self), _OWN_OPS: own}

  def __setstate__(self, state: Mapping[str, Any]) -> None:
    """Takes over what was pickled.

    Raises:
      ValueError: an op of the user's own is not in the table, or another one has its number.
    """
    values = dict(state)
    table = op_table.all_ops()
    for op, wanted in values.pop(_OWN_OPS, {}).items():
      if op >= len(table) or _described(table[op]) != wanted:
        known = ", ".join(map(_described, table[op_table.NUM_PAPER_OPS:]))
        raise ValueError(
            f"This was pickled with '{wanted}' as op {op}, an op of your own; here are "
            f"{known or 'none'}. Register the same ops in the same order first.")
    vars(self).update(values)


def _described(op: op_table.Op) -> str:
  """An op of the user's own by its name and operands."""
  letters = "".join(kind.letter for kind in op.inputs)
  constants = "".join(f" {each.value}" for each in op.constants)
  return f"{op.name}: {letters}{constants} -> {op.output.letter if op.output is not None else ''}"


@dataclasses.dataclass(frozen=True)
class SearchSpace:
  """Static sizes of the memory and of the component functions, and the allowed ops.

  Attributes:
    num_scalars: scalar addresses, at least 2 (s0 the label, s1 the prediction).
    num_vectors: vector addresses, at least 1 (v0 the features).
    num_matrices: matrix addresses.
    num_features: F, the length of a vector and the side of a matrix.
    setup: what Setup may contain.
    predict: what Predict may contain.
    learn: what Learn may contain.
  """

  num_scalars: int
  num_vectors: int
  num_matrices: int
  num_features: int
  setup: Component
  predict: Component
  learn: Component

  def __post_init__(self) -> None:
    require_whole(
        num_scalars=self.num_scalars, num_vectors=self.num_vectors,
        num_matrices=self.num_matrices, num_features=self.num_features)
    if self.num_scalars < 2 or self.num_vectors < 1 or self.num_matrices < 0:
      raise ValueError(
          "A program needs at least 2 scalars (label and prediction), 1 vector (features) "
          f"and 0 matrices; got {self.num_scalars}, {self.num_vectors}, {self.num_matrices}."
      )
    if not 1 <= self.num_features <= MAX_FEATURES:
      raise ValueError(
          f"num_features must be from 1 to {MAX_FEATURES}, got {self.num_features}.")
    if self.num_slots > MAX_SLOTS:
      raise ValueError(
          f"Setup, Predict and Learn have room for {self.num_slots} instructions in all, more than "
          f"the {MAX_SLOTS} that are supported: lower max_length.")
    if sum(self.num_addresses) > MAX_ADDRESSES:
      raise ValueError(
          f"{sum(self.num_addresses)} addresses ({self.num_scalars} scalars, "
          f"{self.num_vectors} vectors, {self.num_matrices} matrices) are more than the "
          f"{MAX_ADDRESSES} that are supported."
      )
    for function, component in zip(Function, self.components):
      for op_id in component.ops:
        op = op_table.op_by_id(op_id)
        for kind in op.inputs:
          if self.num_addresses[kind] == 0:
            raise ValueError(
                f"{function.name.title()} allows op {op.id} ({op.name}), which reads a "
                f"{kind.name.lower()}, but the space has none."
            )
        if op.output is not None and not self.writable(op.output):
          raise ValueError(
              f"{function.name.title()} allows op {op.id} ({op.name}), which writes a "
              f"{op.output.name.lower()}, but the space has no writable address of that kind."
          )

  @property
  def num_addresses(self) -> tuple[int, int, int]:
    """Addresses per kind: scalars, vectors, matrices."""
    return self.num_scalars, self.num_vectors, self.num_matrices

  @property
  def components(self) -> tuple[Component, Component, Component]:
    """Setup, Predict, Learn."""
    return self.setup, self.predict, self.learn

  @functools.cached_property
  def offsets(self) -> tuple[int, int, int, int]:
    """First slot of Setup, Predict and Learn, then the number of slots L."""
    predict = self.setup.max_length
    learn = predict + self.predict.max_length
    return 0, predict, learn, learn + self.learn.max_length

  @property
  def num_slots(self) -> int:
    """L, the number of slots of a program."""
    return self.offsets[-1]

  @functools.cached_property
  def function_of_slot(self) -> np.ndarray:
    """Component function of every slot: [L] int."""
    return np.repeat(np.arange(3), [component.max_length for component in self.components])

  def slots(self, function: Function | int) -> slice:
    """The slots of one component function."""
    return slice(self.offsets[function], self.offsets[function + 1])

  def writable(self, kind: op_table.Kind) -> int:
    """How many addresses of this kind an instruction may write."""
    return max(0, self.num_addresses[kind] - FIRST_WRITABLE[kind])

  def with_ops(self, *ops: op_table.Op, functions: Iterable[str] = ("predict", "learn")
               ) -> "SearchSpace":
    """The same space with further ops, such as `register_op` gives.

    Args:
      *ops: rows of the table of ops.
      functions: the component functions that may use them, of "setup", "predict" and "learn".

    Raises:
      ValueError: an unknown function, or an op for which the space has no memory.
    """
    changed = {}
    for name in functions:
      if name not in ("setup", "predict", "learn"):
        raise ValueError(f"functions must be of setup, predict and learn, got {name!r}.")
      component = getattr(self, name)
      allowed = {*component.ops, *(op.id for op in ops)}
      changed[name] = dataclasses.replace(component, ops=tuple(allowed))
    return dataclasses.replace(self, **changed)

  def with_features(self, num_features: int) -> "SearchSpace":
    """The same space for another number of features F."""
    if num_features == self.num_features:
      return self
    return dataclasses.replace(self, num_features=num_features)


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class Programs:
  """A batch of N programs with L slots each.

  Fields that an op does not use are zero. An index constant is a fraction in [0, 1).

  Attributes:
    space: sizes and allowed ops.
    opcode: [N, L] int16, the op's id; EMPTY where a slot holds no instruction.
    in1: [N, L] int16, address of the first input.
    in2: [N, L] int16, address of the second input.
    out: [N, L] int16, address of the output.
    constants: [N, L, 3] float64.
  """

  space: SearchSpace
  opcode: np.ndarray
  in1: np.ndarray
  in2: np.ndarray
  out: np.ndarray
  constants: np.ndarray

  ARRAYS = ("opcode", "in1", "in2", "out", "constants")

  @classmethod
  def empty(cls, space: SearchSpace, num_programs: int = 1) -> "Programs":
    """Programs without any instruction: where search starts in section 4.2."""
    shape = (num_programs, space.num_slots)
    in1, in2, out = np.zeros((3,) + shape, np.int16)
    opcode = np.full(shape, EMPTY, np.int16)
    return cls(space, opcode, in1, in2, out, np.zeros(shape + (op_table.MAX_CONSTANTS,)))

  @classmethod
  def concatenate(cls, batches: Sequence["Programs"]) -> "Programs":
    """Joins batches of one space.

    Raises:
      ValueError: no batch, or batches of different spaces.
    """
    if not batches:
      raise ValueError("No programs to concatenate.")
    if any(batch.space != batches[0].space for batch in batches):
      raise ValueError("Programs of different search spaces cannot be joined.")
    return Programs(batches[0].space, *(
        np.concatenate([getattr(batch, name) for batch in batches]) for name in cls.ARRAYS))

  def __len__(self) -> int:
    return len(self.opcode)

  def __getitem__(self, index) -> "Programs":
    """Programs at an integer, slice, list or mask; always a batch."""
    if isinstance(index, (int, np.integer)):
      if not -len(self) <= index < len(self):
        raise IndexError(f"Program {index} of a batch of {len(self)}.")
      index = [index]
    return Programs(self.space, *(getattr(self, name)[index] for name in self.ARRAYS))

  def __eq__(self, other: object) -> bool:
    """Whether both hold the same instructions of the same space, in the same order."""
    if not isinstance(other, Programs):
      return NotImplemented
    return self.space == other.space and all(
        np.array_equal(getattr(self, name), getattr(other, name)) for name in self.ARRAYS)

  __hash__ = None  # type: ignore[assignment]  # mutable arrays

  def __repr__(self) -> str:
    shown = [format_program(self, i) for i in range(min(len(self), 3))]
    if len(self) == 1:
      return shown[0]
    more = f"\n# ... {len(self) - 3} more" if len(self) > 3 else ""
    return "\n".join(f"# program {i}\n{code}" for i, code in enumerate(shown)) + more

  def _repr_html_(self) -> str:
    """What a notebook shows: the component functions of the first programs side by side."""
    tables = [_html_table(format_program(self, i)) for i in range(min(len(self), 3))]
    if len(self) == 1:
      return tables[0]
    shown = [f"<p>program {i}</p>\n{table}" for i, table in enumerate(tables)]
    more = [f"<p>... {len(self) - 3} more</p>"] if len(self) > 3 else []
    return "\n".join(shown + more)

  def with_features(self, num_features: int) -> "Programs":
    """The same programs, in the same arrays, for another number of features F."""
    return dataclasses.replace(self, space=self.space.with_features(num_features))

  @property
  def lengths(self) -> np.ndarray:
    """Instructions in Setup, Predict and Learn: [N, 3] int."""
    filled = self.opcode != EMPTY
    return np.stack([filled[:, self.space.slots(f)].sum(1) for f in Function], axis=1)

  def validate(self) -> "Programs":
    """Checks every instruction against the space and returns the batch itself.

    Raises:
      ValueError: names the program, the component function, the instruction and what is
        wrong with it.
    """
    _check_arrays(self)
    for function, component in zip(Function, self.space.components):
      slots = self.space.slots(function)
      filled = self.opcode[:, slots] != EMPTY
      gap = ~filled[:, :-1] & filled[:, 1:]
      if gap.any():
        raise ValueError(
            f"Program {np.argwhere(gap)[0][0]}: {function.name.title()} has an empty slot "
            "before an instruction; instructions must fill a component function from the front."
        )
      for op_id in np.unique(self.opcode[:, slots][filled]):
        rows, columns = np.nonzero(self.opcode[:, slots] == op_id)
        columns = columns + slots.start
        self._check_op(int(op_id), component, function, rows, columns)
    return self

  def _check_op(
      self, op_id: int, component: Component, function: Function, rows: np.ndarray,
      columns: np.ndarray,
  ) -> None:
    """Checks all instructions (rows, columns) of one op in one component function."""

    def fail(bad: np.ndarray, problem: str) -> None:
      if bad.any():
        k = int(np.argmax(bad))
        line = columns[k] - self.space.offsets[function] + 1
        raise ValueError(
            f"Program {rows[k]}, {function.name.title()}, instruction {line}: {problem}.")

    op = op_table.op_by_id(op_id)
    every = np.ones(len(rows), bool)
    if op_id not in component.ops:
      fail(every, f"op {op.id} ({op.name}) is not allowed; allowed are {list(component.ops)}")
    for name, kind in zip(("in1", "in2"), op.inputs):
      address, size = getattr(self, name)[rows, columns], self.space.num_addresses[kind]
      fail((address < 0) | (address >= size),
           f"{name} of {op.name} must be an address from {kind.letter}0 to {kind.letter}{size - 1}")
    if op.output is not None:
      address, size = self.out[rows, columns], self.space.num_addresses[op.output]
      first = FIRST_WRITABLE[op.output]
      fail((address < first) | (address >= size),
           f"the output of {op.name} must be an address from {op.output.letter}{first} to "
           f"{op.output.letter}{size - 1}")
    for k, meaning in enumerate(op.constants):
      value = self.constants[rows, columns, k]
      fail(~np.isfinite(value), f"constant {k} of {op.name} is not a finite number")
      if meaning is op_table.Constant.INDEX:
        fail((value < 0) | (value >= 1),
             f"constant {k} of {op.name} is an index, stored as a fraction in [0, 1)")


def format_program(
    programs: Programs, index: int = 0, *, dead: np.ndarray | None = None
) -> str:
  """One program of a batch in the paper's notation.

  Args:
    programs: the batch.
    index: which program.
    dead: [L] bool, the slots to mark with a comment, which the parser ignores.

  Returns:
    Lines without a final newline. An index constant shows as its position for the
    space's number of features; the others as the shortest number that is exactly theirs.

  Raises:
    IndexError: there is no such program.
    ValueError: `dead` has another shape.
  """
  program = programs[index]
  space = program.space
  if dead is not None and np.shape(dead) != (space.num_slots,):
    raise ValueError(
        f"dead has shape {np.shape(dead)}; it needs one entry for each of the "
        f"{space.num_slots} slots of the space.")
  shown: list[tuple[str, bool]] = []
  for function in Function:
    shown.append((f"def {function.name.title()}():", False))
    for slot in range(space.num_slots)[space.slots(function)]:
      if program.opcode[0, slot] != EMPTY:
        is_dead = dead is not None and bool(dead[slot])
        shown.append((f"  {format_instruction(program, slot)}", is_dead))
  width = max(len(line) for line, _ in shown)
  return "\n".join(f"{line:<{width}}  # dead" if is_dead else line for line, is_dead in shown)


def _html_table(text: str) -> str:
  """A printed program as a table with a column for each component function."""
  functions = re.split(r"^def ", text, flags=re.MULTILINE)[1:]
  names, bodies = zip(*(each.split("():", 1) for each in functions))
  heads = "".join(f"<th style='text-align:left'>{name}</th>" for name in names)
  cells = "".join(
      f"<td style='text-align:left;vertical-align:top'><pre>"
      f"{html.escape(textwrap.dedent(body).strip())}</pre></td>"
      for body in bodies)
  return f"<table><tr>{heads}</tr>\n<tr>{cells}</tr></table>"


def check_num_classes(num_classes: int) -> None:
  """Refuses what is no number of classes of a task.

  Raises:
    ValueError: says what is one.
  """
  require_whole(num_classes=num_classes)
  if num_classes < 0 or num_classes == 1:
    raise ValueError(
        "num_classes must be 0 for a real-valued label, 2 for two classes, or more; got "
        f"{num_classes}.")


def format_instruction(program: Programs, slot: int) -> str:
  """One instruction of a program, a batch of one, in the paper's notation."""
  op = op_table.op_by_id(int(program.opcode[0, slot]))
  addresses = zip(
      ("out", "a", "b"), (op.output, *op.inputs),
      (program.out[0, slot], program.in1[0, slot], program.in2[0, slot]))
  fields = {name: f"{kind.letter}{n}" for name, kind, n in addresses if kind is not None}
  for k, meaning in enumerate(op.constants):
    value = float(program.constants[0, slot, k])
    is_index = meaning is op_table.Constant.INDEX
    fields[f"c{k}"] = str(int(value * program.space.num_features)) if is_index else repr(value)
  return op.text.format(**fields)


def _check_arrays(programs: Programs) -> None:
  """Checks shapes and types of the arrays of a batch."""
  expected = (len(programs.opcode), programs.space.num_slots)
  for name in Programs.ARRAYS:
    array = getattr(programs, name)
    shape = expected + ((op_table.MAX_CONSTANTS,) if name == "constants" else ())
    if array.shape != shape:
      raise ValueError(f"Programs.{name} has shape {array.shape}, the space needs {shape}.")
    if (array.dtype.kind == "f") != (name == "constants"):
      raise ValueError(f"Programs.{name} has type {array.dtype}.")
