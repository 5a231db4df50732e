import numpy as np
import pytest

from azero.language import text as notation
from azero.language import zoo
from azero.language.program import Component, Function, SearchSpace

# Name: instructions of Setup, Predict and Learn; scalars, vectors and matrices.
EXPECTED = {
    "linear_regressor": ((1, 1, 4), (5, 3, 0)),
    "plain_nn": ((3, 5, 11), (5, 9, 2)),
    "figure_5": ((3, 3, 8), (4, 8, 2)),
    "figure_6": ((0, 5, 11), (8, 12, 3)),
    "s1a": ((4, 6, 16), (8, 13, 3)),
    "s1b": ((0, 5, 12), (8, 12, 3)),
    "s2a": ((1, 12, 14), (10, 16, 4)),
    "s2b": ((5, 13, 21), (10, 16, 4)),
    "s2c": ((7, 19, 26), (2, 20, 8)),
}


def lines(name: str, function: Function) -> list[str]:
  program = notation.format_program(zoo.load(name))
  return program.split(f"def {function.name.title()}():\n")[1].split("\ndef ")[0].split("\n")


def test_names():
  assert zoo.names() == tuple(EXPECTED)


@pytest.mark.parametrize("name", EXPECTED)
def test_program(name):
  lengths, num_addresses = EXPECTED[name]
  programs = zoo.load(name).validate()
  assert tuple(programs.lengths[0]) == lengths
  assert programs.space.num_addresses == num_addresses
  assert programs.space.num_features == 4
  assert zoo.load(name, 16).space == programs.space.with_features(16)
  assert zoo.source(name).startswith("# ")


@pytest.mark.parametrize("name", EXPECTED)
def test_round_trip(name):
  programs = zoo.load(name)
  text = notation.format_program(programs)
  again = notation.parse(text, programs.space)
  assert again == programs
  assert notation.format_program(again) == text


@pytest.mark.parametrize("name", EXPECTED)
def test_text_has_as_many_instructions_as_lines(name):
  code = [line.partition("#")[0].strip() for line in zoo.source(name).splitlines()]
  instructions = [line for line in code if line and not line.startswith("def ")]
  assert len(instructions) == sum(EXPECTED[name][0])


def test_only_s2c_is_multiclass():
  assert [name for name in zoo.names() if zoo.is_multiclass(name)] == ["s2c"]
  assert zoo.entry("figure_5").where == "figure 5"


def test_zero_of_figure_5_is_never_written():
  programs = zoo.load("figure_5")
  relu = np.argwhere(programs.opcode[0] == 48).item()
  assert programs.in1[0, relu] == 5
  assert 5 not in programs.out[0]


def test_s1b_is_s1a_without_some_lines():
  dead = {
      Function.SETUP: lines("s1a", Function.SETUP),
      Function.PREDICT: ["  s6 = cos(s4)"],
      Function.LEARN: [
          "  s3 = abs(s1)", "  s4 = s4 + s6", "  m1 = heaviside(m2)", "  s7 = log(s0)"],
  }
  for function in Function:
    kept = [line for line in lines("s1a", function) if line not in dead[function]]
    assert kept == ([] if function == Function.SETUP else lines("s1b", function))


def test_figure_6_is_s1b_without_the_sine():
  expected = [line for line in lines("s1b", Function.LEARN) if line != "  s5 = sin(s4)"]
  expected[expected.index("  s7 = s5 / s2")] = "  s7 = s4 / s2"
  assert lines("figure_6", Function.LEARN) == expected
  assert lines("figure_6", Function.PREDICT) == lines("s1b", Function.PREDICT)


def test_mended_instruction_of_s2b():
  assert "  v7 = s4 * v11" in lines("s2b", Function.LEARN)


def test_load_into_a_space():
  space = SearchSpace(
      10, 16, 4, 8, Component((56, 63, 64), 21), Component((27, 31, 48), 21),
      Component((2, 3, 16, 18, 23, 25, 28, 39), 45))
  programs = zoo.load("figure_5", space=space)
  assert programs.space == space
  assert notation.format_program(programs) == notation.format_program(zoo.load("figure_5"))
  with pytest.raises(notation.ProgramSyntaxError, match=r"op 23 \(vector_sum\) is not"):
    zoo.load("plain_nn", space=space)


def test_unknown_name():
  with pytest.raises(ValueError, match=r"Unknown program 'figure_7' of the zoo\. There are:"):
    zoo.load("figure_7")
