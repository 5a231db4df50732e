# The public names and where they live; at run time `lazy.attach_stub` reads this file.

from azero import (
    compiler as compiler,
)
from azero import (
    distributed as distributed,
)
from azero import (
    executors as executors,
)
from azero import (
    export as export,
)
from azero import (
    insight as insight,
)
from azero import (
    language as language,
)
from azero import (
    report as report,
)
from azero import (
    runs as runs,
)
from azero import (
    search as search,
)
from azero import (
    tasks as tasks,
)
from azero.api import evaluate, evolve, plot, random_search
from azero.estimators.programs import ProgramClassifier, ProgramRegressor
from azero.estimators.searched import AutoMLZeroClassifier, AutoMLZeroRegressor
from azero.executors.devices import configure_jax
from azero.executors.evaluator import Evaluation, Evaluator
from azero.language import spaces, zoo
from azero.language.ops import all_ops
from azero.language.own_ops import register_op
from azero.language.program import Component, Function, Programs, SearchSpace
from azero.language.text import ProgramSyntaxError, format_program, parse, parse_many
from azero.runs.reader import read_run
from azero.runs.warm_start import read_programs
from azero.search.config import SearchConfig
from azero.search.groups.federation import Federation, Group
from azero.search.groups.migration import Migration
from azero.search.history.hall_of_fame import HallOfFame
from azero.search.proposals.mutation import register_mutation
from azero.tasks.images.digits import projected_digits
from azero.tasks.images.paper_tasks import (
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
from azero.tasks.tables.npz import load_tasks_npz
from azero.tasks.tables.sources import from_arrays, from_csv, from_frame, from_npz
from azero.tasks.task import Tasks, make_tasks

__version__: str

__all__ = [
    "AutoMLZeroClassifier", "AutoMLZeroRegressor",
    "Component", "Evaluation", "Evaluator", "Federation", "Function", "Group", "HallOfFame",
    "Migration", "ProgramClassifier", "ProgramRegressor", "ProgramSyntaxError",
    "Programs", "SearchConfig", "SearchSpace", "Tasks",
    "affine_classification", "affine_regression", "all_ops", "configure_jax", "evaluate", "evolve",
    "format_program", "from_arrays", "from_csv", "from_frame", "from_npz",
    "linear_classification", "linear_regression", "load_tasks_npz", "make_tasks",
    "original_tasks", "parse", "parse_many", "plot", "projected_digits", "projected_pairs",
    "random_pairs", "random_search", "read_programs", "read_run", "register_mutation",
    "register_op", "search_tasks", "select_tasks", "spaces", "teacher_classification",
    "teacher_regression", "ten_class_tasks", "zoo",
]
