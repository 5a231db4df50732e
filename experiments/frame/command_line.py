"""The command line of an experiment: flags become settings; bad ones end with one message.

Flags are made from the leaves of the settings and read once. `--help` lists them by the
dataclass that they are of. None of this needs JAX, which is loaded when the experiment runs.
"""

from collections.abc import Callable, Sequence
import inspect
import logging
import sys
import textwrap
import typing
from typing import Any

from absl import app, flags

from azero import files, lazy
from experiments.frame import interruption, settings
from experiments.frame.settings import Leaf

_HELP = ("--help", "-help", "-h", "--helpshort", "--helpfull")
_WIDTH = 96
_PRESET = "Settings to start from; other flags go before them."
# What an experiment with a run directory ends with: pictures, a report, verdicts.
_PACKAGES = ("jinja2", "markdown_it", "matplotlib", "pandas", "scipy", "sklearn", "vl_convert")


class _LeafParser(flags.ArgumentParser):
  """Parses a flag as its setting says."""

  syntactic_help = ""

  def __init__(self, leaf: Leaf):
    self._leaf = leaf

  def parse(self, argument: Any) -> Any:
    """The value of a text; a default is one already."""
    if not isinstance(argument, str):
      return argument
    try:
      return self._leaf.parse(argument)
    except ValueError as error:  # absl names the flag itself
      raise ValueError(str(error).removeprefix(f"--{self._leaf.name}: ")) from None

  def flag_type(self) -> str:
    """For messages."""
    return self._leaf.type_name


class _LeafSerializer(flags.ArgumentSerializer):
  """Writes a flag as its setting says."""

  def __init__(self, leaf: Leaf):
    self._leaf = leaf

  def serialize(self, value: Any) -> str:
    """The text of a value."""
    return self._leaf.show(value)


def define_flags(config_class: type[Any], values: flags.FlagValues = flags.FLAGS) -> None:
  """Defines a flag for each setting, and --preset where there is a choice."""
  known = settings.presets(config_class)
  if len(known) > 1:
    flags.DEFINE_enum("preset", settings.PAPER, list(known), _PRESET, flag_values=values)
  for leaf in settings.leaves(config_class).values():
    if leaf.kind is bool:
      flag = flags.BooleanFlag(leaf.name, leaf.default, leaf.help)
      flag.parser = _LeafParser(leaf)
      flags.DEFINE_flag(flag, values, leaf.group)
    else:
      flags.DEFINE(
          _LeafParser(leaf), leaf.name, leaf.default, leaf.help, flag_values=values,
          serializer=_LeafSerializer(leaf), module_name=leaf.group)


def help_text(config_class: type[Any], about: str) -> str:
  """What `--help` prints.

  Args:
    config_class: whose settings it lists, by the dataclass that they are of.
    about: the experiment.
  """
  parts = [about.strip(), "", "Settings are flags, written --name=value; a list has commas "
           f"between its items, and '{settings.NONE}' is no value."]
  known = settings.presets(config_class)
  if len(known) > 1:
    parts += ["", *_flag_help(f"--preset={settings.PAPER}", f"<{'|'.join(known)}>: {_PRESET}")]
  group, usual = None, settings.defaults(config_class)
  for leaf in settings.leaves(config_class).values():
    if leaf.group != group:
      group = leaf.group
      parts += ["", group]
    if leaf.kind is bool:
      given, kind = f"--[no]{leaf.name}", f"default {str(usual[leaf.name]).lower()}: "
    else:
      kind = f"<{'|'.join(leaf.choices)}>: " if leaf.choices else f"{leaf.type_name}: "
      given = f"--{leaf.name}={leaf.show(usual[leaf.name])}"
    parts += _flag_help(given, kind + leaf.help)
  return "\n".join(parts) + "\n"


def _flag_help(given: str, text: str) -> list[str]:
  return [f"  {given}", *textwrap.wrap(
      text, _WIDTH, initial_indent=" " * 6, subsequent_indent=" " * 6, break_long_words=False,
      break_on_hyphens=False)]


def main(config_class: type[Any], run: Callable[[Any], Any]) -> None:
  """Runs an experiment from the command line; bad input ends it with one clear message.

  A run that a signal interrupted ends with 128 and its number: 130 after Ctrl-C, 143 after
  SIGTERM.
  """
  if any(argument in _HELP for argument in sys.argv[1:]):
    module = inspect.getmodule(run)
    print(help_text(config_class, inspect.getdoc(module) or ""), end="")
    return
  define_flags(config_class)

  def entry(argv: Sequence[str]) -> None:
    if len(argv) > 1:
      _fail(f"unexpected argument '{argv[1]}': settings are flags, written --name=value; "
            "see --help")
    try:
      for package in _PACKAGES if "output_dir" in settings.leaves(config_class) else ():
        lazy.require(package, extra="experiments", purpose="Experiments")
      config = given(config_class)
      interruption.arm()
      configure_jax(settings.flat(config).get("num_devices"))
      _run(config, run)
    except (ValueError, OSError) as error:
      _fail(str(error))
    except KeyboardInterrupt as interrupt:
      # Without waiting for XLA's threads, which may compile.
      # Without waiting for XLA's threads, which may compile.
      interruption.leave(interruption.signum_of(interrupt))
    sys.exit(interruption.exit_status())

  app.run(entry, flags_parser=_parse_flags)


def _parse_flags(argv: Sequence[str]) -> list[str]:
  """What is left of the arguments when the flags are read; a bad flag ends the process."""
  try:
    return parse(argv, flags.FLAGS)
  except ValueError as error:
    _fail(str(error))


def parse(argv: Sequence[str], values: flags.FlagValues) -> list[str]:
  """Reads flags into their values; returns what is left of the arguments, the first included.

  Raises:
    ValueError: says which flag is wrong, and why.
  """
  try:
    return values(argv)
  except flags.Error as error:
    sentence = files.shortened(str(error).replace(" ?", "?"))
  except RecursionError:  # absl looks for flags that are spelled alike
    sentence = "A command line flag has a name without an end."
  raise ValueError(f"{sentence}{'' if sentence.endswith(('?', '.')) else '.'} See --help.")


def given(config_class: type[Any], values: flags.FlagValues = flags.FLAGS) -> Any:
  """The settings that flags give, which were read.

  Raises:
    ValueError: they do not fit each other, or a run that is to be continued.
    FileNotFoundError: there is no run to continue.
  """
  chosen = {
      name: values[name].value for name in settings.leaves(config_class) if values[name].present}
  preset: Any = values["preset"] if len(settings.presets(config_class)) > 1 else None
  resume: Any = chosen.pop("resume", None)
  if resume is not None:
    if preset is not None and preset.present:
      raise ValueError("--preset is for new runs: --resume goes on with the run's settings.")
    from experiments.frame import study

    return study.continued(config_class, resume, **chosen)
  return settings.preset(
      config_class, settings.PAPER if preset is None else preset.value, **chosen)


def _run(config: Any, run: Callable[[Any], Any]) -> None:
  """Runs the experiment.

  Raises:
    ConnectionError: a part of the search is gone for good.
  """
  from azero.search.protocol import WorkerLost

  try:
    run(config)
  except WorkerLost as error:
    raise ConnectionError(str(error)) from error


def configure_jax(num_devices: int | None = None) -> None:
  """Makes CPU devices, and keeps compiled code between runs; see `devices.configure_jax`.

  Args:
    num_devices: how many; None for one on each core.

  Raises:
    ValueError: more than there are cores, or none at all.
  """

  from azero.executors import devices

  cores = devices.num_cores()
  if num_devices is not None and not 1 <= num_devices <= cores:
    raise ValueError(
        f"--num_devices must be from 1 to {cores}, the cores of this machine, or {settings.NONE} "
        f"for all of them; got {num_devices}.")
  devices.configure_jax(num_devices or 0)
  # JAX tells at INFO of every kind of accelerator that it does not find.
  logging.getLogger("jax").setLevel(logging.WARNING)
  devices.keep_compiled()


def _fail(message: str) -> typing.NoReturn:
  sys.stdout.flush()
  print(f"error: {message}", file=sys.stderr)
  sys.exit(2)
