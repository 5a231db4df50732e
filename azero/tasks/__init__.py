"""Task batches and their sources: synthetic, projected digits, the user's own data."""

from azero.tasks.custom import CustomData, from_arrays, from_csv, from_npz, load_tasks_npz
from azero.tasks.digits import class_groups, projected_digits
from azero.tasks.synthetic import affine_regression, linear_regression, teacher_regression
from azero.tasks.task import METRICS, Tasks, make_tasks

__all__ = [
  "METRICS", "CustomData", "Tasks", "affine_regression", "class_groups",
  "from_arrays", "from_csv", "from_npz", "linear_regression", "load_tasks_npz", "make_tasks",
  "projected_digits", "teacher_regression",
]
