import dataclasses

import hypothesis
import hypothesis.strategies as st
import numpy as np
import pytest

from azero.language import ops, own_ops
from azero.language import text as notation
from azero.language.ops import Constant
from azero.language.program import (
    EMPTY,
    FIRST_WRITABLE,
    Component,
    Function,
    Programs,
    SearchSpace,
)

PAPER_OPS = tuple(range(ops.NUM_PAPER_OPS))
EVERYTHING = SearchSpace(
    10, 20, 8, 16, Component(PAPER_OPS, 21), Component(PAPER_OPS, 21), Component(PAPER_OPS, 45))
SMALL = SearchSpace(
    4, 3, 1, 4, Component((56, 57, 58), 3), Component((1, 27, 48), 2), Component((2, 3, 18, 23), 8))


def random_programs(rng: np.random.Generator, space: SearchSpace, count: int) -> Programs:
  programs = Programs.empty(space, count)
  for row in range(count):
    for function, component in zip(Function, space.components):
      first = space.offsets[function]
      for slot in range(first, first + rng.integers(component.max_length + 1)):
        op = ops.op_by_id(int(rng.choice(component.ops)))
        programs.opcode[row, slot] = op.id
        for array, kind in zip((programs.in1, programs.in2), op.inputs):
          array[row, slot] = rng.integers(space.num_addresses[kind])
        if op.output is not None:
          programs.out[row, slot] = rng.integers(
              FIRST_WRITABLE[op.output], space.num_addresses[op.output])
        for k, meaning in enumerate(op.constants):
          value = rng.normal() * 10.0 ** rng.integers(-300, 300)
          if meaning is Constant.INDEX:
            value = (rng.integers(space.num_features) + 0.5) / space.num_features
          programs.constants[row, slot, k] = value
  return programs.validate()


def learn(line: str, **kwargs) -> Programs:
  return notation.parse(f"def Learn():\n  {line}", **kwargs)


def op_and_operands(program: Programs) -> tuple:
  assert program.opcode.shape == (1, 1)
  return (
      int(program.opcode[0, 0]), int(program.out[0, 0]), int(program.in1[0, 0]),
      int(program.in2[0, 0]), program.constants[0, 0].tolist())


@pytest.fixture
def op_table():
  table, by_name = list(ops._TABLE), dict(ops._BY_NAME)
  yield ops
  ops._TABLE[:] = table
  ops._BY_NAME.clear()
  ops._BY_NAME.update(by_name)
  ops._clear_caches()


# Round trips.


@hypothesis.given(st.integers(0, 2**32 - 1))
@hypothesis.settings(max_examples=40)
def test_round_trip_of_random_programs(seed):
  programs = random_programs(np.random.default_rng(seed), EVERYTHING, 3)
  texts = [notation.format_program(programs, i) for i in range(3)]
  parsed = notation.parse_many(texts, EVERYTHING)
  assert parsed == programs
  assert [notation.format_program(parsed, i) for i in range(3)] == texts
  inferred = notation.parse_many(texts, num_features=16)
  assert [notation.format_program(inferred.validate(), i) for i in range(3)] == texts


@pytest.mark.parametrize("op_id", PAPER_OPS)
def test_round_trip_of_each_op(op_id):
  space = SearchSpace(
      4, 4, 4, 8, Component((op_id,), 40), Component((op_id,), 1), Component((), 0))
  programs = random_programs(np.random.default_rng(op_id), space, 4)
  texts = [notation.format_program(programs, i) for i in range(4)]
  assert notation.parse_many(texts, space) == programs


@hypothesis.given(st.floats(0, 1, exclude_max=True), st.integers(1, 3072))
def test_index_fraction_becomes_the_centre_of_its_position(fraction, num_features):
  space = SearchSpace(
      2, 2, 0, num_features, Component((57,), 1), Component((), 0), Component((), 0))
  programs = Programs.empty(space)
  programs.opcode[0, 0], programs.out[0, 0] = 57, 1
  programs.constants[0, 0] = fraction, -2.5, 0
  position = int(fraction * num_features)
  text = notation.format_program(programs)
  assert text.splitlines()[1] == f"  v1[{position}] = -2.5"
  parsed = notation.parse(text, space)
  assert parsed.constants[0, 0].tolist() == [(position + 0.5) / num_features, -2.5, 0]
  assert int(parsed.constants[0, 0, 0] * num_features) == position
  assert notation.format_program(parsed) == text


@hypothesis.given(st.floats(allow_nan=False, allow_infinity=False))
def test_numbers_are_exact(value):
  programs = learn(f"s1 = {value!r}")
  assert programs.constants[0, 0, 0] == value
  assert notation.format_program(programs).splitlines()[-1] == f"  s1 = {value!r}"


# Printing.


def test_print_shows_all_component_functions():
  programs = notation.parse("def Predict():\n  s1 = dot(v0, v1)")
  assert notation.format_program(programs) == (
      "def Setup():\ndef Predict():\n  s1 = dot(v0, v1)\ndef Learn():")
  assert repr(programs) == notation.format_program(programs)


def test_print_marks_dead_instructions():
  programs = notation.parse(
      "def Setup():\n s2 = 0.1\ndef Predict():\n s1 = dot(v0, v1)\n s3 = sin(s2)")
  marked = notation.format_program(programs, dead=np.array([True, False, True]))
  assert marked == (
      "def Setup():\n"
      "  s2 = 0.1          # dead\n"
      "def Predict():\n"
      "  s1 = dot(v0, v1)\n"
      "  s3 = sin(s2)      # dead\n"
      "def Learn():")
  assert notation.parse(marked, programs.space) == programs


def test_print_of_wrong_arguments():
  programs = learn("s1 = 0.5")
  with pytest.raises(ValueError, match=r"dead has shape \(2,\).* the 1 slots"):
    notation.format_program(programs, dead=np.array([True, False]))
  with pytest.raises(IndexError, match="Program 1 of a batch of 1"):
    notation.format_program(programs, 1)


# Spellings.


@pytest.mark.parametrize("line, expected", [
    # The examples of table S1, with another output where it writes s0.
    ("no_op", (0, 0, 0, 0)), ("s2=s3+s0", (1, 2, 3, 0)), ("s4=s0-s1", (2, 4, 0, 1)),
    ("s8=s5*s5", (3, 8, 5, 5)), ("s7=s5/s2", (4, 7, 5, 2)), ("s8=abs(s0)", (5, 8, 0, 0)),
    ("s4=1/s8", (6, 4, 8, 0)), ("s5=sin(s4)", (7, 5, 4, 0)), ("s1=cos(s4)", (8, 1, 4, 0)),
    ("s3=tan(s3)", (9, 3, 3, 0)), ("s9=arcsin(s4)", (10, 9, 4, 0)),
    ("s2=arccos(s0)", (11, 2, 0, 0)), ("s4=arctan(s0)", (12, 4, 0, 0)),
    ("s1=exp(s2)", (13, 1, 2, 0)), ("s9=log(s3)", (14, 9, 3, 0)),
    ("s3=heaviside(s0)", (15, 3, 0, 0)), ("v2=heaviside(v2)", (16, 2, 2, 0)),
    ("m7=heaviside(m3)", (17, 7, 3, 0)), ("v1=s7*v1", (18, 1, 7, 1)),
    ("v1=bcast(s3)", (19, 1, 3, 0)), ("v5=1/v7", (20, 5, 7, 0)), ("s9=norm(v3)", (21, 9, 3, 0)),
    ("v3=abs(v3)", (22, 3, 3, 0)), ("v5=v0+v9", (23, 5, 0, 9)), ("v1=v0-v9", (24, 1, 0, 9)),
    ("v8=v1*v9", (25, 8, 1, 9)), ("v9=v8/v2", (26, 9, 8, 2)), ("s6=dot(v1,v5)", (27, 6, 1, 5)),
    ("m1=outerv(v6,v5)", (28, 1, 6, 5)), ("m1=s4*m2", (29, 1, 4, 2)), ("m3=1/m0", (30, 3, 0, 0)),
    ("v6=dot(m1,v0)", (31, 6, 1, 0)), ("m2=bcast(v0,axis=0)", (32, 2, 0, 0)),
    ("m2=bcast(v0,axis=1)", (33, 2, 0, 0)), ("s2=norm(m1)", (34, 2, 1, 0)),
    ("v4=norm(m7,axis=0)", (35, 4, 7, 0)), ("v4=norm(m7,axis=1)", (36, 4, 7, 0)),
    ("m9=transpose(m3)", (37, 9, 3, 0)), ("m1=abs(m8)", (38, 1, 8, 0)),
    ("m2=m2+m0", (39, 2, 2, 0)), ("m2=m3-m1", (40, 2, 3, 1)), ("m3=m2*m3", (41, 3, 2, 3)),
    ("m4=m2/m4", (42, 4, 2, 4)), ("m5=matmul(m5,m7)", (43, 5, 5, 7)),
    ("s1=minimum(s2,s3)", (44, 1, 2, 3)), ("v4=minimum(v3,v9)", (45, 4, 3, 9)),
    ("m2=minimum(m2,m1)", (46, 2, 2, 1)), ("s8=maximum(s3,s0)", (47, 8, 3, 0)),
    ("v7=maximum(v3,v6)", (48, 7, 3, 6)), ("m7=maximum(m1,m0)", (49, 7, 1, 0)),
    ("s2=mean(v2)", (50, 2, 2, 0)), ("s2=mean(m8)", (51, 2, 8, 0)),
    ("v1=mean(m2,axis=1)", (52, 1, 2, 0)), ("v3=std(m2,axis=1)", (53, 3, 2, 0)),
    ("s3=std(v3)", (54, 3, 3, 0)), ("s4=std(m0)", (55, 4, 0, 0)),
    ("s2=0.1", (56, 2, 0, 0, 0.1)), ("v3[5]=-2.4", (57, 3, 0, 0, 5.5 / 8, -2.4)),
    ("m2[5,1]=-0.03", (58, 2, 0, 0, 5.5 / 8, 1.5 / 8, -0.03)),
    ("s4=uniform(-1,1)", (59, 4, 0, 0, -1, 1)), ("v1=uniform(0.4,0.8)", (60, 1, 0, 0, 0.4, 0.8)),
    ("m0=uniform(-0.5,0.6)", (61, 0, 0, 0, -0.5, 0.6)),
    ("s4=gaussian(0.1,0.7)", (62, 4, 0, 0, 0.1, 0.7)),
    ("v8=gaussian(0.4,1)", (63, 8, 0, 0, 0.4, 1)),
    ("m2=gaussian(-2,1.3)", (64, 2, 0, 0, -2, 1.3)),
    # The listings.
    ("m1 = outer(v1,v0)", (28, 1, 1, 0)), ("v7 = max(v1, v15)", (48, 7, 1, 15)),
    ("v13 = min(v5, v4)", (45, 13, 5, 4)), ("s1 = max(s2, s3)", (47, 1, 2, 3)),
    ("s1 = min(s2, s3)", (44, 1, 2, 3)), ("m1 = max(m2, m3)", (49, 1, 2, 3)),
    ("m1 = min(m2, m3)", (46, 1, 2, 3)), ("v3 = heaviside(v6, 1.0)", (16, 3, 6, 0)),
    ("v12= gaussian(0.2,0.6)", (63, 12, 0, 0, 0.2, 0.6)),
    ("v9 = uniform(2e-3,0.7)", (60, 9, 0, 0, 2e-3, 0.7)),
    ("m1 = gaussian(-1e-10, 9e-09)", (64, 1, 0, 0, -1e-10, 9e-09)),
    ("s3 = 4.0e-3", (56, 3, 0, 0, 4.0e-3)),
    # The printer of the published code.
    ("NoOp()", (0, 0, 0, 0)), ("s1 = heaviside(s2, 1.0)", (15, 1, 2, 0)),
    ("m1 = heaviside(m2, 1.0)", (17, 1, 2, 0)), ("v1[0.37] = 2", (57, 1, 0, 0, 0.37, 2)),
    ("m1[0.5, 0] = 2", (58, 1, 0, 0, 0.5, 0.5 / 8, 2)),
    ("v1 = gaussian(0.1, 0.2, n_features)", (63, 1, 0, 0, 0.1, 0.2)),
    ("m1 = gaussian(0.1, 0.2, (n_features, n_features))", (64, 1, 0, 0, 0.1, 0.2)),
    ("v1 = uniform(0.1, 0.2, n_features)", (60, 1, 0, 0, 0.1, 0.2)),
    ("m1 = uniform(0.1, 0.2, (n_features, n_features))", (61, 1, 0, 0, 0.1, 0.2)),
    # Blanks, signs and numbers.
    ("\ts2\t= +.5 # a comment = 3", (56, 2, 0, 0, 0.5)), ("s2 = - 5.", (56, 2, 0, 0, -5)),
    ("  v1 [ 2 ]=1E+2", (57, 1, 0, 0, 2.5 / 8, 100)), ("s2 = 1.0 / s3", (6, 2, 3, 0)),
    ("s1=s2-s3", (2, 1, 2, 3)), ("m1 = bcast( v0 ,axis = 1 )", (33, 1, 0, 0)),
])
def test_spelling(line, expected):
  op_id, out, in1, in2, *constants = expected
  constants = constants + [0.0] * (3 - len(constants))
  programs = learn(line, num_features=8).validate()
  assert op_and_operands(programs) == (op_id, out, in1, in2, constants)
  again = notation.parse(notation.format_program(programs), programs.space)
  assert again.opcode.tolist() == programs.opcode.tolist()


def test_every_op_is_covered_by_the_examples_of_table_s1():
  cases = test_spelling.pytestmark[0].args[1]
  assert [case[1][0] for case in cases[:65]] == list(PAPER_OPS)


def test_layout_of_the_text_is_free():
  plain = notation.parse(
      "def Setup():\n  s2 = 0.1\ndef Predict():\n  s1 = dot(v0, v1)\ndef Learn():\n  s3 = s0 - s1")
  free = notation.parse(
      "\ufeff# a comment\r\n\r\n  def  Learn ( ) : # s0=label\r\ns3=s0-s1\r\n"
      "\tdef Setup():\n\n s2\t=\t0.1\ndef Predict():\n#\n\t\ts1 = dot( v0,v1 )  # prediction\n\n")
  assert free == plain


def test_component_functions_may_be_missing_or_empty():
  programs = notation.parse("def Setup():\n  pass\ndef Predict():")
  assert programs.lengths.tolist() == [[0, 0, 0]]
  assert notation.format_program(programs) == "def Setup():\ndef Predict():\ndef Learn():"


@pytest.mark.parametrize("line, expected", [
    ("v7 = maximum(0, v6)", (48, 7, 3, 6)), ("v7 = max(v6, 0)", (48, 7, 6, 3)),
    ("v3 = minimum(0.0, v6)", (45, 3, 4, 6)), ("v1 = min(v0, 0)", (45, 1, 0, 2)),
    ("s2 = maximum(0, s5)", (47, 2, 3, 5)), ("s2 = max(s1, 0)", (47, 2, 1, 3)),
    ("m1 = maximum(0, m1)", (49, 1, 0, 1)), ("m0 = minimum(m0, 0)", (46, 0, 0, 1)),
])
def test_zero_is_an_address_that_nothing_writes(line, expected):
  assert op_and_operands(learn(line)) == (*expected, [0.0, 0.0, 0.0])


def test_zero_looks_at_the_whole_program():
  text = ("def Setup():\n v4 = bcast(s1)\ndef Predict():\n v5 = maximum(0, v0)\n"
          "def Learn():\n v3 = v5 + v6")
  assert notation.parse(text).in1[0, 1] == 6
  # v1 and v2 serve only if there is no other, and never if they are label and prediction.
  space = SearchSpace(2, 6, 0, 4, *[Component((19, 23, 48), 1)] * 3)
  text = text.replace("v6", "v5")
  assert notation.parse(text, space).in1[0, 1] == 1
  with pytest.raises(notation.ProgramSyntaxError, match="line 4, column 15: 0 stands for a vector"):
    notation.parse(text, space, multiclass=True)
  assert notation.parse(text, multiclass=True).in1[0, 1] == 6


# Spaces.


def test_inferred_space():
  texts = [
      "def Setup():\n s4 = 0.1\n s2 = 0.3\ndef Predict():\n v5 = dot(m2, v7)",
      "def Setup():\n s1 = gaussian(0, 1)\ndef Learn():\n no_op",
  ]
  space = notation.infer_space(texts)
  assert space == SearchSpace(
      5, 8, 3, 4, Component((56, 62), 2), Component((31,), 1), Component((0,), 1))
  programs = notation.parse_many(texts)
  assert programs.space == space
  assert programs.opcode.tolist() == [[56, 56, 31, EMPTY], [62, EMPTY, EMPTY, 0]]
  smallest = notation.infer_space(["def Setup():"])
  assert smallest.num_addresses == (2, 1, 0) and smallest.num_slots == 0
  assert notation.infer_space(["def Setup():"], 7, multiclass=True).num_addresses == (2, 3, 0)
  assert notation.infer_space(["def Setup():"], 7).num_features == 7


def test_given_space():
  text = "def Setup():\n s2 = 0.5\ndef Predict():\n s1 = dot(v0, v1)"
  programs = notation.parse(text, SMALL).validate()
  assert programs.space == SMALL
  assert programs.opcode[0].tolist() == [56] + [EMPTY] * 2 + [27] + [EMPTY] * 9
  assert notation.parse(text, SMALL, num_features=4) == programs
  with pytest.raises(ValueError, match=r"num_features is 8, but the space has 4.*with_features"):
    notation.parse(text, SMALL, num_features=8)
  narrow = dataclasses.replace(SMALL, num_vectors=2)
  with pytest.raises(ValueError, match="The space has 2 vectors; 3 are needed"):
    notation.parse(text, narrow, multiclass=True)


# Ops of one's own.


def test_registered_op_is_parsed_and_printed(op_table):
  with pytest.raises(notation.ProgramSyntaxError, match="unknown function 'vector_relu'"):
    learn("v1 = vector_relu(v0)")
  op = own_ops.register_op("vector_relu", "v", "v", lambda a: a, aliases=("{out} = relu({a})",))
  for line in ("v1 = vector_relu(v0)", "v1 = relu(v0)"):
    programs = learn(line)
    assert op_and_operands(programs) == (op.id, 1, 0, 0, [0.0, 0.0, 0.0])
    assert notation.format_program(programs).endswith("  v1 = vector_relu(v0)")
  power = own_ops.register_op(
      "vector_power", "vs", "v", lambda a, b, c: a, text="{out} = {a} @ {b} ^ {c0}",
      constants=("value",))
  assert op_and_operands(learn("v2 = v1 @ s3 ^ 0.5")) == (power.id, 2, 1, 3, [0.5, 0.0, 0.0])
  own_ops.register_op("vector_relu", "v", "v", lambda a: a)  # again, without the alias
  with pytest.raises(notation.ProgramSyntaxError, match="unknown function 'relu'"):
    learn("v1 = relu(v0)")


@pytest.mark.parametrize(("settings", "message"), [
    ({"text": "{out} = {a} + {b}"}, "bad and vector_sum are both spelled like this"),
    ({"aliases": ("{out} = bad({a})",)}, r"spelling .* must use \['a', 'b', 'out'\]"),
])
def test_an_op_with_unusable_spellings_is_refused_and_harms_nothing(op_table, settings, message):
  with pytest.raises(ValueError, match=f"Op 'bad': .*{message}"):
    own_ops.register_op("bad", "vv", "v", lambda a, b: a, **settings)
  assert learn("v1 = v2 + v0").opcode.tolist() == [[23]]


# Robustness.


@hypothesis.given(st.data())
def test_damaged_text_is_refused_with_a_place_or_read(data):
  programs = random_programs(np.random.default_rng(data.draw(st.integers(0, 99))), EVERYTHING, 1)
  text = notation.format_program(programs)
  position = data.draw(st.integers(0, len(text)))
  damage = data.draw(st.text("svm019 .,-+*/=()[]:#\n\tdefaxis@é", max_size=3))
  damaged = text[:position] + damage + text[position + data.draw(st.integers(0, 3)):]
  try:
    parsed = notation.parse(damaged, EVERYTHING)
  except notation.ProgramSyntaxError as error:
    lines = damaged.split("\n")
    assert error.source == lines[error.line - 1]
    assert 1 <= error.column <= len(error.source) + 1
  else:
    parsed.validate()
