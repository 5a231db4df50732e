"""Runs programs on symbols instead of numbers: as they are written, and by the tables of waves.

A symbol stands for an expression; equal expressions have equal symbols. Both ways of running
a program see Setup, then training and validation in each epoch, and return the symbols of
the predictions. Nothing here knows how the schedule was made.
"""

import numpy as np

from azero.executors.waves import layout as layout_lib
from azero.executors.waves import tables as tables_lib
from azero.executors.waves.layout import Layout
from azero.language import ops as op_table
from azero.language.ops import NO_OP, Constant, Kind, Op
from azero.language.program import EMPTY, Function, Programs

NUM_TRAIN, NUM_VALID, NUM_EPOCHS = 3, 2, 2

_SYMBOLS: dict[tuple, int] = {}
_FUSED = {fusion.op.name: fusion for fusion in layout_lib.fusions()}


def symbol(*expression) -> int:
  return _SYMBOLS.setdefault(expression, len(_SYMBOLS))


def zero(kind: Kind) -> int:
  return symbol("zero", kind)


def examples():
  """(phase, counter) of every pass through Predict, the last of them without a Learn."""
  for epoch in range(NUM_EPOCHS):
    for t in range(NUM_TRAIN):
      yield "train", epoch * NUM_TRAIN + t
    for t in range(NUM_VALID):
      yield "valid", epoch * NUM_VALID + t


def _normal(prediction: int, num_classes: int) -> int:
  return symbol("normal", prediction) if num_classes else prediction


def _value(op: Op, arguments: list[int], constants: tuple, draw: tuple) -> int:
  if op.name in _FUSED:
    fusion = _FUSED[op.name]
    inner = symbol(fusion.producer, *arguments[1:], (), ())
    pair = (inner, arguments[0]) if fusion.operand == 0 else (arguments[0], inner)
    return symbol(fusion.consumer, *pair, (), ())
  return symbol(op.name, *arguments, constants, draw if op.noise is not None else ())


def run_program(
    programs: Programs, index: int, position: np.ndarray, task_set: int, num_classes: int
) -> list[int]:
  """Predictions of program `index`, instruction by instruction."""
  space = programs.space
  memory: dict[tuple[Kind, int], int] = {}
  kind, label, predicted = (
      (Kind.VECTOR, 1, 2) if num_classes > 2 else (Kind.SCALAR, 0, 1))

  def read(kind, address):
    return memory.get((kind, int(address)), zero(kind))

  def run(function: Function, *draw) -> None:
    slots = space.slots(function)
    for slot in range(slots.start, slots.stop):
      opcode = int(programs.opcode[index, slot])
      if opcode in (EMPTY, NO_OP):
        continue
      op = op_table.op_by_id(opcode)
      addresses = programs.in1[index, slot], programs.in2[index, slot]
      out = int(programs.out[index, slot])
      arguments = [read(op.output, out)] if op.updates_output else []
      arguments += [read(kind, address) for kind, address in zip(op.inputs, addresses)]
      constants = tuple(
          float(int(value * space.num_features)) if meaning is Constant.INDEX else float(value)
          for meaning, value in zip(op.constants, programs.constants[index, slot]))
      memory[op.output, out] = _value(
          op, arguments, constants, (*draw, task_set, int(position[index, slot])))

  run(Function.SETUP, "setup", 0)
  predictions = []
  for phase, counter in examples():
    memory[Kind.VECTOR, 0] = symbol("x", task_set, phase, counter)
    memory[kind, label] = zero(kind)
    run(Function.PREDICT, phase, counter)
    predictions.append(read(kind, predicted))
    if phase == "train":
      memory[kind, predicted] = _normal(predictions[-1], num_classes)
      memory[kind, label] = symbol("y", task_set, counter)
      run(Function.LEARN, "learn", counter)
  return predictions


class _Chunk:
  """One chunk of a call, on rows of symbols."""

  def __init__(self, tables: tables_lib.Tables, g: int, layout: Layout):
    self.tables, self.g, self.layout = tables, g, layout
    self.rows = [[symbol("junk", k, row) for row in range(layout.num_rows[k])] for k in Kind]
    for kind in Kind:
      self.rows[kind][0] = zero(kind)
    self.programs = range(
        tables.first_program[g], tables.first_program[g] + tables.num_programs[g])
    self.labels = self.rows[layout.label_kind]

  def copy(self, copy_set: int) -> None:
    for kind in Kind:
      first, last = self.tables.copy_sets[self.g, copy_set, kind]
      for source, target in self.tables.copies[kind][first:last]:
        self.rows[kind][target] = self.rows[kind][source]

  def load(self, phase: str, counter: int) -> None:
    first = self.tables.first_program[self.g]
    for j in range(self.tables.num_task_sets[self.g]):
      k = int(self.tables.task_sets[first + j])
      self.rows[Kind.VECTOR][self.layout.first_features + j] = symbol("x", k, phase, counter)
      self.labels[self.layout.first_label + j] = symbol("y", k, counter)

  def run(self, section: int, *draw) -> None:
    for phase in range(*self.tables.sections[self.g, section]):
      for k in range(len(self.layout.classes)):
        for w in range(*self.tables.phases[phase, k]):
          self._wave(k, w, draw)

  def _wave(self, k: int, w: int, draw: tuple) -> None:
    own, table = self.layout.classes[k], self.tables.waves[k]
    op = own.ops[table.branch[w]]
    kinds = ((op.output,) if op.updates_output else ()) + op.inputs
    values = []
    for lane in range(own.lanes):
      arguments = [
          self.rows[kind][table.arguments[w, a, lane]] for a, kind in enumerate(kinds)]
      constants = tuple(table.constants[w, lane, : len(op.constants)].tolist())
      own_draw = () if op.noise is None else (
          *draw, int(table.task_set[w, lane]), int(table.position[w, lane]))
      values.append(_value(op, arguments, constants, own_draw))
    first = table.out[w]
    self.rows[own.output][first : first + own.lanes] = values

  def predict(self, phase: str, predictions: list[list[int]]) -> None:
    places = self.tables.trained if phase == "train" else self.tables.validated
    for i, program in enumerate(self.programs):
      predictions[i].append(self.labels[places[program]])
    if phase == "train" and self.layout.num_classes:
      for i in range(len(self.programs)):
        self.labels[self.layout.first_prediction + i] = _normal(
            predictions[i][-1], self.layout.num_classes)


def run_call(call: tables_lib.Call, layout: Layout) -> dict[int, list[int]]:
  """Predictions of every program of a call, in the order in which the executor works."""
  tables = tables_lib.unpack(layout, call.integers, call.constants)
  result: dict[int, list[int]] = {}
  for g in range(tables.num_chunks):
    chunk = _Chunk(tables, g, layout)
    predictions: list[list[int]] = [[] for _ in chunk.programs]
    chunk.run(Function.SETUP, "setup", 0)
    chunk.copy(tables_lib.TO_TRAINING)
    before = "train"
    for phase, counter in examples():
      if phase != before:
        chunk.copy(tables_lib.TO_VALIDATION if phase == "valid" else tables_lib.BACK_TO_TRAINING)
        before = phase
      chunk.load(phase, counter)
      chunk.run(Function.PREDICT if phase == "train" else tables_lib.VALIDATE, phase, counter)
      chunk.predict(phase, predictions)
      if phase == "train":
        chunk.run(Function.LEARN, "learn", counter)
    result |= {int(call.programs[p]): own for p, own in zip(chunk.programs, predictions)}
  return result
