"""Projected digit tasks from the 1797 images (8 x 8) that scikit-learn carries.

They stand in for the projected image tasks of the AutoML-Zero paper (sections 4.2, 4.3 and
S4) where nothing can be downloaded. A task is a class group (which digits get which label)
seen through a Gaussian random projection, then standardised.

Two things are kept apart between T_search, T_select and the final tasks. Class groups:
60% / 20% / 20% of those of a kind, by a partition that no argument changes, so that no
run can search on a group held out in another. Images: every fifth of each digit is
reserved; only validation examples of final tasks come from there, and everything else
never sees them. For ten_classes, where there is one class group, the splits differ in
projections and images.
"""

from collections.abc import Sequence
import functools
import hashlib
import itertools

import numpy as np

from azero import lazy
from azero.tasks.projection import project, standardise
from azero.tasks.sampling import draw_task_seed, stratified_order, task_generators
from azero.tasks.task import Tasks, stacked

KINDS = ("pairs", "groups", "ten_classes")
SPLITS = ("search", "select", "final")
NUM_DIGITS = 10

# Training and validation examples of a task unless the caller says otherwise.
DEFAULT_SIZES = {"pairs": (200, 60), "groups": (1000, 300), "ten_classes": (1000, 300)}

ClassGroup = tuple[tuple[int, ...], ...]  # the digits labelled 0, those labelled 1, ...


def projected_digits(
    kind: str = "groups", split: str = "search", num_tasks: int = 10, *, seed: int,
    num_features: int = 16, num_train: int | None = None, num_valid: int | None = None,
) -> Tasks:
  """Projected digit tasks.

  The tasks use different class groups as long as there are any, then the same ones again
  with new projections. Task k does not depend on `num_tasks`. Within a task training and
  validation images differ, and both hold the digits in the proportions of the data.

  Args:
    kind: "pairs" (one digit against another), "groups" (five digits against the other
      five) or "ten_classes" (multi-class, F >= 10).
    split: "search", "select" or "final".
    num_tasks: D.
    seed: 0 or more; draws the order of class groups, the projections and the images.
    num_features: F, the dimension after the projection.
    num_train: T; default 200 for pairs, else 1000.
    num_valid: V; default 60 for pairs, else 300.

  Returns:
    D tasks of metric accuracy.

  Raises:
    ValueError: unknown kind or split, more examples than there are, F too small.
  """
  groups = class_groups(kind, split, seed=seed)
  num_train = DEFAULT_SIZES[kind][0] if num_train is None else num_train
  num_valid = DEFAULT_SIZES[kind][1] if num_valid is None else num_valid
  _check_sizes(kind, split, num_train, num_valid)
  pixels, digit, reserved = _images()
  parts: list[tuple[np.ndarray, ...]] = []
  seeds = []
  generators = task_generators(seed, num_tasks, KINDS.index(kind), SPLITS.index(split))
  for task, rng in enumerate(generators):
    seeds.append(draw_task_seed(rng))
    group = groups[task % len(groups)]
    label_of_digit = _label_of_digit(group)
    member = label_of_digit[digit] >= 0
    train, valid = _draw_images(member, reserved, split, num_train, num_valid, rng)
    train_x, valid_x = project(pixels[train], pixels[valid], num_features, rng)
    parts.append((train_x, label_of_digit[digit[train]], valid_x, label_of_digit[digit[valid]]))
  return stacked(parts, "accuracy", num_classes=len(groups[0]), seeds=seeds)


def original_digits(
    pair: tuple[int, int], *, seeds: Sequence[int] = range(5), validate_on: str = "valid",
    num_train: int | None = None, num_valid: int | None = None,
) -> Tasks:
  """Tasks for a final evaluation: a pair of digits with all pixels, F = 64, standardised.

  Training examples, and validation examples to tune on, are images that are not reserved.
  With validate_on="test" the training images are the same and the validation examples are
  reserved images.

  Args:
    pair: the digits with labels 0 and 1.
    seeds: D seeds, 0 or more; each draws its own images.
    validate_on: "valid" or "test".
    num_train: T; default 200.
    num_valid: V; default 60.

  Returns:
    D binary tasks of metric accuracy.

  Raises:
    ValueError: bad arguments, more examples than there are.
  """
  if len(set(pair)) != 2 or not set(pair) <= set(range(NUM_DIGITS)):
    raise ValueError(f"A pair must be two different digits, got {pair}.")
  if validate_on not in ("valid", "test"):
    raise ValueError(f"validate_on must be 'valid' or 'test', got {validate_on!r}.")
  num_train = DEFAULT_SIZES["pairs"][0] if num_train is None else num_train
  num_valid = DEFAULT_SIZES["pairs"][1] if num_valid is None else num_valid
  split = "final" if validate_on == "test" else "search"
  _check_sizes("pairs", split, num_train, num_valid)
  pixels, digit, reserved = _images()
  label_of_digit = _label_of_digit(((pair[0],), (pair[1],)))
  parts: list[tuple[np.ndarray, ...]] = []
  task_seeds = []
  for seed in seeds:
    [rng] = task_generators(seed, 1, len(KINDS), *pair)
    task_seeds.append(draw_task_seed(rng))
    train, valid = _draw_images(
        label_of_digit[digit] >= 0, reserved, split, num_train, num_valid, rng)
    train_x, valid_x = standardise(pixels[train], pixels[valid])
    parts.append((train_x, label_of_digit[digit[train]], valid_x, label_of_digit[digit[valid]]))
  return stacked(parts, "accuracy", num_classes=2, seeds=task_seeds)


def class_groups(kind: str, split: str, *, seed: int = 0) -> list[ClassGroup]:
  """The class groups of a split, in the order in which tasks of this seed use them.

  Args:
    kind: "pairs" (45 groups), "groups" (126) or "ten_classes" (one, in every split).
    split: "search", "select" or "final".
    seed: of the order; which groups belong to the split does not depend on it.

  Returns:
    Class groups: entry c of each holds the digits with label c, so a binary one is
    (negatives, positives).

  Raises:
    ValueError: unknown kind or split.
  """
  if kind not in KINDS:
    raise ValueError(f"Unknown kind {kind!r} of digit tasks; use one of {', '.join(KINDS)}.")
  if split not in SPLITS:
    raise ValueError(f"Unknown split {split!r}; use one of {', '.join(SPLITS)}.")
  groups = _all_groups(kind)
  if kind == "ten_classes":
    return groups
  # Sorting by a hash is a shuffle that stays the same with every version of NumPy.
  groups = sorted(groups, key=lambda group: hashlib.sha256(str(group).encode()).digest())
  num_held_out = len(groups) // 5
  first, second = len(groups) - 2 * num_held_out, len(groups) - num_held_out
  part = dict(zip(SPLITS, (groups[:first], groups[first:second], groups[second:])))[split]
  [rng] = task_generators(seed, 1, KINDS.index(kind), len(SPLITS))
  return [part[i] for i in rng.permutation(len(part))]


def _all_groups(kind: str) -> list[ClassGroup]:
  if kind == "pairs":
    return [((a,), (b,)) for a, b in itertools.combinations(range(NUM_DIGITS), 2)]
  if kind == "groups":
    # Each split into halves once: the half with digit 0 has label 0.
    halves = [(0, *rest) for rest in itertools.combinations(range(1, NUM_DIGITS), 4)]
    return [(half, tuple(sorted(set(range(NUM_DIGITS)) - set(half)))) for half in halves]
  return [tuple((digit,) for digit in range(NUM_DIGITS))]


def _label_of_digit(group: ClassGroup) -> np.ndarray:
  """Label of every digit, -1 for digits outside the group: [10] int."""
  labels = np.full(NUM_DIGITS, -1)
  for label, members in enumerate(group):
    labels[list(members)] = label
  return labels


@functools.cache
def _images() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
  """Pixels [1797, 64] float64 from 0 to 16, digit [1797] int, reserved [1797] bool."""
  lazy.require("sklearn", extra="digits", purpose="Digit tasks")
  from sklearn.datasets import load_digits  # takes seconds; not every user needs it

  data = load_digits()
  reserved = np.zeros(len(data.target), bool)
  for digit in range(NUM_DIGITS):
    reserved[np.flatnonzero(data.target == digit)[4::5]] = True
  return data.data, data.target, reserved


def _check_sizes(kind: str, split: str, num_train: int, num_valid: int) -> None:
  if min(num_train, num_valid) < 2:
    raise ValueError(
        f"num_train and num_valid must be at least 2; got {num_train} and {num_valid}.")
  _, digit, reserved = _images()
  labels = [_label_of_digit(group) for group in _all_groups(kind)]
  # The smallest class group decides, so that an argument works for all seeds or for none.
  fewest_open = min(int(((label[digit] >= 0) & ~reserved).sum()) for label in labels)
  fewest_reserved = min(int(((label[digit] >= 0) & reserved).sum()) for label in labels)
  if split == "final":
    asked_and_limits = [("num_train", num_train, fewest_open),
                        ("num_valid", num_valid, fewest_reserved)]
  else:
    asked_and_limits = [("num_train + num_valid", num_train + num_valid, fewest_open)]
  for name, asked, limit in asked_and_limits:
    if asked > limit:
      raise ValueError(
          f"{name} = {asked}, but {split} tasks of digits {kind!r} have at most {limit} such "
          "images. Ask for fewer.")


def _draw_images(
    member: np.ndarray, reserved: np.ndarray, split: str, num_train: int, num_valid: int,
    rng: np.random.Generator,
) -> tuple[np.ndarray, np.ndarray]:
  """Indices of the training and of the validation images, each in random order."""
  digit = _images()[1]

  def in_stratified_order(mask: np.ndarray) -> np.ndarray:
    candidates = np.flatnonzero(mask)
    return candidates[stratified_order(digit[candidates], rng)]

  open_images = in_stratified_order(member & ~reserved)
  train, rest = open_images[:num_train], open_images[num_train:]
  if split == "final":
    rest = in_stratified_order(member & reserved)
  return rng.permutation(train), rng.permutation(rest[:num_valid])
