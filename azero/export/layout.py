"""Where the nodes of a graph go: rows by depth, short and straight edges with few crossings.

The method is the usual one for layered graphs (K. Sugiyama and others, 1981). Edges that pass
rows go by way of points there, which edges of one source share; the order in a row follows the
barycentres of neighbours; positions are the closest to the neighbours' that keep the order, by
isotonic regression. Each band has rows of its own, below those of the band before.
"""

from collections.abc import Sequence
import dataclasses
import math

import numpy as np

from azero.export.graph import Edge, Graph, Node, Role
from azero.language.program import Function

CHARACTER, PADDING, HEIGHT = 7.3, 22.0, 30.0  # of a node, in pixels
PITCH, GAP = 62.0, 26.0  # between rows, between nodes
_BAND_TOP, _BAND_GAP = 46.0, 18.0  # room for the title of a band; between bands
_SWEEPS = 24


@dataclasses.dataclass
class Place:
  """A node, or a point that edges pass.

  Attributes:
    row: from the top.
    width: in pixels.
    node: None for a point.
    x: its middle.
  """

  row: int
  width: float
  node: Node | None
  x: float = 0.0


@dataclasses.dataclass(frozen=True)
class Link:
  """A part of one or more edges, from one row to the next.

  Attributes:
    upper: index of a place.
    lower: index of a place.
    edge: one of these edges.
  """

  upper: int
  lower: int
  edge: Edge


@dataclasses.dataclass(frozen=True)
class Layout:
  """A graph with positions.

  Attributes:
    places: nodes and points.
    links: between places of neighbouring rows.
    tops: [rows] y of the upper edge of the nodes in each row.
    bands: (band, top, bottom) of every band.
    width: of all nodes.
  """

  places: list[Place]
  links: list[Link]
  tops: list[float]
  bands: list[tuple[Function, float, float]]
  width: float


def lay_out(graph: Graph) -> Layout:
  """Positions for a graph."""
  rows = _rows(graph)
  places, links = _route(graph, rows)
  by_row: list[list[int]] = [[] for _ in range(1 + max(rows.values(), default=0))]
  for index, place in enumerate(places):
    by_row[place.row].append(index)
  _order(by_row, links, len(places))
  width = _position(by_row, places, links)
  bands, tops, y = [], [], 0.0
  for band in Function:
    own = sorted({rows[node.key] for node in graph.nodes if node.band is band})
    count = own[-1] - own[0] + 1 if own else 0
    top = y
    y += _BAND_TOP
    tops += [y + PITCH * k for k in range(count)]
    y += PITCH * count - (PITCH - HEIGHT if count else 0) + _BAND_GAP
    bands.append((band, top, y))
    y += _BAND_GAP
  return Layout(places, links, tops, bands, width)


def _rows(graph: Graph) -> dict[str, int]:
  """The row of every node: its depth in its band, inputs just above their first reader."""
  band = {node.key: node.band for node in graph.nodes}
  inside = [edge for edge in graph.edges if band[edge.source] is band[edge.target]]
  depth = dict.fromkeys(band, 0)
  for _ in graph.nodes:  # at most as many steps as nodes
    for edge in inside:
      depth[edge.target] = max(depth[edge.target], depth[edge.source] + 1)
  entered = {edge.target for edge in inside}
  for node in graph.nodes:
    if node.role is Role.AFTER:  # at the bottom of its band
      depth[node.key] = max(depth[other.key] for other in graph.nodes if other.band is node.band)
  for node in graph.nodes:
    readers = [depth[edge.target] for edge in inside if edge.source == node.key]
    if node.key not in entered and readers:
      depth[node.key] = min(readers) - 1
  rows, first = {}, 0
  for function in Function:
    own = [node for node in graph.nodes if node.band is function]
    if not own:
      continue
    for node in own:
      rows[node.key] = first + depth[node.key]
    first += 1 + max(depth[node.key] for node in own)
  return rows


def _route(graph: Graph, rows: dict[str, int]) -> tuple[list[Place], list[Link]]:
  """Places of nodes and of the points that edges pass, and the links between rows."""
  places = [
      Place(rows[node.key], CHARACTER * len(node.label) + PADDING, node) for node in graph.nodes]
  index = {node.key: k for k, node in enumerate(graph.nodes)}
  points: dict[tuple[str, int], int] = {}
  links: list[Link] = []
  for edge in graph.edges:
    upper = index[edge.source]
    for row in range(rows[edge.source] + 1, rows[edge.target]):
      if (edge.source, row) not in points:
        points[edge.source, row] = len(places)
        places.append(Place(row, 4.0, None))
        links.append(Link(upper, points[edge.source, row], edge))
      upper = points[edge.source, row]
    links.append(Link(upper, index[edge.target], edge))
  return places, links


def _order(by_row: list[list[int]], links: Sequence[Link], count: int) -> None:
  """Orders each row so that few links cross; the rows are changed in place."""
  above, below = _neighbours(links, count)
  best, fewest = [list(row) for row in by_row], _crossings(by_row, links)
  for sweep in range(_SWEEPS):
    down = sweep % 2 == 0
    near = above if down else below
    for row in by_row if down else by_row[::-1]:
      place = {each: k for other in by_row for k, each in enumerate(other)}
      size = {each: max(1, len(other) - 1) for other in by_row for each in other}
      middle = {
          each: float(np.mean([place[n] / size[n] for n in near[each]])) if near[each]
          else place[each] / size[each] for each in row}
      row.sort(key=middle.__getitem__)
    _swap(by_row, above, below)
    crossings = _crossings(by_row, links)
    if crossings < fewest:
      best, fewest = [list(row) for row in by_row], crossings
  for row, chosen in zip(by_row, best):
    row[:] = chosen


def _neighbours(links: Sequence[Link], count: int) -> tuple[list[list[int]], list[list[int]]]:
  above: list[list[int]] = [[] for _ in range(count)]
  below: list[list[int]] = [[] for _ in range(count)]
  for link in links:
    above[link.lower].append(link.upper)
    below[link.upper].append(link.lower)
  return above, below


def _crossings(by_row: list[list[int]], links: Sequence[Link]) -> int:
  """How many pairs of links cross."""
  place = {each: k for row in by_row for k, each in enumerate(row)}
  row_of = {each: k for k, row in enumerate(by_row) for each in row}
  total = 0
  for row in range(len(by_row)):
    ends = np.array([
        (place[link.upper], place[link.lower]) for link in links if row_of[link.upper] == row])
    if len(ends) > 1:
      upper, lower = (np.sign(column[:, None] - column[None, :]) for column in ends.T)
      total += int((upper * lower < 0).sum()) // 2
  return total


def _swap(
    by_row: list[list[int]], above: Sequence[Sequence[int]], below: Sequence[Sequence[int]]
) -> None:
  """Swaps neighbours in a row where fewer links cross then."""
  place = {each: k for row in by_row for k, each in enumerate(row)}

  def crossings(left: int, right: int) -> int:
    return sum(
        place[a] > place[b] for near in (above, below) for a in near[left] for b in near[right])

  for row in by_row:
    for k in range(len(row) - 1):
      left, right = row[k], row[k + 1]
      if crossings(right, left) < crossings(left, right):
        row[k], row[k + 1] = right, left
        place[left], place[right] = k + 1, k


def _position(
    by_row: list[list[int]], places: list[Place], links: Sequence[Link]) -> float:
  """Sets the middles of all places; returns the width of the whole."""
  above, below = _neighbours(links, len(places))
  for row in by_row:
    _spread(row, places, [0.0] * len(row))
  for sweep in range(_SWEEPS):
    down = sweep % 2 == 0
    for row in by_row if down else by_row[::-1]:
      wanted = []
      for each in row:
        # Towards both sides, but more to the one that the sweep comes from.
        near = [places[n].x for n in (above if down else below)[each]] * 2
        near += [places[n].x for n in (below if down else above)[each]]
        wanted.append(float(np.mean(near)) if near else places[each].x)
      _spread(row, places, wanted)
  for _ in range(2):
    _straighten(by_row, places, links)
  left = min((place.x - place.width / 2 for place in places), default=0.0)
  for place in places:
    place.x -= left
  return max((place.x + place.width / 2 for place in places), default=0.0)


def _straighten(
    by_row: list[list[int]], places: list[Place], links: Sequence[Link]) -> None:
  """Moves the points of an edge onto as few verticals as their neighbours leave room for."""
  neighbours = {
      each: (row[k - 1] if k else None, row[k + 1] if k + 1 < len(row) else None)
      for row in by_row for k, each in enumerate(row)}

  def distance(each: int, other: int) -> float:
    return (places[each].width + places[other].width + GAP) / 2

  follower = {
      link.upper: link.lower for link in links
      if places[link.upper].node is None and places[link.lower].node is None}
  for start in {*follower} - {*follower.values()}:
    chain = [start]
    while chain[-1] in follower:
      chain.append(follower[chain[-1]])
    while chain:
      low, high, count = -math.inf, math.inf, 0
      for each in chain:
        left, right = neighbours[each]
        new_low = low if left is None else max(low, places[left].x + distance(each, left))
        new_high = high if right is None else min(high, places[right].x - distance(each, right))
        if count and new_low > new_high:
          break
        low, high, count = new_low, new_high, count + 1
      if low <= high:
        middle = float(np.mean([places[each].x for each in chain[:count]]))
        for each in chain[:count]:
          places[each].x = min(max(middle, low), high)
      chain = chain[count:]


def _spread(row: Sequence[int], places: list[Place], wanted: Sequence[float]) -> None:
  """Puts a row as close to the wanted middles as its order and widths allow.

  With the least distance between neighbours taken off, positions must not fall: isotonic
  regression, by pooling neighbours that do.
  """
  offsets, at = [], 0.0
  for k, each in enumerate(row):
    if k:
      at += (places[row[k - 1]].width + places[each].width) / 2 + GAP
    offsets.append(at)
  pools: list[list[float]] = []  # weight, mean, how many
  for each, goal, offset in zip(row, wanted, offsets):
    weight = 4.0 if places[each].node is None else 1.0  # long edges are straight
    pools.append([weight, goal - offset, 1])
    while len(pools) > 1 and pools[-2][1] > pools[-1][1]:
      weight, mean, count = pools.pop()
      pool = pools[-1]
      pool[1] = (pool[0] * pool[1] + weight * mean) / (pool[0] + weight)
      pool[0] += weight
      pool[2] += count
  free = [mean for _, mean, count in pools for _ in range(int(count))]
  for each, offset, position in zip(row, offsets, free):
    places[each].x = position + offset
