"""Pictures: progress of every island with the jumps of the best one, discoveries of methods."""

import numpy as np
import pytest

import azero
from azero.insight import discoveries
from azero.insight.plots import discovery_plot, progress_plot
from azero.insight.survival import Times
from azero.search.threads import Improvement

_SPACE = azero.spaces.demo()


def _program(predict, learn="s1 = s2 * s3"):
  return azero.parse(f"def Predict():\n  {predict}\ndef Learn():\n  {learn}\n", _SPACE)


_FIRST = _program("s1 = dot(v0, v0)")
_SECOND = _program("s1 = dot(v0, v1)", "v1 = v0 + v1")
_IMPROVEMENTS = [
    Improvement(0, 0.3, 100, 10, _FIRST), Improvement(1, 0.4, 120, 12, _FIRST),
    Improvement(0, 0.9, 900, 90, _SECOND)]


def test_new_instructions_are_the_live_ones_that_were_not_there():
  assert discoveries.new_instructions(None, _FIRST) == ["s1 = dot(v0, v0)"]
  assert discoveries.new_instructions(_FIRST, _SECOND) == ["s1 = dot(v0, v1)", "v1 = v0 + v1"]
  assert discoveries.new_instructions(_SECOND, _SECOND) == []


@pytest.mark.parametrize("metric", ["rms", "accuracy"])
def test_curves_references_and_callouts(metric):
  figure = progress_plot.plot_progress(
      _IMPROVEMENTS, metric=metric, title="A title", references={"linear": 0.8}, num_programs=200)
  (axes,) = figure.axes
  assert axes.get_title(loc="left") == "A title"
  assert {text.get_text() for text in axes.figure.legends[0].get_texts()} == {
      "best island", "other islands", "linear"}
  best = next(line for line in axes.lines if line.get_label() == "best island")
  assert list(best.get_xdata()) == [10, 90, 200]
  heights = [0.3, 0.9, 0.9] if metric == "accuracy" else [0.7, 0.1, 0.1]
  assert list(best.get_ydata()) == pytest.approx(heights)
  texts = [text.get_text() for text in axes.texts]
  assert "1" in texts and any("v1 = v0 + v1" in text for text in texts)


def test_a_picture_is_a_png_for_jupyter():
  figure = progress_plot.plot_progress(_IMPROVEMENTS, metric="accuracy")
  assert figure._repr_png_()[:4] == b"\x89PNG"


def test_nothing_to_plot_is_an_error():
  with pytest.raises(ValueError, match="has not evaluated a program yet"):
    progress_plot.plot_progress([], metric="rms")


def _method(name, spent, success):
  return discovery_plot.Method(
      name, Times(spent, success), np.array([10.0, 100.0]), np.array([0.2, 0.8]))


def test_discovery_shows_who_succeeded_and_who_was_broken_off():
  methods = [_method("old", [30, 60, 90], [True, False, True]), _method("new", [20.0], [True])]
  figure = discovery_plot.plot_discovery(
      [discovery_plot.Panel(f"problem {k}", methods, 0.7) for k in range(3)])
  left, right = figure.axes[:2]
  old, ticks, new, _ = left.get_lines()
  assert old.get_xdata()[1:].tolist() == [30, 90, 90]
  assert old.get_ydata() == pytest.approx([0, 1 / 3, 1, 1])
  assert (ticks.get_xdata().tolist(), ticks.get_ydata()) == ([60], [pytest.approx(1 / 3)])
  assert new.get_ydata().tolist() == [0, 1, 1] and new.get_color() != old.get_color()
  assert [line.get_ydata()[-1] for line in right.get_lines()] == [0.8, 0.8, 0.7]  # and the goal
  assert [text.get_text() for text in figure.legends[0].get_texts()] == ["old", "new"]
  assert [axes.axison for axes in figure.axes] == [True] * 6 + [False] * 2
  with pytest.raises(ValueError, match="no search has ended yet"):
    discovery_plot.plot_discovery([])
