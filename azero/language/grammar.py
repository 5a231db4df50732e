"""One line of the paper's notation, read as an op and its operands.

Source: table S1 and the listings of the AutoML-Zero paper, and the printer of its
published code. The spellings come from the op table; a line is turned into a key, such as
(v, =, dot, (, m, comma, v, )), that is looked up among those of all ops. A line without an
entry is compared with the spellings to say where it departs from them.
"""

from collections.abc import Iterable, Sequence
import dataclasses
import functools
import itertools
import re

from azero.language import ops as op_table
from azero.language.lexer import (
  ADDRESS,
  END,
  NUMBER,
  Key,
  Line,
  ProgramSyntaxError,
  Token,
  end_of,
  suggestion,
  tokenize,
)
from azero.language.ops import Kind, Op

_PIECE = re.compile(r"\{\w+\}|#|[^\W\d]\w*|[0-9.]+|\S")
_OPERATORS = ("+", "-", "*", "/")
_ONE_OPERATION = (
    "an instruction holds one operation. Write the inner result to an address of its own on "
    "a line before, and use that address here")


@dataclasses.dataclass(frozen=True)
class Statement:
  """An instruction as written.

  Attributes:
    op: the row of the op table.
    start: the first token.
    fields: the token of out, a, b, c0, c1 and c2, as far as the op has them. The token of
      a or b is a number where a literal 0 stands for an address that nothing writes.
  """

  op: Op
  start: Token
  fields: dict[str, Token]


@dataclasses.dataclass(frozen=True)
class Pattern:
  """A spelling of an op, token by token.

  Attributes:
    op_id: the op; looked up when matched, because its row may have been replaced.
    is_text: whether the op prints like this; otherwise it is an alias.
    key: the keys of the tokens.
    fields: what each token gives: out, a, b, c0, c1, c2 or None.
    literals: the value that a number must have, or None.
  """

  op_id: int
  is_text: bool
  key: tuple[Key, ...]
  fields: tuple[str | None, ...]
  literals: tuple[float | None, ...]

  @functools.cached_property
  def structure(self) -> tuple[str, ...]:
    """The keys without the kinds of addresses, and the end."""
    return _structure(self.key)

  @functools.cached_property
  def head(self) -> str:
    """The function or operator."""
    return _head(self.key)

  def departs(self, tokens: Sequence[Token]) -> int | None:
    """Position of the first number that is not the pattern's; the keys must be equal."""
    for position, (token, value) in enumerate(zip(tokens, self.literals)):
      if value is not None and float(token.text) != value:
        return position
    return None


def match(tokens: Sequence[Token]) -> Statement:
  """Reads the tokens of one instruction.

  Raises:
    ProgramSyntaxError: they spell no op of the table.
  """
  index = _index()
  patterns = [
      pattern for pattern in index.get(tuple(token.key for token in tokens), ())
      if pattern.departs(tokens) is None
  ]
  patterns = [pattern for pattern in patterns if pattern.is_text] or patterns
  if not patterns:
    raise _explain(tokens, [pattern for group in index.values() for pattern in group])
  names = sorted({op_table.op_by_id(pattern.op_id).name for pattern in patterns})
  if len(names) > 1:
    raise tokens[0].error(
        f"ops {' and '.join(names)} are both spelled like this; register one with another text")
  fields = {field: token for field, token in zip(patterns[0].fields, tokens) if field}
  return Statement(op_table.op_by_id(patterns[0].op_id), tokens[0], fields)


def form(op: Op) -> str:
  """How an op is written, with kinds for addresses: "v = s * v"."""
  kinds = dict(zip(("out", "a", "b"), (op.output, *op.inputs, None)))
  fields = {field: kind.letter for field, kind in kinds.items() if kind is not None}
  for k, meaning in enumerate(op.constants):
    fields[f"c{k}"] = "index" if meaning is op_table.Constant.INDEX else "number"
  return op.text.format(**fields)


def check_spellings(op: Op) -> None:
  """Checks that every spelling of an op of the table is read as that op.

  Raises:
    ValueError: names the spelling and what is wrong with it.
  """
  kinds = zip(("out", "a", "b"), (op.output, *op.inputs))
  fields = {name: f"{kind.letter}1" for name, kind in kinds if kind is not None}
  fields |= {f"c{k}": "0.5" for k in range(len(op.constants))}
  for spelling in (op.text, *op.aliases):
    try:
      if spelling == op.text and "#" in spelling:
        raise ValueError("'#' starts a comment where the op is printed")
      line = spelling.replace("#", "1.0").format(**fields)
      found = match(tokenize(Line(1, line, None))).op
    except (ValueError, LookupError) as error:
      reason = getattr(error, "problem", error)
      raise ValueError(
          f"Op '{op.name}': spelling {spelling!r} cannot be read: {reason}.") from error
    if found.id != op.id:
      raise ValueError(
          f"Op '{op.name}': spelling {spelling!r} is that of op {found.id} ({found.name}).")


@op_table.cached_for_table
def _index() -> dict[tuple[Key, ...], list[Pattern]]:
  """The spellings of all ops by their keys."""
  index: dict[tuple[Key, ...], list[Pattern]] = {}
  for op in op_table.all_ops():
    for spelling in (op.text, *op.aliases):
      pattern = _compile(op, spelling)
      index.setdefault(pattern.key, []).append(pattern)
  return index


def _compile(op: Op, spelling: str) -> Pattern:
  """The pattern of one spelling.

  Raises:
    ValueError: it leaves out the output, a constant, or an input without a literal 0.
  """
  kinds = dict(zip(("out", "a", "b"), (op.output, *op.inputs)))
  numbers = [f"c{k}" for k in range(len(op.constants))]
  keys: list[Key] = []
  fields: list[str | None] = []
  literals: list[float | None] = []
  for piece in _PIECE.findall(spelling):
    field = piece[1:-1] if piece[0] == "{" and len(piece) > 1 else None
    kind = kinds.get(field) if field else None
    is_literal = piece[0] in "0123456789."
    is_number = is_literal or piece == "#" or field in numbers
    keys.append(kind if kind is not None else NUMBER if is_number else piece)
    fields.append(field)
    literals.append(float(piece) if is_literal else None)
  for field, kind in kinds.items():
    if kind is None or field in fields:
      continue
    free = [k for k, value in enumerate(literals)
            if value == 0 and fields[k] is None and keys[k - 1] != "="]
    if field == "out" or not free:
      break
    fields[free[0]] = field
  required = {field for field, kind in kinds.items() if kind is not None} | set(numbers)
  if {field for field in fields if field} != required:
    raise ValueError(
        f"Op '{op.name}': spelling {spelling!r} must use {sorted(required)}; only an input "
        "may be left out, for a literal 0.")
  return Pattern(op.id, spelling == op.text, tuple(keys), tuple(fields), tuple(literals))


def _structure(keys: Iterable[Key]) -> tuple[str, ...]:
  return tuple(ADDRESS if isinstance(key, Kind) else key for key in keys) + (END,)


def _head(keys: Sequence[Key]) -> str:
  """The function that is called, else the operator behind the equals sign, else nothing."""
  words = [key for key in _structure(keys) if key != END]
  for word, following in itertools.pairwise(words):
    if following == "(" and word.isidentifier():
      return word
  right = words[words.index("=") + 1 :] if "=" in words else words
  return next((word for word in right if word not in (NUMBER, ADDRESS, "[", "]", ",")), "")


def _forms(head: str, patterns: Sequence[Pattern]) -> str:
  """The forms of all ops that may be written with this function or operator."""
  ids = sorted({pattern.op_id for pattern in patterns if pattern.head == head})
  return ", ".join(form(op_table.op_by_id(op_id)) for op_id in ids)


def _explain(tokens: Sequence[Token], patterns: Sequence[Pattern]) -> ProgramSyntaxError:
  """Why no pattern fits: a wrong structure, wrong kinds of addresses, or a wrong number."""
  structure = _structure(token.key for token in tokens)
  position = max(_common(structure, pattern.structure) for pattern in patterns)
  if position == len(structure):
    return _explain_kinds(tokens, [p for p in patterns if p.structure == structure], patterns)
  near = [p for p in patterns if p.structure[:position] == structure[:position]]
  expected = {p.structure[position] for p in near}
  return _explain_structure([*tokens, end_of(tokens)], position, expected, patterns)


def _common(left: Sequence, right: Sequence) -> int:
  """Length of the common beginning."""
  length = 0
  while length < min(len(left), len(right)) and left[length] == right[length]:
    length += 1
  return length


def _explain_kinds(
    tokens: Sequence[Token], near: Sequence[Pattern], patterns: Sequence[Pattern]
) -> ProgramSyntaxError:
  """Why a line does not fit the patterns `near`, which have its structure."""
  key = tuple(token.key for token in tokens)
  head = _head(key)
  exact = [pattern for pattern in near if pattern.key == key]
  if exact:
    position = exact[0].departs(tokens) or 0
    token, before = tokens[position], tokens[position - 2].text if position > 1 else ""
    values = " or ".join(sorted({f"{pattern.literals[position]:g}" for pattern in exact}))
    if before != "axis":
      return token.error(f"expected {values}, not {token.text}: "
                         f"'{head}' is written {_forms(head, patterns)}")
    rows = ""
    if head in ("mean", "std"):
      rows = " (the result has one value per row; table S1 misprints the axis)"
    return token.error(
        f"'{head}' of a matrix has no axis={token.text}; write axis={values}{rows}")
  position = max(_common(key, pattern.key) for pattern in near)
  shown = " ".join(
      token.key.letter if isinstance(token.key, Kind)
      else "number" if token.key == NUMBER else token.text for token in tokens)
  shown = re.sub(r" ([(),\]\[])", r"\1", re.sub(r"([(\[]) ", r"\1", shown))
  problem = f"'{shown}' is not an op; there are: {_forms(head, patterns)}"
  inputs = [k for k, part in enumerate(key) if isinstance(part, Kind)][1:]
  if len(inputs) == 2:
    swapped = list(tokens)
    swapped[inputs[0]], swapped[inputs[1]] = tokens[inputs[1]], tokens[inputs[0]]
    if any(pattern.key == tuple(token.key for token in swapped) for pattern in near):
      first, second = swapped[inputs[0]].text, swapped[inputs[1]].text
      problem += f". Swap the operands: {first} comes before {second}"
  return tokens[position].error(problem)


def _explain_structure(
    tokens: Sequence[Token], position: int, expected: set[str], patterns: Sequence[Pattern]
) -> ProgramSyntaxError:
  """Why the token at a position, the last being the end, is none of the expected ones."""
  token = tokens[position]
  functions = {p.head for p in patterns if p.head.isidentifier() and "=" in p.key}
  is_call = position + 1 < len(tokens) and tokens[position + 1].text == "("
  after_equals = any(before.text == "=" for before in tokens[:position])
  if position == 0:
    return token.error(
        f"unexpected {token.shown}; an instruction starts with the address it writes, such as "
        "s2 = s3 + s0, and a component function with def")
  if is_call and isinstance(token.key, str) and token.text.isidentifier() and after_equals:
    if token.text not in functions:
      known = ", ".join(sorted(functions))
      return token.error(f"unknown function '{token.text}'"
                         f"{suggestion(token.text, functions)}; known are: {known}")
    return token.error(_ONE_OPERATION)
  head = _head([before.key for before in tokens[:-1]])
  forms = _forms(head, patterns) if head else ""
  usage = f"; '{head}' is written {forms}" if forms else ""
  if expected & {ADDRESS, NUMBER}:
    return token.error(_explain_operand(token) + usage)
  if token.text in _OPERATORS and after_equals:
    before = tokens[position - 1]
    if before.key == NUMBER and tokens[position - 2].text == "=":
      return before.error(_explain_operand(before) + usage)
    return token.error(_ONE_OPERATION)
  if token.key == END and [before.text for before in tokens[1:2]] == ["="] and position == 3:
    out, copied = tokens[0].text, tokens[2].text
    return token.error(
        f"no op copies an address; write {out} = maximum({copied}, {copied}) to do so")
  if token.text == ")" and "," in expected:
    return token.error("too few arguments" + usage)
  if tokens[position - 1].text == "," or (token.text == "," and ")" in expected):
    return token.error("too many arguments" + suggestion(token.text, expected) + usage)
  if END in expected:
    return token.error(f"unexpected {token.shown} behind the end of the instruction" + usage)
  wanted = " or ".join(f"'{word}'" for word in sorted(expected))
  return token.error(f"expected {wanted}, not {token.shown}" + usage)


def _explain_operand(token: Token) -> str:
  """What is wrong with a token in the place of an operand."""
  if token.key == END:
    return "missing operand: the line ends here"
  if token.key == NUMBER:
    return (f"a number cannot be an operand; write s2 = {token.text} on a line before, if s2 "
            "is free, and use s2 here")
  if isinstance(token.key, Kind):
    return f"expected a number, not the address {token.text}"
  if token.text.isidentifier():
    return f"unknown word '{token.text}'; an address is s, v or m with a number, such as s2"
  if token.text == "(":
    return _ONE_OPERATION
  return f"missing operand before {token.shown}"
