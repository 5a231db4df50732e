"""A search space that cannot be is refused in a sentence."""

import pytest

from azero.language.program import MAX_SLOTS, Component, SearchSpace

_SIZES = {"num_scalars": 4, "num_vectors": 3, "num_matrices": 1, "num_features": 4}


def _space(ops=(1, 3), length=5, **changes):
  return SearchSpace(**_SIZES | changes, **dict.fromkeys(
      ("setup", "predict", "learn"), Component(ops, length)))


@pytest.mark.parametrize(("changes", "message"), [
    ({"num_features": 4.0}, r"num_features must be a whole number, got 4\.0"),
    ({"num_features": True}, "num_features must be a whole number, got True"),
    ({"num_features": 0}, "num_features must be from 1 to 2147483647, got 0"),
    ({"num_features": 10**30}, "num_features must be from 1 to 2147483647, got 10"),
    ({"num_scalars": 1}, "needs at least 2 scalars"),
    ({"num_scalars": "4"}, "num_scalars must be a whole number, got '4'"),
    ({"num_vectors": 61}, "are more than the 64 that are supported"),
    ({"length": 10**15}, f"more than the {MAX_SLOTS} that are supported: lower max_length"),
    ({"length": 2.5}, r"max_length must be a whole number, got 2\.5"),
    ({"length": -1}, "0 <= min_length <= max_length, got 0 and -1"),
    ({"ops": ("scalar_sum",)}, r"must be a list of ids, as op_by_name\(name\)\.id"),
    ({"ops": "13"}, "must be a list of ids"),
    ({"ops": 5}, "must be a list of ids, .* got 5"),
    ({"ops": (True,)}, "must be a list of ids"),
    ({"ops": (1, 1)}, "name an op twice"),
    ({"ops": (1000,)}, "1000"),
    ({"num_matrices": 0, "ops": (1, 35)}, "the space has none|no writable address"),
])
def test_what_is_no_space_is_one_clear_error(changes, message):
  with pytest.raises(ValueError, match=message):
    _space(**changes)


def test_as_many_instructions_as_can_be_told_apart():
  assert _space(length=MAX_SLOTS // 3).num_slots == MAX_SLOTS // 3 * 3
