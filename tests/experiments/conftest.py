"""Experiments in tests do not take their programs apart: that compiles an evaluator for each."""

import types

import pytest

from experiments.frame import study


@pytest.fixture(scope="package", autouse=True)
def whole_programs():
  with pytest.MonkeyPatch.context() as patch:
    patch.setattr(
        study, "dissection", types.SimpleNamespace(dissect=lambda program, tasks, config: {}))
    yield
