"""Constants that only matter together, and rates that are computed instead of set.

Supplement S7 of the AutoML-Zero paper: constants cannot be tuned one by one where only a product of
them acts, and a learning rate that is computed from other variables does well by coincidence, until
the data change. What does such a constant do? It is multiplied by a power of two and others by the
powers that make up for that. In floating-point numbers that is exact, so that a coupling shows as
predictions that are equal in every bit. Then one constant of a group keeps the whole and the others
become 1 (or -1); and a computed learning rate is replaced by a constant of its mean, which can be
tuned, with what that costs.
"""

from collections.abc import Sequence
import dataclasses
import itertools
from typing import Any

import numpy as np

from azero import html_text
from azero.insight import bench as bench_lib
from azero.insight import observation, surgery, tables
from azero.insight.bench import Bench
from azero.insight.statistics import Interval
from azero.insight.surgery import Code, Read, Spot, Typical
from azero.insight.terms import Factor, Place, Terms
from azero.language.program import Programs
from azero.language.text import format_program
from azero.tasks.task import Tasks

# What makes up for a constant that is doubled: the power of two of another one.
_POWERS = (-1, 1, -2, 2)
# A constant whose size makes no difference makes none at these powers of two either.
_SIZES = (1, -1, 8, -8)
_ROUNDING = 1e-3  # of a fitness, where constants are merged: numbers are rounded elsewhere then

_Group = tuple[tuple[Spot, ...], tuple[int, ...]]  # constants, and the powers by which they act


@dataclasses.dataclass(frozen=True)
class Coupling:
  """Constants of which only one combination matters.

  Attributes:
    places: the instructions of the constants; of a single one its size makes no difference.
    values: of the constants.
    powers: what matters is the product of the constants to these powers.
  """

  places: tuple[Place, ...]
  values: tuple[float, ...]
  powers: tuple[int, ...]

  def __str__(self) -> str:
    if len(self.places) == 1:
      return f"The size of {self.values[0]:.6g} in {self.places[0]} makes no difference."
    parts = [
        f"({value:.6g} in {place})" + (f"^{power}" if power != 1 else "")
        for value, place, power in zip(self.values, self.places, self.powers)]
    return f"Only {' * '.join(parts)} matters."


@dataclasses.dataclass(frozen=True)
class ComputedRate:
  """A factor of an increment that a program computes from data or weights.

  Attributes:
    place: the instruction that computes it.
    value: its mean over the first training examples.
    loss: of fitness, paired over tasks, where it is a constant of that value.
    program: with the constant, a batch of one.
  """

  place: Place
  value: float
  loss: Interval
  program: Programs

  def __str__(self) -> str:
    loss, interval = tables.interval_cells(self.loss)
    return f"{self.place} as the constant {self.value:.6g}: loss {loss} ({interval})."


@dataclasses.dataclass(frozen=True)
class Decoupling:
  """A program whose constants can be tuned one by one.

  Attributes:
    original: a batch of one.
    program: with one constant for each group; its fitness on each task is the same but for
      rounding, of 0.001 at most.
    couplings: groups of constants that were coupled.
    rates: learning rates that are computed, each with what a constant would cost.
  """

  original: Programs
  program: Programs
  couplings: tuple[Coupling, ...]
  rates: tuple[ComputedRate, ...]

  def __str__(self) -> str:
    found = [f"- {each}" for each in (*self.couplings, *self.rates)]
    return "\n".join([*(found or ["No constants are coupled."]), "", str(self.program)])

  def _repr_html_(self) -> str:
    rows = [(str(each),) for each in (*self.couplings, *self.rates)]
    return html_text.table(("found",), rows or [("No constants are coupled.",)]) + (
        self.program._repr_html_())

  def markdown(self) -> str:
    """What was found, as a list."""
    found = [f"- {each}" for each in (*self.couplings, *self.rates)]
    return "\n".join(found or ["No constants are coupled."])

  def as_dict(self) -> dict[str, Any]:
    """What JSON can hold of it."""
    return {
        "program": format_program(self.program),
        "couplings": [
            {"places": list(map(str, each.places)), "values": each.values, "powers": each.powers}
            for each in self.couplings],
        "rates": [
            {"place": str(each.place), "value": each.value,
             "loss": tables.interval_dict(each.loss)} for each in self.rates]}


def decouple(
    program: Programs | str, tasks: Tasks | Bench, *, num_seeds: int | None = None, **settings: Any
) -> Decoupling:
  """Finds constants that only matter together, and learning rates that are computed.

  Args:
    program: a batch of one, or its text.
    tasks: to compare predictions on, or a `Bench`.
    num_seeds: evaluations with other random numbers; default 1, or what the `Bench` has.
    **settings: of `Evaluator`.

  Raises:
    ValueError: a program that does not fit the tasks, or a bad setting.
  """
  bench = bench_lib.bench_for(tasks, num_seeds, settings, default_seeds=1)
  program = bench.read(program)
  terms = Terms(program, multiclass=bench.multiclass)
  code = surgery.take_apart(program)
  places = {terms.at(n): terms.place(n) for n in range(len(terms.flow.instructions))}
  spots = [spot for spot in surgery.spots(code) if spot.at in places and spot.value]
  groups = _mergeable(code, _groups(code, spots, bench), bench)
  merged = _merged(code, groups)
  couplings = tuple(
      Coupling(
          tuple(places[spot.at] for spot in group), tuple(spot.value for spot in group), powers)
      for group, powers in groups)
  return Decoupling(
      program, _program(merged, bench), couplings, _computed_rates(program, terms, code, bench))


def _groups(code: Code, spots: Sequence[Spot], bench: Bench) -> list[_Group]:
  """Constants that are coupled, each in one group, with the powers by which they act.

  If c doubles and d times 2^p makes up for that, what matters is c^-p d, or c d^(-1/p).
  """
  pairs = list(itertools.combinations(spots, 2))
  trials = [_scaled(code, {spot: size}) for spot in spots for size in _SIZES] + [
      _scaled(code, {first: 1, second: power}) for first, second in pairs for power in _POWERS]
  same = _same([code, *trials], bench) if trials else np.zeros(0, bool)
  count = len(spots) * len(_SIZES)
  sizes = same[:count].reshape(-1, len(_SIZES))
  # One that makes no difference when doubled makes up for nothing.
  idle = {spot for spot, is_same in zip(spots, sizes) if is_same[0]}
  groups: list[_Group] = [
      ((spot,), (1,)) for spot, is_same in zip(spots, sizes) if is_same.all()]
  rest = iter(same[count:])
  links: dict[Spot, dict[Spot, int]] = {}
  for first, second in pairs:
    for power in _POWERS:
      if next(rest) and not {first, second} & idle:
        links.setdefault(first, {}).setdefault(second, power)
  taken: set[Spot] = set()
  for first, others in links.items():
    members = {spot: power for spot, power in others.items() if spot not in taken}
    if first in taken or not members:
      continue
    taken |= {first, *members}
    # first^a times second^b stays as it is where a + power * b = 0.
    common = int(np.lcm.reduce([abs(power) for power in members.values()]))
    powers = [common, *(-common // power for power in members.values())]
    groups.append(((first, *members), tuple(powers)))
  return groups


def _mergeable(code: Code, groups: Sequence[_Group], bench: Bench) -> list[_Group]:
  """The groups of which one constant can stand for all, which a power of two does not show."""
  taken = [group for group in groups if len(group[0]) == 1]
  for group in groups:
    if len(group[0]) > 1:
      before, after = bench.measure([code, _merged(code, [*taken, group])]).per_task
      if np.abs(after - before).max() <= _ROUNDING:
        taken.append(group)
  return taken


def _scaled(code: Code, powers: dict[Spot, int]) -> Code:
  """The code with constants multiplied by powers of two."""
  return surgery.with_constants(
      code, {spot: spot.value * 2.0**power for spot, power in powers.items()})


def _same(codes: Sequence[Code], bench: Bench) -> np.ndarray:
  """Whether each code but the first predicts what the first does: [N - 1] bool."""
  return bench.measure(codes).same


def _merged(
    code: Code, groups: Sequence[_Group]) -> Code:
  """The code in which the first constant of each group stands for all.

  The others become 1, or -1 as their sign is, which scaling has not tried.
  """
  values: dict[Spot, float] = {}
  for (first, *others), (own, *powers) in groups:
    product = abs(first.value) ** own
    for spot, power in zip(others, powers):
      product *= abs(spot.value) ** power
      values[spot] = float(np.sign(spot.value))
    if others:
      values[first] = float(np.sign(first.value) * product ** (1 / own))
  return surgery.with_constants(code, values)


def _computed_rates(
    program: Programs, terms: Terms, code: Code, bench: Bench) -> tuple[ComputedRate, ...]:
  """Factors of increments that depend on data or weights but not on the error of the example."""
  factors: dict[int, Factor] = {}
  for factor in terms.factors:
    writer = factor.source.writer(training=True)
    # Where it meets the error, and not before.
    meets = terms.has_error(terms.operands(factor.reader))
    if writer is not None and meets and not terms.has_error([factor.source]) and (
        terms.flow.depends_on([factor.source], lambda each: each.is_data)):
      factors.setdefault(writer, factor)
  if not factors:
    return ()
  typical = observation.typical_values(observation.observe(program, bench.tasks))
  codes = [code] + [
      surgery.apply(code, [Read(
          terms.at(factor.reader), factor.operand, Typical(terms.at(writer)))], typical=typical,
                    multiclass=bench.multiclass) for writer, factor in factors.items()]
  measured = bench.measure(codes)
  return tuple(
      ComputedRate(terms.place(writer), typical[terms.at(writer)], measured.loss(k),
                   _program(codes[k], bench))
      for k, writer in enumerate(factors, start=1))


def _program(code: Code, bench: Bench) -> Programs:
  """A batch of one, in the smallest space."""
  space = surgery.space_of([code], bench.tasks.num_features, multiclass=bench.multiclass)
  return surgery.assemble([code], space)
