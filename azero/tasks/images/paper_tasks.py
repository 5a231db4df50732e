"""Image tasks of the AutoML-Zero paper (sections 4.2, 4.3, S1 and S4), from TFDS data sets.

A projected task is a pair of classes seen through a Gaussian(0, 1) random projection: as
many images of either class, raw pixels from 0 to 255 times a matrix of shape (pixels, F),
then standardised with the training part. 36 of the 45 pairs of ten classes make up
T_search; the other 9 are held out for T_select. Each pair has 100 projections. Tasks with
all ten classes have 1000 projections, 800 of them in T_search.

The parts of a projected task are disjoint, equal in classes, and all from the *train*
split: 8000 training, 1000 validation and 1000 test examples for a pair, 45000 and 5000
for ten classes. Where a data set has too few images of some class the parts shrink in
proportion, for all its tasks alike, and the log says so. Fewer examples may be asked for:
they are the first of the same parts, standardised as the whole.

Tasks for the final evaluation keep all pixels, and can validate on images of the *test*
split, which nothing else here reads.

What a task is depends on the data set, its classes and its projection only, so tasks are
computed once and then read from a cache (`task_cache`).
"""

from collections.abc import Mapping, Sequence
import functools
import itertools
import logging
import os
from typing import NamedTuple

import numpy as np

from azero.tasks.images.array_cache import Arrays, load_or_make
from azero.tasks.images.draws import draw_rows, generator, load_images, project_images, shrink
from azero.tasks.images.sources import ImageSource, find_prepared, find_source, fingerprint
from azero.tasks.projection import standardise
from azero.tasks.sampling import draw_task_seed, task_generators
from azero.tasks.task import Tasks, stacked

# The pairs that the published program of the paper holds out from the search.
SELECT_PAIRS = ((0, 5), (0, 9), (1, 8), (2, 9), (3, 5), (3, 6), (3, 8), (4, 6), (8, 9))
SEARCH_PAIRS = tuple(
    pair for pair in itertools.combinations(range(10), 2) if pair not in SELECT_PAIRS)
PROJECTIONS_PER_PAIR = 100
TEN_CLASS_PROJECTIONS = {"search": range(800), "select": range(800, 1000)}

# Examples of each class in the parts (train, valid, test) of a task.
_PAIR_SIZES = {"train": 4000, "valid": 500, "test": 500}
_TEN_CLASS_SIZES = {"train": 4500, "valid": 500}
_ORIGINAL_SIZES = {"train": 4000, "valid": 1000}
_ORIGINAL_TEST_SIZE = 1000

# What random draws are for, so that those of one task do not repeat each other.
_SEED, _CONTENTS, _ORDER, _ORIGINAL, _SAMPLE = range(5)

# Goes up when the draws change, so that no cached task of another kind is taken for one.
_LAYOUT = 1

_log = logging.getLogger(__name__)


class ProjectedPair(NamedTuple):
  """A binary task: its two classes and which of the pair's projections it is."""

  negative: int
  positive: int
  projection: int


def search_tasks(
    source: str, num_tasks: int, seed: int, num_features: int = 16, *,
    num_train: int | None = None, num_valid: int | None = None,
    data_dir: str | os.PathLike | None = None,
) -> Tasks:
  """Draws distinct tasks from T_search: 36 pairs of classes with 100 projections each.

  Task k does not depend on `num_tasks`.

  Args:
    source: "cifar10", "mnist", "fashion_mnist", "svhn_cropped" or "mnist_5k".
    num_tasks: D, at most 3600.
    seed: 0 or more; decides which tasks are drawn.
    num_features: F, the dimension after the projection.
    num_train: T, at most 8000 (the default, or less where the data set is small).
    num_valid: V, at most 1000 (likewise).
    data_dir: TFDS's data directory; default $TFDS_DATA_DIR or ~/tensorflow_datasets.

  Returns:
    D binary tasks of metric accuracy.

  Raises:
    FileNotFoundError: the data set is not prepared; says how to prepare it.
    ValueError: bad arguments or damaged data.
  """
  pairs = _sample_pairs(source, SEARCH_PAIRS, num_tasks, seed)
  return projected_pairs(source, pairs, num_features=num_features, num_train=num_train,
                         num_valid=num_valid, data_dir=data_dir)


def select_tasks(
    source: str, num_tasks: int, seed: int, num_features: int = 16, *,
    num_train: int | None = None, num_valid: int | None = None,
    data_dir: str | os.PathLike | None = None,
) -> Tasks:
  """Draws distinct tasks from T_select: the 9 held-out pairs with 100 projections each.

  Arguments as for `search_tasks`; num_tasks is at most 900.
  """
  pairs = _sample_pairs(source, SELECT_PAIRS, num_tasks, seed)
  return projected_pairs(source, pairs, num_features=num_features, num_train=num_train,
                         num_valid=num_valid, data_dir=data_dir)


def projected_pairs(
    source: str, pairs: Sequence[ProjectedPair], *, num_features: int = 16,
    num_train: int | None = None, num_valid: int | None = None, validate_on: str = "valid",
    data_dir: str | os.PathLike | None = None,
) -> Tasks:
  """The projected binary tasks named by their classes and projections.

  Args:
    source: name of an image source.
    pairs: D tasks; examples of the first class have label 0, those of the second label 1.
      Projections are numbered from 0.
    num_features: F.
    num_train: T, at most 8000.
    num_valid: V, at most 1000.
    validate_on: the part that validation examples come from, "valid" or "test".
    data_dir: TFDS's data directory.

  Returns:
    D binary tasks of metric accuracy.

  Raises:
    FileNotFoundError: the data set is not prepared; says how to prepare it.
    ValueError: bad arguments or damaged data.
  """
  image_source = find_source(source)
  _check_part(validate_on)
  if not len(pairs):
    raise ValueError("pairs is empty: give at least one task.")
  wanted = []
  for negative, positive, projection in pairs:
    _check_pair(image_source, (negative, positive))
    if projection < 0:
      raise ValueError(f"A projection must be 0 or more; got {projection}.")
    wanted.append(((negative, positive), projection))
  return _projected_tasks(image_source, wanted, _PAIR_SIZES, validate_on,
                          num_features=num_features, num_train=num_train, num_valid=num_valid,
                          data_dir=data_dir)


def ten_class_tasks(
    source: str, split: str, num_tasks: int, seed: int, num_features: int = 16, *,
    num_train: int | None = None, num_valid: int | None = None,
    data_dir: str | os.PathLike | None = None,
) -> Tasks:
  """Draws distinct projected tasks with all ten classes.

  Args:
    source: name of an image source with ten classes.
    split: "search" (projections 0 to 799) or "select" (800 to 999).
    num_tasks: D.
    seed: 0 or more; decides which projections are drawn.
    num_features: F, at least 10, as labels are vectors of ten.
    num_train: T, at most 45000.
    num_valid: V, at most 5000.
    data_dir: TFDS's data directory.

  Returns:
    D tasks of ten classes.

  Raises:
    FileNotFoundError: the data set is not prepared; says how to prepare it.
    ValueError: bad arguments or damaged data.
  """
  image_source = find_source(source)
  _require_ten_classes(image_source)
  if split not in TEN_CLASS_PROJECTIONS:
    raise ValueError(f"Unknown split {split!r}; use one of {', '.join(TEN_CLASS_PROJECTIONS)}.")
  if num_features < 10:
    raise ValueError(
        f"Ten classes need at least 10 features, since labels are vectors of ten; num_features "
        f"is {num_features}.")
  projections = TEN_CLASS_PROJECTIONS[split]
  drawn = _sample(len(projections), num_tasks, seed)
  wanted = [(tuple(range(10)), projections[i]) for i in drawn]
  return _projected_tasks(
      image_source, wanted, _TEN_CLASS_SIZES, "valid", num_features=num_features,
      num_train=num_train, num_valid=num_valid, data_dir=data_dir)


def original_tasks(
    source: str, pair: tuple[int, int], *, seeds: Sequence[int] = range(5),
    validate_on: str = "valid", num_train: int | None = None, num_valid: int | None = None,
    data_dir: str | os.PathLike | None = None,
) -> Tasks:
  """Tasks for the final evaluation: a pair of classes, all pixels, no projection.

  Training examples, and validation examples to tune on, come from the train split. With
  validate_on="test" the training examples are the same and the validation examples come
  from the test split. A task of CIFAR-10 takes 250 MB, so ask for few seeds at once.

  Args:
    source: name of an image source.
    pair: its two classes, with labels 0 and 1.
    seeds: D seeds, 0 or more; each draws its own examples in its own order.
    validate_on: "valid" or "test".
    num_train: T, at most 8000 (the default, or less where the data set is small).
    num_valid: V, at most 2000 (likewise).
    data_dir: TFDS's data directory.

  Returns:
    D binary tasks, F being the number of pixels (3072 for CIFAR-10), standardised with
    their training examples.

  Raises:
    FileNotFoundError: the data set is not prepared; says how to prepare it.
    ValueError: bad arguments or damaged data.
  """
  image_source = find_source(source)
  _check_pair(image_source, pair)
  _check_part(validate_on)
  if not len(seeds):
    raise ValueError("seeds is empty: give a seed for each task.")
  generators = [generator(image_source, pair, seed, _ORIGINAL) for seed in seeds]
  images = held_out = load_images(image_source, "train", pair, data_dir)
  sizes = shrink(_ORIGINAL_SIZES, min(images.class_sizes[list(pair)]), image_source)
  held_out_size = sizes["valid"]
  if validate_on == "test":
    held_out = load_images(image_source, image_source.test_split, pair, data_dir)
    held_out_size = min(_ORIGINAL_TEST_SIZE, *held_out.class_sizes[list(pair)])
  num_train = _examples("num_train", num_train, 2 * sizes["train"])
  num_valid = _examples("num_valid", num_valid, 2 * held_out_size)
  parts: list[tuple[np.ndarray, ...]] = []
  task_seeds = []
  for rng in generators:
    task_seeds.append(draw_task_seed(rng))
    rows = draw_rows(images, pair, sizes, rng)
    train, valid_rows = rng.permutation(num_train), rows["valid"]
    if validate_on == "test":
      valid_rows = draw_rows(held_out, pair, {"test": held_out_size}, rng)["test"]
    valid = rng.permutation(num_valid)
    train_x, valid_x = standardise(
        images.pixels[rows["train"][train]].astype(np.float64),
        held_out.pixels[valid_rows[valid]].astype(np.float64))
    parts.append((train_x, train % 2, valid_x, valid % 2))
  return stacked(parts, "accuracy", num_classes=2, seeds=task_seeds)


def random_pairs(source: str, num_pairs: int, seed: int) -> list[tuple[int, int]]:
  """Draws distinct pairs of classes, e.g. of the 1000 of imagenet_resized, for `original_tasks`.

  Args:
    source: name of an image source.
    num_pairs: at most C * (C - 1) / 2 for C classes.
    seed: 0 or more; pair k does not depend on `num_pairs`.

  Returns:
    Pairs, the smaller class first.

  Raises:
    ValueError: an unknown source, a bad seed or more pairs than there are.
  """
  pairs = list(itertools.combinations(range(find_source(source).num_classes), 2))
  return [pairs[i] for i in _sample(len(pairs), num_pairs, seed, "num_pairs")]


def _sample(total: int, count: int, seed: int, name: str = "num_tasks") -> np.ndarray:
  """Distinct numbers below `total`, in random order."""
  if not 1 <= count <= total:
    raise ValueError(f"{name} must be from 1 to {total}, as many as there are; got {count}.")
  [rng] = task_generators(seed, 1, _SAMPLE, total)
  return rng.permutation(total)[:count]


def _sample_pairs(
    source: str, pairs: Sequence[tuple[int, int]], num_tasks: int, seed: int,
) -> list[ProjectedPair]:
  _require_ten_classes(find_source(source))
  every = list(itertools.product(pairs, range(PROJECTIONS_PER_PAIR)))
  drawn = [every[i] for i in _sample(len(every), num_tasks, seed)]
  return [ProjectedPair(negative, positive, n) for (negative, positive), n in drawn]


def _require_ten_classes(source: ImageSource) -> None:
  if source.num_classes != 10:
    raise ValueError(
        f"{source.name} has {source.num_classes} classes, but these tasks are defined for ten. "
        "Use random_pairs with original_tasks or projected_pairs.")


def _check_pair(source: ImageSource, pair: Sequence[int]) -> None:
  if len(pair) != 2 or pair[0] == pair[1] or not all(0 <= c < source.num_classes for c in pair):
    raise ValueError(
        f"A pair must be two different classes of {source.name}, from 0 to "
        f"{source.num_classes - 1}; got {tuple(pair)}.")


def _check_part(validate_on: str) -> None:
  if validate_on not in ("valid", "test"):
    raise ValueError(f"validate_on must be 'valid' or 'test'; got {validate_on!r}.")


def _examples(name: str, asked: int | None, limit: int) -> int:
  """The number of examples asked for, by default all there are."""
  if asked is None:
    return limit
  if not 2 <= asked <= limit:
    raise ValueError(f"{name} must be from 2 to {limit} for these tasks; got {asked}.")
  return asked


def _projected_tasks(
    source: ImageSource, wanted: Sequence[tuple[tuple[int, ...], int]],
    full_sizes: Mapping[str, int], validate_on: str, *, num_features: int, num_train: int | None,
    num_valid: int | None, data_dir: str | os.PathLike | None,
) -> Tasks:
  """The tasks of these classes and projections, from the cache where they are in it."""
  num_classes = len(wanted[0][0])
  if num_features < 1:
    raise ValueError(f"num_features must be at least 1; got {num_features}.")
  # Again below, when it is known how many images there are.
  _examples("num_train", num_train, num_classes * full_sizes["train"])
  _examples("num_valid", num_valid, num_classes * full_sizes[validate_on])
  contents = fingerprint(find_prepared(source, data_dir))
  all_classes = sorted({c for classes, _ in wanted for c in classes})

  def make(classes: tuple[int, ...], projection: int) -> Arrays:
    images = load_images(source, "train", all_classes, data_dir)
    # All classes of the data set count, so that all its tasks have one size.
    sizes = shrink(full_sizes, int(images.class_sizes.min()), source)
    rng = generator(source, classes, projection, _CONTENTS)
    return project_images(images, classes, sizes, num_features, rng)

  tasks = [
      load_or_make(
          f"{source.name}-{'-'.join(map(str, classes))}-p{projection}-f{num_features}",
          {"layout": _LAYOUT, "source": source.full_name, "contents": contents,
           "classes": classes, "projection": projection, "num_features": num_features,
           "sizes": full_sizes},
          functools.partial(make, classes, projection))
      for classes, projection in wanted]
  found = {part: len(tasks[0][part]) for part in full_sizes}
  _say_if_smaller(source, {part: num_classes * n for part, n in full_sizes.items()}, found)
  num_train = _examples("num_train", num_train, found["train"])
  num_valid = _examples("num_valid", num_valid, found[validate_on])
  parts: list[tuple[np.ndarray, ...]] = []
  seeds = []
  for (classes, projection), arrays in zip(wanted, tasks):
    seeds.append(draw_task_seed(generator(source, classes, projection, _SEED)))
    rng = generator(source, classes, projection, _ORDER)
    train, valid = rng.permutation(num_train), rng.permutation(num_valid)
    parts.append((arrays["train"][train], train % num_classes,
                  arrays[validate_on][valid], valid % num_classes))
  return stacked(parts, "accuracy", num_classes=num_classes, seeds=seeds)


def _say_if_smaller(
    source: ImageSource, full: Mapping[str, int], found: Mapping[str, int]) -> None:
  if found != full:
    _say(f"{source.full_name} has too few images of some class for tasks of "
         f"{_in_words(full)} examples: its tasks have {_in_words(found)}.")


def _in_words(sizes: Mapping[str, int]) -> str:
  return ", ".join(f"{size} {part}" for part, size in sizes.items())


@functools.cache
def _say(message: str) -> None:
  """Logs a message, once in a process."""
  _log.warning("%s", message)
