"""The oracle on programs whose answers follow by counting; test_golden.py has the traces.

Programs are lists of (op id, in1, in2, out, constants), see `golden.pack`. The vector and
matrix addresses 4 and s6 are never written, so they are zeros to copy with.
"""

import math

import numpy as np
import pytest
from reference import oracle
from support import golden

from azero.language import ops
from azero.language.program import Component, SearchSpace
from azero.tasks.task import make_tasks

ALL_OPS = tuple(range(1, 65))
NUM_FEATURES, NUM_TRAIN, NUM_VALID = 4, 5, 3
SPACE = SearchSpace(7, 5, 3, NUM_FEATURES, *(Component(ALL_OPS, 6) for _ in range(3)))

ADD, SCALAR_CONSTANT, VECTOR_SUM, DOT, LOG = 1, 56, 23, 27, 14
ONE = [SCALAR_CONSTANT, 0, 0, 3, 1.0]  # s3 = 1
STEP = [ADD, 2, 3, 2]  # s2 = s2 + s3
SHOW = [ADD, 2, 6, 1]  # s1 = s2
COUNT_LEARN = [[ONE], [SHOW], [STEP]]
COUNT_PREDICT = [[ONE], [STEP, SHOW], []]


def regression(train_y=(0.0,) * NUM_TRAIN, valid_y=(0.0,) * NUM_VALID, **kwargs):
  """One regression task with features 1, 2, 3, ... in every entry of an example."""
  return _task(train_y, valid_y, "rms", **kwargs)


def classification(train_y, valid_y, **kwargs):
  return _task(train_y, valid_y, "accuracy", **kwargs)


def _task(train_y, valid_y, metric, **kwargs):
  x = [np.repeat(np.arange(1.0, len(y) + 1)[:, None], NUM_FEATURES, axis=1)
       for y in (train_y, valid_y)]
  return make_tasks(x[0][None], [train_y], x[1][None], [valid_y], metric, **kwargs)


EVERY_METRIC = (
    regression(), classification((0, 1, 0, 1, 0), (0, 1, 0)),
    classification((0, 1, 2, 1, 0), (0, 1, 0)))


def run(listing, tasks, **kwargs):
  return oracle.evaluate(golden.pack(SPACE, [listing]), 0, tasks, 0, **kwargs)


def orders(*later, size=NUM_TRAIN):
  return np.array([range(size), *later])


def fitness_of_rms(rms):
  return 1.0 - 2.0 * math.atan(rms) / math.pi


@pytest.mark.parametrize("op_id", ALL_OPS)
def test_table_of_the_oracle_agrees_with_the_op_table(op_id):
  op = ops.op_by_id(op_id)
  assert op.output is not None
  assert oracle.kinds(op_id) == ("".join(kind.letter for kind in op.inputs), op.output.letter)
  assert oracle.noise_of(op_id) == (op.noise and op.noise.value)


def test_learn_runs_once_per_training_example_and_not_in_validation():
  trace = run(COUNT_LEARN, regression())
  assert trace.train_predictions.tolist() == trace.train_errors.tolist() == [0, 1, 2, 3, 4]
  assert trace.valid_predictions.tolist() == trace.valid_errors.tolist() == [5, 5, 5]
  assert trace.fitness == pytest.approx(fitness_of_rms(5.0), abs=1e-15)


def test_memory_persists_from_training_into_and_within_validation():
  trace = run(COUNT_PREDICT, regression(valid_y=(6.0, 7.0, 11.0)))
  assert trace.train_predictions.tolist() == [1, 2, 3, 4, 5]
  assert trace.valid_predictions.tolist() == [6, 7, 8]
  assert trace.valid_errors.tolist() == [0, 0, 3]
  assert trace.fitness == pytest.approx(fitness_of_rms(math.sqrt(3.0)), abs=1e-15)


def test_setup_runs_once():
  trace = run([[ONE, STEP], [SHOW], []], regression(), num_epochs=3,
              epoch_orders=orders(*[range(NUM_TRAIN)] * 2))
  assert set(trace.train_predictions) == set(trace.valid_predictions) == {1.0}
  assert len(trace.train_predictions) == 3 * NUM_TRAIN
  assert len(trace.valid_predictions) == 3 * NUM_VALID


def test_predict_never_sees_the_label():
  labels = (1.0, 2.0, 3.0, 4.0, 5.0)
  show_label = [[], [[ADD, 0, 6, 1]], []]
  trace = run(show_label, regression(labels, (6.0, 7.0, 8.0)))
  assert trace.train_predictions.tolist() == [0] * 5
  assert trace.valid_predictions.tolist() == [0] * 3
  assert trace.valid_errors.tolist() == [6, 7, 8]


def test_learn_sees_the_label():
  keep_label = [[], [SHOW], [[ADD, 0, 6, 2]]]
  trace = run(keep_label, regression((1.0, 2.0, 3.0, 4.0, 5.0)))
  assert trace.train_predictions.tolist() == [0, 1, 2, 3, 4]
  assert trace.valid_predictions.tolist() == [5, 5, 5]


def test_features_are_those_of_the_example():
  trace = run([[], [[DOT, 0, 0, 1]], []], regression())
  assert trace.train_predictions.tolist() == [4, 16, 36, 64, 100]
  assert trace.valid_predictions.tolist() == [4, 16, 36]


def test_epochs_follow_their_order_and_the_best_counts():
  keep_label = [[], [SHOW], [[ADD, 0, 6, 2]]]
  tasks = regression((1.0, 2.0, 3.0, 4.0, 5.0), (2.0, 2.0, 2.0))
  trace = run(keep_label, tasks, num_epochs=3,
              epoch_orders=orders([4, 3, 0, 2, 1], [1, 0, 2, 4, 3]))
  assert trace.train_predictions.tolist() == [0, 1, 2, 3, 4] + [5, 5, 4, 1, 3] + [2, 2, 1, 3, 5]
  assert trace.valid_predictions.tolist() == [5] * 3 + [2] * 3 + [4] * 3
  np.testing.assert_allclose(
      trace.epoch_fitness, [fitness_of_rms(3.0), 1.0, fitness_of_rms(2.0)], rtol=0, atol=1e-15)
  assert trace.fitness == 1.0


def test_counting_over_epochs():
  trace = run(COUNT_LEARN, regression(), num_epochs=2, epoch_orders=orders(range(NUM_TRAIN)))
  assert trace.valid_predictions.tolist() == [5] * 3 + [10] * 3
  assert trace.fitness == pytest.approx(fitness_of_rms(5.0), abs=1e-15)


@pytest.mark.parametrize(
    ("limit", "num_train", "num_valid", "num_epochs_completed"),
    [(4, 4, 0, 0), (5, 5, 0, 0), (7, 5, 2, 0), (8, 5, 3, 1), (12, 9, 3, 1), (15, 10, 5, 1),
     (16, 10, 6, 2)])
def test_stops(limit, num_train, num_valid, num_epochs_completed):
  """Predictions are 1, 2, ..., 16 and labels 0, so that the error limit is the last example."""
  trace = run(COUNT_PREDICT, regression(), num_epochs=2, max_abs_error=limit,
              epoch_orders=orders(range(NUM_TRAIN)))
  assert len(trace.train_errors) == num_train
  assert len(trace.valid_errors) == num_valid
  assert len(trace.epoch_fitness) == num_epochs_completed
  first = fitness_of_rms(math.sqrt((36 + 49 + 64) / 3))
  assert trace.fitness == pytest.approx(first if num_epochs_completed else 0.0, abs=1e-15)


def test_an_error_at_the_limit_does_not_stop():
  show_100 = [[[SCALAR_CONSTANT, 0, 0, 2, 100.0]], [SHOW], []]
  assert run(show_100, regression()).fitness == pytest.approx(fitness_of_rms(100.0), abs=1e-15)


@pytest.mark.parametrize("tasks", EVERY_METRIC, ids=("rms", "binary", "multiclass"))
def test_nan_stops_training(tasks):
  # The third Predict divides 0 by 0: s2 counts up from -3.
  setup = [ONE, [SCALAR_CONSTANT, 0, 0, 2, -3.0]]
  predict = [STEP, [4, 2, 2, 1], [19, 1, 0, 2]]  # s1 = s2 / s2; v2 = bcast(s1)
  trace = run([setup, predict, []], tasks)
  assert len(trace.train_errors) == 2
  assert len(trace.valid_errors) == 0
  assert trace.fitness == 0.0


@pytest.mark.parametrize("tasks", EVERY_METRIC, ids=("rms", "binary", "multiclass"))
def test_nan_in_validation_gives_zero(tasks):
  # s2 = 5 - steps; the sixth Predict of all, the first of validation, divides 0 by 0.
  setup = [ONE, [SCALAR_CONSTANT, 0, 0, 2, -6.0]]
  trace = run([setup, [STEP, [4, 2, 2, 1], [19, 1, 0, 2]], []], tasks)
  assert len(trace.train_errors) == NUM_TRAIN
  assert len(trace.valid_errors) == 0
  assert trace.fitness == 0.0


def test_infinity_in_validation_gives_zero_without_a_limit():
  # s1 = 1 / s2 is infinite in the first example of validation.
  setup = [ONE, [SCALAR_CONSTANT, 0, 0, 2, -6.0]]
  trace = run([setup, [STEP, [6, 2, 0, 1]], []], regression(), max_abs_error=math.inf)
  assert len(trace.train_errors) == NUM_TRAIN
  assert trace.fitness == 0.0


def test_nan_outside_the_prediction_does_no_harm():
  setup = [[SCALAR_CONSTANT, 0, 0, 3, -1.0]]
  trace = run([setup, [[LOG, 3, 0, 5]], []], regression())
  assert trace.fitness == 1.0
  assert np.isnan(trace.memory["s"][5])


def test_binary_prediction_is_normalised_in_memory_in_training_only():
  set_prediction = [SCALAR_CONSTANT, 0, 0, 1, 2.0]
  tasks = classification((0, 1, 0, 1, 0), (1, 0, 1))
  trace = run([[], [set_prediction], [[ADD, 1, 6, 5]]], tasks)
  probability = 1.0 / (1.0 + math.exp(-2.0))
  assert trace.memory["s"][5] == pytest.approx(probability, abs=1e-15)
  assert trace.memory["s"][1] == 2.0
  np.testing.assert_allclose(trace.valid_predictions, [probability] * 3, rtol=0, atol=1e-15)
  np.testing.assert_allclose(
      trace.train_errors, [probability, 1 - probability] * 2 + [probability], rtol=0, atol=1e-15)
  assert trace.valid_errors.tolist() == [0, 1, 0]
  assert trace.fitness == pytest.approx(2 / 3, abs=1e-15)


def test_memory_of_the_prediction_keeps_its_raw_value_through_validation():
  """s1 = s1 + 1 adds to the sigmoid in training, and to the raw value in validation."""
  trace = run([[ONE], [[ADD, 1, 3, 1]], []], classification((0, 1, 0, 1, 0), (1, 0, 1)))
  state = 0.0
  for _ in range(NUM_TRAIN):
    state = 1.0 / (1.0 + math.exp(-(state + 1.0)))
  assert trace.memory["s"][1] == pytest.approx(state + NUM_VALID, abs=1e-14)


def test_a_probability_of_one_half_is_class_zero():
  trace = run([[], [SHOW], []], classification((0, 1, 0, 1, 0), (1, 0, 0)))
  assert trace.valid_predictions.tolist() == [0.5] * 3
  assert trace.fitness == pytest.approx(2 / 3, abs=1e-15)


@pytest.mark.parametrize(("sign", "probability"), [(1.0, 1.0), (-1.0, 0.0)])
def test_an_infinite_raw_prediction_of_a_binary_task_is_a_probability(sign, probability):
  setup = [[SCALAR_CONSTANT, 0, 0, 3, sign]]
  predict = [[4, 3, 6, 1]]  # s1 = sign / 0
  trace = run([setup, predict, []], classification((0, 1, 0, 1, 0), (1, 0, 0)))
  assert trace.train_predictions.tolist() == [probability] * NUM_TRAIN
  assert trace.valid_predictions.tolist() == [probability] * NUM_VALID
  assert trace.memory["s"][1] == sign * math.inf
  assert trace.fitness == pytest.approx(1 / 3 if sign > 0 else 2 / 3, abs=1e-15)


@pytest.mark.parametrize(("constant", "num_train"), [(1.0, 0), (-1.0, NUM_TRAIN)])
def test_an_infinite_entry_of_a_multiclass_prediction(constant, num_train):
  """Softmax of +Inf is NaN and stops; an entry of -Inf is a class of probability 0."""
  setup = [[57, 0, 0, 3, 0.0, constant], [57, 0, 0, 3, 0.25, -1.0]]
  # Entry 0 of v2 becomes constant / 0, entry 1 becomes -1 / 0, entry 2 is finite.
  predict = [[20, 4, 0, 2], [25, 2, 3, 2], [57, 0, 0, 2, 0.5, 0.0]]
  trace = run([setup, predict, []], classification((0, 2, 1, 2, 2), (2, 2, 0)))
  assert len(trace.train_errors) == num_train
  if num_train:
    assert trace.valid_predictions.tolist() == [[0, 0, 1, 0]] * NUM_VALID
  assert trace.fitness == pytest.approx(2 / 3 if num_train else 0.0, abs=1e-15)


def test_multiclass_by_counting_labels():
  """v3 counts the one-hot labels and is the prediction: the majority class wins."""
  tasks = classification((0, 2, 1, 2, 2), (2, 0, 1))
  trace = run([[], [[VECTOR_SUM, 3, 4, 2]], [[VECTOR_SUM, 3, 1, 3]]], tasks)
  assert trace.memory["v"][3].tolist() == [1, 1, 3, 0]
  assert trace.memory["v"][2].tolist() == [1, 1, 3, 0]  # raw after validation
  assert trace.memory["v"][1].tolist() == [0, 0, 0, 0]
  assert trace.memory["s"][0] == 0.0
  e = math.e
  first, last = [1 / 3, 1 / 3, 1 / 3, 0], np.array([e, e, e**3, 0]) / (2 * e + e**3)
  np.testing.assert_allclose(trace.train_predictions[0], first, rtol=0, atol=1e-15)
  np.testing.assert_allclose(trace.valid_predictions, [last] * 3, rtol=0, atol=1e-15)
  # Counts before the last training example, of class 2: 1, 1, 2.
  np.testing.assert_allclose(
      trace.train_errors[[0, 4]], [2 / 3, 1 - e**2 / (2 * e + e**2)], rtol=0, atol=1e-15)
  assert trace.valid_errors.tolist() == [0, 1, 1]
  assert trace.fitness == pytest.approx(1 / 3, abs=1e-15)


def test_multiclass_normalises_the_prediction_in_memory_in_training():
  # v2[3] = 7 lies beyond the three classes, and Learn finds a zero there.
  predict = [[57, 0, 0, 2, 0.0, 1.0], [57, 0, 0, 2, 0.8, 7.0]]
  trace = run([[], predict, [[VECTOR_SUM, 2, 4, 3]]], classification((0, 2, 1, 2, 2), (0, 0, 0)))
  seen = trace.memory["v"][3]
  assert seen[3] == 0.0
  assert seen.sum() == pytest.approx(1.0, abs=1e-15)
  assert trace.memory["v"][2][[0, 3]].tolist() == [1, 7]
  assert trace.fitness == 1.0


def test_multiclass_predict_never_sees_the_label_even_if_learn_writes_there():
  learn = [[57, 0, 0, 1, 0.8, 9.0]]
  trace = run([[], [[VECTOR_SUM, 1, 4, 3]], learn], classification((0, 2, 1, 2, 2), (0, 1, 2)))
  assert trace.memory["v"][3].tolist() == [0, 0, 0, 0]


def test_v1_is_an_ordinary_vector_outside_multiclass():
  learn = [[57, 0, 0, 1, 0.8, 9.0]]
  trace = run([[], [[DOT, 1, 0, 1]], learn], regression((0.0, 0.0)))
  assert trace.train_predictions.tolist() == [0, 18]
  assert trace.memory["v"][1].tolist() == [0, 0, 0, 9]


def test_indexed_constants_leave_the_other_entries():
  setup = [[57, 0, 0, 1, 0.0, 5.0], [57, 0, 0, 1, 0.99, 6.0], [57, 0, 0, 1, 0.25, 7.0],
           [58, 0, 0, 1, 0.49, 0.5, 8.0], [58, 0, 0, 1, 0.75, 0.0, -9.0]]
  trace = run([setup, [], []], regression())
  assert trace.memory["v"][1].tolist() == [5, 7, 0, 6]
  expected = np.zeros((4, 4))
  expected[1, 2], expected[3, 0] = 8.0, -9.0
  assert np.array_equal(trace.memory["m"][1], expected)


@pytest.mark.parametrize("op_id", [44, 45, 46, 47, 48, 49])
def test_nan_passes_through_minimum_and_maximum(op_id):
  shape = {"s": (), "v": (2,), "m": (2, 2)}[oracle.kinds(op_id)[1]]
  one, nan = np.ones(shape), np.full(shape, np.nan)
  for inputs in ((one, nan), (nan, one)):
    assert np.all(np.isnan(oracle.compute(op_id, inputs, (0, 0, 0), one)))


@pytest.mark.parametrize(("op_id", "at_zero"), [(15, 1.0), (16, 0.0), (17, 0.0)])
def test_heaviside_at_zero_and_nan(op_id, at_zero):
  shape = {"s": (), "v": (1,), "m": (1, 1)}[oracle.kinds(op_id)[1]]
  for value, expected in ((0.0, at_zero), (-0.0, at_zero), (1e-300, 1.0), (np.nan, 0.0)):
    result = oracle.compute(op_id, [np.full(shape, value)], (0, 0, 0), np.zeros(shape))
    assert np.all(result == expected)


def test_matrix_axes():
  v, m = np.array([3.0, 4.0]), np.array([[3.0, 1.0], [4.0, 5.0]])

  def compute(op_id, *inputs):
    return oracle.compute(op_id, inputs, (0, 0, 0), None).tolist()

  assert compute(21, v) == 5.0
  assert compute(32, v) == [[3, 3], [4, 4]]
  assert compute(33, v) == [[3, 4], [3, 4]]
  assert compute(35, m)[0] == 5.0
  assert compute(36, m) == pytest.approx([math.sqrt(10), math.sqrt(41)], abs=1e-14)
  assert compute(37, m) == [[3, 4], [1, 5]]
  assert compute(52, m) == [2, 4.5]
  assert compute(53, m) == [1, 0.5]
  assert compute(54, v) == 0.5
  assert compute(28, v, np.array([1.0, 2.0])) == [[3, 6], [4, 8]]
  assert compute(31, m, v) == [13, 32]
  assert compute(43, m, m) == [[13, 8], [32, 29]]


def test_sigmoid_and_softmax_do_not_overflow():
  x = np.array([-np.inf, -1e4, -2.0, 0.0, 2.0, 1e4, np.inf])
  half = 1.0 / (1.0 + math.exp(-2.0))
  np.testing.assert_allclose(
      oracle.sigmoid(x), [0, 0, 1 - half, 0.5, half, 1, 1], rtol=0, atol=1e-15)
  assert np.isnan(oracle.sigmoid(np.float64(np.nan)))
  assert oracle.softmax(np.array([1e4, -1e4, 1e4, 5.0]), 3).tolist() == [0.5, 0, 0.5, 0]


def test_random_ops_ask_for_numbers():
  sites = []

  def draw(site, shape, noise):
    sites.append((site, shape, noise))
    return np.full(shape, 0.25)

  setup = [[59, 0, 0, 2, 1.0, -1.0]]  # bounds in the wrong order
  predict = [[63, 0, 0, 3, 1.0, -2.0]]  # a negative deviation
  learn = [ONE, [61, 0, 0, 2, 0.0, 4.0]]
  tasks = regression((0.0, 0.0), (0.0,), seeds=[7])
  trace = run([setup, predict, learn], tasks, seed=3, num_epochs=2,
              epoch_orders=orders([1, 0], size=2), draw=draw)
  assert trace.memory["s"][2] == 0.5
  assert trace.memory["v"][3].tolist() == [1.5] * 4
  assert np.array_equal(trace.memory["m"][2], np.ones((4, 4)))
  assert sites[0] == (oracle.Site(3, 0, 7, "setup", 0, 0, 0, 0), (), "uniform")
  expected: list[tuple] = []
  for epoch, order in enumerate(([0, 1], [1, 0])):
    for step, example in enumerate(order):
      expected.append(("train", epoch, step, example, 1, (4,), "normal"))
      expected.append(("train", epoch, step, example, 3, (4, 4), "uniform"))
    expected.append(("valid", epoch, 0, 0, 1, (4,), "normal"))
  assert [(*site[3:], *rest) for site, *rest in sites[1:]] == expected


def test_positions_may_be_given():
  seen = []

  def draw(site, shape, noise):
    seen.append(site.position)
    return np.zeros(shape)

  positions = np.arange(SPACE.num_slots) * 10
  run([[ONE, [62, 0, 0, 2, 0.0, 1.0]], [], []], regression(), positions=positions, draw=draw)
  assert seen == [10]


@pytest.mark.parametrize(("listing", "kwargs", "message"), [
    ([[[62, 0, 0, 2, 0.0, 1.0]], [], []], {}, "Op 62 is random"),
    ([[], [], []], {"num_epochs": 2}, "epoch_orders"),
    ([[], [], []], {"num_epochs": 2, "epoch_orders": orders()}, r"shape \(2, 5\)"),
    ([[], [], []], {"epoch_orders": np.array([[1, 0, 2, 3, 4]])}, "given order"),
])
def test_missing_arguments_are_named(listing, kwargs, message):
  with pytest.raises(ValueError, match=message):
    run(listing, regression(), **kwargs)


def test_unfit_task_and_unknown_op_are_refused():
  small = SearchSpace(2, 2, 0, NUM_FEATURES, *(Component((1,), 1) for _ in range(3)))
  tasks = classification((0, 1, 2, 1, 0), (0, 1, 0))
  with pytest.raises(ValueError, match="v0, v1 and v2"):
    oracle.evaluate(golden.pack(small, [[[], [], []]]), 0, tasks, 0)
  with pytest.raises(ValueError, match="F = 5"):
    oracle.evaluate(golden.pack(small.with_features(5), [[[], [], []]]), 0, tasks, 0)
  with pytest.raises(ValueError, match="op 65"):
    oracle.kinds(65)
