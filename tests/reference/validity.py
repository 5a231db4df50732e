"""Which programs are learners by their data flow, found slowly: from every use to its sources.

Written from the rules at the top of azero/compiler/validity.py; shares no code with it. It asks
for every value what it was made of, where that follows all values forwards.
"""

from collections.abc import Callable

from reference.breeding import LEARN, PREDICT, Addresses, Program, reads, writes

from azero.language.ops import Kind

PREDICTED = (None, 0)  # a source: the prediction as Learn finds it


def learns_by_its_data_flow(program: Program, multiclass: bool = False) -> bool:
  """Whether a program is valid."""
  label, prediction, features, sources = _flow(program, multiclass)
  read = sources(PREDICT, len(program[PREDICT]), prediction)
  return features in read and _updates(
      read - {features}, {label, PREDICTED}, {label, features, PREDICTED},
      lambda address: sources(LEARN, len(program[LEARN]), address))


def predicts_from_more_than_features(program: Program, multiclass: bool = False) -> bool:
  """Whether the prediction follows from the features and from an earlier value as well."""
  _, prediction, features, sources = _flow(program, multiclass)
  read = sources(PREDICT, len(program[PREDICT]), prediction)
  return features in read and len(read) > 1


def learned_parameters(program: Program, multiclass: bool = False) -> dict[tuple, Addresses]:
  """Addresses that the prediction reads and that change, with what they then follow from.

  One that follows from nothing any more is a constant.
  """
  _, prediction, features, sources = _flow(program, multiclass)
  read = sources(PREDICT, len(program[PREDICT]), prediction) - {features}
  after = {address: sources(LEARN, len(program[LEARN]), address) for address in read}
  return {address: found for address, found in after.items() if found not in ({address}, set())}


def _flow(
    program: Program, multiclass: bool
) -> tuple[tuple, tuple, tuple, Callable[[int, int, tuple], Addresses]]:
  """Label, prediction and features, and a function that finds the sources of a value."""
  kind, number = (Kind.VECTOR, 1) if multiclass else (Kind.SCALAR, 0)
  label, prediction, features = (kind, number), (kind, number + 1), (Kind.VECTOR, 0)

  def sources(f: int, line: int, address: tuple) -> Addresses:
    """What a value follows from that line `line` of a component function would read."""
    for k in reversed(range(line)):
      if address in writes(program[f][k]):
        return set().union(*(sources(f, k, read) for read in reads(program[f][k])))
    if address == features or (address == label and f == LEARN):
      return {address}
    if f == LEARN:
      return {PREDICTED} if address == prediction else sources(
          PREDICT, len(program[PREDICT]), address)
    return set() if address == label else {address}

  return label, prediction, features, sources


def _updates(
    read: Addresses, required: Addresses, given: Addresses,
    after: Callable[[tuple], Addresses]) -> bool:
  """Whether what the prediction reads, and all that this is made of, is updated properly."""
  carried, checked, parameters = set(read), set(), 0
  while carried - checked:
    address = min(carried - checked)
    checked.add(address)
    found = after(address)
    if found == {address}:
      continue
    if address not in found or (address in read and not required <= found):
      return False
    parameters += address in read
    carried |= found - given
  return parameters > 0
