"""The programs that the AutoML-Zero paper prints, as text files to load by name.

Sources: figures 5, 6, S1 and S2 of the paper, and the two hand-written programs of its
published code. The first line of a file says where its program is printed; a second one
says what had to be mended.
"""

import dataclasses
from importlib import resources

from azero.language import text
from azero.language.program import Programs, SearchSpace


@dataclasses.dataclass(frozen=True)
class Entry:
  """A program of the zoo.

  Attributes:
    name: its name, and that of its file.
    where: where the paper prints or uses it.
    is_multiclass: whether it is for tasks with more than two classes, which put the label
      into v1 and the prediction into v2.
  """

  name: str
  where: str
  is_multiclass: bool = False


ENTRIES = (
    Entry("linear_regressor", "section 4.1, hand-written"),
    Entry("plain_nn", "section 4, hand-written"),
    Entry("figure_5", "figure 5"),
    Entry("figure_6", "figure 6"),
    Entry("s1a", "figure S1a"),
    Entry("s1b", "figure S1b"),
    Entry("s2a", "figure S2a"),
    Entry("s2b", "figure S2b"),
    Entry("s2c", "figure S2c", is_multiclass=True),
)


def names() -> tuple[str, ...]:
  """The names of all programs."""
  return tuple(entry.name for entry in ENTRIES)


def entry(name: str) -> Entry:
  """What is known of a program.

  Raises:
    ValueError: there is no program of this name.
  """
  for candidate in ENTRIES:
    if candidate.name == name:
      return candidate
  raise ValueError(f"Unknown program {name!r} of the zoo. There are: {', '.join(names())}.")


def is_multiclass(name: str) -> bool:
  """Whether a program is for tasks with more than two classes."""
  return entry(name).is_multiclass


def source(name: str) -> str:
  """The text of a program, with its comments."""
  file = resources.files(__name__) / f"{entry(name).name}.txt"
  return file.read_text(encoding="utf-8")


def load(name: str, num_features: int = 4, *, space: SearchSpace | None = None) -> Programs:
  """A program of the zoo as a batch of one.

  Args:
    name: one of `names()`.
    num_features: F of the space, if none is given.
    space: what the program must fit; by default the smallest that holds it.

  Raises:
    ProgramSyntaxError: the program does not fit the space.
    ValueError: there is no program of this name.
  """
  return text.parse(
      source(name), space, num_features=None if space else num_features,
      multiclass=is_multiclass(name))
