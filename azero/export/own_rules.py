"""Rules of ops of the user's own as source text, for files that stand alone.

The text is found through `inspect`. What a rule may use beside its arguments: jax.numpy, `math`
and numbers, global ones or defaults of arguments; in a JAX file the rest of JAX, too. What is
written is tried out beside the rule itself first.
"""

import ast
import builtins
from collections.abc import Callable
import dataclasses
import inspect
import math
import textwrap
import types
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from azero.language.ops import Constant, Op

_HOMES = {"jnp": jnp, "jax.nn": jax.nn, "jax.lax": jax.lax, "jax.scipy.special":
          jax.scipy.special}


@dataclasses.dataclass(frozen=True)
class OwnRule:
  """A rule in a file.

  Attributes:
    call: the name or expression to call.
    source: the lines that define it; empty if it is a function of a library.
  """

  call: str
  source: str = ""


class _Refused(Exception):
  """Why a rule cannot be written."""


def own_rule(op: Op, library: str) -> OwnRule:
  """The rule of an op of the user's own in a file of a library.

  Args:
    op: the op.
    library: "np" or "jnp", as the file calls NumPy or jax.numpy.

  Raises:
    ValueError: the rule cannot be written so.
  """
  assert op.rule is not None
  try:
    rule = _of_library(op.rule, library) or _of_source(op, op.rule, library)
    _try(op, rule, library)
  except _Refused as reason:
    target = "NumPy" if library == "np" else "JAX"
    raise ValueError(
        f"Op '{op.name}' of your own cannot be written for a file of {target}: {reason}. Register "
        "it with a function that uses jax.numpy and its arguments alone.") from reason
  return rule


def _of_library(rule: Callable[..., Any], library: str) -> OwnRule | None:
  """A function of JAX itself."""
  name = getattr(rule, "__name__", "")
  for home, module in _HOMES.items():
    if getattr(module, name, None) is rule:
      if library == "jnp":
        return OwnRule(f"{home}.{name}")
      if home == "jnp" and hasattr(np, name):
        return OwnRule(f"np.{name}")
      raise _Refused(f"NumPy has no {home.replace('jnp', 'jax.numpy')}.{name}")
  return None


def _of_source(op: Op, rule: Callable[..., Any], library: str) -> OwnRule:
  """A function written in Python."""
  if not isinstance(rule, types.FunctionType):
    raise _Refused("its rule is no plain function")
  if rule.__closure__:
    raise _Refused(
        f"its rule uses {', '.join(rule.__code__.co_freevars)} of the function around it")
  function = _definition(rule)
  _fix_arguments(function.args, rule)
  function = _Globals(rule, library).visit(function)
  name = f"{op.name}_rule"
  if isinstance(function, ast.Lambda):
    arguments, body = ast.unparse(function.args), f"  return {ast.unparse(function.body)}"
  else:
    arguments = ast.unparse(function.args)
    statements = function.body
    if ast.get_docstring(function) is not None:
      statements = statements[1:]
    body = textwrap.indent("\n".join(map(ast.unparse, statements)), "  ")
  return OwnRule(name, f"def {name}({arguments}):\n{body}")


def _definition(rule: types.FunctionType) -> ast.Lambda | ast.FunctionDef:
  """The definition of a function in its source."""
  try:
    lines, _ = inspect.findsource(rule)
    tree = ast.parse("".join(lines))
  except (OSError, SyntaxError, TypeError) as error:
    raise _Refused("the source of its rule cannot be found") from error
  code = rule.__code__
  places = {*code.co_positions()}
  for node in ast.walk(tree):
    if isinstance(node, ast.Lambda) and rule.__name__ == "<lambda>":
      body = node.body
      if (body.lineno, body.end_lineno, body.col_offset, body.end_col_offset) in places:
        return node
    elif isinstance(node, ast.FunctionDef) and node.name == rule.__name__:
      first = node.decorator_list[0] if node.decorator_list else node
      if first.lineno == code.co_firstlineno:
        return node
  raise _Refused("the source of its rule cannot be found")


def _fix_arguments(arguments: ast.arguments, rule: types.FunctionType) -> None:
  """Leaves out type hints, and puts in the values that the defaults of arguments have."""
  every = [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs]
  for argument in every:
    argument.annotation = None
  names = [argument.arg for argument in every[: len(every) - len(arguments.kwonlyargs)]]
  values = rule.__defaults__ or ()
  arguments.defaults = [
      _default(name, value) for name, value in zip(names[len(names) - len(values) :], values)]
  of_keywords = rule.__kwdefaults__ or {}
  arguments.kw_defaults = [
      _default(each.arg, of_keywords[each.arg]) if each.arg in of_keywords else None
      for each in arguments.kwonlyargs]


def _default(name: str, value: Any) -> ast.expr:
  node = _number(value)
  if node is None:
    raise _Refused(f"the default of its argument {name} is no number")
  return node


def _number(value: Any) -> ast.expr | None:
  """A number as source text has it; None for anything else."""
  if isinstance(value, bool):
    return ast.Constant(value)
  if not isinstance(value, int | float):
    return None
  plain = int(value) if isinstance(value, int) else float(value)  # not np.float64
  if plain != plain:
    return ast.parse("float('nan')", mode="eval").body
  if math.copysign(1, plain) < 0:  # so that a power of it is put in parentheses
    return ast.UnaryOp(ast.USub(), ast.Constant(-plain))
  return ast.Constant(plain)


class _Globals(ast.NodeTransformer):
  """Puts the names of the file in place of the globals of a rule, and leaves out type hints."""

  def __init__(self, rule: types.FunctionType, library: str):
    code = rule.__code__
    self._globals, self._library = rule.__globals__, library
    self._local = set(code.co_varnames)
    if any(isinstance(constant, types.CodeType) for constant in code.co_consts):
      raise _Refused("its rule defines functions inside")

  def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.AST:
    node.returns = None
    return self.generic_visit(node)

  def visit_AnnAssign(self, node: ast.AnnAssign) -> ast.AST:
    if node.value is None:
      return ast.Pass()
    assign = ast.Assign([node.target], node.value)
    return self.generic_visit(ast.copy_location(assign, node))

  def visit_Attribute(self, node: ast.Attribute) -> ast.AST:
    path, base = [node.attr], node.value
    while isinstance(base, ast.Attribute):
      path, base = [base.attr, *path], base.value
    if not isinstance(base, ast.Name) or base.id in self._local:
      return self.generic_visit(node)
    module = self._globals.get(base.id)
    while isinstance(module, types.ModuleType) and path and isinstance(
        getattr(module, path[0], None), types.ModuleType):
      module, path = getattr(module, path[0]), path[1:]
    if not isinstance(module, types.ModuleType):
      return self.generic_visit(node)
    return ast.parse(".".join([self._module(module, path), *path]), mode="eval").body

  def _module(self, module: types.ModuleType, path: list[str]) -> str:
    """How the file calls a module."""
    if module is math:
      return "math"
    if module in (jnp, np):
      if self._library == "np" and not hasattr(np, path[0]):
        raise _Refused(f"NumPy has no {path[0]}")
      return self._library
    name = module.__name__
    if name.split(".")[0] == "jax" and self._library == "jnp":
      return name
    raise _Refused(f"its rule uses the module {name}")

  def visit_Name(self, node: ast.Name) -> ast.AST:
    if node.id in self._local or (
        node.id not in self._globals and hasattr(builtins, node.id)):
      return node
    number = _number(self._globals.get(node.id))
    if number is None:
      raise _Refused(f"its rule uses the global {node.id}")
    return number


def _try(op: Op, rule: OwnRule, library: str) -> None:
  """Runs the rule as it is written beside the rule itself, on numbers at F = 3.

  Raises:
    _Refused: it fails, or gives something else.
  """
  assert op.rule is not None and op.output is not None
  rng = np.random.default_rng(0)
  shape = op.output.shape(3)
  shapes = [shape] * op.updates_output + [kind.shape(3) for kind in op.inputs]
  is_numpy = library == "np"
  target = "NumPy" if is_numpy else "JAX"
  names: dict[str, Any] = {"math": math, **({"np": np} if is_numpy else {"jax": jax, "jnp": jnp})}
  for _ in range(3):
    arguments: list[Any] = [rng.standard_normal(each).astype(np.float32) for each in shapes]
    arguments += [
        np.int32(rng.integers(3)) if meaning is Constant.INDEX else np.float32(rng.random())
        for meaning in op.constants]
    if op.noise is not None:
      arguments.append(rng.random(shape).astype(np.float32))
    try:
      exec(rule.source, names)
      with np.errstate(all="ignore"):
        given = arguments if is_numpy else map(jnp.asarray, arguments)
        got = np.broadcast_to(np.asarray(eval(rule.call, names)(*given), np.float32), shape)
    except Exception as error:
      raise _Refused(f"as {target} its rule fails ({error})") from error
    wanted = np.broadcast_to(op.rule(*map(jnp.asarray, arguments)), shape)
    if not np.allclose(got, wanted, rtol=1e-4, atol=1e-5, equal_nan=True):
      raise _Refused(f"as {target} its rule gives other numbers")
