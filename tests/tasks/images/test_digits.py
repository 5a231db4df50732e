import hashlib
import itertools

import numpy as np
import pytest
from sklearn.datasets import load_digits

from azero.tasks import class_groups, original_digits, projected_digits
from azero.tasks.images.digits import KINDS, SPLITS, _images


@pytest.mark.parametrize("kind, sizes", [("pairs", (27, 9, 9)), ("groups", (76, 25, 25))])
def test_splits_share_no_class_group_and_cover_all(kind, sizes):
  parts = [class_groups(kind, split) for split in SPLITS]
  assert tuple(len(part) for part in parts) == sizes
  # As unordered partitions, so that swapping positives and negatives is the same group.
  together = [frozenset(frozenset(side) for side in group) for part in parts for group in part]
  assert len(set(together)) == sum(sizes)
  side = 1 if kind == "pairs" else 5
  assert all(len(half) == side for group in together for half in group)
  if kind == "groups":
    assert all(frozenset.union(*group) == frozenset(range(10)) for group in together)


def test_the_partition_is_a_constant():
  # Written out: a change would let new runs search on groups that old runs held out.
  assert {(a, b) for (a,), (b,) in class_groups("pairs", "select", seed=5)} == {
      (0, 5), (0, 7), (1, 6), (1, 8), (2, 9), (3, 8), (4, 8), (5, 6), (5, 9)}
  assert {(a, b) for (a,), (b,) in class_groups("pairs", "final", seed=6)} == {
      (0, 6), (0, 8), (1, 5), (1, 7), (2, 5), (2, 7), (3, 7), (3, 9), (4, 5)}
  for split, digest in (("select", "4ca8eb664fe4"), ("final", "eaa36746beaf")):
    groups = str(sorted(class_groups("groups", split, seed=7)))
    assert hashlib.sha256(groups.encode()).hexdigest().startswith(digest)
  for split in SPLITS:
    orders = [class_groups("groups", split, seed=seed) for seed in range(3)]
    assert sorted(orders[0]) == sorted(orders[1]) == sorted(orders[2])
    assert orders[0] != orders[1]


def test_ten_classes_is_one_group():
  expected = [tuple((digit,) for digit in range(10))]
  assert all(class_groups("ten_classes", split) == expected for split in SPLITS)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("split", SPLITS)
def test_tasks_are_standardised_deterministic_and_prefix_stable(kind, split):
  sizes = {"num_train": 150, "num_valid": 50, "num_features": 12}
  tasks = projected_digits(kind, split, 4, seed=2, **sizes)
  assert tasks.metric == "accuracy" and tasks.num_classes == (10 if kind == "ten_classes" else 2)
  assert tasks.train_x.shape == (4, 150, 12) and tasks.valid_x.shape == (4, 50, 12)
  np.testing.assert_allclose(tasks.train_x.mean(1), 0, atol=1e-12)
  np.testing.assert_allclose(tasks.train_x.std(1), 1, atol=1e-12)
  prefix = projected_digits(kind, split, 2, seed=2, **sizes)
  for name in ("train_x", "train_y", "valid_x", "valid_y", "seeds"):
    np.testing.assert_array_equal(getattr(tasks, name)[:2], getattr(prefix, name))
  # Stratified by digit: each label within four examples of its share.
  for labels, num_examples in ((tasks.train_y, 150), (tasks.valid_y, 50)):
    counts = np.stack([np.bincount(row.astype(int)) for row in labels])
    assert np.abs(counts - num_examples / tasks.num_classes).max() <= 4
  # Random order: labels do not follow each other in a pattern.
  changes = (np.diff(tasks.train_y) != 0).mean()
  assert abs(changes - (1 - 1 / tasks.num_classes)) < 0.08


@pytest.mark.parametrize("split", SPLITS)
@pytest.mark.parametrize("kind", KINDS)
def test_images_are_disjoint_and_only_final_validates_on_reserved_ones(kind, split, monkeypatch):
  # Pixels that spell the image's index survive a projection that is patched to the identity.
  _, digit, reserved = _images()
  index = np.arange(len(digit), dtype=float)[:, None]
  monkeypatch.setattr("azero.tasks.images.digits._images", lambda: (index, digit, reserved))
  monkeypatch.setattr(
      "azero.tasks.images.digits.project",
      lambda train, valid, num_features, rng: tuple(
          np.repeat(part, num_features, axis=1) for part in (train, valid)))
  tasks = projected_digits(kind, split, 5, seed=0)
  groups = class_groups(kind, split, seed=0)
  for k in range(5):
    train, valid = (x[k, :, 0].astype(int) for x in (tasks.train_x, tasks.valid_x))
    assert len(set(train)) == len(train) and len(set(valid)) == len(valid)
    assert not set(train) & set(valid)
    assert not reserved[train].any()
    assert reserved[valid].all() if split == "final" else not reserved[valid].any()
    group = groups[k % len(groups)]
    for images, labels in ((train, tasks.train_y[k]), (valid, tasks.valid_y[k])):
      assert all(d in group[int(label)] for d, label in zip(digit[images], labels))


def test_reserved_images_are_a_fifth_of_every_digit():
  _, digit, reserved = _images()
  for d in range(10):
    assert reserved[digit == d].sum() == (digit == d).sum() // 5


def test_class_groups_are_distinct_until_exhausted_then_projected_anew():
  # With all images of the pair, tasks 0 and 9 hold the same ones, in other projections.
  tasks = projected_digits("pairs", "select", 10, seed=1, num_train=50, num_valid=20)
  rows = {row.tobytes() for task in (0, 9) for row in tasks.train_x[task]}
  assert len(rows) == 100
  assert len(set(tasks.seeds.tolist())) == 10


def test_splits_differ_in_projections_even_with_one_seed():
  parts = [projected_digits("ten_classes", split, 3, seed=0, num_train=100, num_valid=50)
           for split in SPLITS]
  for a, b in itertools.combinations(parts, 2):
    assert not set(a.seeds.tolist()) & set(b.seeds.tolist())
    assert not {x.tobytes() for x in a.train_x} & {x.tobytes() for x in b.train_x}


def test_features_are_linear_in_the_raw_pixels():
  tasks = projected_digits("ten_classes", "search", 1, seed=0, num_features=16, num_train=1000)
  # 16 projections of at most 61 varying pixels: projecting to 64 leaves rank 61 or less.
  wide = projected_digits("ten_classes", "search", 1, seed=0, num_features=64, num_train=1000)
  varying = (load_digits().data.std(0) > 0).sum()
  assert np.linalg.matrix_rank(wide.train_x[0], tol=1e-6) <= varying == 61
  assert np.linalg.matrix_rank(tasks.train_x[0]) == 16


@pytest.mark.parametrize("arguments, message", [
    ({"kind": "triples"}, "Unknown kind 'triples' of digit tasks; use one of pairs, groups"),
    ({"split": "test"}, "Unknown split 'test'; use one of search, select, final"),
    ({"num_train": 1400}, r"num_train \+ num_valid = 1700, but search tasks of digits 'groups' "
                          "have at most 1442 such images"),
    ({"kind": "pairs", "num_train": 290}, "'pairs' have at most 282"),
    ({"split": "final", "num_train": 1443}, "num_train = 1443, but final tasks"),
    ({"split": "final", "num_valid": 356}, "num_valid = 356, .* at most 355 such images"),
    ({"num_valid": 0}, "must be at least 2"),
    ({"num_features": 0}, "num_features must be at least 1"),
    ({"kind": "ten_classes", "num_features": 8}, "10 classes need at least 10 features"),
    ({"num_tasks": 0}, "num_tasks must be at least 1"),
    ({"seed": -1}, "seed must be 0 or more"),
])
def test_bad_arguments_are_one_clear_error(arguments, message):
  with pytest.raises(ValueError, match=message):
    projected_digits(**({"num_tasks": 1, "seed": 0} | arguments))


def test_the_largest_sizes_work():
  assert len(projected_digits("groups", "final", 1, seed=0, num_train=1442, num_valid=355)) == 1
  for seed in range(3):
    tasks = projected_digits("pairs", "search", 27, seed=seed, num_train=210, num_valid=72)
    assert len(tasks) == 27


def test_original_digits_are_standardised_with_their_training_part():
  tasks = original_digits((3, 8), seeds=[0, 1])
  assert tasks.train_x.shape == (2, 200, 64) and tasks.valid_x.shape == (2, 60, 64)
  deviations = tasks.train_x.std(1)
  np.testing.assert_allclose(tasks.train_x.mean(1), 0, atol=1e-12)
  np.testing.assert_allclose(deviations[deviations > 0], 1)
  np.testing.assert_array_equal(original_digits((3, 8), seeds=[1]).valid_x[0], tasks.valid_x[1])


def test_original_digits_keep_test_images_apart(monkeypatch):
  monkeypatch.setattr("azero.tasks.images.digits.standardise", lambda *parts: parts)
  pixels, digit, reserved = _images()
  where = {row.tobytes(): i for i, row in enumerate(pixels)}
  trained = []
  for part in ("valid", "test"):
    tasks = original_digits((3, 8), seeds=[4], validate_on=part)
    train, valid = (
        np.array([where[row.tobytes()] for row in x[0]]) for x in (tasks.train_x, tasks.valid_x))
    assert not reserved[train].any() and np.all(reserved[valid] == (part == "test"))
    assert len(set(train) | set(valid)) == 260
    np.testing.assert_array_equal(np.where(tasks.train_y[0] == 1, 8, 3), digit[train])
    trained.append(set(train))
  assert trained[0] == trained[1]


@pytest.mark.parametrize("arguments, message", [
    ({"pair": (3, 3)}, "two different digits"), ({"pair": (3, 10)}, "two different digits"),
    ({"pair": (3, 8), "validate_on": "train"}, "'valid' or 'test'"),
    ({"pair": (3, 8), "num_train": 400}, "at most")])
def test_original_digits_refuse_bad_arguments(arguments, message):
  with pytest.raises(ValueError, match=message):
    original_digits(**arguments)
