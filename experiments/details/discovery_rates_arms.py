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

ARMS: Mapping[str, Mapping[str, Any]] = {
    **METHODS,
    # Parts of the recommended method, each by itself.
    "paper_valid": {"filters": ("valid",)},
    "paper_changed": {"filters": ("changed",)},
    "paper_structures": {"structure_limit": 1},
    "paper_trials": {"constant_trials": 4},
    "paper_restarts": {"restart_patience": 1000},
    # Parts beside it, two of them with the populations that suit them.
    "azero_leaps": {
        **METHODS[AZERO], "leaps": 0.5, "population_size": 200, "restart_patience": 1000},
    "azero_features": {
        **METHODS[AZERO], "filters": ("valid", "features", "changed"), "population_size": 200,
        "restart_patience": 1000},
    "azero_parameters": {
        **METHODS[AZERO], "filters": ("valid", "features", "changed"),
        "mutations": (*METHODS[AZERO]["mutations"], "add_parameter")},
    "azero_constants": {
        **METHODS[AZERO], "mutations": (*METHODS[AZERO]["mutations"], "add_constant")},
    "azero_updates": {
        **METHODS[AZERO], "filters": ("valid", "features", "changed"), "population_size": 100,
        "restart_patience": 2000, "mutations": (
            *METHODS[AZERO]["mutations"], *4 * ("add_update",), *3 * ("extend_path",))},
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
