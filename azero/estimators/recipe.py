"""How a program, in any of its forms, becomes a model for the rows of a table."""

import dataclasses

import numpy as np

from azero.estimators import layout
from azero.estimators.model import Model, Target, trains_one_vs_rest
from azero.estimators.targets import quantity
from azero.estimators.training import Rows
from azero.language import text, zoo
from azero.language.program import Programs, format_program
from azero.search import plain
from azero.search.history.hall_of_fame import Entry

Program = str | Programs | Entry


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Recipe:
  """A program and what else a model is made by.

  Attributes:
    program: a name of the zoo, a text, `Programs` of one, or an entry of a hall of fame.
    target: what is predicted.
    num_features: features in use at most, see `make_layout`; None for the most there may be.
    multiclass: see `trains_one_vs_rest`.
    max_abs_error: a training error above it stops the program.
    seed: of a projection and of random ops.
  """

  program: Program
  target: Target
  num_features: int | None = None
  multiclass: str = "auto"
  max_abs_error: float = 100.0
  seed: int = 0

  def __post_init__(self) -> None:
    plain.positive("max_abs_error", self.max_abs_error)

  def arrange(self, rows: Rows) -> layout.Layout:
    """The layout of features with the scales of these rows."""
    return layout.make_layout(
        rows.x, self.target.num_classes, num_features=self.num_features,
        rng=np.random.default_rng(self.seed), weights=rows.weights)

  def model(self, rows: Rows) -> Model:
    """An untrained model with the scales of these rows.

    Raises:
      TypeError: the program is none.
      ValueError: a malformed program, or settings that do not fit the rows.
    """
    target = self.target
    if target.classes is None:
      target = quantity(rows.y, rows.weights)
    arranged = self.arrange(rows)
    program = read_program(
        self.program, arranged.num_features, multiclass=target.num_classes > 2)
    return Model(
        program, arranged, target, seed=self.seed, max_abs_error=self.max_abs_error,
        one_vs_rest=trains_one_vs_rest(program, target.num_classes, self.multiclass))


def read_program(program: Program, num_features: int, *, multiclass: bool) -> Programs:
  """A program in any of its forms, for F features.

  Args:
    program: a name of the zoo, a text, `Programs` of one, or an entry of a hall of fame.
    num_features: F.
    multiclass: whether v1 and v2 must be there.

  Raises:
    TypeError: it is none of these.
    ValueError: an unknown name, a malformed text, or other than one program.
  """
  if isinstance(program, Entry):
    program = program.program
  if isinstance(program, Programs):
    if len(program) != 1:
      raise ValueError(f"program must be one program, got Programs of {len(program)}.")
    program = format_program(program.with_features(num_features))
  if not isinstance(program, str):
    raise TypeError(
        "program must be a name of the zoo, a text, Programs or an entry of a hall of fame, got "
        f"{type(program).__name__}.")
  if not program.strip():
    raise ValueError(
        "program is empty: give a text in the paper's notation, or a name of the zoo: "
        f"{', '.join(zoo.names())}.")
  source = program if "def " in program else zoo.source(program)
  return text.parse(source, num_features=num_features, multiclass=multiclass)
