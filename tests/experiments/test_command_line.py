"""The command line: flags become settings; bad ones end with one clear message."""

import ast
import importlib
import json
import os
import pathlib
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
from support import fresh

import azero
from experiments.frame import run_settings
from experiments.frame import settings as settings_lib
from experiments.frame.settings import preset

_ROOT = pathlib.Path(__file__).parents[2]


def _run(module, *flags):
  done = fresh.experiment(module, *flags)
  return done.returncode, done.stdout, done.stderr


@pytest.mark.parametrize(("module", "flag", "message"), [
    ("linear_regression", "--islnds=3",
     "error: Unknown command line flag 'islnds'. Did you mean: islands? See --help.\n"),
    ("digits", "--kind=letters", "value should be one of <pairs|groups|ten_classes>"),
    ("custom_data", "--seed=many", "flag --seed=many"),
    ("linear_regression", "--max_programs=1.5",
     "error: flag --max_programs=1.5: it must be a whole number, as 1000 or 1e3. See --help.\n"),
    ("linear_regression", "--fingerprint=maybe",
     "error: flag --fingerprint=maybe: it must be true or false. See --help.\n"),
    ("linear_regression", "--num_devices=999", "error: --num_devices must be from 1 to"),
    ("evaluate_program", "program.txt", "error: unexpected argument 'program.txt'"),
    ("linear_regression", f"--{'9' * 5000}",
     "error: A command line flag has a name without an end. See --help."),
    ("export", "--program=figure_6", "error: --output is missing"),
])
def test_bad_flags_are_one_message_without_a_traceback(module, flag, message):
  code, out, err = _run(module, flag)
  assert code != 0 and out == ""
  assert message in err
  assert "Traceback" not in err


@pytest.mark.parametrize("package", ["matplotlib", "vl_convert"])
def test_a_package_that_is_missing_is_told_before_work_starts(package):
  """What only the end of an experiment needs would lose all that it found."""
  code = (
      "import importlib.util, runpy, sys\n"
      "find, missing = importlib.util.find_spec, sys.argv[1]\n"
      "importlib.util.find_spec = lambda name, *rest: None if name == missing else find(name)\n"
      "sys.argv = ['linear_regression']\n"
      "runpy.run_module('experiments.linear_regression', run_name='__main__', alter_sys=True)")
  done = subprocess.run(
      [sys.executable, "-c", code, package], cwd=_ROOT, capture_output=True, text=True, check=False)
  assert done.returncode == 2 and done.stdout == ""
  assert done.stderr == (
      f"error: Experiments need the package {package}: pip install 'azero[experiments]'.\n")


@pytest.mark.parametrize(("module", "flags"), [
    ("digits", ("islands", "kind", "train_budget")), ("evaluate_program", ("tasks", "combine"))])
def test_help_lists_the_settings(module, flags):
  _, out, _ = _run(module, "--help")
  for flag in flags:
    assert f"--{flag}" in out or f"--[no]{flag}" in out


def test_evaluate_program_prints_only_json_to_standard_output(tmp_path):
  tasks = azero.linear_regression(2, seed=0, num_train=20, num_valid=10)
  np.savez(tmp_path / "tasks.npz", train_x=tasks.train_x, train_y=tasks.train_y,
           valid_x=tasks.valid_x, valid_y=tasks.valid_y, metric="rms")
  (tmp_path / "one.txt").write_text(azero.zoo.source("linear_regressor"))
  code, out, err = _run(
      "evaluate_program", f"--program={tmp_path}", f"--tasks={tmp_path / 'tasks.npz'}",
      "--dtype=float64")
  assert code == 0, err
  (row,) = map(json.loads, out.splitlines())
  assert row["program"] == "one.txt" and row["error"] is None
  expected = azero.evaluate(azero.zoo.source("linear_regressor"), tasks, dtype="float64")
  np.testing.assert_allclose(row["fitness_per_task"], expected.per_task[0], rtol=1e-12)


def test_export_writes_a_file_that_reads_back_and_replaces_none(tmp_path):
  program = tmp_path / "program.json"
  code, out, err = _run("export", "--program=s1b", "--format=json", f"--output={program}")
  assert (code, out) == (0, f"written: {program}\n"), err
  assert azero.export.from_json(program.read_text()) == azero.zoo.load("s1b", 4)
  again = f"--program={program}", f"--output={program}"
  code, out, err = _run("export", *again)
  assert code != 0 and "is there already" in err and "Traceback" not in err
  code, out, err = _run("export", f"--program={program}", f"--output={tmp_path / 'learner.py'}")
  assert code == 0, err
  expected = azero.export.numpy_source(azero.zoo.load("s1b", 4))
  assert (tmp_path / "learner.py").read_text() == expected


_MODULE = """
import dataclasses
from experiments.frame import command_line, run_settings
from experiments.frame.settings import setting

@dataclasses.dataclass(frozen=True, kw_only=True)
class Config(run_settings.StudySettings):
  PRESETS = {"smoke": {"size": 2, "seed": 5}}
  size: int = setting(100, "Size.")

command_line.main(Config, lambda config: print(config.size, config.search.seed))
"""


@pytest.mark.parametrize(("flags", "printed"), [
    ((), "100 0"), (("--preset=paper", "--seed=3"), "100 3"), (("--preset=smoke",), "2 5"),
    (("--preset=smoke", "--size=100"), "100 5")])
def test_a_preset_changes_defaults_and_flags_go_before_it(flags, printed):
  assert fresh.run(_MODULE, *flags, env=dict(os.environ)).stdout.strip() == printed


def test_an_unknown_preset_is_refused():
  with pytest.raises(ValueError, match=r"Unknown preset 'tiny'; use one of paper\."):
    preset(run_settings.StudySettings, "tiny")


_HANDED_ON = ("search", "evaluation", "stop")  # settings of azero, as they are
_EXPERIMENTS = sorted(
    path.stem for path in (_ROOT / "experiments").glob("*.py")
    if "class Config" in path.read_text())


@pytest.mark.parametrize("module", _EXPERIMENTS)
def test_every_flag_is_read(module):
  """By the experiment, by what it is made of, or by what all have in common.

  Where a search is configured its settings are handed to azero as they are.
  """
  sources = [
      *(_ROOT / "experiments/frame").glob("*.py"),
      *(path for path in (_ROOT / "experiments").glob(f"**/{module}*.py"))]
  read = {
      node.attr for source in sources for node in ast.walk(ast.parse(source.read_text()))
      if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Load)}
  leaves = settings_lib.leaves(importlib.import_module(f"experiments.{module}").Config)
  unread = {name for name, leaf in leaves.items() if leaf.path[0] not in _HANDED_ON} - read
  assert unread <= {"num_devices"}  # which `command_line.main` reads by name


def test_settings_and_flags_need_no_jax():
  script = (
      "import importlib, sys\n"
      "from absl import flags\n"
      "from experiments.frame import command_line\n"
      f"for name in {_EXPERIMENTS!r}:\n"
      "  config = importlib.import_module(f'experiments.{name}').Config\n"
      "  command_line.define_flags(config, flags.FlagValues())\n"
      "  assert '--' in command_line.help_text(config, name)\n"
      "heavy = {'jax', 'matplotlib', 'sklearn', 'tensorflow_datasets', 'ray', 'pandas'}\n"
      "assert not heavy & sys.modules.keys(), heavy & sys.modules.keys()\n")
  done = subprocess.run(
      [sys.executable, "-c", script], cwd=_ROOT, text=True, capture_output=True, timeout=60)
  assert done.returncode == 0, done.stderr


_INTERRUPTED = """
import signal, sys, time
from experiments.frame import interruption
if "armed" in sys.argv:
  interruption.arm()
interruption.note_directory("runs/mine")
signal.signal(signal.SIGTERM, lambda *arguments: None)
for count in map(int, sys.argv[1].split(",")):
  with interruption.second_leaves():
    for _ in range(count):
      signal.raise_signal(signal.SIGTERM)
    time.sleep(0.3 if count < 2 or "armed" not in sys.argv else 60)
print("went on")
"""


@pytest.mark.parametrize(("flags", "status", "out", "err"), [
    (["1,1,0", "armed"], 0, "went on\n", ""),
    (["2"], 0, "went on\n", ""),  # in a notebook the process is not ours
    (["1,2", "armed"], 143, "", "\ninterrupted: what a run directory holds by now is complete and "
     "readable; --resume=runs/mine continues from its last checkpoint\n")])
def test_a_second_signal_ends_a_command_at_once(flags, status, out, err):
  start = time.monotonic()
  done = subprocess.run(
      [sys.executable, "-c", _INTERRUPTED, *flags], cwd=_ROOT, text=True, capture_output=True)
  assert (done.returncode, done.stdout, done.stderr) == (status, out, err)
  assert time.monotonic() - start < 60


_OUTSIDE = """
import signal, sys
from experiments.frame import interruption
interruption.arm()
interruption.note_directory("runs/mine")
try:
  signal.raise_signal(getattr(signal, sys.argv[1]))
except KeyboardInterrupt as interrupt:
  interruption.leave(interruption.signum_of(interrupt))
"""


@pytest.mark.parametrize(("name", "status"), [("SIGINT", 130), ("SIGTERM", 143)])
def test_outside_of_searches_a_signal_says_how_to_go_on(name, status):
  done = subprocess.run(
      [sys.executable, "-c", _OUTSIDE, name], cwd=_ROOT, text=True, capture_output=True)
  assert done.returncode == status
  assert "--resume=runs/mine continues from its last checkpoint" in done.stderr


def test_control_c_saves_everything_and_reports(tmp_path):
  process = subprocess.Popen(
      [sys.executable, "-m", "experiments.linear_regression", f"--output_dir={tmp_path}",
       "--run_name=run", "--islands=2", "--population_size=50", "--cycles_per_step=50",
       "--progress=off"],
      cwd=_ROOT, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
  metrics = tmp_path / "run" / "metrics.jsonl"
  deadline = time.monotonic() + 90
  while not metrics.exists() and time.monotonic() < deadline:
    time.sleep(0.1)
  os.kill(process.pid, signal.SIGINT)
  out, err = process.communicate(timeout=60)
  assert process.returncode == 130, err
  assert "Report:" in out and "Traceback" not in err
  assert "| ended by | interrupted |" in (tmp_path / "run" / "report.md").read_text()
  assert json.loads((tmp_path / "run" / "hall_of_fame.json").read_text())
  resume = f"--resume={tmp_path / 'run'}"
  assert f"Interrupted; {resume} continues the search." in out
  code, out, err = _run("linear_regression", resume, "--seed=0", "--islands=3")
  assert code == 2 and "islands is 2 there and 3 here" in err and "Traceback" not in err
  steps = sum(json.loads((tmp_path / "run" / "islands.json").read_text())["train_steps"])
  code, out, err = _run(
      "linear_regression", resume, "--num_devices=1", f"--max_train_steps={steps}")
  assert code == 0, err
  assert f"Continuing with 2 islands; everything is recorded in {tmp_path / 'run'}" in out
  report = (tmp_path / "run" / "report.md").read_text()
  assert "| ended by | budget |" in report and "--resume" not in report
  lines = (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()
  cycles = [json.loads(line)["cycle"] for line in lines]
  assert cycles == sorted(cycles)
