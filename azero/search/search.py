"""A search: islands that work in rounds, a thread for each device, the best programs.

A step is some rounds of every island, see `rounds`. Each device has a thread that owns some of the
islands: it advances them through a round, evaluates what they ask for and commits it, and so on
until all of them are where the step ends; then it takes over some of another thread, see
`handover`. Islands do not wait for each other. Threads meet at the end of a step, where what was
found is put together. With fewer islands than devices, the devices share the requests of a round.

Islands whose programs cost little, or are known to the caches, make more children in a step, as
processes of the paper do that have a machine each.

What an island does follows from its own number, the seed and its tasks; nothing depends on
threads, devices or neighbours. Groups of islands whose tasks have other shapes, and migration, are
those of `federation`.
"""

from collections.abc import Callable, Mapping, Sequence
import dataclasses
import functools
from typing import Any

import numpy as np

from azero.compiler import cost, liveness
from azero.compiler.beside import compile_beside
from azero.executors.evaluator import Evaluator
from azero.language import zoo
from azero.language.program import Programs, SearchSpace
from azero.search import checked_state
from azero.search import state as state_lib
from azero.search.budgets import Budgeted
from azero.search.config import INITIAL, SearchConfig
from azero.search.draws import seed_word
from azero.search.handover import Handover
from azero.search.history.genealogy import Genealogy
from azero.search.history.hall_of_fame import Front, HallOfFame
from azero.search.islands import check_islands, islands_state, new_islands, restore_islands
from azero.search.proposals import breeding
from azero.search.proposals.breeding import Breeding
from azero.search.proposals.mutation import mutator, require_searched
from azero.search.rounds.evaluating import Counts, Stages, check_counts
from azero.search.rounds.round import Rules
from azero.search.scoring.evaluators import MakeEvaluator, check_maker, evaluator_name
from azero.search.threads import Improvement, SearchThread, Shared, Watched, together
from azero.tasks.task import Tasks

_ROUND_CHILDREN = 256  # of an island at most, so that a run of hits ends
_RANDOM_PROGRAMS = 8192  # of all islands in a round of random search
# How long a step is, half a second or so: it has as many rounds as show so many numbers, the
# features of all examples, to all programs, if a round of an island evaluates so many of them. Of
# few islands a step is shorter, since no thread waits long at its end.
_STEP_NUMBERS = 4_000_000_000
_ROUND_PROGRAMS = 10
_FEW_ISLANDS = 16
_MOST_ROUNDS = 150
_FAIR = 1.1  # load of the busiest thread over the mean, with which islands stay where they are


class Search(Budgeted):
  """A search over several islands; see `Evolution` and `RandomSearch`.

  Attributes:
    islands: populations and totals, see `Islands`.
    hall_of_fame: the best different algorithms of all islands.
    front: the best programs of all islands by the number of their live instructions.
    cycle: children that every island has made at least, the initial population included, unless
      its budget has ended; it never falls.
    watch: [I] float64, fitness from which on children are given to `_judge`; inf for none.
  """

  evolve = True  # whether children have parents

  def __init__(
      self, space: SearchSpace, task_sets: Tasks | Sequence[Tasks], config: SearchConfig, *,
      template: Programs | None = None, first_island: int = 0, islands_in_all: int | None = None,
      share_rounds: bool = True, evaluator: MakeEvaluator = Evaluator,
  ):
    """Prepares the evaluators; evaluates nothing yet.

    Args:
      space: the search space.
      task_sets: one task batch for each island.
      config: the settings.
      template: programs to start from, given to the initial programs of each island in turn;
        random initial programs keep the component functions that are not searched. Of
        `KnownPrograms` the lineages go on.
      first_island: number of the first island among those of a larger search: it decides its
        random numbers and stands in records.
      islands_in_all: those of the search of which these are a part, among whom the
        work of a step is divided; None for these.
      share_rounds: whether devices share the requests of a round if there are fewer islands
        than devices; in a larger search others keep them busy.
      evaluator: makes what evaluates programs, see `evaluators`.

    Raises:
      ValueError: settings or tasks that do not fit, a space in which nothing is searched,
        or a template of other programs than valid ones of the space.
    """
    sets = [task_sets] if isinstance(task_sets, Tasks) else list(task_sets)
    self.space, self.config, self.task_sets = space, config, sets
    self.num_islands, self.first_island = len(sets), first_island
    self.template = template
    self._make_evaluator = evaluator
    self._islands_in_all, self._share_rounds = islands_in_all or len(sets), share_rounds
    check_maker(evaluator)
    if template is not None:
      _check_template(template, space)
    require_searched(space)
    children = mutator(config.mutations, config.mutation_probability)
    compile_beside("azero.search.compilation")
    self._stages = Stages(space, sets, config, evaluator, self._round_size if self.evolve else 0)
    self._cache = self._stages.new_cache(config.cache_size if config.canonical_cache else 1)
    rules = self._make_rules()
    self.islands = new_islands(space, self.num_islands, rules.population_size)
    self.watch = np.full(self.num_islands, np.inf)
    self.hall_of_fame, self.front = HallOfFame(config.hall_of_fame_size), Front()
    self._genealogy = Genealogy(
        space, self.islands, first_island,
        template if self.evolve and config.initial == "empty" else None)
    self._handover = Handover()
    shared = Shared(
        space, sets[0].multiclass, rules, *_breeding(config, self.evolve), children,
        template or Programs.empty(space), self.islands, self._cache, self._stages, self.watch,
        first_island, config.hall_of_fame_size, self._genealogy, self._handover)
    self._threads = [SearchThread(shared, devices) for devices in self._devices()]
    self._share_out(np.zeros(self.num_threads))
    self._taken_out = np.zeros(self.num_islands, bool)
    self._counted = Counts()  # before the threads began to count
    self._going = np.zeros(0, np.int64)  # islands that had budget left when the step began
    self.improvements: list[Improvement] = []  # since the last `take_improvements`
    self.cycle = 0

  @property
  def active(self) -> np.ndarray:
    """[I] bool, who has budget left."""
    return self.islands.active

  @property
  def train_steps(self) -> np.ndarray:
    """[I] int, of each island so far."""
    return self.islands.train_steps

  @property
  def num_programs(self) -> np.ndarray:
    """[I] int, evaluated on each island so far, immigrants included."""
    return self.islands.num_programs

  @property
  def num_evaluated(self) -> np.ndarray:
    """[I] int, of these those that went to a device: no cache of canonical keys knew them."""
    return self.islands.num_evaluated

  @property
  def best_fitness(self) -> np.ndarray:
    """[I] float, on the tasks of each island."""
    return self.islands.best_fitness

  @property
  def best_programs(self) -> Programs:
    """The best program of each island."""
    return Programs(self.space, *self.islands.best)

  @property
  def counts(self) -> Counts:
    """How programs were answered so far, over all islands."""
    return Counts.sum([self._counted, *(thread.counts for thread in self._threads)])

  @property
  def num_threads(self) -> int:
    """How many work side by side: one for each device that the search uses by itself."""
    return len(self._threads)

  def space_of(self, island: int) -> SearchSpace:
    """The search space of an island."""
    return self.space

  def finish(self, island: int) -> None:
    """Takes an island out of the search, as if its budget were spent."""
    self._taken_out[island] = True
    self._update_active()

  def take_improvements(self) -> list[Improvement]:
    """New bests since the last call, in the order they were found."""
    taken, self.improvements = self.improvements, []
    return taken

  def step(self) -> None:
    """Some children on every island that has budget left."""
    self.advance(self.step_target)

  @property
  def own_evaluator(self) -> str | None:
    """The name of what makes the evaluator; None for azero's own."""
    return evaluator_name(self._make_evaluator)

  def advance(self, target: int) -> None:
    """A step, of so many children of an island at most, those so far included."""
    together([self.work(target), self.help(target)])
    self.conclude()

  @property
  def step_target(self) -> int:
    """Children of an island with which the next step ends at the latest.

    With a larger budget than before islands go on that had stopped before others, and a step is
    not to last until they are where these are.
    """
    if self.finished:
      return self.cycle
    if not self.config.cycles_per_step:
      return breeding.UNLIMITED
    # A multiple, so that no island's steps end elsewhere than if it were alone.
    every = self.config.cycles_per_step
    return (int(self.islands.made[self.active].min()) // every + 1) * every

  def work(self, target: int, busy: np.ndarray | None = None) -> list[Callable[[], None]]:
    """What brings all islands to the end of a step, a piece for each thread, before `help`.

    In the first step one more compiles what devices run, while others compile the rounds. Somebody
    else's evaluator is not asked for that: it may want one call at a time on a device.

    Args:
      target: children of an island at most, those so far included.
      busy: [threads] float64, what else each thread has to do; this search's part is added.
    """
    self._handover.begin()
    self._going = np.flatnonzero(self.active)
    self._share_out(np.zeros(self.num_threads) if busy is None else busy[: self.num_threads])
    pieces: list[Callable[[], None]] = [
        functools.partial(thread.run, target) for thread in self._threads]
    return pieces if self.cycle or self.own_evaluator else [*pieces, self._stages.prepare]

  def help(self, target: int) -> list[Callable[[], None]]:
    """What threads do that are done before others, in the same step."""
    return [functools.partial(thread.help, target) for thread in self._threads]

  def conclude(self) -> None:
    """Ends a step: puts together what the threads found."""
    going = self._going[self.active[self._going]] if self.active.any() else self._going
    if len(going):
      self.cycle = max(self.cycle, int(self.islands.made[going].min()))
    found = [item for thread in self._threads for item in thread.take_improvements()]
    self.improvements += sorted(found, key=lambda item: (item.num_programs, item.island))
    self.hall_of_fame.merge(thread.hall for thread in self._threads)
    self.front.merge(thread.front for thread in self._threads)
    watched = [item for thread in self._threads for item in thread.take_watched()]
    if watched:
      self._judge(sorted(watched, key=lambda item: item[1::-1]))

  def state(self) -> dict[str, Any]:
    """All that decides what comes next, between two steps; see `state`."""
    return {
        "cycle": self.cycle, "taken_out": self._taken_out,
        "islands": islands_state(self.islands), "ancestry": self._genealogy.state(),
        "counts": dataclasses.asdict(self.counts),
        "canonical": self._cache.state(), "stages": self._stages.state(),
        "hall_of_fame": self.hall_of_fame.state(self.space),
        "front": self.front.state(self.space),
        "improvements": state_lib.found_state(self.space, self.improvements)}

  def restore(self, state: Mapping[str, Any]) -> None:
    """Restores the state of another search, which this one then continues.

    Args:
      state: of a search of the same settings and tasks. Budgets may differ, as may the
        number of devices and the lanes.

    Raises:
      StateError: it is none; the search is as it was then.
    """
    self.check(state)
    self.take_over(state)

  def take_over(self, state: Mapping[str, Any]) -> None:
    """As `restore`, of a state that `check` has let pass."""
    self.cycle = state["cycle"]
    self._taken_out = state["taken_out"].copy()
    restore_islands(self.islands, state["islands"])
    self._genealogy.restore(state["ancestry"])
    self._counted = Counts(**state["counts"])
    for thread in self._threads:
      thread.forget()
    self._cache.restore(state["canonical"])
    self._stages.restore(state["stages"])
    self.hall_of_fame.restore(self.space, state["hall_of_fame"])
    self.front.restore(self.space, state["front"])
    self.improvements = [
        Improvement(**fields)
        for fields in state_lib.found_in(self.space_of, state["improvements"])]
    self._update_active()

  def check(self, state: Mapping[str, Any]) -> None:
    """Refuses what `restore` cannot take over.

    Raises:
      StateError: it is not of such a search.
    """
    islands = checked_state.part(state, "islands")
    checked_state.like(state, "taken_out", self._taken_out)
    check_islands(self.islands, self.space, islands)
    cycle = np.array(checked_state.whole(state, "cycle"))
    checked_state.within("cycle", cycle, 0, islands["made"].max())
    self._genealogy.check(checked_state.part(state, "ancestry"))
    check_counts(checked_state.part(state, "counts"))
    self._cache.check(checked_state.part(state, "canonical"))
    self._stages.check(checked_state.part(state, "stages"))
    self.hall_of_fame.check(self.space, checked_state.part(state, "hall_of_fame"))
    self.front.check(self.space, checked_state.part(state, "front"))
    state_lib.check_found(self.space, checked_state.part(state, "improvements"))

  def __reduce__(self) -> tuple[Any, ...]:
    """Pickled between two steps; what is read makes its evaluator anew, and can go on."""
    return state_lib.rebuilt, (
        type(self), (self.space, self.task_sets, self.config),
        {"template": self.template, "first_island": self.first_island,
         "islands_in_all": self._islands_in_all, "share_rounds": self._share_rounds,
         "evaluator": self._make_evaluator}, self.state())

  def _update_active(self) -> None:
    """Who has budget left and was not taken out."""
    self.islands.active[:] = ~self._taken_out & self.within_budget()

  def _judge(self, watched: Sequence[Watched]) -> None:
    """Learns which children reached `watch` in a step, in the order of their numbers."""

  def _make_rules(self) -> Rules:
    config = self.config
    # Random search needs no population, but room for a round.
    size = config.population_size if self.evolve else self._round_size
    return Rules(
        seed=seed_word(config.seed), first_island=self.first_island, population_size=size,
        tournament_size=config.tournament_size, round_size=self._round_size,
        step_rounds=self._step_rounds, hurdles=config.hurdle is not None, evolve=self.evolve,
        cached=config.canonical_cache, max_cost=_max_cost(self.space, config.train_budget),
        max_programs=config.max_programs or breeding.UNLIMITED,
        max_train_steps=config.max_train_steps or breeding.UNLIMITED,
        most_steps=self._stages.most_train_steps,
        samples=len(self._stages.samples) // self.num_islands, generation=config.population_size)

  @property
  def _round_size(self) -> int:
    """Children of an island in a round at most."""
    if self.evolve:
      return min(self.config.population_size, _ROUND_CHILDREN)
    # Only a hurdle that moves ends a round sooner, and of many random programs few go to a device.
    size = max(_ROUND_CHILDREN, _RANDOM_PROGRAMS // max(self.num_islands, 1))
    return size if self.config.hurdle is None else min(size, self.config.population_size)

  @property
  def _step_rounds(self) -> int:
    """Rounds of an island in a step, by the settings alone."""
    if self.config.cycles_per_step:
      return breeding.UNLIMITED
    tasks = self._stages.samples[0]
    examples = len(tasks) * (tasks.num_train * self.config.num_epochs + tasks.num_valid)
    programs = _ROUND_PROGRAMS * self.config.constant_trials if self.evolve else self._round_size
    islands = max(self._islands_in_all, _FEW_ISLANDS)
    rounds = _STEP_NUMBERS // (examples * tasks.num_features * programs * islands)
    return min(max(rounds, 1), _MOST_ROUNDS)

  def _devices(self) -> list[list[int]]:
    """The devices of each thread."""
    count = self._stages.num_devices
    if self._share_rounds and self.num_islands < count:
      return [list(range(k, count, self.num_islands)) for k in range(self.num_islands)]
    return [[device] for device in range(count)]

  def _share_out(self, busy: np.ndarray) -> None:
    """Gives the islands to threads so that all end a step at about the same time.

    They keep what they have, which is in the caches of their cores, if that is fair by the loads of
    the last step. Else the costliest island comes first, and each goes to the thread that has
    least to do (Graham's rule).
    """
    load = self.islands.load + 1.0
    self.islands.load[:] = self.islands.rounds[:] = 0
    kept = busy + [load[thread.own].sum() for thread in self._threads]
    shared = sum(len(thread.own) for thread in self._threads)
    if shared == self.num_islands and kept.max() <= _FAIR * kept.mean():
      busy[:] = kept
      return
    own: list[list[int]] = [[] for _ in self._threads]
    for island in np.argsort(-load, kind="stable").tolist():
      k = int(busy.argmin())
      busy[k] += load[island]
      own[k].append(island)
    for thread, islands in zip(self._threads, own):
      thread.own = np.array(sorted(islands), np.int64)


def _breeding(config: SearchConfig, evolve: bool) -> tuple[int, Breeding | None]:
  """What starts are, and how programs are chosen; random search takes all, and they are random."""
  if not evolve:
    return breeding.RANDOM, None
  start = INITIAL.index(config.initial)
  rules = Breeding(
      changed="changed" in config.filters, valid="valid" in config.filters,
      features="features" in config.filters,
      structures=config.structure_limit or breeding.UNLIMITED, attempts=config.attempts,
      trials=config.constant_trials, patience=config.restart_patience or breeding.UNLIMITED,
      leaps=config.leaps)
  return start, None if rules.is_plain and start != breeding.GROWN else rules


def _max_cost(space: SearchSpace, train_budget: float | None) -> float:
  """Cost of a program at most, for a budget in plain neural networks."""
  if train_budget is None:
    return np.inf
  network = zoo.load("plain_nn", space.num_features)
  return train_budget * float(cost.costs(network, liveness.live_instructions(network))[0])


def _check_template(template: Programs, space: SearchSpace) -> None:
  if not len(template) or template.space != space:
    raise ValueError(
        "The template must be programs of the search's own space, one or more; got "
        f"{len(template)} of {'that' if template.space == space else 'another'} space. "
        "parse(text, space) reads a program into a space.")
  template.validate()
