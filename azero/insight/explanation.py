"""A program explained: what each line does in words, and which mechanisms it has.

Supplement S8 of the AutoML-Zero paper calls it nontrivial to interpret evolved code. Here data
flow says what each line is for (`roles`, `wording`) and which known mechanisms there are
(`mechanisms`); what they are worth is measured by `ablation`.
"""

from collections.abc import Sequence
import dataclasses
from typing import Any

from azero import html_text
from azero.insight import bench, mechanisms, tables, wording
from azero.insight.mechanisms import BILINEAR, GRADIENT_STEPS, HIDDEN_LAYER
from azero.insight.roles import Role, Roles
from azero.insight.surgery import At
from azero.insight.terms import Mechanism, Terms
from azero.language import ops as op_table
from azero.language.program import (
  EMPTY,
  Function,
  Programs,
  check_num_classes,
  format_instruction,
  format_program,
)

# What the evaluation makes of the prediction of two or more classes, and Learn finds.
_SQUASHED = {False: "its sigmoid is the probability of class 1",
             True: "its softmax are the probabilities of the classes"}


@dataclasses.dataclass(frozen=True)
class ExplainedLine:
  """An instruction in words.

  Attributes:
    function: its component function.
    line: from 1, within the component function.
    text: as it is printed.
    role: what it is for, in a word or two; a value of `roles.Role`.
    words: what it does, in a sentence.
    is_live: whether a prediction can depend on it.
  """

  function: Function
  line: int
  text: str
  role: str
  words: str
  is_live: bool


@dataclasses.dataclass(frozen=True)
class Explanation:
  """A program in words.

  Attributes:
    program: a batch of one.
    summary: what it is, in a sentence or two.
    lines: every instruction, in the order of the program.
    mechanisms: found in it, in the order of `mechanisms.MECHANISMS`.
  """

  program: Programs
  summary: str
  lines: tuple[ExplainedLine, ...]
  mechanisms: tuple[Mechanism, ...]

  def of(self, function: Function) -> tuple[ExplainedLine, ...]:
    """The lines of one component function."""
    return tuple(line for line in self.lines if line.function is function)

  def __str__(self) -> str:
    found = [f"- {mechanism}" for mechanism in self.mechanisms]
    return "\n".join([self.summary, "", self.annotated(), "", *found]).rstrip()

  def annotated(self) -> str:
    """The program with a comment behind each line; it can be parsed again."""
    width = max((len(line.text) for line in self.lines), default=0)
    lines = []
    for function in Function:
      lines.append(f"def {function.name.title()}():")
      lines += [f"  {line.text:<{width}}  # {line.words}" for line in self.of(function)]
    return "\n".join(lines)

  def _repr_html_(self) -> str:
    lines = html_text.table(*self._table(), caption=self.summary)
    found = [(each.name, each.why) for each in self.mechanisms]
    return lines + (html_text.table(("mechanism", "how"), found) if found else "")

  def markdown(self) -> str:
    """Summary, lines and mechanisms in Markdown."""
    found = [f"- **{each.name}**: {each.why}" for each in self.mechanisms]
    return "\n".join(
        [self.summary, "", tables.markdown(*self._table(code=True)), "", *found]).rstrip()

  def as_dict(self) -> dict[str, Any]:
    """What JSON can hold of it."""
    return {
        "program": format_program(self.program), "summary": self.summary,
        "lines": [dataclasses.asdict(line) | {"function": line.function.name.title()}
                  for line in self.lines],
        "mechanisms": [
            {"name": each.name, "why": each.why, "places": list(map(str, each.places)),
             "knock_out": each.without} for each in self.mechanisms]}

  def _table(self, *, code: bool = False) -> tuple[Sequence[str], list[Sequence[str]]]:
    mark = "`" if code else ""
    return ("function", "instruction", "role", "in words"), [
        (line.function.name.title(), f"{mark}{line.text}{mark}", line.role, line.words)
        for line in self.lines]


def explain(
    program: Programs | str, *, num_classes: int = 0, num_features: int | None = None,
    num_examples: int = 800,
) -> Explanation:
  """Says in words what a program does.

  Args:
    program: a batch of one, or its text.
    num_classes: 0 for a real-valued label, 2 for two classes, or more.
    num_features: F, for a text.
    num_examples: training examples over which a learning rate is watched.

  Raises:
    ValueError: a malformed program, several, or one that does not fit the task.
  """
  check_num_classes(num_classes)
  multiclass = num_classes > 2
  program = bench.read_program(program, num_features, multiclass=multiclass)
  if multiclass and num_classes > program.space.num_features:
    raise ValueError(
        f"{num_classes} classes need at least {num_classes} features, the program is for "
        f"{program.space.num_features}.")
  terms = Terms(program, multiclass=multiclass)
  found = mechanisms.mechanisms_of(terms, num_examples)
  roles = Roles(terms, found, num_examples)
  numbers = {terms.at(n): n for n in range(len(terms.flow.instructions))}
  lines = []
  for function in Function:
    slots = range(program.space.num_slots)[program.space.slots(function)]
    for k, slot in enumerate(slots, start=1):
      opcode = program.opcode[0, slot]
      if opcode == EMPTY:
        continue
      number = numbers.get(At(function, k))
      if opcode == op_table.NO_OP or number is None:
        role, words = Role.DEAD, "No effect: no prediction depends on it."
      else:
        role, words = roles.of(number), wording.sentence(roles, number)
        if role is Role.PREDICTION and num_classes:
          words = f"{words[:-1]}; {_SQUASHED[multiclass]}."
      lines.append(ExplainedLine(
          function, k, format_instruction(program, slot), role.value, words, number is not None))
  return Explanation(program, _summary(terms, found), tuple(lines), found)


def _summary(terms: Terms, found: Sequence[Mechanism]) -> str:
  """What a program is."""
  names = [each.name for each in found]
  more = [name for name in names if name not in (BILINEAR, HIDDEN_LAYER, GRADIENT_STEPS)]
  sentence = f"{_model(terms, names)}, {_training(terms, names)}"
  return f"{sentence}, with {_listed(more)}." if more else f"{sentence}."


def _model(terms: Terms, names: Sequence[str]) -> str:
  predicted = terms.flow.predicted
  if BILINEAR in names:
    return "A bilinear model of the features"
  if HIDDEN_LAYER in names:
    return "A neural network with a rectified hidden layer"
  if not terms.has_features(predicted):
    if not terms.has_weights(predicted) and _remembers_features(terms):
      return "A function of the examples before"
    return "A prediction that does not look at the features"
  if not terms.has_weights(predicted):
    if _remembers(terms) or _remembers_features(terms):
      return "A function of the features and of the examples before"
    return "A fixed function of the features"
  if terms.is_linear(predicted):
    return "A linear model of the features"
  return "A model of the features"


def _training(terms: Terms, names: Sequence[str]) -> str:
  if GRADIENT_STEPS in names:
    return "trained by steps that are products of its error"
  if terms.weights:
    return "trained by updates without the error"
  if _remembers(terms):
    return "without weights that it adds up"
  return "not trained by labels" if _remembers_features(terms) else "not trained"


def _remembers(terms: Terms) -> bool:
  """Whether the prediction depends on labels, which it can only have of examples before."""
  return terms.flow.depends_on([terms.flow.predicted], lambda source: source.label)


def _remembers_features(terms: Terms) -> bool:
  """Whether the prediction depends on features of examples before."""
  flow = terms.flow
  read = [flow.predicted] + [
      source for n in flow.closure([flow.predicted]) for source in terms.operands(n)]
  before = [
      n for source in read if not source.same_pass for n in source.writers if terms.in_loop(n)]
  return flow.depends_on(
      [source for n in before for source in terms.operands(n)], lambda source: source.features)


def _listed(names: Sequence[str]) -> str:
  if len(names) == 1:
    return names[0]
  return f"{', '.join(names[:-1])} and {names[-1]}"
