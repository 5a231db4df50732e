"""How the next program of an island comes about: a start or a child, and what it has to pass.

The paper (section 3.2) starts from given or random programs and takes every mutant as it comes.
Other rules are parts of other methods, see docs/methods.md:

- *Starts* may be grown, see `growth`, instead of random; where they have to be valid, component by
  component.
- *Filters* let a proposal pass or not, by what it is, before it costs anything: whether its
  canonical key differs from its parent's, whether it is valid (`azero.compiler.validity`),
  whether the population has fewer than so many of its structure, the key without constants. What
  does not pass is drawn again; a child of which no draw passes is a copy of its parent.
- *Leaps*: a part of the children has to learn more parameters than their parents, for which they
  are mutated several times at once; where no draw passes, a child is made as others are.
- *Restarts*: after so many children without a better one the population begins anew, with
  starts; what it has found is in the hall of fame. How many follows the sequence 1, 1, 2, 1, 1, 2,
  4, ... of Luby, Sinclair and Zuckerman (1993), which is near the best for any distribution of the
  time that a search needs. That sequence takes a restart to be free. Where few programs are valid
  its starts cost more than its children, so that there is a child at least for every 1000
  instructions that the starts have drawn.

All of it is decided by programs and by fitnesses that are known, so that a round remains the
sequential algorithm, see `rounds`.

For the paper's method there is no `Breeding`, but None, and Numba leaves out of a kernel what
`if breeding is None` says is not done: it is compiled in less time.
"""

from typing import NamedTuple

import numpy as np

from azero.compiler.arrays import ProgramArrays, Scratch, Tables
from azero.compiler.canonical import Analysis, analyse_program, structure_of
from azero.compiler.copying import copy_program
from azero.compiler.kernels import inlined_kernel, inner_kernel
from azero.compiler.validity import follows_features, num_parameters, program_is_valid
from azero.search.draws import pick, uniform
from azero.search.islands import Islands
from azero.search.origins import COPY, NONE
from azero.search.proposals.growth import grow, grow_learner
from azero.search.proposals.mutation import Mutator, mutate, randomize

GIVEN, RANDOM, GROWN = range(3)  # programs without parents, as `config.INITIAL` lists them
UNLIMITED = int(np.iinfo(np.int64).max)
# A start may need many more draws than a child, which is much like a parent that passed.
_STARTS = 1000
# About as costly as a child on a small task, of 58 ops; with fewer ops a draw costs less.
_INSTRUCTIONS_OF_A_CHILD = 1000
_MOST_MUTATIONS = 6  # of a leap


class Breeding(NamedTuple):
  """Rules by which proposals are chosen, where not all are taken as they come.

  Attributes:
    changed: whether a child needs another canonical key than its parent.
    valid: whether programs have to be valid.
    features: whether a parameter has to follow from the features themselves.
    structures: members of a population at most that share a structure.
    attempts: draws of a child at most.
    trials: settings of its constants that a program is evaluated with if its structure is new
      to the population.
    patience: children without improvement after which a population begins anew, times Luby's
      sequence.
    leaps: the probability that a child has to learn more parameters than its parent.
  """

  changed: bool
  valid: bool
  features: bool
  structures: int
  attempts: int
  trials: int
  patience: int
  leaps: float

  @property
  def is_plain(self) -> bool:
    """Whether every proposal is taken as it comes."""
    return not (self.changed or self.valid or self.features or self.leaps) and (
        self.trials == 1 and self.structures == self.patience == UNLIMITED)


class Tools(NamedTuple):
  """What programs are made with.

  Attributes:
    start: what programs without parents are: GIVEN, RANDOM or, if there are rules, GROWN.
    breeding: the rules, or None.
    tables: of the search space.
    mutator: how children differ from parents.
    template: one or more programs to start from.
    scratch: room for the analysis.
    analysis: room for that of a proposal.
    stream: [1] uint64, what a program draws from.
  """

  start: int
  breeding: Breeding | None
  tables: Tables
  mutator: Mutator
  template: ProgramArrays
  scratch: Scratch
  analysis: Analysis
  stream: np.ndarray


@inlined_kernel
def start_program(islands: Islands, i: int, n: int, place: int, tools: Tools) -> None:
  """Puts program n of island i, which has no parent, in its place."""
  row, given = i * islands.fitness.shape[1] + place, n % len(tools.template.opcode)
  copy_program(tools.template, given, islands.population, row)
  if tools.start == GIVEN:
    return
  if tools.start == RANDOM:
    for _ in range(_most_draws(tools.breeding) * _STARTS):
      islands.drawn[i] += islands.population.opcode.shape[1]
      randomize(islands.population, row, tools.tables, tools.stream)
      if _passes(islands, i, place, NONE, tools, tools.breeding):
        return
    return
  _grow(islands, i, place, tools, tools.breeding)


@inlined_kernel
def _grow(islands: Islands, i: int, place: int, tools: Tools, breeding: Breeding | None) -> None:
  """Grows a start in its place, where its template is."""
  if breeding is None:
    return
  if tools.start == GROWN:
    _draw_grown(islands, i, place, tools, breeding)


@inner_kernel
def _draw_grown(islands: Islands, i: int, place: int, tools: Tools, rules: Breeding) -> None:
  """Grows starts until one passes; if none does, one that has to pass nothing."""
  programs, row = islands.population, i * islands.fitness.shape[1] + place
  for _ in range(rules.attempts * _STARTS):
    if rules.valid:
      learns, drawn = grow_learner(
          programs, row, tools.tables, rules.features, tools.scratch, tools.stream)
    else:
      learns, drawn = True, grow(programs, row, tools.tables, tools.stream)
    islands.drawn[i] += drawn
    if learns and _passes(islands, i, place, NONE, tools, rules):
      return
  grow(programs, row, tools.tables, tools.stream)


@inlined_kernel
def breed(islands: Islands, i: int, place: int, parent: int, tools: Tools) -> int:
  """Puts a child of the program at the place `parent` in its own place on island i.

  Returns:
    The code of the mutation, or COPY.
  """
  population, size = islands.population, islands.fitness.shape[1]
  row = i * size + place
  action = _leap(islands, i, place, parent, tools, tools.breeding)
  if action != COPY:
    return action
  for _ in range(_most_draws(tools.breeding)):
    copy_program(population, i * size + parent, population, row)
    action = mutate(population, row, tools.tables, tools.mutator, tools.stream)
    if _passes(islands, i, place, parent, tools, tools.breeding):
      return action
  copy_program(population, i * size + parent, population, row)
  return COPY


@inlined_kernel
def _leap(
    islands: Islands, i: int, place: int, parent: int, tools: Tools, breeding: Breeding | None,
) -> int:
  """As `breed`, but the child learns more parameters than its parent; COPY if there is none."""
  if breeding is None:
    return COPY
  if breeding.leaps == 0.0 or uniform(tools.stream) >= breeding.leaps:
    return COPY
  return _draw_leap(islands, i, place, parent, tools, breeding)


@inner_kernel
def _draw_leap(
    islands: Islands, i: int, place: int, parent: int, tools: Tools, breeding: Breeding) -> int:
  """Draws leaps until one passes."""
  population, size = islands.population, islands.fitness.shape[1]
  row = i * size + place
  least = 1 + num_parameters(population, i * size + parent, tools.tables, tools.scratch)
  for _ in range(breeding.attempts):
    copy_program(population, i * size + parent, population, row)
    made_by = COPY  # the last that mutated it
    for _ in range(2 + pick(tools.stream, _MOST_MUTATIONS - 1)):
      action = mutate(population, row, tools.tables, tools.mutator, tools.stream)
      made_by = made_by if action == COPY else action
    if num_parameters(population, row, tools.tables, tools.scratch) >= least and _passes(
        islands, i, place, parent, tools, breeding):
      return made_by
  return COPY


@inlined_kernel
def _most_draws(breeding: Breeding | None) -> int:
  """Draws of a child at most."""
  if breeding is None:
    return 1
  return breeding.attempts


@inlined_kernel
def _passes(
    islands: Islands, i: int, place: int, parent: int, tools: Tools, breeding: Breeding | None,
) -> bool:
  """Whether the proposal at a place of island i passes; `parent` is a place or NONE."""
  if breeding is None:
    return True
  filtered = breeding.valid or breeding.features or breeding.changed
  filtered = filtered or breeding.structures != UNLIMITED
  return not filtered or _passes_filters(islands, i, place, parent, tools, breeding)


@inner_kernel
def _passes_filters(
    islands: Islands, i: int, place: int, parent: int, tools: Tools, rules: Breeding) -> bool:
  """`_passes` where there are filters."""
  programs, row = islands.population, i * islands.fitness.shape[1] + place
  if rules.valid and not program_is_valid(programs, row, tools.tables, tools.scratch):
    return False
  if rules.features and not follows_features(programs, row, tools.tables, tools.scratch):
    return False
  changed = rules.changed and parent != NONE
  if not changed and rules.structures == UNLIMITED:
    return True
  predicted = analyse_program(programs, row, tools.tables, tools.analysis, 0, tools.scratch)
  if changed:
    key, old = tools.analysis.key[0], islands.key[i, parent]
    if key[0] == old[0] and key[1] == old[1]:
      return False
    if rules.structures == UNLIMITED:
      return True
  structure = structure_of(programs, row, tools.tables, predicted, tools.scratch)
  return count_structure(islands, i, place, structure) < rules.structures


@inlined_kernel
def trials_of(breeding: Breeding | None) -> int:
  """Settings of its constants that a program is evaluated with if its structure is new."""
  if breeding is None:
    return 1
  return breeding.trials


@inlined_kernel
def note_structure(
    islands: Islands, i: int, place: int, predicted: np.uint64, tools: Tools,
    breeding: Breeding | None) -> bool:
  """Notes the structure of the program at a place of island i, which was just analysed.

  Args:
    islands: all of them.
    i: which.
    place: in its population.
    predicted: what `analyse_program` returned.
    tools: with the scratch of that analysis.
    breeding: the rules, which say whether anybody asks for structures.

  Returns:
    Whether it is known to be new to the population.
  """
  if breeding is None:
    return False
  if breeding.trials == 1 and breeding.structures == UNLIMITED:
    return False
  row = i * islands.fitness.shape[1] + place
  structure = structure_of(islands.population, row, tools.tables, predicted, tools.scratch)
  new = count_structure(islands, i, place, structure) == 0
  islands.structure[i, place] = structure
  return new


@inlined_kernel
def count_structure(islands: Islands, i: int, place: int, structure: np.uint64) -> int:
  """How many of a structure are in the population of island i, but for the one at a place."""
  count = 0
  for other in islands.structure[i]:
    count += other == structure
  return count - (islands.structure[i, place] == structure)


@inlined_kernel
def is_stale(islands: Islands, i: int, breeding: Breeding | None) -> bool:
  """Whether the population of island i has waited for long enough for something better."""
  if breeding is None:
    return False
  patience = breeding.patience
  waited = islands.made[i] - islands.improved_at[i]
  if waited < patience or waited < patience * luby(islands.restarts[i] + 1):
    return False
  return (islands.made[i] - islands.epoch[i]) * _INSTRUCTIONS_OF_A_CHILD >= islands.drawn[i]


@inner_kernel
def luby(k: int) -> int:
  """The k-th number of the sequence 1, 1, 2, 1, 1, 2, 4, ..., from k = 1 on."""
  while True:
    size = 1
    while 2 * size - 1 < k:
      size *= 2
    if 2 * size - 1 == k:
      return size
    k -= size - 1


@inlined_kernel
def begin_anew(islands: Islands, i: int) -> None:
  """Lets the population of island i begin anew with the next program."""
  islands.epoch[i] = islands.improved_at[i] = islands.made[i]
  islands.restarts[i] += 1
  islands.drawn[i] = 0
  islands.epoch_best[i] = -np.inf
