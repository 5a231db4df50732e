"""The arms of the bench of discovery: methods, as settings of `SearchConfig` by name.

An arm is what it changes of the paper's method in a space (see `discovery_rates_spaces`): the named
methods, and parts by themselves. To add one, add a row; runs of the bench that are there already
take its lines with --resume.
"""

from collections.abc import Mapping
import dataclasses
from typing import Any

from azero.search.config import SearchConfig
from azero.search.methods import AZERO, METHODS

# The recommended method as it was before it had `add_constant`, as most of docs/results.md has it.
_BEFORE = {**METHODS[AZERO], "mutations": tuple(
    name for name in METHODS[AZERO]["mutations"] if name != "add_constant")}
_UPDATES: Mapping[str, Any] = {
    **_BEFORE, "filters": ("valid", "features", "changed"), "population_size": 100,
    "restart_patience": 2000, "mutations": (
        *_BEFORE["mutations"], *4 * ("add_update",), *3 * ("extend_path",))}
ARMS: Mapping[str, Mapping[str, Any]] = {
    **METHODS,
    "azero_no_constants": _BEFORE,
    # Parts of the recommended method, each by itself.
    "paper_valid": {"filters": ("valid",)},
    "paper_changed": {"filters": ("changed",)},
    "paper_structures": {"structure_limit": 1},
    "paper_trials": {"constant_trials": 4},
    "paper_restarts": {"restart_patience": 1000},
    # Parts beside it, two of them with the populations that suit them.
    "azero_leaps": {
        **_BEFORE, "leaps": 0.5, "population_size": 200, "restart_patience": 1000},
    "azero_features": {
        **_BEFORE, "filters": ("valid", "features", "changed"), "population_size": 200,
        "restart_patience": 1000},
    "azero_parameters": {
        **_BEFORE, "filters": ("valid", "features", "changed"),
        "mutations": (*_BEFORE["mutations"], "add_parameter")},
    "azero_updates": _UPDATES,
    # Each program on ten of the tasks.
    "azero_updates_sampled": {**_UPDATES, "task_sample": 10},
    "azero_sampled": {**METHODS[AZERO], "task_sample": 10},
    # Settings of the paper's.
    "paper_no_fingerprint": {"fingerprint": False},
    "paper_always_mutates": {"mutation_probability": 1.0},
}


def arm_config(arm: str, base: SearchConfig) -> SearchConfig:
  """Settings of an arm.

  Args:
    arm: its name.
    base: the paper's method.
  """
  return dataclasses.replace(base, **ARMS[arm])
