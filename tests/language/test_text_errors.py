import pickle

import pytest

from azero.language import ops
from azero.language import text as notation
from azero.language.program import Component, SearchSpace

PAPER_OPS = tuple(range(ops.NUM_PAPER_OPS))
SMALL = SearchSpace(
    4, 3, 1, 4, Component((56, 57, 58), 3), Component((1, 27, 48), 2), Component((2, 3, 18, 23), 8))


@pytest.mark.parametrize("line, column, problem", [
    ("s1 = sinn(s2)", 8, r"unknown function 'sinn' \(did you mean 'sin'\?\); known are: abs, "),
    ("s1 = Dot(v0, v1)", 8, r"unknown function 'Dot' \(did you mean 'dot'\?\)"),
    ("s1 = s2 + s3 * s4", 16, "holds one operation"),
    ("s1 = dot(v0, v1) + s2", 20, "holds one operation"),
    ("s1 = dot(v0 + v1, v2)", 15, "holds one operation"),
    ("s1 = sin(cos(s2))", 12, "holds one operation"),
    ("s1 = (s2 + s3)", 8, "holds one operation"),
    ("v1 = v1 * s7", 13, r"'v = v \* s' is not an op; there are: s = s \* s, v = s \* v, "
     r"v = v \* v, m = s \* m, m = m \* m. Swap the operands: s7 comes before v1"),
    ("m1 = m2 * s7", 13, "Swap the operands: s7 comes before m2"),
    ("v1 = dot(v0, m1)", 12, r"'v = dot\(v, m\)' .* Swap the operands: m1 comes before v0"),
    ("v1 = dot(v0, v1)", 12, r"there are: s = dot\(v, v\), v = dot\(m, v\)"),
    ("m1 = s1 + m2", 8, r"there are: s = s \+ s, v = v \+ v, m = m \+ m"),
    ("v1 = 0.5", 3, r"'v = number' is not an op; .* s = number, v\[index\] = number, "
     r"m\[index, index\] = number"),
    ("s1 = s2", 10, r"no op copies an address; write s1 = maximum\(s2, s2\)"),
    ("v1 = mean(m2, axis=0)", 22, "'mean' of a matrix has no axis=0; write axis=1 .*one "
     "value per row; table S1 misprints the axis"),
    ("v1 = std(m2, axis=0)", 21, "'std' of a matrix has no axis=0; write axis=1 .*row"),
    ("v1 = norm(m2, axis=2)", 22, "'norm' of a matrix has no axis=2; write axis=0 or 1"),
    ("m1 = bcast(v0)", 3, r"there are: v = bcast\(s\), m = bcast\(v, axis=0\)"),
    ("s1 = norm(m1, axes=0)", 17, r"too many arguments \(did you mean 'axis'\?\)"),
    ("s1 = uniform(0.1)", 19, "too few arguments; 'uniform' is written s = uniform"),
    ("s1 = uniform()", 16, "missing operand before '\\)'"),
    ("s1 = uniform(0.1, 0.2, 0.3)", 26, "too many arguments"),
    ("s1 = gaussian(s2, 0.3)", 17, "expected a number, not the address s2"),
    ("s1 = dot(v0)", 14, "too few arguments; 'dot' is written"),
    ("s1 = dot(v0, v1, v2)", 18, "too many arguments"),
    ("s1 = dot(v0, v1", 18, r"expected '\)', not the end of the line"),
    ("s1 = dot(v0, v1))", 19, r"unexpected '\)' behind the end of the instruction"),
    ("s1 = dot v0, v1", 12, r"expected '\(', not 'v0'"),
    ("v1 = maximum(1, v2)", 16, "expected 0, not 1"),
    ("s1 = 2 / s3", 8, "expected 1, not 2"),
    ("s1 = s2 + 3", 13, "a number cannot be an operand; write s2 = 3 on a line before"),
    ("s1 = 2 * s3", 8, "a number cannot be an operand; write s2 = 2 on a line before"),
    ("s1 = s2 +", 12, "missing operand: the line ends here"),
    ("s1 = s2 +  # more", 12, "missing operand: the line ends here"),
    ("s1 =", 7, "missing operand: the line ends here"),
    ("s1 = + s2", 8, r"missing operand before '\+'"),
    ("v1[] = 3", 6, "missing operand before ']'"),
    ("v1[0] = s3", 11, "expected a number, not the address s3"),
    ("m1[2] = 4", 3, r"'m\[number\] = number' is not an op"),
    ("s1", 5, r"expected '=' or '\[', not the end of the line"),
    ("s1 += s2", 6, r"expected '=' or '\[', not '\+'"),
    ("s1 = s2 s3", 11, r"expected '\*' or '\+' or '-' or '/', not 's3'"),
    ("s1 = 0.1 0.2", 12, "unexpected '0.2' behind the end of the instruction"),
    ("s1 = 3 @", 10, "unexpected '@' behind the end of the instruction"),
    ("no_op now", 9, "unexpected 'now' behind the end of the instruction"),
    ("s1 = x3", 8, "unknown word 'x3'; an address is s, v or m with a number"),
    ("s1 = nan", 8, "unknown word 'nan'"),
    ("x3 = s1 + s2", 3, "unexpected 'x3'; an instruction starts with the address it writes"),
    ("sin(s2)", 3, "unexpected 'sin'; an instruction starts with the address it writes"),
    ("s1 = 0.1.2", 8, "malformed number '0.1.2'"), ("s1 = 1e", 8, "malformed number '1e'"),
    ("s1 = 2e-", 8, "malformed number '2e-'"), ("s1 = 3x", 8, "malformed number '3x'"),
    ("s1 = 1_000", 8, "malformed number '1_000'"), ("s1 = -.", 9, "malformed number '.'"),
    ("s1 = -1e999", 8, "-1e999 is too large for a 64-bit float"),
    ("s0 = s1 + s1", 3, "s0 holds the label and cannot be written; .* is s1"),
    ("v0 = v1 + v1", 3, "v0 holds the features and cannot be written; .* is v1"),
    ("v0[1] = 0.5", 3, "v0 holds the features"),
    ("v1[8] = 0.5", 6, "index 8 is out of range: with 8 features it goes from 0 to 7"),
    ("m1[2, -1] = 0.5", 9, "index -1 is out of range"),
    ("v1[2.0] = 0.5", 6, r"index 2.0 must be a whole number from 0 to 7, or a fraction"),
    ("v1[-0.5] = 0.5", 6, "index -0.5 must be a whole number"),
    ("s1 = s99 + s2", 8, "the memory up to this address, 101 addresses in all kinds, is "
     "larger than the 64"),
])
def test_error_in_a_line(line, column, problem):
  with pytest.raises(notation.ProgramSyntaxError, match=problem) as info:
    notation.parse(f"def Predict():\n\n  {line}\n  s1 = s1 + s1", num_features=8)
  error = info.value
  assert (error.line, error.column, error.source, error.program) == (3, column, f"  {line}", None)
  first, source, caret = str(error).splitlines()
  assert first == f"line 3, column {column}: {error.problem}."
  assert source == f"      {line}"
  assert caret == " " * (4 + column - 1) + "^"


@pytest.mark.parametrize("text, line, column, problem", [
    ("", 1, 1, "the text has no component function; a program consists of 'def Setup"),
    ("\n# nothing\n", 1, 1, "the text has no component function"),
    ("s1 = s2 + s3\ndef Setup():", 1, 1, "instruction before the first component function"),
    ("def Setup():\ndef Train():", 2, 5, "unknown component function 'Train'; it must be Setup, "),
    ("def predict():", 1, 5, r"'predict' \(did you mean 'Predict'\?\)"),
    ("def", 1, 4, "unknown component function the end of the line"),
    ("def Setup()", 1, 12, r"expected ':', not the end of the line; write 'def Setup\(\):'"),
    ("def Setup:", 1, 10, r"expected '\(', not ':'"),
    ("def Setup(x):", 1, 11, r"expected '\)', not 'x'"),
    ("def Setup(): s2 = 0.1", 1, 14, "instructions start on the next line"),
    ("def Setup():\ndef Learn():\n def  Setup():", 3, 7, "Setup is already defined in line 1"),
])
def test_error_in_the_component_functions(text, line, column, problem):
  with pytest.raises(notation.ProgramSyntaxError, match=problem) as info:
    notation.parse(text)
  assert (info.value.line, info.value.column) == (line, column)


@pytest.mark.parametrize("text, line, column, problem", [
    ("def Setup():\n s2 = 0.1\n s4 = 0.1", 3, 2, "address s4 is out of range: the space has s0 to"),
    ("def Predict():\n s1 = dot(v1, v3)", 2, 15, "address v3 is out of range: .* v0 to v2"),
    ("def Setup():\n m1[0, 0] = 1", 2, 2, "address m1 is out of range: the space has m0 to m0"),
    ("def Setup():\n s1 = sin(s2)", 2, 2, r"op 7 \(scalar_sin\) is not allowed in Setup; the "
     r"space allows there: 56 \(scalar_constant\), 57 \(vector_constant\), 58"),
    ("def Predict():\n" + " s1 = dot(v0, v1)\n" * 3, 4, 2, "Predict has more than the 2 instruc"),
    ("def Setup():\n v1[4] = 1", 2, 5, "index 4 is out of range: with 4 features"),
    ("def Predict():\n v1 = maximum(0, v2)\n v2 = max(0, v0)", 2, 15, "0 stands for a vector"),
])
def test_error_against_a_space(text, line, column, problem):
  with pytest.raises(notation.ProgramSyntaxError, match=problem) as info:
    notation.parse(text, SMALL)
  assert (info.value.line, info.value.column) == (line, column)


def test_error_of_an_op_that_no_space_allows_names_the_count():
  with pytest.raises(notation.ProgramSyntaxError, match=r"Setup; .*\(scalar_abs\), .*, 56 more"):
    space = SearchSpace(2, 2, 1, 4, *[Component(PAPER_OPS[1:], 2)] * 3)
    notation.parse("def Setup():\n no_op", space)
  with pytest.raises(notation.ProgramSyntaxError, match="space allows there: none"):
    space = SearchSpace(2, 2, 1, 4, Component((), 2), Component((), 0), Component((), 0))
    notation.parse("def Setup():\n no_op", space)


def test_error_of_a_matrix_without_matrices():
  space = SearchSpace(4, 3, 0, 4, Component((27,), 1), Component((), 0), Component((), 0))
  with pytest.raises(notation.ProgramSyntaxError, match="op 43"):
    notation.parse("def Setup():\n m0 = matmul(m0, m0)", space)


def test_error_of_an_index_without_num_features():
  with pytest.raises(notation.ProgramSyntaxError, match=r"index 5 .* pass num_features=F") as info:
    notation.parse("def Setup():\n  v3[5] = -2.4")
  assert (info.value.line, info.value.column) == (2, 6)
  assert notation.parse("def Setup():\n  v3[0.5] = -2.4").space.num_features == 4


def test_error_keeps_tabs_above_the_caret():
  with pytest.raises(notation.ProgramSyntaxError) as info:
    notation.parse("def Setup():\n\ts1 =\tx3")
  assert info.value.column == 7
  assert str(info.value).splitlines()[1:] == ["    \ts1 =\tx3", "    \t    \t^"]


def test_error_in_one_of_several_texts_names_it():
  texts = ["def Setup():\n  s2 = 0.1", "def Setup():\n  s2 = 0,1"]
  with pytest.raises(notation.ProgramSyntaxError, match=r"^program 1, line 2, column 9: ") as info:
    notation.parse_many(texts)
  assert info.value.program == 1


def test_error_survives_pickling():
  with pytest.raises(notation.ProgramSyntaxError) as info:
    notation.parse("def Setup():\n  s2 = x")
  copy = pickle.loads(pickle.dumps(info.value))
  assert str(copy) == str(info.value)
  assert (copy.line, copy.column) == (2, 8)


def test_arguments_of_a_wrong_type():
  with pytest.raises(TypeError, match=r"needs the text of a program as a str, got bytes"):
    notation.parse(b"def Setup():")
  with pytest.raises(TypeError, match="texts must be a sequence of str"):
    notation.parse_many("def Setup():")
  with pytest.raises(TypeError, match="texts must be a sequence of str"):
    notation.infer_space([None])
  with pytest.raises(ValueError, match="texts is empty"):
    notation.parse_many([])


def test_error_in_an_endless_line_shows_what_is_near():
  with pytest.raises(notation.ProgramSyntaxError) as info:
    notation.parse("def Setup():\n  s2 = " + "x" * 70_000 + "(s3)")
  first, source, caret = str(info.value).splitlines()
  assert "unknown function 'xxxx" in first and len(first) < 500
  assert source == "      s2 = " + "x" * 60 + "..." and caret.index("^") == 11
  with pytest.raises(notation.ProgramSyntaxError) as info:
    notation.parse("def Setup():\n  s2 = 0.5 @" + " " * 5000)
  assert str(info.value).splitlines()[2].index("^") == 4 + len("  s2 = 0.5 ")
  with pytest.raises(notation.ProgramSyntaxError) as info:
    notation.parse("def Setup():" + " " * 5000 + "@")
  first, source, caret = str(info.value).splitlines()
  assert "column 5013" in first and caret.index("^") == source.index("@")


@pytest.mark.parametrize("address", ["s" + "9" * 5000, "m9999999999"])
def test_error_of_an_address_beyond_any_memory(address):
  with pytest.raises(notation.ProgramSyntaxError, match="more than 9 digits") as info:
    notation.parse(f"def Setup():\n {address} = 0.5")
  assert (info.value.line, info.value.column) == (2, 2)
