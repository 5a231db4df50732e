"""Motifs: found in the paper's programs, gone when their instruction is taken out."""

import re

import numpy as np
import pytest

from azero.insight import motifs
from azero.insight.motifs import MEAN_RATE, NOISY_RELU, RATE_DECAY
from azero.insight.terms import Terms
from azero.language import text, zoo
from azero.language.program import Function

_OWN = {"s2a": NOISY_RELU, "s2b": RATE_DECAY, "s2c": MEAN_RATE}


def _names(source, *, multiclass=False, **settings):
  program = text.parse(source, num_features=8, multiclass=multiclass)
  return [motif.name for motif in motifs.find_motifs(program, multiclass=multiclass, **settings)]


def _changed(name, *changes):
  """The text of a program of the zoo with lines replaced, each exactly once."""
  source = zoo.source(name)
  for old, new in changes:
    source, count = re.subn(rf"^  {re.escape(old)}$", f"  {new}" if new else "", source, flags=re.M)
    assert count == 1, old
  return source


@pytest.mark.parametrize("name", zoo.names())
def test_each_program_of_the_paper_has_its_motif_and_no_other(name):
  found = _names(zoo.source(name), multiclass=zoo.is_multiclass(name))
  assert found == ([_OWN[name]] if name in _OWN else [])


@pytest.mark.parametrize("name, lines", [
    ("s2a", {("PREDICT", 6), ("PREDICT", 1), ("LEARN", 4)}),
    ("s2b", {("SETUP", 1), ("LEARN", 3), ("LEARN", 14)}),
    ("s2c", {("PREDICT", 1), ("PREDICT", 16), ("LEARN", 4), ("LEARN", 14), ("LEARN", 24)})])
def test_a_motif_names_its_instructions(name, lines):
  program = zoo.load(name, 8)
  motif, = motifs.find_motifs(program, multiclass=zoo.is_multiclass(name))
  places = {(place.function.name, place.line): place.text for place in motif.places}
  assert lines <= places.keys()
  function_lines = text.format_program(program).split("def ")[1:]
  for (function, line), shown in places.items():
    assert function_lines[Function[function]].splitlines()[line].strip() == shown
  assert any(shown in motif.why for shown in places.values())


@pytest.mark.parametrize("name, changes", [
    # Noise goes out, is frozen in one value, or is drawn in Setup once for all.
    ("s2a", [("v5 = gaussian(-0.48, 0.48)", ""), ("v1 = gaussian(-0.50, 0.41)", "")]),
    ("s2a", [("v5 = gaussian(-0.48, 0.48)", "v5 = gaussian(-0.48, 0)"),
             ("v1 = gaussian(-0.50, 0.41)", "v1 = gaussian(-0.50, 0)")]),
    ("s2a", [("v5 = gaussian(-0.48, 0.48)", ""), ("v1 = gaussian(-0.50, 0.41)", ""),
             ("s3 = 4.0e-3", "s3 = 4.0e-3\n  v5 = gaussian(-0.48, 0.48)")]),
    # No rectifier: the noise is still there.
    ("s2a", [("v4 = maximum(v3, v7)", "v4 = v3 + v7")]),
    # The rate stays as it is, grows, or does not scale the update.
    ("s2b", [("s3 = arctan(s3)", "")]),
    ("s2b", [("s3 = arctan(s3)", "s3 = tan(s3)")]),
    ("s2b", [("s3 = arctan(s3)", "s3 = abs(s3)")]),
    ("s2b", [("s4 = s3 * s4", "")]),
    # A rate that follows the error is none that decays by itself.
    ("s2b", [("s3 = arctan(s3)", "s3 = s3 * s4")]),
    ("s2c", [("s1 = mean(m1)", "")]),
    ("s2c", [("s1 = mean(m1)", "s1 = std(m1)")]),
    ("s2c", [("s1 = mean(m1)", "s1 = mean(m7)")]),  # no weight: only made of constants
    ("s2c", [("v8 = s1 * v8", "")])])
def test_knocked_out_it_is_gone(name, changes):
  assert _names(_changed(name, *changes), multiclass=zoo.is_multiclass(name)) == []


def test_one_source_of_noise_is_enough():
  assert _names(_changed("s2a", ("v5 = gaussian(-0.48, 0.48)", ""))) == [NOISY_RELU]
  assert _names(_changed("s2a", ("v1 = gaussian(-0.50, 0.41)", ""))) == [NOISY_RELU]


_NETWORK = zoo.source("plain_nn")


@pytest.mark.parametrize("old, new, expected", [
    ("  v4 = maximum(v3, v5)", "  v9 = uniform(-0.1, 0.1)\n  v3 = v3 + v9\n  v4 = maximum(v3, v5)",
     [NOISY_RELU]),
    # Noise on the input is another motif, as is noise behind the rectifier.
    ("  v3 = dot(m0, v0)", "  v9 = gaussian(0, 0.1)\n  v9 = v9 + v0\n  v3 = dot(m0, v9)", []),
    ("  s1 = dot(v4, v2)", "  v9 = gaussian(0, 0.1)\n  v9 = v9 + v4\n  s1 = dot(v9, v2)", []),
    # Noisy weights are no noisy activations.
    ("  m0 = m0 + m1", "  m0 = m0 + m1\n  m2 = gaussian(0, 0.001)\n  m0 = m0 + m2", []),
    ("  s4 = s0 - s1", "  s5 = 0.99\n  s3 = s3 * s5\n  s4 = s0 - s1", [RATE_DECAY]),
    ("  m0 = m0 + m1", "  m0 = m0 + m1\n  s3 = mean(v2)\n  s3 = exp(s3)", [MEAN_RATE]),
    # One over the number of examples.
    ("  s4 = s3 * s4", "  s6 = s6 + s3\n  s7 = 1 / s6\n  s4 = s7 * s4", [RATE_DECAY]),
])
def test_knocked_in_it_is_there(old, new, expected):
  assert _NETWORK.count(old + "\n") == 1
  source = _NETWORK.replace(old + "\n", new + "\n")
  if "s5 = 0.99\n  s3" in new:  # only Setup may write it, for the rate to shrink
    source = source.replace("  s5 = 0.99\n", "").replace("  s3 = 0.01", "  s3 = 0.01\n  s5 = 0.99")
  assert _names(source) == expected


def _scheduled(step, after):
  """The network with other steps, and a line that changes what they are scaled by."""
  source = _changed(
      "plain_nn", ("s4 = s3 * s4", f"{step}\n  {after}"),
      ("s3 = 0.01  # learning rate", "s3 = 0.5\n  s5 = 0.99\n  s6 = 0.02"))
  return text.parse(source, num_features=8)


@pytest.mark.parametrize("step, after, expected, moves", [
    ("s4 = s4 / s3", "s3 = s3 + s6", [RATE_DECAY], "divides an update of weights"),
    ("s4 = s4 / s3", "s3 = s3 * s5", [], ""),  # a divisor that shrinks: the steps grow
    ("s7 = 1 / s3\n  s4 = s7 * s4", "s3 = s3 * s5", [], ""),
    ("s7 = 1 / s3\n  s4 = s4 / s7", "s3 = s3 * s5", [RATE_DECAY], "scales an update of weights")])
def test_a_divisor_has_to_grow(step, after, expected, moves):
  found = motifs.find_motifs(_scheduled(step, after))
  assert [motif.name for motif in found] == expected
  assert all(moves in motif.why for motif in found)


def test_a_divisor_is_held_where_the_rate_is_at_its_mean():
  motif, = motifs.find_motifs(_scheduled("s4 = s4 / s3", "s3 = s3 + s6"), num_examples=100)
  edit, = motif.edits
  assert edit.value == pytest.approx(1 / np.mean(1 / (0.5 + 0.02 * np.arange(1, 100))), rel=1e-5)


def test_the_watched_rate_is_the_iterated_arctan():
  program = zoo.load("s2b", 8)
  own = Terms(program).flow
  reader = next(k for k, each in enumerate(own.instructions) if each.text == "s4 = s3 * s4")
  watched = own.observe(reader, 0, 50)
  expected = [0.37]
  for _ in range(49):
    expected.append(np.arctan(expected[-1]))
  np.testing.assert_allclose(watched, expected, rtol=1e-4)


def test_a_slow_decay_is_seen_over_more_examples_only():
  source = _changed("s2b", ("s3 = 0.37", "s3 = 0.05"))
  assert _names(source, num_examples=300) == []
  assert _names(source, num_examples=4000) == [RATE_DECAY]


def test_bad_input_is_refused():
  with pytest.raises(ValueError, match="at least 2"):
    motifs.find_motifs(zoo.load("plain_nn"), num_examples=1)
  with pytest.raises(ValueError, match="One program"):
    motifs.find_motifs(zoo.load("plain_nn")[[0, 0]])


_DECAYING = """
def Setup():
  m1 = gaussian(0, 0.1)
  s3 = 0.1
  v4 = gaussian(0, 0.1)
  s7 = 0.99
def Predict():
  v6 = dot(m1, v0)
  v7 = maximum(v6, v5)
  s1 = dot(v7, v4)
def Learn():
  v3 = heaviside(v6)
  s1 = s0 - s1
  {rate}
  s2 = s1 * s3
  v2 = s2 * v3
  v3 = v2 * v4
  m0 = outer(v3, v0)
  m1 = s7 * m1
  v4 = s7 * v4
  m1 = m1 + m0
  v4 = v2 + v4
"""


@pytest.mark.parametrize("rate, expected", [
    ("", []),  # weights decay, not the rate
    ("s3 = s3 * s7", [RATE_DECAY]),
    ("s3 = mean(m1)", [MEAN_RATE]),
    ("s3 = mean(m0)", [])])  # of what was added last
def test_weight_decay_hides_no_motif(rate, expected):
  assert _names(_DECAYING.format(rate=rate)) == expected
