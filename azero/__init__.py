"""azero: discovers whole machine-learning algorithms from scratch.

AutoML-Zero (Real, Liang, So, Le, ICML 2020) in Python on JAX. A candidate is a program of
three component functions, Setup, Predict and Learn, over a small memory of scalars,
vectors and matrices; evolution searches for programs that learn.
"""

from azero.api import evaluate, evolve, plot, random_search
from azero.executors.devices import configure_jax
from azero.executors.evaluator import Evaluation, Evaluator
from azero.language import spaces, zoo
from azero.language.ops import all_ops
from azero.language.own_ops import register_op
from azero.language.program import Component, Function, Programs, SearchSpace
from azero.language.text import ProgramSyntaxError, format_program, parse, parse_many
from azero.runs.warm_start import read_programs
from azero.search.config import SearchConfig
from azero.search.federation import Federation, Group
from azero.search.hall_of_fame import HallOfFame
from azero.search.migration import Migration
from azero.search.mutation import register_mutation
from azero.tasks import (
    affine_regression,
    from_arrays,
    from_csv,
    from_npz,
    linear_regression,
    load_tasks_npz,
    original_tasks,
    projected_digits,
    projected_pairs,
    random_pairs,
    search_tasks,
    select_tasks,
    teacher_regression,
    ten_class_tasks,
)
from azero.tasks.task import Tasks, make_tasks

__version__ = "0.1.0"

__all__ = [
    "Component", "Evaluation", "Evaluator", "Federation", "Function", "Group", "HallOfFame",
    "Migration", "ProgramSyntaxError", "Programs", "SearchConfig", "SearchSpace", "Tasks",
    "affine_regression", "all_ops", "configure_jax", "evaluate", "evolve", "format_program",
    "from_arrays", "from_csv", "from_npz", "linear_regression", "load_tasks_npz", "make_tasks",
    "original_tasks", "parse", "parse_many", "plot", "projected_digits", "projected_pairs",
    "random_pairs", "random_search", "read_programs", "register_mutation", "register_op",
    "search_tasks", "select_tasks", "spaces", "teacher_regression", "ten_class_tasks", "zoo",
]
