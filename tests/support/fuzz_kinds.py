"""The kinds of input that the fuzzer damages: examples of each, and what reads it."""

import pathlib

import hypothesis.strategies as st
from support import fuzzing
from support.fuzzing import Kind

import azero
from azero.language import grammar, ops
from azero.language import text as notation
from azero.runs.warm_start import read_programs

_SPACE = azero.spaces.backprop(4)
_ZOO = [azero.zoo.source(name) for name in azero.zoo.names()]


def programs(place: pathlib.Path) -> Kind:
  """Texts of programs, by a grammar that knows the words of the notation and not its rules."""
  del place
  words = sorted({
      "def", "Setup", "Predict", "Learn", "pass", "():", "=", "(", ")", "[", "]", ",", "+", "-",
      "*", "/", "#", "s0", "s1", "s2", "v0", "v1", "m0", "m1", "s63", "v64", "m99999999999",
      "s" + "9" * 5000, "0", "1", "0.5", "-2", "1e-3", "1e999", "nan", "inf", "axis", "0x1", "1_0",
      "\u0663", "s\u0663", "\u00b2", "\ufeff", "\u2028", "\0", "x" * 2000, *_functions()})
  forms = [grammar.form(op) for op in ops.all_ops()]
  line = st.one_of(
      st.lists(st.sampled_from(words), max_size=9).map(" ".join),
      st.sampled_from(forms), st.sampled_from([line for text in _ZOO for line in text.splitlines()]))
  return Kind(
      st.one_of(
          st.lists(line, max_size=12).map("\n".join), st.text(max_size=60),
          fuzzing.damaged([text.encode() for text in _ZOO], fuzzing.PIECES).map(
              lambda data: data.decode(errors="replace"))),
      lambda text: repr(notation.parse(text, num_features=4)))


def _functions() -> list[str]:
  return [name for op in ops.all_ops() for name in grammar.form(op).replace("(", " ").split()
          if name.isidentifier()]


def program_files(place: pathlib.Path) -> Kind:
  """Files of programs to start from."""
  file = place / "program.txt"

  def read(data: bytes) -> None:
    file.write_bytes(data)
    read_programs(file, _SPACE)

  good = azero.zoo.source("linear_regressor").encode()
  return Kind(
      st.one_of(fuzzing.damaged([good], fuzzing.PIECES), st.binary(max_size=40)), read,
      str(file))


# How many cases of each kind are tried in a moment, and how many in all.
KINDS = {
    programs: (150, 6000),
    program_files: (50, 1500),
}
