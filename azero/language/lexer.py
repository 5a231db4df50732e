"""Tokens of the paper's notation, and the error that points at one.

Source: figure 5, table S1 and the listings of the AutoML-Zero paper. A token knows where
it stands, so that whoever finds it wrong can say so.
"""

from collections.abc import Iterable, Sequence
import dataclasses
import difflib
import re

from azero import files
from azero.language.ops import Kind

# Keys of tokens that do not stand for themselves; no token has such a text.
NUMBER = "<number>"
ADDRESS = "<address>"
END = "<end>"

Key = Kind | str

_TOKEN = re.compile(
    r"(?P<blank>[\s\ufeff]+)|(?P<number>[0-9.](?:[eE][+-]|[\w.])*)|(?P<name>[^\W\d]\w*)|.")
_NUMBER = re.compile(r"(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")
_ADDRESS = re.compile(r"[svm][0-9]+")
_MOST_DIGITS = 9  # of an address
_MOST_SHOWN = 120  # characters of a line


class ProgramSyntaxError(ValueError):
  """A program's text is wrong in one place.

  Attributes:
    problem: what is wrong and how to mend it.
    line: number of the line, from 1.
    column: position in the line, from 1.
    source: the line.
    program: which of several texts, from 0; None if there is only one.
  """

  def __init__(
      self, problem: str, line: int, column: int, source: str, program: int | None = None
  ) -> None:
    """Takes the attributes."""
    super().__init__(problem, line, column, source, program)
    self.problem, self.line, self.column = problem, line, column
    self.source, self.program = source, program

  def __str__(self) -> str:
    """The place, the problem, and the line with a caret below the place."""
    which = "" if self.program is None else f"program {self.program}, "
    before, after = self.source[: self.column - 1], self.source[self.column - 1 :]
    if len(self.source) > _MOST_SHOWN:  # the place is shown with what is near it
        half = _MOST_SHOWN // 2
        before = before if len(before) <= half else "..." + before[-half:]
        after = after if len(after) <= half else after[:half] + "..."
    # Tabs stay, so that the caret stands below its character at any tab width.
    indent = re.sub(r"[^\t]", " ", before)
    return (
        f"{which}line {self.line}, column {self.column}: {self.problem}.\n"
        f"    {before}{after}\n    {indent}^"
    )


@dataclasses.dataclass(frozen=True)
class Line:
  """A line of a program's text: its number from 1, and which of several texts it is in."""

  number: int
  source: str
  program: int | None = None


@dataclasses.dataclass(frozen=True)
class Token:
  """A word, number or symbol.

  Attributes:
    text: as written; a number has its sign.
    key: the kind of an address, NUMBER, END, or the text itself.
    line: where it stands.
    column: position in the line, from 1.
  """

  text: str
  key: Key
  line: Line
  column: int

  @property
  def address(self) -> int:
    """The number of an address."""
    return int(self.text[1:])

  @property
  def shown(self) -> str:
    """The token in a message."""
    return "the end of the line" if self.key == END else f"'{self.text}'"

  def error(self, problem: str) -> ProgramSyntaxError:
    """The error that points at this token; endless words are cut in it."""
    line, problem = self.line, files.shortened(problem)
    return ProgramSyntaxError(problem, line.number, self.column, line.source, line.program)


def tokenize(line: Line) -> list[Token]:
  """The tokens of a line, without its comment.

  Raises:
    ProgramSyntaxError: a malformed number, or an address beyond any memory.
  """
  tokens: list[Token] = []
  for match in _TOKEN.finditer(line.source.partition("#")[0]):
    text, column = match.group(), match.start() + 1
    if match["blank"]:
      continue
    key: Key = text
    if match["number"]:
      if not _NUMBER.fullmatch(text):
        raise Token(text, NUMBER, line, column).error(
            f"malformed number '{text}'; write it like 0.5, -2 or 4.0e-3")
      key = NUMBER
      before = tokens[-2].text if len(tokens) > 1 else ""
      if tokens and tokens[-1].text in ("+", "-") and before in ("=", "(", ",", "["):
        sign = tokens.pop()
        text, column = sign.text + text, sign.column
    elif _ADDRESS.fullmatch(text):
      key = Kind("svm".index(text[0]))
      if len(text) > 1 + _MOST_DIGITS:
        raise Token(text, key, line, column).error(
            f"address '{text}' has more than {_MOST_DIGITS} digits, and no memory is so large")
    tokens.append(Token(text, key, line, column))
  return tokens


def end_of(tokens: Sequence[Token]) -> Token:
  """A token behind the last one."""
  last = tokens[-1]
  width = len(last.line.source.partition("#")[0].rstrip())
  return Token("", END, last.line, width + 1)


def suggestion(word: str, known: Iterable[str]) -> str:
  """"; did you mean 'x'?" for a misspelled word, without the final stop, or nothing."""
  lower = {name.lower(): name for name in known}
  close = difflib.get_close_matches(word.lower(), lower, n=1, cutoff=0.6)
  return f" (did you mean '{lower[close[0]]}'?)" if close else ""
