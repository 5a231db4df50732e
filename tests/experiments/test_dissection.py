"""What an experiment leaves of its program for the page, with tasks that take part."""

import azero
from azero.search.config import SearchConfig
from experiments.frame import dissection

_TEXT = azero.zoo.source("linear_regressor").replace("Learn():", "Learn():\n  s4 = s0 - s0")
_TASKS = azero.linear_regression(num_tasks=30, seed=3, num_train=100, num_valid=20)


def test_a_program_is_made_simple_and_taken_apart():
  found = dissection.dissect(azero.parse(_TEXT, num_features=4), _TASKS, SearchConfig())
  assert found["simplification"]["program"].count("=") == _TEXT.count("=") - 1
  ablations = found["ablations"]
  assert ablations["num_tasks"] == 20 and ablations["num_seeds"] == 1
  assert ablations["ablations"][0]["name"] == "gradient steps"
  assert all(row["loss"]["estimate"] >= 0 for row in ablations["ablations"])


def test_a_program_that_fails_on_all_tasks_is_left_whole(capsys):
  program = azero.parse(_TEXT.replace("0.001", "1e30"), num_features=4)
  assert dissection.dissect(program, _TASKS, SearchConfig()) == {}
  assert "The program is not taken apart: " in capsys.readouterr().out
