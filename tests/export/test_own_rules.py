"""Ops of the user's own in exported files: by their source where that can be, else refused."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import azero
from azero import export
from azero.export import array_files
from azero.language import ops

_SCALE = 1.7
_NEGATIVE = -1.5
_ROOT = np.sqrt(2.0)  # no float of Python's own
_NAN = float("nan")


def _softplus(a):
  """A rule with a docstring, statements and a global number."""
  shifted = jnp.abs(a) * _SCALE
  return jnp.log(1 + jnp.exp(-shifted)) + math.pi


def _scaled_by(number):
  return lambda a, scale=number, *, negative=-number: a * scale + negative**2


def _with_hints(a: jax.Array, scale: float = 3.0) -> jax.Array:
  half: jax.Array = a / 2
  other: float
  other = scale
  return half * other


@pytest.fixture(autouse=True)
def own_ops():
  """Takes out what a test registers."""
  before = len(ops.all_ops())
  yield
  for op in ops.all_ops()[:before - 1 : -1]:
    ops.take_out(op)


def _program(name):
  return azero.parse(
      f"def Setup():\ndef Predict():\n  v1 = {name}(v0)\n  s1 = mean(v1)\ndef Learn():",
      num_features=4)


def _rows():
  return np.random.default_rng(0).standard_normal((3, 4)).astype(np.float32)


@pytest.mark.parametrize("rule", [
    jnp.tanh, _softplus, lambda a: jnp.maximum(a, 0.5) * 2, lambda a: jax.numpy.sign(a),
    _scaled_by(2.0), _scaled_by(np.float64(3.0)), lambda a: a * _NEGATIVE**2,
    lambda a: a * _ROOT, lambda a: jnp.where(a > 9, _NAN, a), _with_hints])
def test_a_rule_of_jax_numpy_is_written_as_numpy_and_jax(rule):
  azero.register_op("own_rule_test", "v", "v", rule)
  program, x = _program("own_rule_test"), _rows()
  wanted = np.mean(rule(jnp.asarray(x)), axis=1)
  module = array_files.load(export.numpy_source(program))
  module.fit(x, np.zeros(3))
  np.testing.assert_allclose(module.predict(x), wanted, rtol=1e-5)
  functions = export.jax_functions(program)
  memory, _ = functions.fit(x, np.zeros(3))
  np.testing.assert_allclose(functions.predict(x, memory), wanted, rtol=1e-5)


def test_an_op_with_constants_noise_and_an_old_value():
  azero.register_op(
      "own_mix_test", "s", "v",
      lambda old, a, i, c, noise: old + a * c + noise * 0 + i.astype(a.dtype),
      constants=["index", "value"], noise="normal", updates_output=True)
  program = azero.parse(
      "def Setup():\n  s2 = 2.0\ndef Predict():\n  v1 = own_mix_test(s2, 3, 0.5)\n"
      "  s1 = mean(v1)\ndef Learn():", num_features=4)
  module = array_files.load(export.numpy_source(program))
  module.fit(_rows()[:0], np.zeros(0))
  np.testing.assert_allclose(module.predict(_rows()), [4, 8, 12])


def _closure():
  inner = np.ones(())
  return lambda a: a * inner


def _with_at(a):
  return a.at[0].set(1.0)


@pytest.mark.parametrize(("rule", "reason", "in_jax"), [
    (jax.nn.relu, "NumPy has no jax.nn.relu", True),
    (lambda a: jax.nn.softplus(a), "uses the module jax.nn", True),
    (_with_at, "as NumPy its rule fails", True),
    (_closure(), "uses inner of the function around it", False),
    (lambda a: _softplus(a), "uses the global _softplus", False),
    (lambda a, function=jnp.tanh: function(a), "the default of its argument function", False),
])
def test_what_cannot_be_written_is_refused_in_one_sentence(rule, reason, in_jax):
  azero.register_op("own_rule_test", "v", "v", rule)
  program = _program("own_rule_test")
  with pytest.raises(ValueError, match=f"Op 'own_rule_test' of your own .* NumPy: .*{reason}"):
    export.numpy_source(program)
  if in_jax:
    functions, x = export.jax_functions(program), _rows()
    memory, _ = functions.fit(x, np.zeros(3))
    wanted = np.mean([rule(jnp.asarray(row)) for row in x], axis=1)
    np.testing.assert_allclose(functions.predict(x, memory), wanted, rtol=1e-5)
  else:
    with pytest.raises(ValueError, match=f"for a file of JAX: .*{reason}"):
      export.jax_source(program)


def test_other_formats_know_an_op_of_your_own():
  azero.register_op("own_rule_test", "v", "v", jnp.tanh)
  program = _program("own_rule_test")
  assert export.from_json(export.json_text(program)) == program
  assert r"\operatorname{own\_rule\_test}" in export.latex(program)
  assert "own_rule_test(v0)" in export.diagram(program)
  with pytest.raises(ValueError, match="cannot be written as ONNX"):
    export.onnx_model(program, _rows(), np.zeros(3))
