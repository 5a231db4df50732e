"""Digests of ops and mutations: what counts and what does not; runs are resumed with theirs."""

import functools
import subprocess
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from support.search_cases import FIXED, config, tasks
from support.toy_evaluator import ToyEvaluator

from azero.language import ops, own_ops
from azero.language.program import Component, SearchSpace
from azero.runs import rule_digest
from azero.runs.directory import RunDirectory, settings_of
from azero.search.evolution import Evolution
from azero.search.groups.federation import Federation, Group
from azero.search.proposals import mutation
from azero.search.random_search import RandomSearch


def _defined(code: str) -> dict:
  scope = {"__name__": "mine", "jnp": jnp, "jax": jax, "functools": functools, "np": np}
  exec(code, scope)
  return scope


def _digest(code: str, **row) -> str:
  """Of a rule that is defined by this code."""
  op = ops.Op(**({
      "id": 65, "name": "own", "inputs": (ops.Kind.SCALAR,), "output": ops.Kind.SCALAR,
      "rule": _defined(code)["rule"], "text": "{out} = own({a})"} | row))
  return rule_digest.of_op(op)


_OBJECT = (
    "class Rate:\n  def __init__(self, k): self.k, self.me = k, self\n"
    "k = {}\ndef rule(a): return k.k * a")
_RULE = "def rule(a): return jnp.maximum(a, 0.1 * a)"


@pytest.mark.parametrize("same", [
    "def rule(b):\n  # a comment\n  return jnp.maximum(b, 0.1 * b)",
    "\n\ndef rule(a):\n  'Says what it is.'\n  return jnp.maximum(a, 0.1 * a)",
    "rule = lambda x: jnp.maximum(x, 0.1 * x)",
])
def test_what_does_not_count(same):
  assert _digest(same) == _digest(_RULE)
  assert len(_digest(_RULE)) == 16


@pytest.mark.parametrize(("one", "other"), [
    (_RULE, "def rule(a): return jnp.maximum(a, 0.2 * a)"),
    (_RULE, "def rule(a): return jnp.minimum(a, 0.1 * a)"),
    (_RULE, "def rule(a): return jnp.maximum(0.1 * a, a)"),
    ("k = 2\ndef rule(a): return k * a", "k = 3\ndef rule(a): return k * a"),
    ("k = np.arange(3.)\ndef rule(a): return k * a", "k = np.ones(3)\ndef rule(a): return k * a"),
    (_OBJECT.format("Rate(0.1)"), _OBJECT.format("Rate(0.2)")),
    ("k = slice(2)\ndef rule(a): return a[k]", "k = slice(3)\ndef rule(a): return a[k]"),
    ("def f(a): return a + 1\ndef rule(a): return f(a)",
     "def f(a): return a - 1\ndef rule(a): return f(a)"),
    ("def rule(a):\n  f = lambda b: b + 1\n  return f(a)",
     "def rule(a):\n  f = lambda b: b + 2\n  return f(a)"),
    ("def make(k):\n  return lambda a: a * k\nrule = make(1)",
     "def make(k):\n  return lambda a: a * k\nrule = make(2)"),
    ("def rule(a, k=1): return a * k", "def rule(a, k=2): return a * k"),
    ("def f(a, k): return a * k\nrule = functools.partial(f, k=1)",
     "def f(a, k): return a * k\nrule = functools.partial(f, k=2)"),
    ("rule = jax.jit(lambda a: a + 1)", "rule = jax.jit(lambda a: a + 2)"),
    ("rule = jnp.sin", "rule = jnp.cos"),
    ("class R:\n  k = 0\n  def __init__(self, k): self.k = k\n"
     "  def __call__(self, a): return self.k * a\nrule = R(1)",
     "class R:\n  k = 0\n  def __init__(self, k): self.k = k\n"
     "  def __call__(self, a): return self.k * a\nrule = R(2)"),
])
def test_what_counts(one, other):
  assert _digest(one) == _digest(one)
  assert _digest(one) != _digest(other)


def test_objects_count_by_their_fields_and_not_by_where_they_lie():
  keep = []  # so that the second one lies elsewhere
  for _ in range(2):
    keep.append(_digest(_OBJECT.format("Rate(0.1)")))
  assert keep[0] == keep[1]


def test_rules_that_call_themselves_end():
  code = "def f(a, n): return a if n == 0 else f(a * {}, n - 1)\ndef rule(a): return f(a, 3)"
  assert _digest(code.format(2)) == _digest(code.format(2)) != _digest(code.format(3))


def test_the_row_counts_but_not_its_spelling():
  plain = _digest(_RULE)
  assert _digest(_RULE, text="{out} = leaky({a})", name="leaky", id=66) == plain
  assert _digest(_RULE, elementwise=True) != plain
  assert _digest(_RULE, work=(2.0, 0)) != plain


def test_another_process_finds_the_same():
  script = (
      "import jax.numpy as jnp\nfrom azero.language import own_ops\n"
      "from azero.runs import rule_digest\n"
      f"{_RULE}\nop = own_ops.register_op('own_leaky', 's', 's', rule)\n"
      "print(rule_digest.of_op(op))")
  found = {
      subprocess.run([sys.executable, "-c", script], text=True, capture_output=True, check=True,
                     env={"PYTHONHASHSEED": seed, "PYTHONPATH": ":".join(sys.path)}).stdout
      for seed in ("1", "2")}
  assert found == {_digest(_RULE) + "\n"}


def test_a_run_is_not_continued_with_another_rule(tmp_path):
  def search(rule):
    op = own_ops.register_op("vector_leaky", "v", "v", rule)
    allowed = Component((op.id, 27), 2, 2)
    return RandomSearch(
        SearchSpace(2, 3, 1, 4, allowed, allowed, allowed), tasks(),
        config(max_programs=10, executor="interpreter"))

  leaky = settings_of(search(lambda a: jnp.maximum(a, 0.1 * a)))
  assert leaky["own_ops"].keys() == {"vector_leaky"}
  RunDirectory(tmp_path / "run", leaky)
  RunDirectory.open(tmp_path / "run", settings_of(search(lambda x: jnp.maximum(x, 0.1 * x))))
  with pytest.raises(ValueError, match="begun with another rule of vector_leaky than the one"):
    RunDirectory.open(tmp_path / "run", settings_of(search(lambda a: jnp.maximum(a, 0.5 * a))))


_MUTATION = """
from azero.search.draws import pick
def helper(programs, i): programs.in1[i, 0] = 1
def rule(programs, i, function, space, stream):
  if pick(stream, 2): helper(programs, i)
"""


def test_digests_of_mutations():
  plain = rule_digest.of_mutation(_defined(_MUTATION)["rule"])
  assert len(plain) == 16
  for same in (_MUTATION.replace("stream", "draws"), _MUTATION.replace("\ndef", "\n\ndef")):
    assert rule_digest.of_mutation(_defined(same)["rule"]) == plain
  for other in (_MUTATION.replace("= 1", "= 2"), _MUTATION.replace("m, 2", "m, 3"),
                _MUTATION.replace("draws import pick", "draws import uniform as pick")):
    assert rule_digest.of_mutation(_defined(other)["rule"]) != plain
  compiled = _defined(_MUTATION.replace("def rule", "import numba\n@numba.njit\ndef rule"))
  assert rule_digest.of_mutation(compiled["rule"]) == plain


def test_a_run_is_not_continued_with_another_mutation(tmp_path, monkeypatch):
  for name in ("_OWN", "_own_functions"):  # what is registered here is gone afterwards
    monkeypatch.setattr(mutation, name, dict(getattr(mutation, name)))

  def settings(k):
    def swap(programs, i, function, space, stream):
      programs.in1[i, 0] = k

    mutation.register_mutation("swap", swap)
    mutations = ("alter", "swap")
    groups = [Group(
        name="one", space=FIXED, task_sets=tasks(),
        config=config(mutations=mutations, max_programs=10), evaluator=ToyEvaluator)]
    return [
        settings_of(Evolution(
            FIXED, tasks(), config(mutations=mutations), evaluator=ToyEvaluator)),
        settings_of(Federation(groups))]

  for name, before, same, other in zip("ab", settings(1), settings(1), settings(2)):
    RunDirectory(tmp_path / name, before)
    RunDirectory.open(tmp_path / name, same)
    with pytest.raises(ValueError, match="begun with another rule of swap than the one"):
      RunDirectory.open(tmp_path / name, other)
