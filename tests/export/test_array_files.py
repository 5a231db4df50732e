"""Exported NumPy and JAX files do what the evaluator does, without azero."""

import statistics

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from reference import counter_hash
from support import chaos, exported, random_programs

import azero
from azero import export
from azero.export import algorithm, array_files
from azero.export.expressions import expression
from azero.language.ops import NUM_PAPER_OPS, Constant, op_by_id

SEED = random_programs.SEED


def _traced(evaluation, num_features):
  """Validation scores [N, D, V, P] and steps [N, D] of a traced evaluation of one epoch."""
  train, valid = evaluation.trace
  return valid[:, :, 0, :, 1:], (~np.isnan(train[:, :, 0, :, 0])).sum(-1)


def _compare(num_features, num_classes, count, directory, monkeypatch):
  """Files beside the evaluator: equal to 1e-9, or shown to be chaotic.

  The type is float64. Sums are of one order in NumPy and of another in XLA, so that bits differ;
  what an evaluation does not score, since it has stopped, is not compared.
  """
  evaluator = random_programs.traced_evaluator(num_features, num_classes)
  tasks = evaluator.task_sets[0]
  programs = random_programs.random_programs(
      evaluator.space, count, seed=11, multiclass=tasks.multiclass, full=True)
  outcome = exported.run_alone(programs, tasks, directory, seed=SEED)
  wanted, steps = _traced(evaluator.evaluate(programs), num_features)
  same = np.isnan(wanted) | np.isclose(outcome.scores, wanted, rtol=1e-9, atol=1e-12)
  different = ~same.all((2, 3)) | (outcome.steps != steps)
  analysis = evaluator.analyse(programs)
  for i, task in np.argwhere(different):
    assert chaos.is_chaotic(
        programs, analysis, i, tasks, monkeypatch, task=task, tolerance=1e-9, seed=SEED), i
  assert different.mean() <= 0.003
  assert (steps < tasks.num_train).mean() < 0.3 and np.isnan(wanted).mean() < 0.4
  used = set(np.unique(programs.opcode[analysis.live]))
  assert used == set(range(1, NUM_PAPER_OPS)) if count >= 1000 else len(used) >= 60
  return programs, analysis, tasks, outcome


@pytest.fixture(scope="module")
def compared(tmp_path_factory):
  with pytest.MonkeyPatch.context() as monkeypatch:
    return _compare(5, 3, 250, tmp_path_factory.mktemp("files"), monkeypatch)


def test_random_programs_in_numpy_equal_the_evaluator(compared):
  assert np.isfinite(compared[-1].scores).any()  # the comparison is in the fixture


@pytest.mark.slow
@pytest.mark.parametrize(("num_classes", "count"), [(0, 2000), (2, 1000), (3, 2000)])
def test_thousands_of_random_programs_equal_the_evaluator(
    num_classes, count, tmp_path, monkeypatch):
  _compare(5, num_classes, count, tmp_path, monkeypatch)


def test_predictions_and_memory_are_those_of_the_oracle_in_every_bit(compared, monkeypatch):
  """Both compute in float64 with NumPy, in the same order."""
  programs, analysis, tasks, outcome = compared
  normal = np.vectorize(statistics.NormalDist().inv_cdf, otypes=[float])
  monkeypatch.setattr(counter_hash.special, "ndtri", normal)
  checked = compared_values = 0
  for i in range(80):
    wanted = chaos.run_oracle(programs, analysis, i, tasks, seed=SEED)
    assert outcome.steps[i, 0] == len(wanted.train_errors)
    scored = len(wanted.valid_predictions)
    if not scored:
      continue
    np.testing.assert_array_equal(
        outcome.scores[i, 0, :scored],
        wanted.valid_predictions.reshape(scored, -1)[:, : tasks.num_classes])
    if scored < tasks.num_valid:
      continue  # the oracle has stopped before the last row, the file has not
    checked += 1
    for address in map(algorithm.name, algorithm.analyse(programs[i], 3).carried):
      np.testing.assert_array_equal(
          outcome.memory[i][0][address], wanted.memory[address[0]][int(address[1:])], address)
      compared_values += 1
  assert checked > 40 and compared_values > 40


def test_programs_of_the_zoo_in_float32(tmp_path):
  """Up to rounding in float32, in which sums of NumPy and XLA differ in their last bits."""
  names = [name for name in azero.zoo.names() if not azero.zoo.is_multiclass(name)]
  tasks = random_programs.random_tasks(4, 2, num_train=12, num_valid=5)
  programs = azero.parse_many([azero.zoo.source(name) for name in names], num_features=4)
  outcome = exported.run_alone(programs, tasks, tmp_path, seed=3, dtype="float32")
  evaluator = azero.Evaluator(programs.space, tasks, seed=3, num_devices=1, trace=True)
  wanted, steps = _traced(evaluator.evaluate(programs), 4)
  np.testing.assert_array_equal(outcome.steps, steps)
  scored = ~np.isnan(wanted)
  assert scored.mean() > 0.7
  np.testing.assert_allclose(outcome.scores[scored], wanted[scored], rtol=2e-4, atol=2e-5)


def test_a_program_of_the_zoo_for_several_classes():
  program = azero.zoo.load("s2c", 4)
  tasks = random_programs.random_tasks(4, 3, num_train=20, num_valid=5)
  module = array_files.load(export.numpy_source(program, 3, dtype="float64"))
  module.fit(tasks.train_x[0], tasks.train_y[0], seed=3, task_seed=int(tasks.seeds[0]))
  analysis = azero.compiler.canonical.analyse(program, multiclass=True)
  wanted = chaos.run_oracle(program, analysis, 0, tasks, seed=3)
  scores = module.predict_proba(tasks.valid_x[0])
  np.testing.assert_allclose(scores, wanted.valid_predictions[:, :3], rtol=1e-9)
  np.testing.assert_array_equal(module.predict(tasks.valid_x[0]), scores.argmax(1))


@pytest.mark.parametrize("op_id", range(1, NUM_PAPER_OPS))
def test_expressions_are_the_rules(op_id):
  """In jax.numpy in every bit, in NumPy up to rounding."""
  op, rng = op_by_id(op_id), np.random.default_rng(op_id)
  names = {
      kind: np.asarray(rng.standard_normal(shape), np.float32) for kind, shape in
      zip(("a", "b"), (kind.shape(4) for kind in op.inputs))}
  names["old"] = np.asarray(rng.standard_normal(op.output.shape(4)), np.float32)
  constants = [2 if meaning is Constant.INDEX else np.float32(rng.random())
               for meaning in op.constants]
  noise = np.asarray(rng.random(op.output.shape(4)), np.float32)
  arguments = [names["old"]] if op.updates_output else []
  arguments += [names[key] for key in ("a", "b")[: len(op.inputs)]]
  arguments += [np.int32(c) if isinstance(c, int) else c for c in constants]
  arguments += [noise] if op.noise else []
  wanted = jnp.broadcast_to(op.compute(*map(jnp.asarray, arguments)), op.output.shape(4))
  for library, xp in (("np", np), ("jnp", jnp)):
    space = dict(vars(array_files.load(_all_helpers(library))))
    space |= {key: xp.asarray(value) for key, value in names.items()}
    space |= {"noise": xp.asarray(noise), "DTYPE": xp.float32, "NUM_FEATURES": 4}
    space |= {f"c{k}": value if isinstance(value, int) else xp.asarray(value)
              for k, value in enumerate(constants)}
    space["standard_uniform"] = space["standard_normal"] = lambda noise: noise
    for helper in ("uniform", "gaussian"):
      space[helper] = _drawing(helper, xp)
    text = expression(op.name, 4).format(
        np=library, a="a", b="b", old="old", c0="c0", c1="c1", c2="c2", at="noise")
    with np.errstate(invalid="ignore"):
      got = eval(text, space)
    assert got.dtype == np.float32 and got.shape == op.output.shape(4)
    if library == "jnp":
      np.testing.assert_array_equal(got, wanted)
    else:
      np.testing.assert_allclose(got, wanted, rtol=1e-5, atol=1e-6)


def _all_helpers(library):
  from azero.export import array_parts

  xp = {"np": "import numpy as np", "jnp": "import jax.numpy as jnp"}[library]
  helpers = array_parts.helpers(library)
  return "\n\n".join(
      [xp, *(helpers[name].replace("$np", library) for name in ("std", "set_entry"))])


def _drawing(helper, xp):
  if helper == "uniform":
    return lambda low, high, noise: low + (high - low) * noise
  return lambda mean, std, noise: mean + xp.abs(std) * noise


@pytest.mark.parametrize("name", ["plain_nn", "figure_6"])
def test_jax_functions_can_be_jitted_and_vmapped(name):
  num_classes = 2
  program = azero.zoo.load(name, 4)
  tasks = random_programs.random_tasks(4, num_classes, num_train=12, num_valid=5)
  functions = export.jax_functions(program, num_classes)
  module = array_files.load(export.numpy_source(program, num_classes))
  fit = jax.jit(jax.vmap(lambda x, y, seed: functions.fit(x, y, seed=3, task_seed=seed)))
  memory, steps = fit(tasks.train_x, tasks.train_y, tasks.seeds)
  scores = jax.jit(jax.vmap(functions.scores))(tasks.valid_x, memory)
  classes = jax.vmap(functions.predict)(tasks.valid_x, memory)
  for task in range(len(tasks)):
    try:
      module.fit(tasks.train_x[task], tasks.train_y[task], seed=3, task_seed=tasks.seeds[task])
    except module.Stopped as stopped:
      assert steps[task] == stopped.steps
      continue
    assert steps[task] == tasks.num_train
    own = module.predict_proba(tasks.valid_x[task])
    np.testing.assert_allclose(scores[task], own, rtol=1e-4, atol=1e-5)
    np.testing.assert_array_equal(classes[task], module.predict(tasks.valid_x[task]))
  assert (steps == tasks.num_train).any()


def test_seeds_of_32_bits_draw_the_same_in_numpy_and_jax():
  program = azero.parse(
      "def Setup():\n  v1 = gaussian(0, 1)\ndef Predict():\n  s1 = dot(v1, v0)\ndef Learn():",
      num_features=4)
  x, y = np.ones((2, 4)), np.zeros(2)
  module = array_files.load(export.numpy_source(program))
  functions = export.jax_functions(program)
  drawn = set()
  for seeds in ((3_000_000_000, 4_000_000_000), (3_000_000_000, 0), (2**32 - 1, 2**31)):
    own = module.fit(x, y, seed=seeds[0], task_seed=seeds[1])
    memory, _ = functions.fit(x, y, seed=seeds[0], task_seed=seeds[1])
    np.testing.assert_allclose(memory["v1"], own["v1"], rtol=1e-5)
    drawn.add(float(own["v1"][0]))
  assert len(drawn) == 3


def test_several_epochs_are_those_of_the_evaluator():
  program = azero.zoo.load("linear_regressor", 4)
  tasks = azero.linear_regression(1, seed=1, num_train=30, num_valid=5)
  module = array_files.load(export.numpy_source(program, dtype="float64"))
  module.fit(
      tasks.train_x[0], tasks.train_y[0], num_epochs=3, task_seed=int(tasks.seeds[0]))
  analysis = azero.compiler.canonical.analyse(program)
  wanted = chaos.run_oracle(program, analysis, 0, tasks, seed=0, num_epochs=3)
  np.testing.assert_array_equal(
      module.predict(tasks.valid_x[0]), wanted.valid_predictions[-tasks.num_valid:])


def test_bad_input_to_a_file_is_one_clear_error():
  module = array_files.load(export.numpy_source(azero.zoo.load("plain_nn", 4), 2))
  x, y = np.ones((3, 4)), np.array([0, 1, 0])
  with pytest.raises(ValueError, match="nothing has been trained"):
    module.predict(x)
  with pytest.raises(ValueError, match=r"must have shape \[rows, 4\], got \[3, 3\]"):
    module.fit(x[:, :3], y)
  for number in (-1, 0, 1.5):
    with pytest.raises(ValueError, match=f"num_epochs must be a whole number from 1, got {number}"):
      module.fit(x, y, num_epochs=number)
  with pytest.raises(ValueError, match="features must be finite"):
    module.fit(x * np.nan, y)
  with pytest.raises(ValueError, match="must be 3 finite numbers"):
    module.fit(x, y[:2])
  with pytest.raises(ValueError, match="whole numbers from 0 to 1"):
    module.fit(x, y + 1)
  module = array_files.load(export.numpy_source(azero.zoo.load("linear_regressor", 4)))
  with pytest.raises(ArithmeticError, match="stopped at example 0, whose error is 1000") as caught:
    module.fit(x, y + 1000.0)
  assert caught.value.steps == 0


@pytest.mark.parametrize(("arguments", "message"), [
    ({"num_classes": 1}, "num_classes must be 0"),
    ({"num_classes": 5}, "5 classes need at least as many features"),
    ({"dtype": "float16"}, "dtype must be one of"),
])
def test_what_does_not_fit_is_refused(arguments, message):
  with pytest.raises(ValueError, match=message):
    export.numpy_source(azero.zoo.load("linear_regressor", 4), **arguments)


def test_one_program_at_a_time():
  program = azero.zoo.load("linear_regressor", 4)
  with pytest.raises(ValueError, match="One program at a time is exported, got 2"):
    export.jax_source(azero.Programs.concatenate([program, program]))
  with pytest.raises(ValueError, match="needs Programs, got str"):
    export.diagram("def Predict():")
