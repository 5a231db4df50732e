"""Children of one program by one mutation, in the form of the plain reference."""

from reference import textbook
from support.search_cases import repeat

from azero.language.program import SearchSpace
from azero.language.text import parse
from azero.search.proposals import mutation


def of(text: str, space: SearchSpace, count: int, action: str) -> tuple[list, list[list]]:
  """A program, and those of so many children that differ from it."""
  parents = repeat(parse(text, space), count)
  made = mutation.mutated(parents, mutation.mutator((action,), 1.0), seed=7).validate()
  parent = textbook.from_programs(parents, 0)
  every = [textbook.from_programs(made, k) for k in range(count)]
  return parent, [child for child in every if child != parent]


def detour(parent: list, child: list) -> tuple[int, int, list, list]:
  """What stands before a line of Predict or Learn that is another one, all else being the same.

  Returns:
    The component function; which of its lines it was in the parent; the new lines; and that line.
  """
  [f] = [f for f in (1, 2) if child[f] != parent[f]]
  longer = len(child[f]) - len(parent[f])
  [reader] = [
      k for k in range(len(parent[f]))
      if child[f][:k] == parent[f][:k] and child[f][k + longer + 1 :] == parent[f][k + 1 :]
      and child[f][k + longer] != parent[f][k]]
  *new, after = child[f][reader : reader + longer + 1]
  return f, reader, new, after
