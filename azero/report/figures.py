"""The figures of a page, as Vega-Lite charts, each with a text that stands for it.

Colours have names here (styles), for which the page has a colour on light and on dark ground.
"""

from collections.abc import Mapping, Sequence
import dataclasses
from typing import Any

from azero.report.anatomy import Ablations
from azero.report.history import Front, Progress, Step
from azero.report.scores import Comparison, Residuals

# Of wheel and pointer: with shift the wheel zooms, so that without it the page scrolls.
_ZOOM = {
    "name": "zoom", "select": {"type": "interval", "zoom": "wheel![event.shiftKey]"},
    "bind": "scales"}
_PADDING, _ROW = 14, 46  # pixels
_REFERENCE = {"type": "text", "style": "reference_name", "limit": {"expr": "width"}}
_LOSSES = {"title": "fitness lost", "tickCount": 6}
_LOG: dict[str, Any] = {"type": "log", "nice": False, "padding": _PADDING}


@dataclasses.dataclass(frozen=True)
class Figure:
  """A figure.

  Attributes:
    key: unique on the page, an identifier.
    alt: what it shows, for those who do not see it.
    caption: what a reader should know.
    chart: Vega-Lite.
  """

  key: str
  alt: str
  caption: str
  chart: dict[str, Any]


def progress(found: Progress, steps: Sequence[Step] = ()) -> Figure:
  """Best fitness of islands over programs, with the steps that led to the program."""
  x = {"field": "programs", "type": "quantitative", "scale": _LOG,
       "axis": {"title": found.across, "format": "~s", "tickCount": 5}}
  y = _fitness_axis(found.title, found.metric, [point["height"] for point in found.best])
  tooltip = [
      {"field": "programs", "title": "after programs", "format": ","},
      {"field": "fitness", "title": "fitness", "format": ".6~f"}]
  line = {"type": "line", "interpolate": "step-after", "clip": True}
  layers = [
      _layer(found.others, line | {"style": "faint"}, x=x, y=y, detail={"field": "curve"}),
      _layer(found.best, line | {"style": "main"}, x=x, y=y) | {"params": [_ZOOM]},
      _layer(found.best[:-1], {"type": "point", "style": "dot", "clip": True}, x=x, y=y,
             tooltip=[{"field": "curve", "title": found.curve}, *tooltip])]
  if found.references:
    layers += [
        _layer(found.references, {"type": "rule", "style": "reference", "clip": True}, y=y),
        _layer(found.references, _REFERENCE, y=y,
               text={"field": "name"}, x={"value": "width"})]
  marked = [dataclasses.asdict(step) | {"changed": "; ".join(step.changes)} for step in steps]
  told = [*tooltip, {"field": "changed", "title": "what changed"}]
  layers += [
      _layer(marked, {"type": "point", "style": "step", "clip": True}, x=x, y=y, tooltip=told),
      _layer(marked, {"type": "text", "style": "step_number", "clip": True}, x=x, y=y,
             text={"field": "number"}, tooltip=told)]
  caption = "Numbers mark the largest steps on the way to the program. " if marked else ""
  return Figure(
      "progress", found.alt, caption + "Shift and the wheel zoom, dragging moves, a double click "
      "goes back.",
      {"width": "container", "height": 340, "layer": [each for each in layers if each]})


def front(found: Front) -> Figure:
  """The best fitness by complexity."""
  x = {"field": "complexity", "type": "quantitative",
       "scale": {"zero": False, "nice": False, "padding": _PADDING},
       "axis": {"title": "live instructions", "format": "d", "labelOverlap": True,
                "values": [point["complexity"] for point in found.points]}}
  y = _fitness_axis("best fitness on the search tasks", found.metric,
                    [point["height"] for point in found.points])
  return Figure(
      "front", found.alt, "Each is fitter than all that have fewer live instructions.",
      {"width": "container", "height": 280, "layer": [
          _layer(found.points, {"type": "line", "interpolate": "step-after", "style": "main"},
                 x=x, y=y),
          _layer(found.points, {"type": "point", "style": "score_own"}, x=x, y=y, tooltip=[
              {"field": "complexity", "title": "live instructions"},
              {"field": "fitness", "format": ".6~f"},
              {"field": "cost", "title": "cost, scalar additions", "format": ",.0f"}])]})


def _fitness_axis(title: str, metric: str, heights: Sequence[float]) -> dict[str, Any]:
  """Of heights; for an RMS error logarithmic, so that the last nines can be told apart."""
  scale: dict[str, Any] = {"zero": False, "nice": False, "padding": _PADDING}
  axis: dict[str, Any] = {"title": title}
  if metric == "rms":
    scale = _LOG | {"reverse": True}
    axis |= {"labelExpr": "format(1 - datum.value, '.7~f')"} | _ticks(heights)
  return {"field": "height", "type": "quantitative", "axis": axis, "scale": scale}


def _ticks(heights: Sequence[float]) -> dict[str, Any]:
  """Few ticks of a logarithmic axis, at round fitnesses where it is long."""
  if max(heights) < 10 * min(heights):
    return {"tickCount": 5}
  return {"values": [1, 0.5, 0.2, *(10.0 ** -k for k in range(1, 8))]}


def comparison(found: Comparison) -> Figure:
  """Scores with intervals, one below the other."""
  y = {"field": "name", "type": "nominal", "sort": None, "axis": None}
  x = {"type": "quantitative", "scale": {"zero": False, "nice": False, "padding": _PADDING}}
  tooltip = [{"field": "name"}, {"field": "score", "format": ".6~f"},
             {"field": "low", "title": "from", "format": ".6~f"},
             {"field": "high", "title": "to", "format": ".6~f"}]
  layers = []
  for own, suffix in ((True, "own"), (False, "other")):
    values = [dataclasses.asdict(score) for score in found.scores if score.own is own]
    layers += [
        _layer(values, {"type": "rule", "style": f"interval_{suffix}", "yOffset": 7}, y=y,
               x=x | {"field": "low", "axis": {"title": found.title, "tickCount": 6}},
               x2={"field": "high"}),
        _layer(values, {"type": "point", "style": f"score_{suffix}", "yOffset": 7}, y=y,
               x=x | {"field": "score"}, tooltip=tooltip),
        _layer(values, {"type": "text", "style": f"name_{suffix}"}, y=y, x={"value": 0},
               text={"field": "name"})]
  chart = {"width": "container", "height": _ROW * len(found.scores),
           "layer": [each for each in layers if each]}
  return Figure("comparison", found.alt, found.caption, chart)


def ablations(found: Ablations) -> Figure:
  """What is lost without parts of the program, as bars with intervals."""
  y = {"field": "name", "type": "nominal", "sort": None, "axis": None}
  x = {"type": "quantitative", "scale": {"padding": _PADDING}}
  tooltip = [
      {"field": "name", "title": "without"}, {"field": "without", "title": "what was done"},
      {"field": "loss", "format": ".6~f"}, {"field": "fitness", "format": ".6~f"}]
  layers = []
  for kind in ("mechanism", "instruction"):
    values = [row for row in found.rows if row["kind"] == kind]
    layers += [
        _layer(values, {"type": "bar", "style": kind, "height": 9, "yOffset": 7}, y=y,
               tooltip=tooltip, x=x | {"field": "loss", "axis": _LOSSES}),
        _layer(values, {"type": "rule", "style": "error", "yOffset": 7}, y=y,
               x=x | {"field": "low"}, x2={"field": "high"}),
        _layer(values, {"type": "text", "style": f"name_{kind}"}, y=y, x={"value": 0},
               text={"field": "name"})]
  return Figure("ablations", found.alt, found.caption, {
      "width": "container", "height": _ROW * len(found.rows),
      "layer": [each for each in layers if each]})


def residuals(found: Residuals) -> Figure:
  """Predictions over what was true."""
  low, high = found.bounds
  scale = {"domain": [low, high], "nice": False}
  layers = [
      _layer([{"truth": low, "predicted": low}, {"truth": high, "predicted": high}],
             {"type": "line", "style": "reference"},
             x={"field": "truth", "type": "quantitative", "scale": scale,
                "axis": {"title": f"{found.target}, true"}},
             y={"field": "predicted", "type": "quantitative", "scale": scale,
                "axis": {"title": f"{found.target}, predicted"}}),
      _layer(found.points, {"type": "point", "style": "sample"},
             x={"field": "truth", "type": "quantitative"},
             y={"field": "predicted", "type": "quantitative"},
             tooltip=[{"field": "truth", "format": ".5~g"},
                      {"field": "predicted", "format": ".5~g"}]) | {"params": [_ZOOM]}]
  return Figure(
      "residuals", found.alt, "The line is where a prediction is true.",
      {"width": "container", "height": 360, "layer": layers})


def _layer(
    values: Sequence[Mapping[str, Any]], mark: Mapping[str, Any], **encoding: Any
) -> dict[str, Any]:
  """A layer of a chart; an empty one without values."""
  if not values:
    return {}
  return {"data": {"values": list(values)}, "mark": dict(mark), "encoding": encoding}
