import numpy as np
import pytest

import azero
from azero.tasks import make_tasks

X = np.arange(24.0).reshape(2, 4, 3)
Y = np.array([[0, 1, 1, 0], [1, 0, 1, 1]])


def test_arrays_become_float64_tasks():
  tasks = make_tasks(X.astype(np.float32), Y, X[:, :2], Y[:, :2], "accuracy")
  assert (len(tasks), tasks.num_train, tasks.num_valid, tasks.num_features) == (2, 4, 2, 3)
  assert tasks.train_x.dtype == tasks.train_y.dtype == np.float64
  assert tasks.num_classes == 2 and not tasks.multiclass
  np.testing.assert_array_equal(tasks.seeds, np.array([0, 1], np.uint32))


def test_indexing_gives_batches():
  tasks = make_tasks(X, Y, X, Y, "accuracy", seeds=[7, 2**32 - 1])
  for index in (1, -1, slice(1, 2), [1]):
    part = tasks[index]
    np.testing.assert_array_equal(part.train_x, X[1:])
    np.testing.assert_array_equal(part.valid_y, Y[1:])
    assert part.seeds.tolist() == [2**32 - 1] and len(part) == 1


def test_tasks_are_shown_in_a_line():
  assert repr(azero.linear_regression(3, seed=0, num_train=1200, num_valid=7)) == (
      "Tasks(D = 3, regression, F = 4, 1,200 training and 7 validation examples each)")
  assert repr(azero.linear_classification(1, seed=0, num_train=5, num_valid=5)).startswith(
      "Tasks(D = 1, 2 classes, ")


def test_classes_follow_from_the_largest_label_or_are_given():
  assert make_tasks(X, Y, X, Y, "accuracy", num_classes=3).multiclass
  three = make_tasks(X, Y, X, Y * 2, "accuracy")
  assert three.num_classes == 3 and three.multiclass
  assert make_tasks(X, Y, X, Y, "rms").num_classes == 0


@pytest.mark.parametrize("changes, message", [
    ({"metric": "auc"}, "Unknown metric 'auc'; use one of rms, accuracy"),
    ({"train_x": X[0]}, r"train_x must have shape \[tasks, examples, features\]"),
    ({"train_y": Y[:, :3]}, r"train_y must have shape \(2, 4\).*got \(2, 3\)"),
    ({"valid_x": X[:1], "valid_y": Y[:1]}, "must agree in the number of tasks"),
    ({"valid_x": np.where(X == 5, np.nan, X)}, r"valid_x has 1 values .* index \(0, 1, 2\)"),
    ({"train_x": [[["a"]]]}, "train_x must be an array of numbers"),
    ({"train_y": Y - 1}, "train_y has label -1; metric 'accuracy' needs whole numbers"),
    ({"valid_y": Y / 2}, "valid_y has label 0.5.*use metric 'rms'"),
    ({"train_y": np.array([[0, 1, 1, 0], [1, 1, 1, 1]])}, "train_y of task 1 has only class 1"),
    ({"train_y": Y * 3}, "4 classes need at least 4 features.*got 3"),
    ({"num_classes": 2.5}, "num_classes must be a whole number, got 2.5"),
    ({"num_classes": 1}, "Label 1 is out of range for num_classes=1"),
    ({"metric": "rms", "num_classes": 2}, "num_classes belongs to metric 'accuracy'"),
    ({"seeds": [1]}, r"seeds must have shape \(2,\)"),
])
def test_bad_arrays_are_one_clear_error(changes, message):
  arguments = {
      "train_x": X, "train_y": Y, "valid_x": X, "valid_y": Y, "metric": "accuracy"} | changes
  with pytest.raises(ValueError, match=message):
    make_tasks(**arguments)


@pytest.mark.parametrize(
    "seeds", [[-1], [1.7], [np.nan], ["a"], [True, False], [np.inf], [1e30], [2**32]])
def test_seeds_that_are_no_whole_numbers_are_refused(seeds):
  x, y = np.ones((1, 3, 2)), np.zeros((1, 3))
  with pytest.raises(ValueError, match="seeds must"):
    make_tasks(x, y, x, y, "rms", seeds=seeds)
