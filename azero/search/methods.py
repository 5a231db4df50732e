"""Methods of search by name: settings that belong together; needs no JAX.

"paper" is regularised evolution as the AutoML-Zero paper has it (section 3.2), the default of all
that repeats its experiments. "azero" finds more per program; docs/methods.md has the evidence for
each part of it. A method is no more than settings of `SearchConfig`, each of which may be given
beside it.
"""

from collections.abc import Mapping
from typing import Any

PAPER, AZERO = "paper", "azero"
METHODS: Mapping[str, Mapping[str, Any]] = {
    PAPER: {},
    AZERO: {
        "initial": "grown", "filters": ("valid", "changed"), "structure_limit": 4,
        "constant_trials": 2, "restart_patience": 150, "population_size": 50,
        "tournament_size": 10,
        "mutations": (
            "alter", "rewire", "regrow_instructions", "regrow_function", "insert_or_remove",
            "add_constant")},
}


def method(name: str) -> Mapping[str, Any]:
  """The settings of a method.

  Raises:
    ValueError: there is no such method.
  """
  if not isinstance(name, str) or name not in METHODS:
    raise ValueError(f"Unknown method {name!r}; use one of {', '.join(METHODS)}.")
  return METHODS[name]
