"""What the experiment modules share: flags, JAX's settings, run directories, errors.

A module defines a frozen config dataclass, whose fields carry their help as metadata,
and `run(config)`. Flags are made from the fields and read once. Where the defaults are the
paper's values, `PRESETS` of the config names smaller budgets, see `preset`.
"""

from collections.abc import Callable, Mapping, Sequence
import dataclasses
import datetime
import json
import logging
import os
import pathlib
import sys
import time
import typing
from typing import Any, TypeVar

from absl import app, flags
import jax

from azero.executors import devices
from azero.executors.evaluator import EXECUTORS
from azero.runs.directory import MAY_CHANGE, RunDirectory, read_config, require_same
from azero.runs.display import tensorboard
from azero.runs.display.progress import PROGRESS
from azero.runs.runner import RunResult
from azero.search.protocol import WorkerLost


def setting(default: Any, help_text: str, *, choices: Sequence[str] | None = None) -> Any:
  """A field of a config: its default, what it means, and what it may be."""
  return dataclasses.field(default=default, metadata={"help": help_text, "choices": choices})


Presets = Mapping[str, Mapping[str, Any]]  # settings that differ from the defaults, by name
PAPER = "paper"  # the preset that changes no default

_AnyConfig = TypeVar("_AnyConfig")


@dataclasses.dataclass(frozen=True, kw_only=True)
class RunConfig:
  """Settings of every experiment that searches."""

  seed: int = setting(0, "Decides everything that is random.")
  output_dir: str = setting("runs", "Where run directories are made.")
  run_name: str = setting(
      "", "Name of the run directory; default the experiment and the time. Must be new.")
  resume: str = setting(
      "", "A run directory to continue after a stop, with its settings: as if it had not been "
      "stopped. Budgets, devices and lanes may be given anew.")
  num_devices: int = setting(0, "CPU devices to use; 0 for one on each core.")
  executor: str = setting(
      "waves", "What evaluates programs; the interpreter is the slow reference.",
      choices=tuple(EXECUTORS))
  cycles_per_step: int = setting(
      0, "Cycles between two looks at stop conditions; 0 for enough to keep devices busy.")
  lanes: int = setting(
      0, "Programs evaluated at once on a device, 0 to choose; fewer suit few children.")
  progress: str = setting(
      "auto", "How to show progress: a view in a terminal and lines elsewhere, lines everywhere, "
      "or not at all.", choices=PROGRESS)
  dtype: str = setting("float32", "Type of the programs' memory.", choices=("float32", "float64"))

  def directory(self, experiment: str) -> RunDirectory:
    """The run directory: a new one, or the one to continue.

    Raises:
      FileExistsError: a new one exists already.
      FileNotFoundError: there is none to continue.
      ValueError: it holds a run of other settings.
    """
    return run_directory(experiment, self)


@dataclasses.dataclass(frozen=True, kw_only=True)
class CheckpointedConfig(RunConfig):
  """Settings of experiments whose searches are recorded and can be continued midway."""

  checkpoint_seconds: float = setting(
      60.0, "Time between checkpoints, from which a run can be continued.")
  tensorboard: bool = setting(
      False, "Write TensorBoard curves into the run directory, too; needs the extra tensorboard.")

  def directory(self, experiment: str) -> RunDirectory:
    """See `RunConfig.directory`.

    Raises:
      ValueError: --checkpoint_seconds is negative, or --tensorboard lacks its extra, too.
    """
    if not self.checkpoint_seconds >= 0:
      raise ValueError(
          f"--checkpoint_seconds must not be negative, got {self.checkpoint_seconds}.")
    if self.tensorboard:
      tensorboard.require()
    return super().directory(experiment)


def preset(config_class: type[_AnyConfig], name: str, **changes: Any) -> _AnyConfig:
  """The settings of a preset, with changes.

  Args:
    config_class: a config whose class attribute `PRESETS` maps names to settings that
      differ from the defaults.
    name: one of them, or "paper" for the defaults.
    **changes: settings that go before those of the preset.

  Raises:
    ValueError: there is no such preset.
  """
  presets = _presets(config_class)
  if name not in presets:
    raise ValueError(f"Unknown preset {name!r}; use one of {', '.join(presets)}.")
  return config_class(**{**presets[name], **changes})


def _presets(config_class: type[Any]) -> dict[str, Mapping[str, Any]]:
  return {PAPER: {}, **getattr(config_class, "PRESETS", {})}


def run_directory(experiment: str, config: Any) -> RunDirectory:
  """The run directory of a config with `resume`: a new one, or the one to continue.

  Raises:
    FileExistsError: a new one exists already.
    FileNotFoundError: there is none to continue.
    ValueError: it holds a run of other settings.
  """
  settings = dataclasses.asdict(config)
  del settings["resume"]
  if config.resume:
    return RunDirectory.open(config.resume, settings, _may_change(type(config)))
  directory = new_directory(experiment, config.output_dir, config.run_name, settings)
  defaults = {field.name: field.default for field in dataclasses.fields(config)}
  directory.write("run.json", json.dumps(
      {"experiment": experiment, "started": time.time(), "defaults": defaults}, indent=2) + "\n")
  return directory


def _may_change(config_class: type[Any]) -> Sequence[str]:
  """Settings that a run need not be continued with: `MAY_CHANGE` of the config, if it has one."""
  return getattr(config_class, "MAY_CHANGE", MAY_CHANGE)


def new_directory(
    experiment: str, output_dir: str, run_name: str, settings: Mapping[str, Any]) -> RunDirectory:
  """A new run directory, by default with the name of the experiment and the time.

  Raises:
    FileExistsError: it exists already.
  """
  now = datetime.datetime.now().strftime("%Y%m%d-%H%M%S")
  # The process id tells runs apart that are started in the same second.
  default = f"{experiment}-{now}-{os.getpid()}"
  return RunDirectory(pathlib.Path(output_dir) / (run_name or default), settings)


def continued(
    config_class: type[_AnyConfig], directory: str | os.PathLike, **changes: Any) -> _AnyConfig:
  """The settings with which a run directory is continued.

  Args:
    config_class: of the experiment.
    directory: of the run.
    **changes: settings that are given anew.

  Raises:
    FileNotFoundError: there is no such run.
    ValueError: it is a run of another experiment, or has other settings than the changes
      and may not change them.
  """
  saved = read_config(directory)
  names = _names(config_class) - {"resume"}
  _require_types(config_class, saved, directory)
  require_same(
      saved, {name: saved.get(name) for name in names} | changes, directory,
      _may_change(config_class))
  return config_class(**(saved | changes | {"resume": os.fspath(directory)}))


def _require_types(
    config_class: type[Any], saved: Mapping[str, Any], directory: str | os.PathLike) -> None:
  """Refuses the settings of a damaged or foreign config.json."""
  hints = typing.get_type_hints(config_class)
  for name in saved.keys() & _names(config_class):
    kinds = (int, float) if hints[name] is float else hints[name]
    if not isinstance(saved[name], kinds) or isinstance(saved[name], bool) != (kinds is bool):
      raise ValueError(
          f"'{pathlib.Path(directory) / 'config.json'}' has {name} = {saved[name]!r}, which must "
          f"be of type {hints[name].__name__}: put a copy of the file back, or start a new run.")


def _names(config_class: type[Any]) -> set[str]:
  return {field.name for field in dataclasses.fields(config_class)}


def announce(directory: RunDirectory, islands: int) -> None:
  """Says where a search is recorded."""
  verb = "Continuing" if directory.resumed else "Searching"
  print(f"{verb} with {islands} islands; everything is recorded in {directory.path}")


def tell_how_to_continue(result: RunResult, directory: RunDirectory) -> None:
  """After Ctrl-C, says that this need not be the end."""
  if result.status == "interrupted":
    print(f"Interrupted; --resume={directory.path} continues the search.")


def numbers(name: str, text: str) -> list[int]:
  """The value of a flag that lists numbers with commas between them.

  Raises:
    ValueError: something else, no number, one below 1, or one twice.
  """
  parts = [part.strip() for part in text.split(",")]
  if not all(part.isdecimal() and int(part) > 0 for part in parts) or len(set(parts)) < len(parts):
    raise ValueError(
        f"--{name} must list different numbers from 1 with commas between them, as in 1,10; got "
        f"'{text}'.")
  return [int(part) for part in parts]


def choices(name: str, text: str, known: Sequence[str]) -> list[str]:
  """The value of a flag that lists some of the known names with commas between them.

  Raises:
    ValueError: another name, or one twice.
  """
  parts = [part.strip() for part in text.split(",")]
  if not set(parts) <= set(known) or len(set(parts)) < len(parts):
    raise ValueError(
        f"--{name} must list some of {','.join(known)} with commas between them; got '{text}'.")
  return parts


def require_positive(config: Any, *names: str) -> None:
  """Refuses a config in which one of these settings is below 1.

  Raises:
    ValueError: names the flag and its value.
  """
  for name in names:
    if getattr(config, name) < 1:
      raise ValueError(f"--{name} must be at least 1, got {getattr(config, name)}.")


def main(config_class: type[Any], run: Callable[[Any], Any]) -> None:
  """Runs an experiment from the command line; bad input ends it with one clear message."""
  names = [field.name for field in dataclasses.fields(config_class)]
  presets = _presets(config_class)
  if len(presets) > 1:
    flags.DEFINE_enum(
        "preset", PAPER, list(presets), "Settings to start from; other flags go before them.")
    flags.FLAGS.register_key_flag_for_module(sys.argv[0], flags.FLAGS["preset"])
  for field in dataclasses.fields(config_class):
    _define_flag(field, typing.get_type_hints(config_class)[field.name])
    # Flags of the main module are those that --help lists.
    flags.FLAGS.register_key_flag_for_module(sys.argv[0], flags.FLAGS[field.name])

  def entry(argv: Sequence[str]) -> None:
    if len(argv) > 1:
      _fail(f"unexpected argument '{argv[1]}': settings are flags, written --name=value; "
            "see --help")
    given = {name: getattr(flags.FLAGS, name) for name in names if flags.FLAGS[name].present}
    try:
      if given.get("resume"):
        if len(presets) > 1 and flags.FLAGS["preset"].present:
          raise ValueError("--preset is for new runs: --resume goes on with the run's settings.")
        config = continued(config_class, given.pop("resume"), **given)
      else:
        chosen = flags.FLAGS.preset if len(presets) > 1 else PAPER
        config = preset(config_class, chosen, **given)
      configure_jax(getattr(config, "num_devices", 0))
      run(config)
    except (ValueError, OSError, WorkerLost) as error:
      _fail(str(error))
    except KeyboardInterrupt:
      print("\ninterrupted: what a run directory holds by now is complete and readable",
            file=sys.stderr)
      sys.stdout.flush()
      sys.stderr.flush()
      os._exit(130)  # without waiting for XLA's threads, which may still compile

  app.run(entry)


def configure_jax(num_devices: int = 0) -> None:
  """Makes CPU devices, and keeps compiled code between runs; see `devices.configure_jax`."""
  devices.configure_jax(num_devices)
  # JAX tells at INFO of every kind of accelerator that it does not find.
  logging.getLogger("jax").setLevel(logging.WARNING)
  cache = os.environ.get("AZERO_CACHE_DIR") or pathlib.Path.home() / ".cache" / "azero"
  jax.config.update("jax_compilation_cache_dir", str(cache))
  jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.5)
  jax.config.update("jax_persistent_cache_enable_xla_caches", "none")


def _define_flag(field: dataclasses.Field, kind: Any) -> None:
  help_text, default = field.metadata["help"], field.default
  if field.metadata["choices"]:
    flags.DEFINE_enum(field.name, str(default), field.metadata["choices"], help_text)
    return
  define: dict[Any, Callable[..., Any]] = {
      int: flags.DEFINE_integer, float: flags.DEFINE_float, str: flags.DEFINE_string,
      bool: flags.DEFINE_boolean}
  define[kind](field.name, default, help_text)


def _fail(message: str) -> typing.NoReturn:
  sys.stdout.flush()
  print(f"error: {message}", file=sys.stderr)
  sys.exit(2)
