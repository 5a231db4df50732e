# The public names and where they live; at run time `lazy.attach_stub` reads this file.

from azero.tasks.images.digits import class_groups, original_digits, projected_digits
from azero.tasks.images.paper_tasks import (
    ProjectedPair,
    original_tasks,
    projected_pairs,
    random_pairs,
    search_tasks,
    select_tasks,
    ten_class_tasks,
)
from azero.tasks.synthetic import (
    affine_classification,
    affine_regression,
    linear_classification,
    linear_regression,
    teacher_classification,
    teacher_regression,
)
from azero.tasks.tables.custom_data import CustomData
from azero.tasks.tables.npz import load_tasks_npz
from azero.tasks.tables.sources import from_arrays, from_csv, from_frame, from_npz
from azero.tasks.task import METRICS, Tasks, make_tasks

__all__ = [
  "METRICS", "CustomData", "ProjectedPair", "Tasks", "affine_classification", "affine_regression",
  "class_groups", "from_arrays", "from_csv", "from_frame", "from_npz", "linear_classification",
  "linear_regression", "load_tasks_npz", "make_tasks", "original_digits", "original_tasks",
  "projected_digits", "projected_pairs", "random_pairs", "search_tasks", "select_tasks",
  "teacher_classification", "teacher_regression", "ten_class_tasks",
]
