"""The progress plot shows every island and explains the jumps of the best one."""

import pytest

import azero
from azero.insight import discoveries
from azero.insight.plots import progress_plot
from azero.search.worker import Improvement

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
  assert {text.get_text() for text in axes.get_legend().get_texts()} == {
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
