import io

import pytest
from rich.console import Console

from azero.runs.display import durations, views

ROW = {
    "programs": 1_234_567, "train_steps": 2_000_000_000, "programs_per_second": 9_876.0,
    "train_steps_per_second": 16_000_000.0, "recent_programs_per_second": 5_000.0,
    "recent_train_steps_per_second": 8_000_000.0, "best_fitness": 0.98765,
    "median_best_fitness": 0.75, "canonical_hit_rate": 0.713, "fingerprint_hit_rate": 0.124,
    "hurdle_pass_rate": None, "hurdle_passed": 0, "hurdle_stopped": 0, "islands": 1,
    "active_islands": 1, "device_idle_share": 0.083, "recent_device_idle_share": 0.256,
    "memory_bytes": 812_000_000, "seconds": 125.0, "seconds_left": None, "budget_spent": None}
MANY = {
    "islands": 9, "active_islands": 7, "seconds_left": 3_725.0, "budget_spent": 0.25,
    "hurdle_pass_rate": 0.27, "hurdle_passed": 2_700, "hurdle_stopped": 7_300, "migrations": 12}
WORKERS = {
    "programs": [1_000 * k for k in range(9)], "train_steps": [250_000 * k for k in range(9)],
    "best_fitness": [0.1 * k for k in range(9)], "active": [0, 0, *[1] * 7]}


def render(row, width=90):
  console = Console(
      file=io.StringIO(), force_terminal=True, color_system=None, width=width, height=40)
  console.print(views.picture(row, WORKERS))
  return console.file.getvalue().splitlines()


def test_a_line_says_what_there_is():
  assert views.line(ROW) == (
      "1.2M programs, 9.9k/s, 2.0G steps, best 0.9877, cache 71% + 12%, devices idle 8%")
  assert views.line(ROW | MANY) == (
      "1.2M programs, 9.9k/s, 2.0G steps, best 0.9877, cache 71% + 12%, hurdle 27% passed, "
      "islands 7/9, migrations 12, devices idle 8%, about 1:02:05 left")


@pytest.mark.parametrize(("seconds", "text"), [(10, "0:10"), (80, "1:20"), (5000.9, "1:23:20")])
def test_clock(seconds, text):
  assert durations.format_clock(seconds) == text


@pytest.mark.parametrize(("number", "text"), [
    (0, "0"), (999, "999"), (1000, "1.0k"), (2_550_000, "2.5M"), (3e9, "3.0G")])
def test_short(number, text):
  assert views.short(number) == text


def test_the_picture_of_one_island():
  lines = render(ROW)
  facts = {line[2:17].strip(): line[17:-2].strip() for line in lines[1:-1]}
  assert facts == {
      "programs": "1.2M   5.0k/s now, 9.9k/s mean",
      "training steps": "2.0G   8.0M/s now, 16.0M/s mean", "best fitness": "0.9877",
      "cache hits": "canonical key 71.3%, fingerprint 12.4%",
      "devices idle": "26% now, 8% mean", "memory": "812.0MB"}
  assert lines[-1].endswith(" 2:05 ─╯") and {len(line) for line in lines} == {90}


def test_the_picture_of_many_islands_has_the_best_of_them():
  lines = render(ROW | MANY)
  text = "\n".join(lines)
  assert "25.0%" in text and "27.0% of 10.0k passed" in text
  assert "median of the islands 0.7500" in text and "about 1:02:05 left" in lines[-1]
  start = next(k for k, line in enumerate(lines) if line.startswith("│ island"))
  rows = [line.strip("│ ").split() for line in lines[start + 1 : -1]]
  assert rows[0] == ["8", "8.0k", "2.0M", "16.0k", "0.8000", "yes"]
  assert [row[0] for row in rows[:6]] == ["8", "7", "6", "5", "4", "3"]
  assert rows[6] == ["3", "more", "islands"]
  assert " ".join(rows[7]) == "7 of 9 islands have budget left"


def test_the_picture_of_several_groups_has_those():
  group = {"active_islands": 2, "median_best_fitness": 0.25, "programs": 500}
  lines = render(ROW | MANY | {"groups": {
      "F=[b]8": group | {"best_fitness": 0.5, "train_steps": 1_250},
      "F=16": group | {"best_fitness": 0.75, "train_steps": 125_000}}})
  start = next(k for k, line in enumerate(lines) if line.startswith("│ group"))
  assert [line.strip("│ ").split() for line in lines[start + 1 : start + 3]] == [
      ["F=[b]8", "500", "1.2k", "10", "0.5000", "2"],
      ["F=16", "500", "125.0k", "1.0k", "0.7500", "2"]]


@pytest.mark.parametrize("width", [20, 40, 60, 90, 200])
def test_the_picture_fits_into_any_terminal(width):
  lines = render(ROW | MANY, width)
  assert {len(line) for line in lines} == {min(width, 90)}
  assert len(lines) < 24
