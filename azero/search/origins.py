"""Where a program comes from, as lineages have it: a number, and a word for people.

It is what made the program of its parent: a mutation, or nothing (`COPY`). Or it has no parent on
its island: it was there at a start, or came from another island.
"""

import zlib

NONE = -1  # in place of a parent
STARTED, COPY, ARRIVED = -1, -2, -3
# A mutation's number is its place; those of the user's own have larger ones.
MUTATIONS = (
    "alter", "randomize_instruction", "randomize_function", "insert", "remove", "insert_or_remove",
    "rewire", "regrow_instructions", "regrow_function", "add_parameter", "add_update",
    "extend_path", "add_constant")
_NAMES = {STARTED: "start", COPY: "copy", ARRIVED: "migration"} | dict(enumerate(MUTATIONS))
_CODES = {word: code for code, word in _NAMES.items()}
WORDS = tuple(_CODES)  # that no mutation of the user's own may have as its name
_FIRST_OWN = 1 << 10
_own: dict[int, str] = {}


def register(name: str) -> None:
  """Gives a mutation of the user's own a number, the same in every process."""
  _own[code_of(name)] = name


def code_of(name: str) -> int:
  """The number of a word, or of a mutation of the user's own by its name."""
  return _CODES[name] if name in _CODES else _FIRST_OWN + zlib.crc32(name.encode())


def name_of(code: int) -> str:
  """The word of a number; of a mutation that is not registered here only whose it is."""
  return _NAMES.get(code) or _own.get(code, "a mutation of your own")
