"""A program line by line: its live instructions, and in words what is known of them."""

import dataclasses

from azero.insight import motifs
from azero.insight.flow import Flow
from azero.language.program import Function, Programs


@dataclasses.dataclass(frozen=True)
class Line:
  """An instruction.

  Attributes:
    text: as it is printed.
    words: what it does.
  """

  text: str
  words: str


@dataclasses.dataclass(frozen=True)
class Annotated:
  """A program.

  Attributes:
    functions: name, what it is for, and lines of each component function.
    notes: sentences on the whole.
  """

  functions: list[tuple[str, str, list[Line]]]
  notes: list[str]


_PURPOSE = {
    Function.SETUP: "once, before the first example", Function.PREDICT: "for every example",
    Function.LEARN: "for every training example, after Predict"}


def annotate(program: Programs, num_classes: int) -> Annotated:
  """The live instructions of a program.

  Args:
    program: a batch of one.
    num_classes: 0 for real-valued labels, 2 for two classes, or more.
  """
  flow = Flow(program, multiclass=num_classes > 2)
  found = motifs.find_motifs(program, multiclass=num_classes > 2)
  words: dict[tuple[Function, int], list[str]] = {}
  for motif in found:
    for place in motif.places:
      words.setdefault((place.function, place.line), []).append(motif.name)
  return Annotated(
      [(function.name.title(), _PURPOSE[function], [
          Line(each.text, ", ".join(words.get((function, each.line), [])))
          for each in flow.instructions if each.function is function])
       for function in Function],
      [f"{motif.name.capitalize()}: {motif.why}" for motif in found])
