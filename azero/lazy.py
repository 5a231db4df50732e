"""What is loaded when it is first used: the public names of a package, and optional packages.

A search needs JAX, pictures need matplotlib, images need TensorFlow Datasets: each takes from
half a second to several. So `import azero` loads nothing but the list of its names.
"""

import ast
from collections.abc import Callable
import importlib
import importlib.util
import pathlib
import re
import sys
from typing import Any


class MissingPackageError(ImportError, ValueError):
  """An optional package is not installed; also a ValueError, which commands tell in one line."""


def attach_stub(
    package: str, file: str
) -> tuple[Callable[[str], Any], Callable[[], list[str]], list[str]]:
  """Makes the names of a package by its stub, each imported when it is first asked for.

  The stub, `__init__.pyi` beside `__init__.py`, is what type checkers and editors read, so
  that there is one list of names. Of it count `from module import name` and `__all__`.

  Args:
    package: its `__name__`.
    file: its `__file__`.

  Returns:
    The `__getattr__`, `__dir__` and `__all__` of the package.
  """
  homes: dict[str, str] = {}
  public: list[str] = []
  stub = pathlib.Path(file).with_suffix(".pyi").read_text(encoding="utf-8")
  for statement in ast.parse(stub).body:
    if isinstance(statement, ast.ImportFrom) and statement.module:
      homes |= {alias.name: statement.module for alias in statement.names}
    elif isinstance(statement, ast.Assign) and ast.unparse(statement.targets[0]) == "__all__":
      public = ast.literal_eval(statement.value)

  def get(name: str) -> Any:
    if name not in homes:
      raise AttributeError(f"module {package!r} has no attribute {name!r}")
    value = _load(homes[name], name, package)
    setattr(sys.modules[package], name, value)  # the next time it is found at once
    return value

  def names() -> list[str]:
    present = vars(sys.modules[package])
    return sorted({*public, *(name for name in present if re.fullmatch("__.*__", name))})

  return get, names, public


def _load(home: str, name: str, package: str) -> Any:
  """A name of a module, or a module in a package."""
  if home != package:
    module = importlib.import_module(home)
    if hasattr(module, name):
      return getattr(module, name)
  return importlib.import_module(f"{home}.{name}")


def require(package: str, *, extra: str, purpose: str, otherwise: str = "") -> None:
  """Refuses work for which an optional package is missing.

  Args:
    package: to be imported.
    extra: of azero that brings it.
    purpose: what needs it, as a subject in the plural.
    otherwise: one more sentence, on what works without it.

  Raises:
    MissingPackageError: it is not installed; says how to install it.
  """
  if importlib.util.find_spec(package) is None:
    sentence = f"{purpose} need the package {package}: pip install 'azero[{extra}]'."
    raise MissingPackageError(f"{sentence} {otherwise}".strip(), name=package)
