"""Settings as nested frozen dataclasses, and the flat names by which people know them.

An experiment's settings hold those of the rooms that it uses, `azero`'s `SearchConfig` among
them, and hand them on as they are. On the command line, in config.json and in presets a
setting goes by its own name alone, the name of a leaf:

    @dataclasses.dataclass(frozen=True, kw_only=True)
    class Config(StudySettings):
      search: SearchConfig = nested(SearchConfig(population_size=1000), fixed=("combine",))
      islands: int = setting(32, "Experiments that run side by side.")

    config = build(Config, islands=2, population_size=50)  # config.search.population_size

Help comes from `setting` or else from the entry of the field in the docstring's "Attributes:".
A setting whose type allows None is written `none` on the command line. A list is written with
commas between its items.
"""

from collections.abc import Iterator, Mapping, Sequence
import dataclasses
import decimal
import functools
import inspect
import numbers as number_types
import os
import pathlib
import re
import types
import typing
from typing import Any, TypeVar

from azero import files, paths
from azero.search import methods

AnyConfig = TypeVar("AnyConfig")

Presets = Mapping[str, Mapping[str, Any]]  # settings that differ from the defaults, by name
METHOD = "method"  # a setting that others follow from, see `azero.search.methods`
PAPER = "paper"  # the preset that changes no default
NONE = "none"  # how None is written
_MOST_COUNT_DIGITS = 9  # of a number of examples, tasks or programs
_MOST_DIGITS = 40  # of whole numbers: 1e999999999 would take the memory


def setting(
    default: Any, help_text: str, *, choices: Sequence[str] | None = None, path: bool = False,
    absolute: bool = False,
) -> Any:
  """A field of settings.

  Args:
    default: its value.
    help_text: what it means.
    choices: what it, or each of its items, may be.
    path: whether it is, or lists, paths, in which `~` stands for the home directory.
    absolute: whether it is a path that is kept from the root on.
  """
  return dataclasses.field(default=default, metadata={
      "help": help_text, "choices": choices, "path": path or absolute, "absolute": absolute})


def nested(
    default: Any, *, fixed: Sequence[str] = (), only: Sequence[str] | None = None,
    **help_texts: str,
) -> Any:
  """A field that holds settings.

  Args:
    default: their defaults here.
    fixed: those that the experiment itself decides, which are no flags.
    only: in place of that, those that it leaves open.
    **help_texts: in place of the usual ones, by name.
  """
  if only is not None:
    fixed = [field.name for field in dataclasses.fields(default) if field.name not in only]
  return dataclasses.field(default=default, metadata={"fixed": fixed, "helps": help_texts})


def method_setting(default: str = methods.PAPER) -> Any:
  """The field `method` of an experiment, from which settings of its search follow."""
  return setting(
      default, "The paper's search, or azero's: settings that find more per program; other flags "
      "go before them.", choices=tuple(methods.METHODS))


@dataclasses.dataclass(frozen=True)
class Leaf:
  """One setting.

  Attributes:
    name: of the flag.
    path: names of the attributes that lead to it.
    kind: int, float, bool or str: its type, or that of its items.
    many: whether it is a tuple.
    optional: whether it may be None.
    default: its value.
    help: what it means.
    choices: what it may be; None for anything of its type.
    is_path: whether `~` stands for the home directory.
    absolute: whether it is a path that is kept from the root on.
    group: the first sentence of the dataclass that it is of.
  """

  name: str
  path: tuple[str, ...]
  kind: type
  many: bool
  optional: bool
  default: Any
  help: str
  choices: Sequence[str] | None
  is_path: bool
  absolute: bool
  group: str

  def parse(self, text: str) -> Any:
    """The value that a text stands for.

    Raises:
      ValueError: it stands for none.
    """
    if self.optional and text.strip().lower() == NONE:
      return None
    if not self.many:
      return self.checked(_parse_one(self.kind, text))
    if self.default == () and not text.strip():
      return ()
    if self.kind is int:
      return numbers(self.name, text)
    if self.choices is not None:
      return choices(self.name, text, self.choices)
    return self.checked(tuple(part.strip() for part in text.split(",") if part.strip()))

  def checked(self, value: Any) -> Any:
    """A value as the setting has it, if it may have it.

    Raises:
      ValueError: says what it must be.
    """
    if value is None and self.optional:
      return None
    items = tuple(value) if self.many and isinstance(value, (tuple, list)) else (value,)
    if not all(_is_of(item, self.kind) for item in items) or (
        self.many and not isinstance(value, (tuple, list))):
      raise ValueError(f"--{self.name} must be of type {self.type_name}, got {value!r}.")
    items = tuple(self.kind(item) for item in items)
    if self.choices is not None and not set(items) <= set(self.choices):
      raise ValueError(
          f"--{self.name}: value should be one of <{'|'.join(self.choices)}>, got {value!r}.")
    if self.is_path:
      items = tuple(os.fspath(paths.expand(item)) if item else item for item in items)
    if self.absolute:
      items = tuple(item and os.path.abspath(item) for item in items)
    return items if self.many else items[0]

  @property
  def type_name(self) -> str:
    """The type, in words."""
    name = f"list of {self.kind.__name__}" if self.many else self.kind.__name__
    return f"{name} or {NONE}" if self.optional else name

  def show(self, value: Any) -> str:
    """A value as it is written on the command line."""
    if value is None:
      return NONE
    return ",".join(map(str, value)) if self.many else str(value)


_LEAVES: dict[Any, dict[str, Leaf]] = {}  # of classes that were asked for


def leaves(config_class: type[Any]) -> dict[str, Leaf]:
  """The settings of a class by name, those of its own first."""
  if config_class not in _LEAVES:
    found = sorted(_walk(config_class, config_class(), ()), key=lambda leaf: len(leaf.path) > 1)
    names = [leaf.name for leaf in found]
    if twice := {name for name in names if names.count(name) > 1}:
      raise TypeError(f"{config_class.__name__} has two settings called {', '.join(twice)}.")
    _LEAVES[config_class] = dict(zip(names, found))
  return dict(_LEAVES[config_class])


def _walk(config_class: type[Any], defaults: Any, path: tuple[str, ...]) -> Iterator[Leaf]:
  hints = typing.get_type_hints(config_class)
  documented = _documented(config_class)
  for field in dataclasses.fields(config_class):
    default, metadata = getattr(defaults, field.name), field.metadata
    if dataclasses.is_dataclass(hints[field.name]):
      helps = metadata.get("helps", {})
      for leaf in _walk(type(default), default, (*path, field.name)):
        if leaf.name not in metadata.get("fixed", ()):
          yield dataclasses.replace(leaf, help=helps.get(leaf.name, leaf.help))
      continue
    kind, many, optional = _type_of(hints[field.name])
    yield Leaf(
        field.name, (*path, field.name), kind, many, optional, default,
        metadata.get("help") or documented[field.name], metadata.get("choices"),
        metadata.get("path", False), metadata.get("absolute", False),
        (inspect.getdoc(config_class) or "").splitlines()[0])


def _type_of(hint: Any) -> tuple[type, bool, bool]:
  """Of an annotation: the type of a value or item, whether it is a tuple, or may be None."""
  optional = False
  if typing.get_origin(hint) in (types.UnionType, typing.Union):
    (hint,) = (part for part in typing.get_args(hint) if part is not type(None))
    optional = True
  many = typing.get_origin(hint) is tuple
  return (typing.get_args(hint)[0] if many else hint), many, optional


def _documented(config_class: type[Any]) -> dict[str, str]:
  """The entries of the docstring's "Attributes:", with a capital and a full stop."""
  _, _, attributes = (inspect.getdoc(config_class) or "").partition("Attributes:\n")
  entries = re.findall(r"^  (\w+): (.*(?:\n    .*)*)", attributes, re.MULTILINE)
  return {name: _as_written(_sentence(" ".join(text.split()))) for name, text in entries}


def _sentence(text: str) -> str:
  return text[:1].upper() + text[1:].removesuffix(".") + "."


def _as_written(text: str) -> str:
  """What Python calls None by its name on the command line."""
  return re.sub(r"\bNone\b", NONE, text)


def build(config_class: type[AnyConfig], **flat: Any) -> AnyConfig:
  """Settings that differ from the defaults in these values, by name.

  A text stands for what it does on the command line. Of a class with a setting `method` the
  settings of that method come before its defaults.

  Raises:
    ValueError: an unknown name, or a value that a setting may not have.
  """
  known = leaves(config_class)
  if METHOD in known:
    flat = {**methods.method(flat.get(METHOD, known[METHOD].default)), **flat}
  return replace(config_class(), **flat)


def defaults(config_class: type[Any], method: str | None = None) -> dict[str, Any]:
  """The values of all settings, by name, if none is given but the method.

  Args:
    config_class: whose settings.
    method: from which others follow; None for its default, which the result has in any case.
  """
  values = flat(build(config_class, **({} if method is None else {METHOD: method})))
  if METHOD in values:
    values[METHOD] = leaves(config_class)[METHOD].default
  return values


def defaults_of(config: Any) -> dict[str, Any]:
  """The values of all settings, by name, if none had been given but the method of these."""
  return defaults(type(config), flat(config).get(METHOD))


def replace(config: AnyConfig, **flat: Any) -> AnyConfig:
  """The same settings but for these, by name; see `build`."""
  known = leaves(type(config))
  if unknown := flat.keys() - known.keys():
    raise ValueError(f"There is no setting called {', '.join(sorted(unknown))}.")
  tree: dict[str, Any] = {}
  for name, value in flat.items():
    leaf = known[name]
    textual = isinstance(value, str) and (leaf.many or leaf.kind is not str)
    place = tree
    for part in leaf.path[:-1]:
      place = place.setdefault(part, {})
    place[leaf.path[-1]] = leaf.parse(value) if textual else leaf.checked(value)
  try:
    return _replaced(config, tree)
  except ValueError as error:  # of a dataclass that looks at its fields itself
    flag = "--" if str(error).split(" ", 1)[0] in known else ""
    raise ValueError(f"{flag}{_as_written(str(error))}") from None


def _replaced(config: Any, tree: Mapping[str, Any]) -> Any:
  return dataclasses.replace(config, **{
      name: _replaced(getattr(config, name), value) if isinstance(value, dict) else value
      for name, value in tree.items()})


def flat(config: Any) -> dict[str, Any]:
  """The values of all settings, by name."""
  return {
      name: functools.reduce(getattr, leaf.path, config)
      for name, leaf in leaves(type(config)).items()}


def preset(config_class: type[AnyConfig], name: str, **changes: Any) -> AnyConfig:
  """The settings of a preset, with changes.

  Args:
    config_class: settings whose class attribute `PRESETS` maps names to values that differ
      from the defaults.
    name: one of them, or "paper" for the defaults.
    **changes: settings that go before those of the preset.

  Raises:
    ValueError: there is no such preset, or a bad value.
  """
  known = presets(config_class)
  if name not in known:
    raise ValueError(f"Unknown preset {name!r}; use one of {', '.join(known)}.")
  return build(config_class, **{**known[name], **changes})


def presets(config_class: type[Any]) -> dict[str, Mapping[str, Any]]:
  """What a class offers to start from, by name."""
  return {PAPER: {}, **getattr(config_class, "PRESETS", {})}


def is_count(text: str) -> bool:
  """Whether a part of a flag, as of 1000/10/100, is a positive whole number of a sensible size."""
  return text.isdecimal() and len(text) <= _MOST_COUNT_DIGITS and int(text) > 0


def require_types(
    config_class: type[Any], saved: Mapping[str, Any], directory: str | os.PathLike) -> None:
  """Refuses the settings of a damaged or foreign config.json.

  Raises:
    ValueError: names the first one.
  """
  known = leaves(config_class)
  for name in saved.keys() & known.keys():
    leaf, value = known[name], saved[name]
    items = value if leaf.many and isinstance(value, list) else [value]
    if not (value is None and leaf.optional) and not all(
        _is_of(item, leaf.kind) for item in items):
      shown = files.shortened(repr(value))
      raise ValueError(
          f"'{pathlib.Path(directory) / 'config.json'}' has {name} = {shown}, which must "
          f"be of type {leaf.type_name}: put a copy of the file back, or start a new run.")


def require_positive(config: Any, *names: str) -> None:
  """Refuses settings in which one of these is below 1; None is not.

  Raises:
    ValueError: names the flag and its value.
  """
  values = flat(config)
  for name in names:
    if values[name] is not None and values[name] < 1:
      raise ValueError(f"--{name} must be at least 1, got {values[name]}.")


def numbers(name: str, text: str) -> tuple[int, ...]:
  """The value of a flag that lists numbers with commas between them.

  Raises:
    ValueError: something else, no number, one below 1, or one twice.
  """
  try:
    parts = [whole(part) for part in text.split(",")]
  except ValueError:
    parts = []
  if not parts or min(parts) < 1 or len(set(parts)) < len(parts):
    raise ValueError(
        f"--{name} must list different numbers from 1 with commas between them, as in 1,10; got "
        f"'{text}'.")
  return tuple(parts)


def whole(text: str) -> int:
  """A whole number of the command line, 1000 or 1e3.

  Raises:
    ValueError: something else; the message follows the text itself.
  """
  try:
    number = decimal.Decimal(text.strip())
    if number.is_finite() and number.adjusted() < _MOST_DIGITS and number == int(number):
      return int(number)
  except decimal.InvalidOperation:
    pass
  raise ValueError("it must be a whole number, as 1000 or 1e3")


def choices(name: str, text: str, known: Sequence[str]) -> tuple[str, ...]:
  """The value of a flag that lists some of the known names with commas between them.

  Raises:
    ValueError: another name, or one twice.
  """
  parts = [part.strip() for part in text.split(",")]
  if not set(parts) <= set(known) or len(set(parts)) < len(parts):
    raise ValueError(
        f"--{name} must list some of {','.join(known)} with commas between them; got '{text}'.")
  return tuple(parts)


def _parse_one(kind: type, text: str) -> Any:
  if kind is bool:
    words = {"true": True, "1": True, "false": False, "0": False}
    if text.lower() not in words:
      raise ValueError("it must be true or false")
    return words[text.lower()]
  if kind is int:
    return whole(text)
  if kind is float:
    try:
      return float(text)
    except ValueError:
      raise ValueError("it must be a number, as 0.5 or 1e-3") from None
  return text


def _is_of(value: Any, kind: type) -> bool:
  """Whether a value is of a type; a whole number is a number, and nothing else is a bool."""
  if isinstance(value, bool) or kind is bool:
    return isinstance(value, bool) and kind is bool
  kinds: dict[type, Any] = {
      float: number_types.Real, int: number_types.Integral, str: (str, os.PathLike)}
  return isinstance(value, kinds[kind])
