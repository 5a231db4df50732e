"""Imports that load when first used, so that flags and `--help` wait for no JAX.

A module of the experiments states at its top what it needs, as modules do:

    with lazy.imports():
      from azero.insight import statistics

`statistics` is loaded when one of its attributes is asked for, in place, by the standard
library's `LazyLoader`. So the block imports modules, not names from them; classes that stand
in annotations alone come from a block under `TYPE_CHECKING`.
"""

from collections.abc import Iterator, Sequence
import contextlib
import importlib.abc
import importlib.machinery
import importlib.util
import sys
import types

_ROOTS = ("azero.", "experiments.")


class _LazyFinder(importlib.abc.MetaPathFinder):
  """Finds modules of the known packages as the usual finder does, to be loaded later."""

  def find_spec(
      self, fullname: str, path: Sequence[str] | None, target: types.ModuleType | None = None
  ) -> importlib.machinery.ModuleSpec | None:
    if not fullname.startswith(_ROOTS):
      return None
    spec = importlib.machinery.PathFinder.find_spec(fullname, path, target)
    # A package is loaded at once: to ask it for a module would load it anyway.
    if spec is None or spec.loader is None or spec.submodule_search_locations is not None:
      return None
    spec.loader = importlib.util.LazyLoader(spec.loader)
    return spec


@contextlib.contextmanager
def imports() -> Iterator[None]:
  """Within the block, `from package import module` only notes where the module is."""
  finder = _LazyFinder()
  sys.meta_path.insert(0, finder)
  try:
    yield
  finally:
    sys.meta_path.remove(finder)
