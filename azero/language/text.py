"""The paper's notation <-> Programs.

Source: figure 5, table S1 and the listings of section S6 of the AutoML-Zero paper:

  def Setup():
    s2 = 0.001
  def Predict():
    s1 = dot(v0, v1)
  def Learn():
    s3 = s0 - s1

Text -> arrays -> text is exact. Arrays -> text -> arrays is exact too, except that an
index constant, a fraction in [0, 1), becomes the centre (i + 0.5) / F of its position i.
Programs print themselves, see `program.format_program`; reading is here.
"""

from collections.abc import Sequence
import math
import re

from azero.language import grammar, lexer
from azero.language import ops as op_table
from azero.language import program as layout
from azero.language.grammar import Statement
from azero.language.lexer import ProgramSyntaxError, Token
from azero.language.ops import Constant, Kind
from azero.language.program import Component, Function, Programs, SearchSpace, format_program

__all__ = ["ProgramSyntaxError", "format_program", "infer_space", "parse", "parse_many"]

_DEFAULT_FEATURES = 4
_NAMES = [function.name.title() for function in Function]
_FIELDS = ("out", "a", "b")

Listing = tuple[list[Statement], list[Statement], list[Statement]]


def parse(
    text: str, space: SearchSpace | None = None, *, num_features: int | None = None,
    multiclass: bool = False,
) -> Programs:
  """Reads one program.

  Args:
    text: the program in the paper's notation.
    space: what the program must fit; by default what `infer_space` finds.
    num_features: F, needed without a space if the program has an index constant.
    multiclass: whether v1 is the label and v2 the prediction, which then are there.

  Returns:
    A batch of one.

  Raises:
    ProgramSyntaxError: names the line and column and what is wrong there.
    TypeError: `text` is not a string.
    ValueError: `num_features` or `multiclass` contradicts the space.
  """
  if not isinstance(text, str):
    raise TypeError(
        f"parse needs the text of a program as a str, got {type(text).__name__}; "
        "read a file first, for example with pathlib.Path(path).read_text().")
  return _assemble([_read(text)], space, num_features, multiclass)


def parse_many(
    texts: Sequence[str], space: SearchSpace | None = None, *,
    num_features: int | None = None, multiclass: bool = False,
) -> Programs:
  """Reads N programs into one space; arguments and errors as for `parse`.

  Returns:
    A batch of N, in the order of the texts.
  """
  return _assemble(_read_all(texts), space, num_features, multiclass)


def infer_space(
    texts: Sequence[str], num_features: int | None = None, *, multiclass: bool = False
) -> SearchSpace:
  """The smallest space that holds all these programs.

  Memory reaches to the highest address in use, and at least to s1 and v0. A component
  function is as long as the longest, and allows the ops that occur in it.

  Args:
    texts: programs in the paper's notation.
    num_features: F; by default 4 if no program has an index constant.
    multiclass: as for `parse`.

  Raises:
    ProgramSyntaxError: a malformed program, more addresses than are supported, or an
      index constant without `num_features`.
    TypeError: `texts` is not a sequence of strings.
  """
  return _infer(_read_all(texts), num_features, multiclass)


def _read_all(texts: Sequence[str]) -> list[Listing]:
  """Reads several texts; errors name the text if there are several."""
  if isinstance(texts, str) or not all(isinstance(text, str) for text in texts):
    raise TypeError("texts must be a sequence of str, one for each program.")
  if not texts:
    raise ValueError("texts is empty; at least one program is needed.")
  return [_read(text, k if len(texts) > 1 else None) for k, text in enumerate(texts)]


def _read(text: str, program: int | None = None) -> Listing:
  """The instructions of each component function, checked without regard to a space."""
  listing: Listing = ([], [], [])
  defined: dict[Function, int] = {}
  body: list[Statement] | None = None
  for number, source in enumerate(re.split(r"\r\n|\r|\n", text), start=1):
    tokens = lexer.tokenize(lexer.Line(number, source, program))
    if not tokens:
      continue
    if tokens[0].text == "def":
      function = _read_def(tokens)
      if function in defined:
        raise tokens[1].error(
            f"{tokens[1].text} is already defined in line {defined[function]}; a program has "
            "each component function once")
      defined[function] = number
      body = listing[function]
    elif body is None:
      raise tokens[0].error(
          "instruction before the first component function; start with 'def Setup():', "
          "'def Predict():' or 'def Learn():'")
    elif [token.text for token in tokens] != ["pass"]:
      statement = grammar.match(tokens)
      _check_writable(statement)
      body.append(statement)
  if not defined:
    first = Token("", "", lexer.Line(1, re.split(r"\r|\n", text)[0], program), 1)
    raise first.error(
        "the text has no component function; a program consists of 'def Setup():', "
        "'def Predict():' and 'def Learn():', each followed by its instructions")
  return listing


def _read_def(tokens: Sequence[Token]) -> Function:
  """The component function that a line such as "def Setup():" starts."""
  tokens = [*tokens, lexer.end_of(tokens)]
  name = tokens[1]
  if name.text not in _NAMES:
    raise name.error(
        f"unknown component function {name.shown}{lexer.suggestion(name.text, _NAMES)}; "
        f"it must be {_NAMES[0]}, {_NAMES[1]} or {_NAMES[2]}")
  for token, wanted in zip(tokens[2:], "():"):
    if token.text != wanted:
      raise token.error(f"expected '{wanted}', not {token.shown}; write 'def {name.text}():'")
  if len(tokens) > 6:
    raise tokens[5].error(
        f"unexpected {tokens[5].shown} behind 'def {name.text}():'; instructions start on the "
        "next line")
  return Function(_NAMES.index(name.text))


def _check_writable(statement: Statement) -> None:
  """Refuses to write the label or the features."""
  kind = statement.op.output
  if kind is not None and statement.fields["out"].address < layout.FIRST_WRITABLE[kind]:
    token = statement.fields["out"]
    holds = "label" if kind is Kind.SCALAR else "features"
    raise token.error(
        f"{token.text} holds the {holds} and cannot be written; the first address that an "
        f"instruction may write is {kind.letter}{layout.FIRST_WRITABLE[kind]}")


def _assemble(
    listings: Sequence[Listing], space: SearchSpace | None, num_features: int | None,
    multiclass: bool,
) -> Programs:
  """The arrays of several programs."""
  if space is None:
    space = _infer(listings, num_features, multiclass)
  elif num_features not in (None, space.num_features):
    raise ValueError(
        f"num_features is {num_features}, but the space has {space.num_features}; leave it "
        f"out, or use space.with_features({num_features}).")
  elif multiclass and space.num_vectors <= layout.PREDICTION_VECTOR:
    raise ValueError(
        f"The space has {space.num_vectors} vectors; {layout.PREDICTION_VECTOR + 1} are needed. A "
        "multi-class program uses v1 for the label and v2 for the prediction.")
  programs = Programs.empty(space, len(listings))
  for row, listing in enumerate(listings):
    for function, statements in zip(Function, listing):
      component, first = space.components[function], space.offsets[function]
      for k, statement in enumerate(statements):
        _check_allowed(statement, component, function, k)
        slot = first + k
        programs.opcode[row, slot] = statement.op.id
        for name, kind, array in zip(
            _FIELDS, (statement.op.output, *statement.op.inputs),
            (programs.out, programs.in1, programs.in2)):
          if kind is not None:
            array[row, slot] = _address(statement.fields[name], kind, listing, space, multiclass)
        for c, meaning in enumerate(statement.op.constants):
          programs.constants[row, slot, c] = _constant(
              statement.fields[f"c{c}"], meaning, space.num_features)
  return programs


def _infer(
    listings: Sequence[Listing], num_features: int | None, multiclass: bool
) -> SearchSpace:
  """The smallest space of these programs; see `infer_space`."""
  sizes = {Kind.SCALAR: 2, Kind.VECTOR: layout.PREDICTION_VECTOR + 1 if multiclass else 1,
           Kind.MATRIX: 0}
  highest: Token | None = None
  for statement in _statements(listings):
    for token in statement.fields.values():
      if isinstance(token.key, Kind):
        sizes[token.key] = max(sizes[token.key], token.address + 1)
        if highest is None or token.address > highest.address:
          highest = token
    for k, meaning in enumerate(statement.op.constants):
      token = statement.fields[f"c{k}"]
      if meaning is Constant.INDEX and num_features is None and not _is_fraction(token):
        raise token.error(
            f"index {token.text} has a meaning only for a known number of features F; pass "
            "num_features=F")
  # A literal 0 may need an address that no text names.
  for kind in Kind:
    short = [not _spare(kind, sizes[kind], listing, multiclass)
             for listing in listings if _has_zero(kind, listing)]
    sizes[kind] += any(short)
  if highest is not None and sum(sizes.values()) > layout.MAX_ADDRESSES:
    raise highest.error(
        f"the memory up to this address, {sum(sizes.values())} addresses in all kinds, is "
        f"larger than the {layout.MAX_ADDRESSES} that are supported; use lower addresses")
  components = []
  for function in Function:
    bodies = [listing[function] for listing in listings]
    ops = {statement.op.id for body in bodies for statement in body}
    components.append(Component(tuple(ops), max(len(body) for body in bodies)))
  return SearchSpace(
      sizes[Kind.SCALAR], sizes[Kind.VECTOR], sizes[Kind.MATRIX],
      _DEFAULT_FEATURES if num_features is None else num_features, *components)


def _statements(listings: Sequence[Listing]) -> list[Statement]:
  """All instructions, in order."""
  return [statement for listing in listings for body in listing for statement in body]


def _has_zero(kind: Kind, listing: Listing) -> bool:
  """Whether a literal 0 stands for an address of this kind."""
  return any(
      input_kind is kind and statement.fields[name].key == lexer.NUMBER
      for statement in _statements([listing])
      for name, input_kind in zip(("a", "b"), statement.op.inputs))


def _spare(kind: Kind, size: int, listing: Listing, multiclass: bool) -> list[int]:
  """Addresses of a kind that stay zero in a program, the best first."""
  used = {
      statement.fields["out"].address for statement in _statements([listing])
      if statement.op.output is kind}
  # The evaluation itself writes these; v1 and v2 only if the task is multi-class.
  if kind is Kind.SCALAR:
    used |= {layout.LABEL_SCALAR, layout.PREDICTION_SCALAR}
  elif kind is Kind.VECTOR:
    used.add(layout.FEATURES_VECTOR)
  last = {layout.LABEL_VECTOR, layout.PREDICTION_VECTOR} if kind is Kind.VECTOR else set()
  if multiclass:
    used |= last
  return sorted(set(range(size)) - used, key=lambda address: (address in last, address))


def _check_allowed(
    statement: Statement, component: Component, function: Function, position: int
) -> None:
  """Checks an op and the place of its instruction against a component function."""
  name, op = _NAMES[function], statement.op
  if position >= component.max_length:
    raise statement.start.error(
        f"{name} has more than the {component.max_length} instructions that the space allows; "
        "remove some or raise its max_length")
  if op.id not in component.ops:
    allowed = [f"{k} ({op_table.op_by_id(k).name})" for k in component.ops[:8]]
    more = [f"{len(component.ops) - 8} more"] if len(component.ops) > 8 else []
    raise statement.start.error(
        f"op {op.id} ({op.name}) is not allowed in {name}; the space allows there: "
        f"{', '.join(allowed + more) or 'none'}")


def _address(
    token: Token, kind: Kind, listing: Listing, space: SearchSpace, multiclass: bool
) -> int:
  """The address that a token stands for."""
  size = space.num_addresses[kind]
  if token.key == lexer.NUMBER:
    spare = _spare(kind, size, listing, multiclass)
    if not spare:
      raise token.error(
          f"0 stands for a {kind.name.lower()} that nothing writes, but the program writes all "
          f"that the space has; add an address of that kind to the space")
    return spare[0]
  if token.address >= size:
    has = f"{kind.letter}0 to {kind.letter}{size - 1}" if size else "no address of that kind"
    raise token.error(f"address {token.text} is out of range: the space has {has}")
  return token.address


def _is_fraction(token: Token) -> bool:
  """Whether an index is given as a fraction of F, as the published printer does."""
  return not token.text.lstrip("+-").isdigit()


def _constant(token: Token, meaning: Constant, num_features: int) -> float:
  """The value to store for a constant."""
  value = float(token.text)
  if not math.isfinite(value):
    raise token.error(f"{token.text} is too large for a 64-bit float")
  if meaning is not Constant.INDEX:
    return value
  if _is_fraction(token):
    if not 0 <= value < 1:
      raise token.error(
          f"index {token.text} must be a whole number from 0 to {num_features - 1}, or a "
          "fraction of the number of features in [0, 1)")
    return value
  if not 0 <= value < num_features:
    raise token.error(
        f"index {token.text} is out of range: with {num_features} features it goes from 0 to "
        f"{num_features - 1}")
  return (int(value) + 0.5) / num_features
