"""The data flow of one program as Python objects: who writes what each instruction reads.

`azero.compiler.sources` finds the sources of operands as words of bits. To interpret a
single program (supplement S8 of the AutoML-Zero paper) objects are easier to walk along.
"""

from collections.abc import Callable, Iterable
import dataclasses

import jax.numpy as jnp
import numpy as np

from azero.compiler import liveness, sources
from azero.language import ops as op_table
from azero.language.ops import Constant, Noise, Op
from azero.language.program import Function, Programs, format_instruction

_FIELD = np.uint64(0xFFFF)


@dataclasses.dataclass(frozen=True)
class Source:
  """Where the value of an operand comes from; nothing at all stands for zero.

  Attributes:
    setup: the instruction of Setup that may have written it, or None.
    predict: that of Predict.
    learn: that of Learn.
    same_pass: whether it was written since this example's Predict began.
    features: whether it is the features of the example.
    label: whether it is the label.
    prediction: whether the evaluation keeps its prediction there between examples.
  """

  setup: int | None = None
  predict: int | None = None
  learn: int | None = None
  same_pass: bool = False
  features: bool = False
  label: bool = False
  prediction: bool = False

  @property
  def writers(self) -> tuple[int, ...]:
    """The instructions that may have written it."""
    return tuple(k for k in (self.setup, self.predict, self.learn) if k is not None)

  @property
  def is_data(self) -> bool:
    """Whether it is something of an example rather than of the program."""
    return self.features or self.label or self.prediction

  @property
  def is_zero(self) -> bool:
    """Whether nothing writes it."""
    return not self.is_data and not self.writers

  def writer(self, *, training: bool) -> int | None:
    """The instruction that wrote the value once the first examples are over, or None.

    In training Learn comes last before the next example; in validation Predict alone runs.
    """
    order = (self.learn, self.predict) if training else (self.predict, self.learn)
    return next((k for k in (*order, self.setup) if k is not None), None)


@dataclasses.dataclass(frozen=True)
class Instruction:
  """A live instruction.

  Attributes:
    function: its component function.
    line: from 1, within the component function, dead instructions counted.
    text: as it is printed.
    op: its op.
    output: the address that it writes, as it is printed.
    constants: [3] float64.
    operands: sources of its inputs, and of the old value of its output if the op keeps a part
      of that.
  """

  function: Function
  line: int
  text: str
  op: Op
  output: str
  constants: np.ndarray
  operands: tuple[Source, ...]

  def __str__(self) -> str:
    return f"{self.function.name.title()} {self.line}: {self.text}"


class Flow:
  """The live instructions of one program, by number, and how values go between them.

  Attributes:
    instructions: in the order of Setup, Predict and Learn.
    predicted: the source of the prediction at the end of Predict.
    num_features: F.
  """

  def __init__(self, program: Programs, *, multiclass: bool = False):
    """Analyses a program.

    Args:
      program: a batch of one.
      multiclass: whether its task is multi-class.

    Raises:
      ValueError: not one program.
    """
    if len(program) != 1:
      raise ValueError(f"One program is analysed at a time; got {len(program)}.")
    space = program.space
    self.num_features = space.num_features
    [live] = liveness.live_instructions(program, multiclass=multiclass)
    flow = sources.data_flow(program, live, multiclass=multiclass)
    functions = space.function_of_slot[flow.slot]
    self.predicted = self._source(flow.predicted, functions, Function.PREDICT)
    self.instructions: list[Instruction] = []
    for k, column in enumerate(flow.slot.tolist()):
      op, function = op_table.op_by_id(int(program.opcode[0, column])), Function(functions[k])
      assert op.output is not None
      operands = [0, 1][: len(op.inputs)] + [2] * op.updates_output
      self.instructions.append(Instruction(
          function, column - space.offsets[function] + 1, format_instruction(program, column), op,
          f"{op.output.letter}{program.out[0, column]}", program.constants[0, column], tuple(
              self._source(int(flow.source[k, operand]), functions, function)
              for operand in operands)))
    self._ancestors = [self.closure(each.operands) for each in self.instructions]

  @staticmethod
  def _source(word: int, functions: np.ndarray, reader: Function) -> Source:
    tag = np.uint64(word) & ~np.uint64((1 << 48) - 1)
    low, middle, high = (word >> shift & int(_FIELD) for shift in (0, 16, 32))
    if tag == sources.ABOVE:
      setup, predict, learn = (
          low - 1 if functions[low - 1] == function else None for function in Function)
      return Source(setup, predict, learn, same_pass=True)
    is_prediction = bool(tag == sources.PREDICTION)
    setup, learn, predict = (part - 1 if part else None for part in (high, middle, low))
    return Source(
        setup, predict, learn, features=bool(tag == sources.FEATURES),
        label=bool(tag == sources.LABEL), prediction=is_prediction,
        same_pass=is_prediction and reader is Function.LEARN)

  def ancestors(self, number: int) -> frozenset[int]:
    """The instructions that the value of one depends on, itself only if by way of a loop."""
    return self._ancestors[number]

  def closure(self, sources: Iterable[Source]) -> frozenset[int]:
    """The instructions that these sources depend on."""
    return self.walk(sources, lambda number: True)

  def walk(
      self, sources: Iterable[Source], through: Callable[[int], bool], *,
      along: Callable[[Source], bool] = lambda source: True,
      operands: Callable[[int], Iterable[Source]] | None = None, training: bool | None = None,
  ) -> frozenset[int]:
    """The instructions met on the way back from some sources.

    Args:
      sources: where to start.
      through: whether to go on to the operands of an instruction.
      along: whether to follow a source.
      operands: which operands of an instruction to go on to; by default all.
      training: True or False to follow only what is written last in training or validation.
    """

    def writers(source: Source) -> tuple[int, ...]:
      if training is None:
        return source.writers
      last = source.writer(training=training)
      return () if last is None else (last,)

    met: set[int] = set()
    waiting = [source for source in sources if along(source)]
    while waiting:
      for number in writers(waiting.pop()):
        if number not in met:
          met.add(number)
          if through(number):
            more = self.instructions[number].operands if operands is None else operands(number)
            waiting += filter(along, more)
    return frozenset(met)

  def depends_on(self, sources: Iterable[Source], what: Callable[[Source], bool]) -> bool:
    """Whether some source, or one that they depend on, has a property."""
    sources = tuple(sources)
    return any(map(what, sources)) or any(
        what(source) for number in self.closure(sources)
        for source in self.instructions[number].operands)

  def is_carried(self, number: int) -> bool:
    """Whether the value of an instruction depends on its own of an earlier example."""
    return number in self.ancestors(number)

  def observe(self, reader: int, operand: int, num_examples: int) -> np.ndarray:
    """Runs what a scalar depends on, and watches it in training.

    Args:
      reader: the instruction that reads the scalar.
      operand: which of its operands it is; must depend on no data.
      num_examples: training examples.

    Returns:
      [num_examples] float64, the scalar as it is read at each example; NaN where the
      instruction has not been reached for it.
    """
    source = self.instructions[reader].operands[operand]
    needed = sorted(self.closure([source]))
    values: dict[int, jnp.ndarray] = {}
    noise = np.random.default_rng(0)
    watched = np.full(num_examples, np.nan)
    for number in needed:
      if self.instructions[number].function is Function.SETUP:
        values[number] = self._execute(number, values, noise)
    loop = [n for n in needed if self.instructions[n].function is not Function.SETUP]
    for example in range(num_examples):
      before = [n for n in loop if n < reader]
      for number in before:
        values[number] = self._execute(number, values, noise)
      value = self._value(source, values)
      watched[example] = float(value) if value is not None else 0.0
      for number in loop[len(before):]:
        values[number] = self._execute(number, values, noise)
    return watched

  def _value(self, source: Source, values: dict[int, jnp.ndarray]) -> jnp.ndarray | None:
    """The latest value of a source in training; None for zero."""
    if source.is_data:
      raise ValueError("Only what depends on no data can be observed without data.")
    for writer in (source.learn, source.predict, source.setup):
      if writer is not None and writer in values:
        return values[writer]
    return None

  def _execute(
      self, number: int, values: dict[int, jnp.ndarray], noise: np.random.Generator
  ) -> jnp.ndarray:
    instruction = self.instructions[number]
    op = instruction.op
    assert op.output is not None
    kinds = [*op.inputs, op.output]
    arguments = []
    for kind, source in zip(kinds, instruction.operands):
      value = self._value(source, values)
      arguments.append(jnp.zeros(kind.shape(self.num_features)) if value is None else value)
    if op.updates_output:  # a rule takes the old value first
      arguments = [arguments[-1], *arguments[:-1]]
    for value, meaning in zip(instruction.constants, op.constants):
      index = meaning is Constant.INDEX
      arguments.append(jnp.asarray(int(value * self.num_features) if index else float(value)))
    shape = op.output.shape(self.num_features)
    if op.noise is not None:
      draw = noise.standard_normal if op.noise is Noise.NORMAL else noise.random
      arguments.append(jnp.asarray(draw(shape)))
    return jnp.broadcast_to(op.compute(*arguments), shape)
