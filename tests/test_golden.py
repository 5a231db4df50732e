"""The oracle reproduces every golden trace, and the loader loses nothing of them."""

import numpy as np
import pytest
from reference import oracle
from support import golden


@pytest.mark.parametrize("name", [group.name for group in golden.groups()])
def test_golden_traces(name):
  group = next(group for group in golden.groups() if group.name == name)
  for i, kind in enumerate(group.kinds):
    trace = oracle.evaluate(group.programs, i, group.tasks, 0)
    where = f"case {i} ({kind}) of {name}"
    assert abs(trace.fitness - group.fitness[i]) <= 1e-6, where
    for part in ("train_errors", "valid_errors"):
      np.testing.assert_allclose(
          getattr(trace, part), getattr(group, part)[i], rtol=1e-6, atol=1e-9,
          err_msg=f"{part} of {where}")


def test_golden_cases_are_all_there():
  groups = golden.groups()
  assert [group.name for group in groups] == [
      "F4_rms", "F4_accuracy", "F8_rms", "F8_accuracy", "F16_rms", "F16_accuracy"]
  assert sum(len(group.programs) for group in groups) == 538
  for group in groups:
    assert group.tasks.train_x.shape == (1, 60, group.programs.space.num_features)
    assert group.tasks.num_valid == 40
    assert len(group.kinds) == len(group.fitness) == len(group.learns) == len(group.programs)
  assert groups[0].programs.space == groups[1].programs.space
  used = set(np.concatenate([np.unique(group.programs.opcode) for group in groups]))
  assert used == {-1, *golden.OPS}


def test_golden_constants_reach_their_fields():
  programs = golden.groups()[0].programs
  for op_id, used in ((18, 0), (56, 1), (57, 2), (58, 3)):
    constants = programs.constants[programs.opcode == op_id]
    assert np.all(constants[:, :used] != 0)
    assert np.all(constants[:, used:] == 0)
