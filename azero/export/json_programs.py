"""Programs <-> JSON, for other software and for keeping: what is written reads back the same.

A text holds a batch of programs, dead instructions too, the search space that they are of and, if
it is known, how many classes their tasks have. Ops go by their names, addresses as the paper
writes them; an index constant stays the fraction that it is stored as. This is format version 1:

  {"format": "azero-programs", "version": 1, "num_classes": 0,
   "space": {"num_scalars": 4, "num_vectors": 3, "num_matrices": 1, "num_features": 4,
             "setup": {"ops": ["scalar_constant"], "max_length": 1, "min_length": 0,
                       "searched": true}, "predict": {...}, "learn": {...}},
   "programs": [{"setup": [{"op": "scalar_constant", "out": "s2", "constants": [0.001]}],
                 "predict": [{"op": "vector_inner_product", "out": "s1",
                              "inputs": ["v0", "v1"]}], "learn": []}]}
"""

from collections.abc import Mapping
import json
from typing import Any

from azero import files
from azero.language import ops as op_table
from azero.language.ops import Kind, Op
from azero.language.program import (
  EMPTY,
  Component,
  Function,
  Programs,
  SearchSpace,
  check_num_classes,
)

FORMAT, VERSION = "azero-programs", 1
_SIZES = ("num_scalars", "num_vectors", "num_matrices", "num_features")
_FUNCTIONS = {function: function.name.lower() for function in Function}


def json_text(programs: Programs, num_classes: int | None = None) -> str:
  """A batch of programs as JSON, an instruction on a line.

  Args:
    programs: N programs, whose unused fields are zero as `Programs` says.
    num_classes: of their tasks, 0 for a real-valued label; None to leave it out.

  Raises:
    ValueError: malformed programs, or what is no number of classes.
  """
  programs.validate()
  space, classes = programs.space, {}
  if num_classes is not None:
    check_num_classes(num_classes)
    classes = {"num_classes": int(num_classes)}
  head = {"format": FORMAT, "version": VERSION, **classes, "space": {
      **{size: getattr(space, size) for size in _SIZES},
      **{_FUNCTIONS[function]: _write_component(component)
         for function, component in zip(Function, space.components)}}}
  lines = [json.dumps(head)[:-1] + ', "programs": [']
  for index in range(len(programs)):
    lines.append("  {")
    for function, key in _FUNCTIONS.items():
      code = [
          json.dumps(_write_instruction(programs, index, slot))
          for slot in range(space.num_slots)[space.slots(function)]
          if programs.opcode[index, slot] != EMPTY]
      body = "[" + ",".join(f"\n      {each}" for each in code) + "]"
      lines.append(f'    "{key}": {body}' + ("," if function is not Function.LEARN else ""))
    lines.append("  }" + ("," if index < len(programs) - 1 else ""))
  return "\n".join([*lines, "]}"]) + "\n"


def from_json(text: str) -> Programs:
  """The programs that `json_text` has written, equal in every array and in their space.

  Args:
    text: the JSON.

  Returns:
    N programs, checked.

  Raises:
    ValueError: says where the text departs from the format, and what is needed there.
  """
  root = _root(text)
  found = root["format"].of(str), root["version"].of(int)
  if found[0] != FORMAT:
    raise root["format"].error(f"must be '{FORMAT}', as azero.export.json_text writes it")
  if found[1] != VERSION:
    raise root["version"].error(
        f"must be {VERSION}; a newer version of azero may read what a newer one has written")
  space = _read_space(root["space"])
  listed = root["programs"].items()
  programs = Programs.empty(space, len(listed))
  for index, program in enumerate(listed):
    for function, key in _FUNCTIONS.items():
      _read_function(program[key], programs, index, function)
  try:
    return programs.validate()
  except ValueError as error:
    raise ValueError(f"programs of the JSON are malformed: {error}") from error


def num_classes_in(text: str) -> int | None:
  """How many classes the tasks of the programs in a JSON text have, None if it does not say.

  Raises:
    ValueError: it is no JSON, or says no number of classes.
  """
  root = _root(text)
  if "num_classes" not in root.of(dict):
    return None
  number: int = root["num_classes"].of(int)
  try:
    check_num_classes(number)
  except ValueError as error:
    raise root["num_classes"].error(str(error).split("; got")[0]) from error
  return number


def _root(text: str) -> "_Node":
  try:
    return _Node(files.parse_json(text), "")
  except (ValueError, TypeError) as error:
    raise ValueError(f"This is no JSON: {error}.") from error


def _write_component(component: Component) -> dict[str, Any]:
  return {
      "ops": [op_table.op_by_id(op).name for op in component.ops],
      "max_length": component.max_length, "min_length": component.min_length,
      "searched": component.searched}


def _write_instruction(programs: Programs, index: int, slot: int) -> dict[str, Any]:
  op = op_table.op_by_id(int(programs.opcode[index, slot]))
  written: dict[str, Any] = {"op": op.name}
  if op.output is not None:
    written["out"] = f"{op.output.letter}{programs.out[index, slot]}"
  if op.inputs:
    addresses = programs.in1[index, slot], programs.in2[index, slot]
    written["inputs"] = [f"{kind.letter}{n}" for kind, n in zip(op.inputs, addresses)]
  if op.constants:
    written["constants"] = programs.constants[index, slot, : len(op.constants)].tolist()
  return written


class _Node:
  """A value of a JSON text that knows where it stands."""

  def __init__(self, value: Any, path: str):
    self._value, self._path = value, path

  def error(self, problem: str) -> ValueError:
    """An error at this place."""
    shown = json.dumps(self._value)
    shown = shown if len(shown) < 60 else f"{shown[:57]}..."
    return ValueError(f"JSON of programs, {self._path or 'whole text'}: {problem}; got {shown}.")

  def of(self, kind: type) -> Any:
    """The value, which must be of a type."""
    is_bool = isinstance(self._value, bool)
    kinds = (int, float) if kind is float else kind
    if not isinstance(self._value, kinds) or (is_bool and kind is not bool):
      names = {str: "a string", int: "a whole number", float: "a number", bool: "true or false",
               list: "a list", dict: "an object"}
      raise self.error(f"must be {names[kind]}")
    return self._value

  def __getitem__(self, key: str) -> "_Node":
    """An entry of an object, which must be there."""
    if key not in self.of(dict):
      raise self.error(f"lacks '{key}'")
    return _Node(self._value[key], f"{self._path}.{key}".lstrip("."))

  def only(self, keys: Mapping[str, Any]) -> None:
    """Refuses entries that nothing reads."""
    more = sorted({*self.of(dict)} - {*keys})
    if more:
      raise self.error(f"has '{more[0]}', which is not of the format")

  def items(self) -> list["_Node"]:
    """The items of a list."""
    return [_Node(item, f"{self._path}[{k}]") for k, item in enumerate(self.of(list))]


def _read_space(node: _Node) -> SearchSpace:
  sizes = [node[size].of(int) for size in _SIZES]
  components = []
  for key in _FUNCTIONS.values():
    component = node[key]
    ops = tuple(_read_op(name).id for name in component["ops"].items())
    longest, shortest = component["max_length"].of(int), component["min_length"].of(int)
    searched = component["searched"].of(bool)
    try:
      components.append(Component(ops, longest, shortest, searched))
    except ValueError as error:
      raise component.error(f"is no component function ({error})") from error
  try:
    return SearchSpace(*sizes, *components)
  except ValueError as error:
    raise node.error(f"is no search space ({error})") from error


def _read_op(node: _Node) -> Op:
  try:
    return op_table.op_by_name(node.of(str))
  except ValueError:
    raise node.error(
        "is the name of no op; one of your own must be added with azero.register_op before "
        "programs with it are read") from None


def _read_function(node: _Node, programs: Programs, index: int, function: Function) -> None:
  """The instructions of a component function."""
  instructions, space = node.items(), programs.space
  most = space.components[function].max_length
  if len(instructions) > most:
    raise node.error(f"has {len(instructions)} instructions, the space allows {most}")
  for k, instruction in enumerate(instructions):
    slot, op = space.offsets[function] + k, _read_op(instruction["op"])
    expected = {"op": op, **({"out": op.output} if op.output is not None else {}),
                **({"inputs": op.inputs} if op.inputs else {}),
                **({"constants": op.constants} if op.constants else {})}
    instruction.only(expected)
    programs.opcode[index, slot] = op.id
    if op.output is not None:
      programs.out[index, slot] = _read_address(instruction["out"], op.output)
    inputs = _counted(instruction, "inputs", len(op.inputs))
    for array, given, kind in zip((programs.in1, programs.in2), inputs, op.inputs):
      array[index, slot] = _read_address(given, kind)
    for c, given in enumerate(_counted(instruction, "constants", len(op.constants))):
      programs.constants[index, slot, c] = given.of(float)


def _counted(node: _Node, key: str, count: int) -> list[_Node]:
  """The items of an entry that has so many; nothing for none."""
  if not count:
    return []
  items = node[key].items()
  if len(items) != count:
    raise node[key].error(f"must have {count} items")
  return items


def _read_address(node: _Node, kind: Kind) -> int:
  """The number of an address; whether the space has it is checked with the whole."""
  text = node.of(str)
  number = text[1:]
  if text[:1] != kind.letter or not (number.isascii() and number.isdecimal() and len(number) < 4):
    raise node.error(f"must be an address of a {kind.name.lower()}, such as {kind.letter}1")
  return int(number)
