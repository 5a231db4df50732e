"""Settings: nested on the inside, flat names on the outside, on the command line and in files."""

import dataclasses
import importlib
import pathlib
import shlex

from absl import flags
import numpy as np
import pytest

from azero.search.config import SearchConfig
from experiments.frame import command_line, reporting, settings
from experiments.frame.run_settings import RunSettings, StudySettings
from experiments.frame.settings import build, nested, setting

_ROOT = pathlib.Path(__file__).parents[2]
_EXPERIMENTS = sorted(
    path.stem for path in (_ROOT / "experiments").glob("*.py")
    if "class Config" in path.read_text())


def _config_class(name):
  return importlib.import_module(f"experiments.{name}").Config


@dataclasses.dataclass(frozen=True, kw_only=True)
class _Config(StudySettings):
  """Settings of a test."""

  search: SearchConfig = nested(
      SearchConfig(hurdle=0.5), fixed=("combine",), population_size="How many.")
  run: RunSettings = nested(RunSettings(), only=("output_dir",))
  numbers: tuple[int, ...] = setting((1, 10), "Numbers.")
  names: tuple[str, ...] = setting(("a",), "Names.", choices=("a", "b"))
  file: str | None = setting(None, "A file.", absolute=True)


def test_flat_names_reach_what_is_nested():
  config = build(_Config, population_size=20, runtime="ray", numbers=[3], seed=np.int64(7))
  assert config.search == SearchConfig(hurdle=0.5, population_size=20, seed=7)
  assert type(config.search.seed) is int
  assert config.runtime.runtime == "ray" and config.numbers == (3,)
  assert build(_Config, **settings.flat(config)) == config


def test_help_is_what_the_docstring_says_or_the_experiment():
  leaves = settings.leaves(_Config)
  assert leaves["seed"].help == "Decides everything that is random; a whole number from 0 on."
  assert leaves["tournament_size"].help.startswith("T, drawn with replacement as the published")
  assert leaves["population_size"].help == "How many."
  assert {"combine", "resume"}.isdisjoint(leaves)


@pytest.mark.parametrize(("name", "text", "value"), [
    ("hurdle", "none", None), ("hurdle", "0.25", 0.25), ("numbers", "5, 7", (5, 7)),
    ("names", "b,a", ("b", "a")), ("max_programs", "None", None),
    ("max_programs", "1e3", 1000), ("max_programs", "2.5e9", 2_500_000_000),
    ("max_programs", " 12_000 ", 12_000), ("seed", "3.0", 3), ("numbers", "1e2,1e3", (100, 1000)),
    ("max_train_steps", "123456789012345678", 123456789012345678),
    ("fingerprint", "FALSE", False), ("train_budget", "4e0", 4.0)])
def test_texts_are_values_of_their_kind(name, text, value):
  assert settings.flat(build(_Config, **{name: text}))[name] == value


@pytest.mark.parametrize(("changes", "message"), [
    ({"islnds": 3}, "There is no setting called islnds"),
    ({"seed": None}, "--seed must be of type int, got None"),
    ({"seed": 0.5}, "--seed must be of type int, got 0.5"),
    ({"tensorboard": True}, "There is no setting called tensorboard"),
    ({"fingerprint": 1}, "--fingerprint must be of type bool, got 1"),
    ({"names": ("c",)}, "--names: value should be one of <a|b>"),
    ({"dtype": "float16"}, r"--dtype: value should be one of <float32\|float64>"),
    ({"numbers": 3}, "--numbers must be of type list of int, got 3"),
    ({"numbers": "1,1.5"}, "--numbers must list different numbers from 1 .*; got '1,1.5'"),
    ({"numbers": "1e1,10"}, "--numbers must list different numbers from 1 .*; got '1e1,10'"),
    ({"population_size": "0"}, "^--population_size must be at least 1, got 0"),
    ({"max_programs": 0}, r"^--max_programs must be at least 1 or none, got 0\.$"),
])
def test_bad_values_are_refused(changes, message):
  with pytest.raises(ValueError, match=message):
    build(_Config, **changes)


@pytest.mark.parametrize("text", ["1.5", "1e-3", "nan", "inf", "1e999999999", "many", "", "0x10"])
def test_what_is_no_whole_number_is_one_sentence(text):
  with pytest.raises(ValueError, match=r"^it must be a whole number, as 1000 or 1e3$"):
    build(_Config, max_programs=text)


def test_help_has_the_words_of_the_command_line():
  text = command_line.help_text(_Config, "About.")
  assert "None" not in text and "none for no limit." in text


def test_a_file_is_kept_from_the_root_on(monkeypatch, tmp_path):
  monkeypatch.chdir(tmp_path)
  monkeypatch.setenv("HOME", "/somewhere")
  assert build(_Config, file="mine.csv").file == str(tmp_path / "mine.csv")
  assert build(_Config, file="~/mine.csv").file == "/somewhere/mine.csv"


@pytest.mark.parametrize("name", _EXPERIMENTS)
def test_the_home_directory_is_known_in_every_path(name, monkeypatch):
  monkeypatch.setenv("HOME", "/somewhere")
  leaves = settings.leaves(_config_class(name))
  paths = {"output_dir", "resume", "data_dir", "data", "warm_start", "program", "json", "source"}
  for leaf in leaves.values():
    assert leaf.is_path or leaf.name not in paths
    if leaf.is_path:
      assert leaf.parse("~/x") == (("/somewhere/x",) if leaf.many else "/somewhere/x")


@pytest.mark.parametrize("name", _EXPERIMENTS)
def test_the_recorded_command_gives_the_same_settings_again(name):
  config_class = _config_class(name)
  wanted = [settings.preset(config_class, preset) for preset in settings.presets(config_class)]
  leaves = settings.leaves(config_class)
  if "method" in leaves:
    wanted += [
        build(config_class, method=method, population_size=size)
        for method in leaves["method"].choices for size in (50, 100)]
  for config in wanted:
    _, module, *given = shlex.split(reporting.command(config))[1:]
    assert module == f"experiments.{name}"
    parts = dict(flag.removeprefix("--").split("=", 1) for flag in given)
    assert build(config_class, **parts) == config
  assert settings.defaults(config_class) == settings.flat(build(config_class))


def test_what_the_method_sets_is_its_default():
  config_class = _config_class("custom_data")
  own = build(config_class, data="a.csv", population_size=100)
  assert "--population_size=100" in reporting.command(own)
  assert "--initial" not in reporting.command(own)
  paper = build(config_class, data="a.csv", method="paper", population_size=100)
  assert "--method=paper" in reporting.command(paper)
  assert "--population_size" not in reporting.command(paper)
  text = command_line.help_text(config_class, "About.")
  assert "--population_size=50" in text and "--initial=grown" in text


@pytest.mark.parametrize("name", _EXPERIMENTS)
def test_flags_say_what_settings_are(name):
  config_class = _config_class(name)
  for preset in settings.presets(config_class):
    config = settings.preset(config_class, preset)
    values = flags.FlagValues()
    command_line.define_flags(config_class, values)
    values(["program", *reporting.flags(config)])
    given = {leaf: values[leaf].value for leaf in settings.leaves(config_class)}
    assert build(config_class, **given) == config
