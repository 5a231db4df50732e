"""The op table: every basic operation a program may use, one row each.

Source: AutoML-Zero (Real et al., 2020), table S1; its rows are in `table_s1` and have the
ids 0 to 64. One row holds all that is known of an op: operand types, constants, JAX rule,
cost and spelling. The interpreter, mutation, liveness analysis, printer, parser and tests
read this table and nothing else, so that an op is added by adding a row, which
`own_ops.register_op` does. The table itself needs no JAX; see `rules`.
"""

from collections.abc import Callable, Sequence
import dataclasses
import enum
import functools
import itertools
import re
from typing import TYPE_CHECKING, Any, NamedTuple, ParamSpec, TypeVar, cast

import numpy as np

from azero.language import table_s1

if TYPE_CHECKING:
  import jax


class Kind(enum.IntEnum):
  """Type of an operand; the value is the rank of its array."""

  SCALAR = 0  # []
  VECTOR = 1  # [F]
  MATRIX = 2  # [F, F]

  @property
  def letter(self) -> str:
    """The letter that starts an address of this kind: s0, v0, m0."""
    return "svm"[self]

  def shape(self, num_features: int) -> tuple[int, ...]:
    """Shape of one value of this kind for `num_features` = F."""
    return (num_features,) * int(self)


class Constant(enum.Enum):
  """Meaning of one constant of an op; it decides how search draws and alters it."""

  VALUE = "value"  # drawn from U(-1, 1)
  INDEX = "index"  # a fraction in [0, 1): position int(fraction * F)
  BOUND = "bound"  # a bound of a uniform distribution, drawn from U(-1, 1)
  MEAN = "mean"  # drawn from U(-1, 1)
  STD = "std"  # drawn from U(0, 1); its absolute value is used


class Noise(enum.Enum):
  """Random numbers that an op consumes, of the shape of its output."""

  UNIFORM = "uniform"  # U(0, 1), never exactly 0 or 1
  NORMAL = "normal"  # N(0, 1)


class Zero(enum.Enum):
  """Which inputs have to be zero for an op to give zero, or not a number, for certain."""

  ANY = "any"  # one of them, whatever the others are: products
  FIRST = "first"  # the first: quotients
  ALL = "all"  # all of them
  SAME = "same"  # all of them, or none if both are one and the same: differences
  UNKNOWN = "unknown"  # nothing is known, or it gives something else of zeros


NO_OP = 0
MAX_CONSTANTS = 3
MAX_INPUTS = 2

Rule = Callable[..., "jax.Array"]
P = ParamSpec("P")
T = TypeVar("T")


@dataclasses.dataclass(frozen=True)
class Op:
  """One row of the op table.

  The arguments of `rule` are, in this order: the old value of the destination (only if
  `updates_output`), the inputs, the constants (an INDEX as an int32 position, the others
  in the type of the memory), the noise (only if `noise`). It returns a value that
  broadcasts to the shape of the output.

  Attributes:
    id: position in the table; ids 0-64 are those of table S1.
    name: unique, a Python identifier.
    inputs: kinds of the input addresses, at most two.
    output: kind of the output address; None only for no_op.
    rule: the computation on JAX arrays; None only for no_op.
    text: how the op prints, e.g. "{out} = {a} + {b}" with c0, c1, c2 for constants.
    aliases: further spellings that the parser accepts. One that leaves out {a} or {b}
      stands for an address of that kind which nothing writes (a zero).
    constants: meaning of each constant, at most three.
    noise: which random numbers the rule consumes.
    commutative: swapping the two inputs changes nothing, in any bit.
    updates_output: the rule reads the destination (it sets only a part of it).
    elementwise: inputs and output are of one kind and the rule treats every element on its
      own, so that it may be given arrays of any other shape.
    work: floating-point operations as (factor, power): factor * F ** power.
    zero: what it gives for zeros.
    registrations: how often an op of the user's own was registered before: what is compiled of one
      rule may not serve for the same rule later, which may refer to other values then.
  """

  id: int
  name: str
  inputs: tuple[Kind, ...]
  output: Kind | None
  rule: Rule | None
  text: str
  aliases: tuple[str, ...] = ()
  constants: tuple[Constant, ...] = ()
  noise: Noise | None = None
  commutative: bool = False
  updates_output: bool = False
  elementwise: bool = False
  work: tuple[float, int] = (1.0, 0)
  zero: Zero = Zero.UNKNOWN
  registrations: int = 0

  def compute(self, *arguments: "jax.Array") -> "jax.Array":
    """The rule on these arguments, deviations without their sign."""
    assert self.rule is not None
    first = self.updates_output + len(self.inputs)
    meanings = (None,) * first + self.constants
    return self.rule(*(
        abs(argument) if meaning is Constant.STD else argument
        for argument, meaning in itertools.zip_longest(arguments, meanings)))

  def cost(self, num_features: int) -> float:
    """Cost of one execution, in scalar additions, at F = `num_features`."""
    factor, power = self.work
    return factor * float(num_features) ** power


_TABLE: list[Op] = []
_BY_NAME: dict[str, Op] = {}
_CACHES: list[Any] = []  # of functions of the table, cleared when it changes
_KINDS = {kind.letter: kind for kind in Kind}


def all_ops() -> tuple[Op, ...]:
  """Every op of the table, in the order of their ids."""
  return tuple(_TABLE)


def op_by_id(op_id: int) -> Op:
  """The row with this id.

  Raises:
    ValueError: there is no such op.
  """
  if not 0 <= op_id < len(_TABLE):
    raise ValueError(
        f"Unknown op id {op_id}: the table has ids 0 to {len(_TABLE) - 1}. "
        "An op of your own must be added with register_op before it is used."
    )
  return _TABLE[op_id]


def op_by_name(name: str) -> Op:
  """The row with this name.

  Raises:
    ValueError: there is no such op.
  """
  if name not in _BY_NAME:
    raise ValueError(f"Unknown op '{name}'. Known: {', '.join(sorted(_BY_NAME))}.")
  return _BY_NAME[name]


class Columns(NamedTuple):
  """The op table as arrays over the op id, for NumPy code over whole batches.

  Attributes:
    input_kind: [ops, 2] int, kinds of the inputs; -1 where there is none.
    output_kind: [ops] int, kind of the output; -1 for none.
    num_inputs: [ops] int.
    num_constants: [ops] int.
    is_index: [ops, 3] bool, whether a constant is an index.
    is_std: [ops, 3] bool, whether a constant is a standard deviation.
    is_signed: [ops, 3] bool, whether a constant is any other number.
    commutative: [ops] bool.
    updates_output: [ops] bool.
    is_constant: [ops] bool, whether it is made of its constants alone.
    zero: [ops] int, the place in `Zero` of what it gives for zeros.
  """

  input_kind: np.ndarray
  output_kind: np.ndarray
  num_inputs: np.ndarray
  num_constants: np.ndarray
  is_index: np.ndarray
  is_std: np.ndarray
  is_signed: np.ndarray
  commutative: np.ndarray
  updates_output: np.ndarray
  is_constant: np.ndarray
  zero: np.ndarray


def cached_for_table(function: Callable[P, T]) -> Callable[P, T]:
  """Caches a function of hashable arguments until the op table changes."""
  cached = functools.lru_cache(maxsize=64)(function)
  _CACHES.append(cached)
  return cast(Callable[P, T], cached)


@cached_for_table
def columns() -> Columns:
  """The op table as arrays."""
  kinds = [list(op.inputs) + [-1] * (MAX_INPUTS - len(op.inputs)) for op in _TABLE]
  meanings = [
      [*op.constants] + [None] * (MAX_CONSTANTS - len(op.constants)) for op in _TABLE]
  is_index = np.array([[m is Constant.INDEX for m in row] for row in meanings])
  is_std = np.array([[m is Constant.STD for m in row] for row in meanings])
  present = np.array([[m is not None for m in row] for row in meanings])
  return Columns(
      input_kind=np.array(kinds),
      output_kind=np.array([-1 if op.output is None else op.output for op in _TABLE]),
      num_inputs=np.array([len(op.inputs) for op in _TABLE]),
      num_constants=np.array([len(op.constants) for op in _TABLE]),
      is_index=is_index,
      is_std=is_std,
      is_signed=present & ~is_index & ~is_std,
      commutative=np.array([op.commutative for op in _TABLE]),
      updates_output=np.array([op.updates_output for op in _TABLE]),
      is_constant=np.array([
          not (op.inputs or op.noise or op.updates_output) for op in _TABLE]),
      zero=np.array([list(Zero).index(op.zero) for op in _TABLE]),
  )


def put(op: Op) -> None:
  """Puts a row at its id: the next one, or that of a row which it replaces."""
  _TABLE[op.id : op.id + 1] = [op]
  _BY_NAME[op.name] = op
  _clear_caches()


def take_out(op: Op) -> None:
  """Takes the last row out of the table again."""
  assert _TABLE.pop() is op
  del _BY_NAME[op.name]
  _clear_caches()


def adopt(rows: Sequence[Op]) -> None:
  """Takes over what another process registered, in the order of its table."""
  for op in rows:
    put(op)


def row(
    op_id: int, name: str, inputs: str, output: str, rule: Rule | None,
    text: str | None = None, *, aliases: Sequence[str] = (),
    constants: Sequence[Constant] = (), noise: Noise | None = None,
    commutative: bool = False, updates_output: bool = False, elementwise: bool = False,
    work: tuple[float, int] | None = None, zero: Zero = Zero.UNKNOWN,
) -> Op:
  """A row with the kinds of its operands as letters; see `own_ops.register_op`, and `Op` for zero.

  Raises:
    ValueError: what does not fit an instruction, or contradicts itself.
  """
  in_kinds, out_kinds = _parse_kinds(name, inputs), _parse_kinds(name, output)
  if len(out_kinds) != (name != "no_op"):
    raise ValueError(f"Op '{name}' must have exactly one output, got {output!r}.")
  if text is None:
    fields = ["{a}", "{b}"][: len(in_kinds)] + [f"{{c{k}}}" for k in range(len(constants))]
    text = f"{{out}} = {name}({', '.join(fields)})"
  if work is None:
    work = (1.0, max((int(kind) for kind in in_kinds + out_kinds), default=0))
  op = Op(
      op_id, name, in_kinds, out_kinds[0] if out_kinds else None, rule, text, tuple(aliases),
      tuple(constants), noise, commutative, updates_output, elementwise, work, zero)
  _check(op)
  return op


def _parse_kinds(name: str, letters: str) -> tuple[Kind, ...]:
  if any(letter not in _KINDS for letter in letters):
    raise ValueError(f"Op '{name}': kinds {letters!r} must be letters of 'svm'.")
  return tuple(_KINDS[letter] for letter in letters)


def _check(op: Op) -> None:
  """Refuses a row that does not fit an instruction, or contradicts itself."""
  name, inputs = op.name, op.inputs
  outputs = () if op.output is None else (op.output,)
  if len(inputs) > MAX_INPUTS or len(op.constants) > MAX_CONSTANTS:
    raise ValueError(
        f"Op '{name}' has {len(inputs)} inputs and {len(op.constants)} constants; "
        f"at most {MAX_INPUTS} and {MAX_CONSTANTS} fit an instruction.")
  if op.commutative and (len(inputs) != 2 or inputs[0] != inputs[1]):
    raise ValueError(f"Op '{name}' is commutative, so it needs two inputs of one kind.")
  more = op.constants or op.noise or op.updates_output
  if op.elementwise and (set(inputs) != set(outputs) or more):
    raise ValueError(
        f"Op '{name}' is elementwise, so its inputs and output must be of one kind and nothing "
        "else may enter it.")
  required = {"{out}"} if outputs else set()
  required |= set(["{a}", "{b}"][: len(inputs)])
  required |= {f"{{c{k}}}" for k in range(len(op.constants))}
  if set(re.findall(r"\{\w+\}", op.text)) != required:
    raise ValueError(f"Op '{name}': text {op.text!r} must use exactly {sorted(required)}.")


def _clear_caches() -> None:
  for cached in _CACHES:
    cached.cache_clear()


@dataclasses.dataclass(frozen=True)
class _PaperRule:
  """The rule of an op of table S1; calling it loads JAX."""

  name: str

  def __call__(self, *arguments: "jax.Array") -> "jax.Array":
    from azero.language import rules  # takes as long as JAX does

    return rules.RULES[self.name](*arguments)


NUM_PAPER_OPS = len(table_s1.ROWS)

for _id, (_name, _inputs, _output, _text) in enumerate(table_s1.ROWS):
  _suffix = _name.rsplit("_", 1)[-1]
  put(row(
      _id, _name, _inputs, _output, None if _id == NO_OP else _PaperRule(_name), _text,
      aliases=table_s1.aliases(_name, _text),
      constants=tuple(map(Constant, table_s1.CONSTANTS.get(_name, ()))),
      noise={"uniform": Noise.UNIFORM, "gaussian": Noise.NORMAL}.get(_suffix),
      commutative=_name in table_s1.COMMUTATIVE,
      updates_output=_name in ("vector_constant", "matrix_constant"),
      elementwise=_name in table_s1.ELEMENTWISE,
      work=table_s1.WORK.get(_name),
      zero=Zero(table_s1.ZERO.get(_name, "unknown"))))
