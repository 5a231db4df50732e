"""Experiments in tests do not take their programs apart, which compiles an evaluator for each."""

import pytest

from experiments.frame import dissection


@pytest.fixture(autouse=True)
def whole_programs(request, monkeypatch):
  if "takes_apart" not in request.keywords:
    monkeypatch.setattr(dissection, "dissect", lambda program, tasks, config: {})
