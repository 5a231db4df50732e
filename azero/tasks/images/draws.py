"""What image tasks share: images in memory, draws of equally many a class, projection.

Every draw has a generator of its own, made from the data set, the classes and a number
(of the projection, or the task's seed), so a task is the same whatever is made beside it.
"""

from collections.abc import Mapping, Sequence
import functools
import os

import numpy as np

from azero.tasks.images.array_cache import Arrays, load_or_make
from azero.tasks.images.sources import ImageSource, data_directory, find_prepared, fingerprint
from azero.tasks.images.tfds_store import Images, read_images
from azero.tasks.projection import standardise
from azero.tasks.sampling import task_generators

# Data sets of no more classes are kept whole, as the next task is likely to need others.
_MAX_WHOLE_CLASSES = 10


def generator(
    source: ImageSource, classes: Sequence[int], number: int, purpose: int,
) -> np.random.Generator:
  """The generator of one draw.

  Args:
    source: the data set.
    classes: of the task.
    number: which of the tasks with these classes, 0 or more.
    purpose: tells apart the draws of one task.

  Returns:
    The generator.
  """
  [rng] = task_generators(number, 1, purpose, *classes, *source.name.encode())
  return rng


def load_images(
    source: ImageSource, split: str, classes: Sequence[int],
    data_dir: str | os.PathLike | None = None,
) -> Images:
  """The images of a split that have these classes, and maybe more.

  They are kept in memory, and decoded on disk.

  Raises:
    FileNotFoundError: the data set is not prepared.
    ValueError: it is damaged.
  """
  directory = find_prepared(source, data_dir)
  kept = frozenset(classes) if source.num_classes > _MAX_WHOLE_CLASSES else None
  return _load(source, split, str(data_directory(data_dir)), fingerprint(directory), kept)


@functools.lru_cache(maxsize=2)  # the train splits of two data sets, or both splits of one
def _load(
    source: ImageSource, split: str, data_dir: str, contents: str,
    classes: frozenset[int] | None,
) -> Images:
  def read() -> Arrays:
    return dict(vars(read_images(source, split, data_dir=data_dir, classes=classes)))

  # To decode the images takes a hundred times as long as to read them decoded.
  arrays = load_or_make(
      "-".join(map(str, (source.name, split, *sorted(classes or ())))),
      {"source": source.full_name, "split": split, "contents": contents,
       "classes": sorted(classes) if classes else None},
      read)
  for array in arrays.values():
    array.setflags(write=False)  # they are shared
  return Images(**arrays)


def shrink(
    sizes: Mapping[str, int], fewest: int, source: ImageSource) -> dict[str, int]:
  """Sizes of parts, for each class, made smaller in proportion if there are too few images.

  Args:
    sizes: images of a class wanted in each part.
    fewest: images that the smallest class has.
    source: named in the error.

  Returns:
    Sizes whose sum is at most `fewest`.

  Raises:
    ValueError: not even one image for each part.
  """
  total = sum(sizes.values())
  shrunk = {part: size * min(fewest, total) // total for part, size in sizes.items()}
  if 0 in shrunk.values():
    raise ValueError(
        f"{source.full_name} has a class of {fewest} images, too few to draw the parts "
        f"{', '.join(sizes)} of a task from it.")
  return shrunk


def draw_rows(
    images: Images, classes: Sequence[int], sizes: Mapping[str, int], rng: np.random.Generator,
) -> dict[str, np.ndarray]:
  """Draws disjoint parts with equally many images of each of C classes.

  Args:
    images: to draw from.
    classes: C distinct classes.
    sizes: images of each class in each part.
    rng: source of the draw.

  Returns:
    Rows of the images in each part, [C * size] int64; classes alternate, so row i has
    class i % C, and the first of a part are balanced, too.
  """
  total = sum(sizes.values())
  members = [rng.permutation(np.flatnonzero(images.labels == c))[:total] for c in classes]
  bounds = np.cumsum(list(sizes.values()))[:-1]
  parts = np.split(np.stack(members, axis=1), bounds)
  return {part: rows.reshape(-1) for part, rows in zip(sizes, parts)}


def project_images(
    images: Images, classes: Sequence[int], sizes: Mapping[str, int], num_features: int,
    rng: np.random.Generator,
) -> Arrays:
  """Draws the parts of a task, projects them with one matrix and standardises them.

  Args:
    images: to draw from.
    classes: C classes.
    sizes: images of each class in each part; the first part is the training part.
    num_features: F.
    rng: source of the examples and then of the matrix.

  Returns:
    [C * size, F] float32 for each part, classes alternating.
  """
  rows = draw_rows(images, classes, sizes, rng)
  matrix = rng.standard_normal((images.pixels.shape[1], num_features), np.float32)
  pixels = images.pixels[np.concatenate(list(rows.values()))].astype(np.float32)
  projected = (pixels @ matrix).astype(np.float64)
  parts = np.split(projected, np.cumsum([len(part) for part in rows.values()])[:-1])
  return {
      part: values.astype(np.float32) for part, values in zip(rows, standardise(*parts))}
