"""Training and validation by programs whose answers follow by counting.

s9 and v9 are never written: zeros to copy with.
"""

import math

import jax
import numpy as np
import pytest

from azero.executors.evaluator import Evaluation, Evaluator
from azero.executors.interpreter import evaluation
from azero.language import spaces, text
from azero.language.program import Component, SearchSpace
from azero.tasks.synthetic import linear_regression
from azero.tasks.task import Tasks, make_tasks

NUM_FEATURES, NUM_TRAIN, NUM_VALID = 4, 5, 3
SPACE = SearchSpace(
    10, 10, 0, NUM_FEATURES, Component((56, 57), 3), Component((1, 4, 14, 18, 20, 23, 50), 3),
    Component((1, 23, 50), 3))
LANES = 16

ONE = "s3 = 1"
STEP = "s2 = s2 + s3"
SHOW = "s1 = s2 + s9"
COUNT_LEARN = ((ONE,), (SHOW,), (STEP,))
COUNT_PREDICT = ((ONE,), (STEP, SHOW), ())
LAST_LABEL = ((), (SHOW,), ("s2 = s0 + s9",))


def evaluate(listing, tasks: Tasks, **kwargs) -> Evaluation:
  """One program, given as the instructions of its component functions, in float64."""
  lines = []
  for name, instructions in zip(("Setup", "Predict", "Learn"), listing):
    lines += [f"def {name}():", *(f"  {instruction}" for instruction in instructions)]
  kwargs = {"num_epochs": 1, "dtype": "float64", **kwargs}
  evaluator = Evaluator(SPACE, tasks, trace=True, lanes=LANES, num_devices=1, **kwargs)
  return evaluator.evaluate(text.parse("\n".join(lines), SPACE))


def predictions(result: Evaluation, task: int = 0, epoch: int = 0) -> tuple[list, list]:
  """Normalised predictions of training and validation up to a stop."""
  parts = []
  for part in result.trace:
    rows = part[0, task, epoch]
    rows = rows[~np.isnan(rows[:, 0]), 1:]
    parts.append((rows[:, 0] if rows.shape[1] == 1 else rows).tolist())
  return parts[0], parts[1]


def tasks_of(train_y=(0.0,) * NUM_TRAIN, valid_y=(0.0,) * NUM_VALID, metric="rms", *,
             train_x=1.0, valid_x=1.0, **kwargs) -> Tasks:
  """One task whose examples have one number in all their features."""
  x = [np.tile(np.broadcast_to(np.asarray(value, float), len(y))[:, None], NUM_FEATURES)
       for value, y in ((train_x, train_y), (valid_x, valid_y))]
  return make_tasks(x[0][None], [train_y], x[1][None], [valid_y], metric, **kwargs)


def fitness_of_rms(rms: float) -> float:
  return 1 - 2 * math.atan(rms) / math.pi


def sigmoid(x: float) -> float:
  return 1 / (1 + math.exp(-x))



def test_more_steps_than_can_be_counted_are_refused():
  tasks = linear_regression(1, seed=0, num_train=3, num_valid=2)
  with pytest.raises(ValueError, match="400,000,000 epochs of 3 training and 2 validation"):
    Evaluator(spaces.demo(), tasks, num_epochs=400_000_000)


def test_learn_runs_on_every_training_example_and_never_in_validation():
  result = evaluate(COUNT_LEARN, tasks_of())
  assert predictions(result) == ([0, 1, 2, 3, 4], [5, 5, 5])
  assert result.train_steps.tolist() == [5]
  assert result.trained.tolist() == [[True]]
  assert result.fitness[0] == pytest.approx(fitness_of_rms(5), abs=1e-15)


def test_memory_persists_into_and_within_validation():
  result = evaluate(COUNT_PREDICT, tasks_of(valid_y=(6, 7, 11)))
  assert predictions(result) == ([1, 2, 3, 4, 5], [6, 7, 8])
  assert result.trace[1][0, 0, 0, :, 0].tolist() == [0, 0, 3]
  assert result.fitness[0] == pytest.approx(fitness_of_rms(math.sqrt(3)), abs=1e-15)


def test_setup_runs_once():
  setup_only = (("s1 = 7",), (), ("s1 = s1 + s9",))
  result = evaluate(setup_only, tasks_of(), num_epochs=3)
  for epoch in range(3):
    assert predictions(result, epoch=epoch) == ([7] * 5, [7] * 3)


def test_predict_never_sees_the_label():
  result = evaluate(((), ("s1 = s0 + s9",), ()), tasks_of((1, 2, 3, 4, 5), (6, 7, 8)))
  assert predictions(result) == ([0] * 5, [0] * 3)
  assert result.trace[1][0, 0, 0, :, 0].tolist() == [6, 7, 8]


def test_learn_sees_the_label():
  result = evaluate(LAST_LABEL, tasks_of((1, 2, 3, 4, 5)))
  assert predictions(result) == ([0, 1, 2, 3, 4], [5, 5, 5])


def test_predict_sees_the_features():
  result = evaluate(
      ((), ("s1 = mean(v0)",), ()), tasks_of(train_x=(1, 2, 3, 4, 5), valid_x=(6, 7, 8)))
  assert predictions(result) == ([1, 2, 3, 4, 5], [6, 7, 8])


# Where a program stops.


@pytest.mark.parametrize(("limit", "steps", "trained", "fitness"), [
    (3.0, 4, False, 0.0),  # the fifth error is 4
    (3.5, 4, False, 0.0),
    (4.0, 5, True, 0.0),  # an error equal to the limit is accepted; validation errs by 5
    (5.0, 5, True, fitness_of_rms(5)),
])
def test_limit_of_the_error(limit, steps, trained, fitness):
  result = evaluate(COUNT_LEARN, tasks_of(), max_abs_error=limit)
  assert result.train_steps.tolist() == [steps]
  assert result.trained.tolist() == [[trained]]
  assert result.fitness[0] == pytest.approx(fitness, abs=1e-15)
  train, valid = predictions(result)
  assert train == list(range(steps))
  assert valid == ([5, 5, 5] if limit >= 5 else [])


LOG_MEAN = ((), ("s2 = mean(v0)", "s1 = log(s2)"), ())
RECIPROCAL_MEAN = ((ONE,), ("s2 = mean(v0)", "s1 = s3 / s2"), ())


@pytest.mark.parametrize("metric", ["rms", "accuracy"])
def test_a_prediction_that_is_not_a_number_stops(metric):
  labels = {"train_y": (0, 1, 0, 1, 0), "valid_y": (0, 1, 0), "metric": metric}
  good = evaluate(LOG_MEAN, tasks_of(**labels))
  assert good.fitness[0] > 0.5 if metric == "rms" else good.fitness[0] == 2 / 3
  in_training = evaluate(LOG_MEAN, tasks_of(**labels, train_x=(1, 1, -1, 1, 1)))
  assert (in_training.fitness[0], in_training.train_steps[0]) == (0, 2)
  assert not in_training.trained[0, 0]
  in_validation = evaluate(LOG_MEAN, tasks_of(**labels, valid_x=(1, 1, -1)))
  assert (in_validation.fitness[0], in_validation.train_steps[0]) == (0, 5)
  assert in_validation.trained[0, 0]


@pytest.mark.parametrize(("listing", "probability"), [
    (RECIPROCAL_MEAN, 1.0), (LOG_MEAN, 0.0)])
def test_infinity_stops_a_regression_but_is_a_clear_answer_of_a_classifier(listing, probability):
  data = {"valid_x": (1, 0, 0), "valid_y": (0, probability, probability)}
  data["train_y"] = (0, 1, 0, 1, 0)
  assert evaluate(listing, tasks_of(**data)).fitness[0] == 0
  result = evaluate(listing, tasks_of(**data, metric="accuracy"))
  assert predictions(result)[1][1:] == [probability] * 2
  assert result.fitness[0] == pytest.approx(1 if probability == 0 else 2 / 3)


def test_a_limit_below_one_does_not_stop_a_wrong_class():
  # Both classes have probability 1/2: not above it, so class 0.
  undecided = ((), ("s1 = s8 + s9",), ())
  result = evaluate(
      undecided, tasks_of((0, 1, 0, 1, 0), (1, 0, 1), "accuracy"), max_abs_error=0.5)
  assert result.train_steps[0] == 5
  assert result.fitness[0] == pytest.approx(1 / 3)


# Normalised predictions.


def test_sigmoid_enters_memory_in_training_but_not_in_validation():
  grow = ((ONE,), ("s1 = s1 + s3",), ())
  result = evaluate(grow, tasks_of((0, 1, 0, 1, 0), (1, 1, 0), "accuracy"))
  memory, train, valid = 0.0, [], []
  for _ in range(NUM_TRAIN):
    memory = sigmoid(memory + 1)
    train.append(memory)
  for _ in range(NUM_VALID):
    memory += 1
    valid.append(sigmoid(memory))
  got = predictions(result)
  assert got[0] == pytest.approx(train, rel=1e-14)
  assert got[1] == pytest.approx(valid, rel=1e-14)
  assert result.trace[0][0, 0, 0, :, 0].tolist() == pytest.approx(
      [abs(y - p) for y, p in zip((0, 1, 0, 1, 0), train)], rel=1e-14)
  assert result.fitness[0] == pytest.approx(2 / 3)


def test_learn_sees_the_normalised_prediction():
  # Learn doubles it: sigmoid(0), then sigmoid(2 * sigmoid(0)), ...
  double = ((), (), ("s1 = s1 + s1",))
  result = evaluate(double, tasks_of((0, 1, 0, 1, 0), (1, 1, 0), "accuracy"))
  memory, train = 0.0, []
  for _ in range(NUM_TRAIN):
    train.append(sigmoid(memory))
    memory = 2 * train[-1]
  assert predictions(result)[0] == pytest.approx(train, rel=1e-14)


# More than two classes: label v1, prediction v2.

CLASSES = {"train_y": (0, 1, 2, 1, 0), "valid_y": (0, 0, 1), "metric": "accuracy"}


def softmax(*values: float) -> list[float]:
  powers = [math.exp(value) for value in values]
  return [power / sum(powers) for power in powers]


def test_multiclass_predict_never_sees_the_label():
  result = evaluate(((), ("v2 = v1 + v9",), ()), tasks_of(**CLASSES))
  uniform = pytest.approx([1 / 3] * 3, rel=1e-15)
  assert predictions(result) == ([uniform] * 5, [uniform] * 3)
  # The largest difference to a one-hot label; equal probabilities count as class 0.
  assert result.trace[0][0, 0, 0, :, 0].tolist() == pytest.approx([2 / 3] * 5)
  assert result.fitness[0] == pytest.approx(2 / 3)


def test_multiclass_learn_sees_a_one_hot_label():
  last_label = ((), ("v2 = v3 + v9",), ("v3 = v1 + v9",))
  result = evaluate(last_label, tasks_of(**CLASSES))
  train, valid = predictions(result)
  wanted = [softmax(0, 0, 0)] + [softmax(*np.eye(3)[y]) for y in CLASSES["train_y"]]
  assert train == [pytest.approx(row, rel=1e-14) for row in wanted[:5]]
  assert valid == [pytest.approx(wanted[5], rel=1e-14)] * 3
  assert result.fitness[0] == pytest.approx(2 / 3)  # the last label was 0


def test_multiclass_softmax_is_padded_with_zeros_in_memory():
  # Predict puts 8 into the entry behind the classes; the mean of the four entries that Learn
  # then finds is 1/4, so that the prediction becomes (1/4, 0, 0).
  pad = (("v4[3] = 8", "v5[0] = 1"), ("v2 = s2 * v5", "v2 = v2 + v4"),
         ("v3 = v2 + v9", "s2 = mean(v3)"))
  result = evaluate(pad, tasks_of(**CLASSES))
  train, valid = predictions(result)
  assert train[0] == pytest.approx(softmax(0, 0, 0), rel=1e-14)
  assert [*train[1:], *valid] == [pytest.approx(softmax(0.25, 0, 0), rel=1e-14)] * 7


def test_multiclass_raw_prediction_persists_in_validation():
  grow = (("v3[1] = 1",), ("v2 = v2 + v3",), ())
  result = evaluate(grow, tasks_of(**CLASSES))
  memory = np.zeros(3)
  for got in predictions(result)[0]:
    memory = np.array(softmax(*(memory + [0, 1, 0])))
    assert got == pytest.approx(memory.tolist(), rel=1e-14)
  for got in predictions(result)[1]:
    memory = memory + [0, 1, 0]
    assert got == pytest.approx(softmax(*memory), rel=1e-14)


def test_multiclass_infinity_makes_no_probabilities():
  over = ((), ("v2 = 1 / v0",), ())
  assert evaluate(over, tasks_of(**CLASSES, valid_x=(1, 2, 3))).fitness[0] > 0
  assert evaluate(over, tasks_of(**CLASSES, valid_x=(1, 0, 3))).fitness[0] == 0


# Several epochs.


def test_the_best_epoch_counts():
  # Counts 5, 10, 15 after each epoch; the labels want 10.
  result = evaluate(COUNT_LEARN, tasks_of(valid_y=(10, 10, 10)), num_epochs=3)
  assert [predictions(result, epoch=epoch) for epoch in range(3)] == [
      (list(range(5 * epoch, 5 * epoch + 5)), [5 * epoch + 5] * 3) for epoch in range(3)]
  assert result.fitness[0] == 1
  assert result.train_steps[0] == 15


@pytest.mark.parametrize(("limit", "steps", "trained", "fitness"), [
    (3.0, 4, False, 0.0),  # in the first training
    (4.5, 5, True, 0.0),  # in the first validation
    (7.0, 8, True, fitness_of_rms(5)),  # in the second training
    (9.5, 10, True, fitness_of_rms(5)),  # in the second validation
    (20.0, 15, True, fitness_of_rms(5)),
])
def test_a_stop_keeps_the_best_epoch_so_far(limit, steps, trained, fitness):
  result = evaluate(COUNT_LEARN, tasks_of(), num_epochs=3, max_abs_error=limit)
  assert result.train_steps.tolist() == [steps]
  assert result.trained.tolist() == [[trained]]
  assert result.fitness[0] == pytest.approx(fitness, abs=1e-15)


def test_later_epochs_are_shuffled_by_the_seed_of_the_task():
  tasks = tasks_of((1, 2, 3, 4, 5), seeds=[11])
  tasks = make_tasks(
      *(np.repeat(getattr(tasks, name), 3, axis=0)
        for name in ("train_x", "train_y", "valid_x", "valid_y")), "rms", seeds=[11, 12, 11])
  result = evaluate(LAST_LABEL, tasks, num_epochs=3)
  orders = []
  for task in range(3):
    # Each prediction is the label of the example before.
    labels = [label for epoch in range(3) for label in predictions(result, task, epoch)[0]]
    labels.append(predictions(result, task, 2)[1][0])
    orders.append(np.array(labels[1:]).reshape(3, 5))
    assert all(sorted(order) == [1, 2, 3, 4, 5] for order in orders[-1])
    assert orders[-1][0].tolist() == [1, 2, 3, 4, 5]
  np.testing.assert_array_equal(orders[0], orders[2])
  assert np.any(orders[0][1:] != orders[1][1:])
  wanted = evaluation.epoch_orders(tasks.seeds, 3, NUM_TRAIN)
  np.testing.assert_array_equal(np.stack(orders, axis=-1), wanted + 1)


def test_orders_of_epochs():
  orders = evaluation.epoch_orders(np.arange(50), 4, 20)
  assert orders.shape == (4, 20, 50)
  given = np.tile(np.arange(20)[:, None], 50)
  np.testing.assert_array_equal(np.sort(orders, axis=1), np.stack([given] * 4))
  np.testing.assert_array_equal(orders[0], given)
  shuffled = orders[1:].swapaxes(1, 2).reshape(-1, 20)
  assert len(np.unique(shuffled, axis=0)) == len(shuffled)
  # More epochs or other tasks leave the first ones as they are.
  np.testing.assert_array_equal(
      evaluation.epoch_orders(np.array([7]), 2, 20)[:, :, 0], orders[:2, :, 7])


# Several tasks.


@pytest.mark.parametrize(("combine", "wanted"), [
    ("median", fitness_of_rms(3)), ("mean", np.mean([fitness_of_rms(e) for e in (0, 3, 5)]))])
def test_fitness_over_tasks(combine, wanted):
  parts = [tasks_of(valid_y=(value,) * 3) for value in (5, 2, 0)]
  arrays = [np.concatenate([getattr(part, name) for part in parts])
            for name in ("train_x", "train_y", "valid_x", "valid_y")]
  # Counting on for two more epochs only makes it worse.
  result = evaluate(
      COUNT_LEARN, make_tasks(*arrays, "rms"), num_epochs=3, combine=combine)
  assert result.per_task[0] == pytest.approx([fitness_of_rms(e) for e in (0, 3, 5)], abs=1e-15)
  assert result.fitness[0] == pytest.approx(wanted, abs=1e-15)
  assert result.train_steps[0] == 3 * 15


def test_float32_results_are_the_same_whatever_precision_jax_is_set_to():
  plain = evaluate(COUNT_LEARN, tasks_of(), dtype="float32")
  with jax.enable_x64(True):
    wide = evaluate(COUNT_LEARN, tasks_of(), dtype="float32")
  assert wide.trace[0].dtype == plain.trace[0].dtype == np.float32
  np.testing.assert_array_equal(plain.per_task, wide.per_task)
