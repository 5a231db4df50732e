"""Benchmarks of one device: rates of hand-written programs, populations, chains and single ops.

Each function measures and returns rows, dictionaries of plain numbers and names, from which a
report, a picture and a JSON file are made. Nothing is cached, and every training step that
is counted was trained.
"""

from collections.abc import Callable, Iterator, Sequence
import dataclasses
import functools
from typing import Any

import numpy as np

from azero.compiler import liveness
from azero.executors.evaluator import Evaluator, Pending
from azero.language import ops as op_table
from azero.language import spaces, zoo
from azero.language.ops import Kind, Op
from azero.language.program import EMPTY, Programs, SearchSpace
from azero.search.config import SearchConfig
from azero.tasks import linear_regression, projected_digits
from azero.tasks.task import Tasks
from experiments.benchmarks import benchmark_programs, measuring
from experiments.benchmarks.measuring import Effort

Row = dict[str, Any]

PROGRAMS = {"linear": "linear_regressor", "neural_net": "plain_nn"}  # name: that of the zoo
SPACES: dict[str, Callable[[int], SearchSpace]] = {
    "S10": spaces.baseline, "section 4.2": spaces.minimal_input}
MAX_RATIO = 1.5  # to an addition of its kind, from which on an op counts as slow
NOISE_RATIOS = {"uniform": 10.0, "gaussian": 25.0}  # that random ops should keep to

# A batch is so many scalar additions, if that gives a number of programs within bounds; if
# not, it has fewer examples.
_BATCH_WORK = 2e9
_MIN_PROGRAMS, _MAX_PROGRAMS = 24, 512
_MIN_EXAMPLES = 100
_POPULATION_FEATURES, _POPULATION_TASKS = 16, 10
_ISLANDS, _POPULATION_SIZE = 16, 100
_EVOLVE_EXAMPLES = 200, 100  # of training and validation
_OP_TASKS = 10
_OP_WORK, _OP_EXAMPLES = 1600, (20, 100)  # examples: the work over F, within bounds
_MIN_OP_PROGRAMS = 4
_OP_TURNS = 5
_NO_BOUND = 1e30  # of errors: programs that only execute an op predict nothing sensible


def scaled_tasks(num_tasks: int, num_features: int, num_train: int, num_valid: int) -> Tasks:
  """Linear regression tasks with labels of variance 1 whatever F is."""
  tasks = linear_regression(
      num_tasks, seed=0, num_features=num_features, num_train=num_train, num_valid=num_valid)
  scale = num_features**-0.5
  return dataclasses.replace(tasks, train_y=tasks.train_y * scale, valid_y=tasks.valid_y * scale)


def program_rate(
    program: Programs, num_tasks: int, num_train: int, num_valid: int, effort: Effort, *,
    dtype: str = "float32", seed: int = 0, num_devices: int = 1, batches: int = 1,
    keep_examples: bool = False,
) -> Row:
  """Training steps a second of variants of one program.

  Args:
    program: a batch of one.
    num_tasks: D.
    num_train: T; fewer where a batch of few programs would take long.
    num_valid: V, reduced likewise.
    effort: how long to measure.
    dtype: of the memory.
    seed: of the variants.
    num_devices: to use.
    batches: how many times as many programs as is usual.
    keep_examples: whether to measure with all examples, however long that takes.

  Returns:
    The row: shapes, steps_per_second of the device and end to end, ns_per_step, and the
    fraction of programs and tasks that were trained to the end.
  """
  num_features = program.space.num_features
  each = benchmark_programs.work(program) * num_tasks
  count = int(np.clip(_BATCH_WORK / (each * num_train), _MIN_PROGRAMS, _MAX_PROGRAMS))
  most = max(_MIN_EXAMPLES, int(_BATCH_WORK / (each * count)))
  examples = num_train if keep_examples else min(num_train, most)
  tasks = scaled_tasks(
      num_tasks, num_features, examples, max(1, num_valid * examples // num_train))
  count *= batches
  evaluator = Evaluator(program.space, tasks, num_devices=num_devices, dtype=dtype)
  rates = measuring.measure_batch(
      evaluator, benchmark_programs.variants(program, count, seed), effort)
  return {
      "features": num_features, "tasks": num_tasks, "train": tasks.num_train,
      "valid": tasks.num_valid, "programs": count, "dtype": dtype, "trained": rates.trained,
      "steps_per_second": rates.steps / rates.device,
      "steps_per_second_end_to_end": rates.steps / rates.end_to_end,
      "ns_per_step": 1e9 * rates.device / rates.steps, "cores": rates.cores}


def hand_written(
    features: Sequence[int], tasks: Sequence[int], dtypes: Sequence[str], num_train: int,
    num_valid: int, effort: Effort,
) -> Iterator[Row]:
  """Rates of the linear regressor and the plain neural network, over F, D and types."""
  for name, source in PROGRAMS.items():
    for num_features in features:
      program = zoo.load(source, num_features)
      for num_tasks in tasks:
        for dtype in dtypes:
          yield {"program": name} | program_rate(
              program, num_tasks, num_train, num_valid, effort, dtype=dtype)


def growth(
    lengths: Sequence[int], examples: Sequence[int], num_features: int, num_tasks: int,
    effort: Effort,
) -> Iterator[Row]:
  """How cost grows with the live length of Learn and with the number of examples."""
  for kind in ("scalar", "vector"):
    for length in lengths:
      program = benchmark_programs.chain(kind, length, num_features)
      row = program_rate(program, num_tasks, 200, 20, effort)
      yield {"varied": "length", "program": f"{kind} chain", "length": length} | row
  for name, source in PROGRAMS.items():
    for num_train in examples:
      row = program_rate(
          zoo.load(source, num_features), num_tasks, num_train, max(1, num_train // 10), effort,
          keep_examples=True)
      yield {"varied": "examples", "program": name} | row


def populations(
    count: int, evolve_programs: int, seed: int, effort: Effort, *,
    num_train: int | None = None,
) -> Iterator[tuple[Row, Programs]]:
  """Rates of random and of evolved populations on one device, on projected digits.

  Args:
    count: programs of distinct keys at most.
    evolve_programs: how many programs each island of the evolution may try.
    seed: of programs, tasks and evolution.
    effort: how long to measure.
    num_train: T of the measurement; default the usual number.

  Yields:
    The row and the programs.
  """
  seeds = np.random.SeedSequence(seed).generate_state(_ISLANDS)
  make_tasks = functools.partial(
      projected_digits, "groups", "search", _POPULATION_TASKS, num_features=_POPULATION_FEATURES)
  # Evolution gets further in the same time with fewer examples.
  task_sets = [make_tasks(seed=int(each), num_train=_EVOLVE_EXAMPLES[0],
                          num_valid=_EVOLVE_EXAMPLES[1]) for each in seeds]
  tasks = make_tasks(seed=int(seeds[0]), num_train=num_train)
  config = SearchConfig(
      population_size=_POPULATION_SIZE, seed=seed,
      max_programs=evolve_programs, train_budget=4.0, combine="mean")
  for name, make_space in SPACES.items():
    space = make_space(_POPULATION_FEATURES)
    evaluator = Evaluator(space, tasks, num_devices=1)
    evolved, best = benchmark_programs.evolved_population(space, task_sets, config, count)
    random = benchmark_programs.random_population(space, count, seed)
    for kind, programs, fitness in (("random", random, None), ("evolved", evolved, best)):
      rates = measuring.measure_batch(evaluator, programs, effort)
      live = liveness.live_instructions(programs)
      yield {
          "space": name, "population": kind, "programs": len(programs), "best_fitness": fitness,
          "instructions": float((programs.opcode != EMPTY).sum(1).mean()),
          "live_instructions": float(live.sum(1).mean()), "trained": rates.trained,
          "programs_per_second": len(programs) / rates.device,
          "programs_per_second_end_to_end": len(programs) / rates.end_to_end,
          "steps_per_second": rates.steps / rates.device,
          "steps_per_second_end_to_end": rates.steps / rates.end_to_end}, programs


def op_costs(
    features: Sequence[int], effort: Effort, *, ops: Sequence[Op] | None = None, seed: int = 0,
    num_programs: int = 64,
) -> Iterator[Row]:
  """The cost of every op of table S1 on its own, on one device.

  That of programs that execute it several times for each training example, less that of the
  same programs without it.

  Args:
    features: F, one after the other.
    effort: how long to measure.
    ops: which; additions are always measured.
    seed: of the constants.
    num_programs: of a batch, for small operands.

  Yields:
    Rows: ns for an element of the widest operand, and its ratio to an addition of that kind.
  """
  additions = {kind: op_table.op_by_name(f"{kind.name.lower()}_sum") for kind in Kind}
  wanted = ops or op_table.all_ops()[: op_table.NUM_PAPER_OPS]
  chosen = list(dict.fromkeys(
      [*additions.values(), *(op for op in wanted if op.output is not None)]))
  for num_features in features:
    costs = _op_costs(chosen, num_features, effort, seed, num_programs)
    for op in chosen:
      kind = benchmark_programs.widest(op)
      addition = costs[additions[kind]]
      yield {
          "op": op.name, "kind": kind.name.lower(), "features": num_features,
          "ns_per_element": costs[op], "ratio": costs[op] / addition if addition else None}


def _op_costs(
    ops: Sequence[Op], num_features: int, effort: Effort, seed: int, num_programs: int
) -> dict[Op, float]:
  """ns of each op for an element of its widest operand."""
  space = benchmark_programs.op_space(ops, num_features)
  examples = int(np.clip(_OP_WORK // num_features, *_OP_EXAMPLES))
  tasks = scaled_tasks(_OP_TASKS, num_features, examples, 1)
  evaluator = Evaluator(space, tasks, num_devices=1, max_abs_error=_NO_BOUND)
  # Small differences need many short turns.
  effort = Effort(effort.seconds / _OP_TURNS, effort.runs * _OP_TURNS)
  launches: dict[Any, Callable[[], Pending]] = {}
  without, elements = {}, {}
  for op in ops:
    kind = benchmark_programs.widest(op)
    copies = benchmark_programs.num_copies(op, num_features, _OP_TASKS)
    count = max(_MIN_OP_PROGRAMS, num_programs // num_features ** max(0, int(kind) - 1))
    elements[op] = count * copies * _OP_TASKS * examples * num_features ** int(kind)
    # Ops with the same operands are compared with the same programs.
    without[op] = frozenset(op.inputs), op.updates_output and op.output, copies, count
    for key, executed in ((op, op), (without[op], None)):
      if key not in launches:
        programs = benchmark_programs.repeated_op(executed, op, copies, space, count, seed)
        launches[key] = _launch_raw(evaluator, programs)
  seconds = measuring.device_seconds(launches, effort)
  return {
      op: 1e9 * max(seconds[op] - seconds[without[op]], 0.0) / elements[op] for op in ops}


def _launch_raw(evaluator: Evaluator, programs: Programs) -> Callable[[], Pending]:
  """Starts the evaluation of programs, with their dead instructions.

  Raises:
    RuntimeError: one of them is stopped.
  """
  plan = evaluator.plan(programs, evaluator.analyse(programs), raw=True)
  sets = np.zeros(len(programs), np.int32)
  if not evaluator.launch(plan, sets).result().trained.all():
    raise RuntimeError(f"A program stopped before its training ended:\n{programs[0]}")
  return lambda: evaluator.launch(plan, sets)
