"""The kinds of input that the fuzzer damages: examples of each, and what reads it."""

import bz2
from collections.abc import Callable, Mapping, Sequence
import contextlib
import gc
import gzip
import importlib
import io
import json
import lzma
import pathlib
import shutil
from typing import Any
from unittest import mock
import zipfile

from absl.flags import FlagValues
import hypothesis.strategies as st
import numpy as np
import pandas as pd
from support import forged, forged_parquet, fuzzing, run_cases, search_cases, tiny_tfds
from support.fuzzing import Kind, Refused
from support.toy_evaluator import ToyEvaluator
import tensorflow_datasets as tfds

import azero
from azero.language import grammar, ops
from azero.language import text as notation
from azero.report import page
from azero.runs import runner
from azero.runs.directory import RunDirectory, settings_of
from azero.runs.warm_start import read_programs
from azero.search.evolution import Evolution
from azero.tasks.images import tfds_store
from azero.tasks.images.sources import SOURCES
from azero.tasks.tables import npz, sources
from azero.tasks.tables import table as table_lib
from azero.tasks.tables.custom_data import of_table
from azero.tasks.tables.table import TableSettings
from experiments import backprop_discovery, custom_data, linear_regression, runs
from experiments.frame import candidates, command_line, settings, study
from experiments.frame.settings import Leaf, leaves

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
      st.sampled_from(forms),
      st.sampled_from([line for text in _ZOO for line in text.splitlines()]))
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
  good = azero.zoo.source("linear_regressor")
  space = notation.infer_space([good], 4)

  def read(data: bytes) -> None:
    file.write_bytes(data)
    read_programs(file, space)

  return Kind(
      st.one_of(fuzzing.damaged([good.encode()], fuzzing.PIECES), st.binary(max_size=40)), read,
      str(file))


def text_tables(place: pathlib.Path) -> Kind:
  """Tables as text: rows of odd cells, and damaged files of good ones."""
  good = _text_tables()
  return _table_file(place / "table.csv", st.one_of(
      fuzzing.damaged(good, fuzzing.PIECES), _odd_rows(), _changed_cells(good[0].decode()),
      st.binary(max_size=60)))


def packed_tables(place: pathlib.Path) -> Kind:
  """Packed tables and Parquet."""
  text, *_ = _text_tables()
  archive, parquet = io.BytesIO(), io.BytesIO()
  with zipfile.ZipFile(archive, "w") as opened:
    opened.writestr("table.csv", text)
  pd.read_csv(io.BytesIO(text)).to_parquet(parquet)
  good = [
      gzip.compress(text, mtime=0), bz2.compress(text), lzma.compress(text), archive.getvalue(),
      parquet.getvalue()]
  return _table_file(place / "table.packed", fuzzing.damaged(good))


def forged_parquet_files(place: pathlib.Path) -> Kind:
  """Parquet files that claim what they do not hold, and small ones that hold gigabytes."""
  return _table_file(place / "table.parquet", st.one_of(
      forged_parquet.forged(), *[
          st.builds(make) for make in (forged_parquet.long_texts, forged_parquet.long_lists)]))


def _table_file(file: pathlib.Path, contents: st.SearchStrategy[bytes]) -> Kind:
  def read(case: tuple[bytes, str, str]) -> None:
    content, kind, column = case
    file.write_bytes(content)
    settings = TableSettings(kind=kind, num_features=4)
    of_table(table_lib.prepare_file(file, column or None, settings=settings), 1)

  kinds = st.sampled_from(table_lib.TARGETS)
  columns = st.sampled_from(("", "", "", "price", "0", "-9", "99", "colour"))
  return Kind(st.tuples(contents, kinds, columns), read, str(file))


def _text_tables() -> list[bytes]:
  """Good tables of 24 rows, with each way to separate and to write numbers."""
  rng = np.random.default_rng(0)
  rows = [
      (f"{rng.normal():.3f}", str(rng.integers(9)), rng.choice(("red", "green", "")),
       f"2024-0{1 + k % 9}-1{k % 10}", "true" if k % 3 else "false", f"{k * 1.5}")
      for k in range(24)]
  head = ("size", "rooms", "colour", "built", "new", "price")
  lines = [",".join(row) for row in (head, *rows)]
  text = "\n".join(lines) + "\n"
  decimal = text.replace(",", ";").replace(".", ",")
  return [
      text.encode(), decimal.encode("utf-8-sig"), text.replace(",", "\t").encode("utf-16"),
      "\n".join(lines[1:]).encode(), text.replace("red", "gr\u00fcn").encode("cp1252"),
      text.replace(",", ' , ').replace("green", '"a, ""b"" \n c"').encode()]


_CELLS = (
    "", "0", "1", "2.5", "-7e2", "1e308", "-1e308", "1e-320", "9" * 400, "nan", "inf", "NA", "?",
    "a", "b", "red", "true", "False", "2024-02-30", "2024-01-05", "9999-12-31", "1.1.1", "1,5",
    "1,200", '"', '"a"', "'", "\u0663", "=1+1", "0x10", "1_000", "\ufeff", "x" * 200, " ")


@st.composite
def _changed_cells(draw: Any, text: str) -> bytes:
  """A good table with some of its cells, or a whole column, replaced."""
  rows = [line.split(",") for line in text.splitlines()]
  for _ in range(draw(st.integers(1, 3))):
    place = draw(st.integers(0, len(rows[0]) - 1))
    chosen = draw(st.lists(st.integers(0, len(rows) - 1), max_size=4)) or range(1, len(rows))
    cells = draw(st.lists(st.sampled_from(_CELLS), min_size=1, max_size=3))
    for k, row in enumerate(chosen):
      rows[row][place] = cells[k % len(cells)].replace(",", ".")
  return "\n".join(map(",".join, rows)).encode()


@st.composite
def _odd_rows(draw: Any) -> bytes:
  """Rows of about as many cells, of few odd kinds in a column."""
  columns = [
      draw(st.lists(st.sampled_from(_CELLS), min_size=1, max_size=4))
      for _ in range(draw(st.integers(1, 5)))]
  separator = draw(st.sampled_from((",", ";", "\t", "|", " ")))
  random = draw(st.randoms(use_true_random=False))
  rows = [
      separator.join(random.choice(column) for column in columns)
      for _ in range(draw(st.integers(0, 40)))]
  if draw(st.booleans()):
    rows.insert(0, separator.join(draw(st.sampled_from((
        "a", "price", "colour", "", "1", "a", "nan"))) for _ in columns))
  return draw(st.sampled_from(("\n", "\r\n", "\r"))).join(rows).encode()


def array_files(place: pathlib.Path) -> Kind:
  """NPZ files of a data set or of ready tasks: damaged, of odd arrays, with false headers."""
  file = place / "arrays.npz"
  rng = np.random.default_rng(0)
  x, y = rng.normal(size=(24, 3)), np.arange(24) % 2
  data = {"x": x, "y": y}
  ready = {"train_x": x[None, :16], "train_y": y[None, :16], "valid_x": x[None, 16:],
           "valid_y": y[None, 16:], "metric": np.array("accuracy")}
  good = [_npz(arrays, pack) for arrays in (data, ready) for pack in (False, True)]
  readers = (
      lambda: sources.from_npz(file, num_tasks=1, num_features=4),
      lambda: npz.load_tasks_npz(file), lambda: npz.read_features(file))

  def read(case: tuple[bytes, int]) -> None:
    content, reader = case
    file.write_bytes(content)
    readers[reader]()

  contents = st.one_of(
      fuzzing.damaged(good), _odd_arrays(data), _odd_arrays(ready), _odd_headers())
  return Kind(st.tuples(contents, st.integers(0, len(readers) - 1)), read, str(file))


def _npz(arrays: Mapping[str, Any], pack: bool = False) -> bytes:
  file = io.BytesIO()
  (np.savez_compressed if pack else np.savez)(file, **arrays)
  return file.getvalue()


@st.composite
def _odd_arrays(draw: Any, arrays: Mapping[str, np.ndarray]) -> bytes:
  """Whole files, in which arrays have another type, shape or value, or are exchanged."""
  arrays = dict(arrays)
  for _ in range(draw(st.integers(1, 3))):
    name = draw(st.sampled_from(sorted(arrays)))
    array = arrays[name].copy()
    change = draw(st.sampled_from(("type", "shape", "value", "other", "remove", "cut", "odd")))
    if change == "type":
      types = ("f4", "i8", "u1", "c16", "U8", "S8", "O", "M8[s]", "?", ">f8", "f2")
      with contextlib.suppress(Exception), np.errstate(all="ignore"):  # some types do not fit
        arrays[name] = array.astype(draw(st.sampled_from(types)))
    elif change == "shape":
      arrays[name] = draw(st.sampled_from((array.ravel(), array[None], array[..., None], array.T)))
    elif change == "value" and array.dtype.kind == "f" and array.size:
      array.flat[draw(st.integers(0, array.size - 1))] = draw(st.sampled_from(
          (np.nan, np.inf, 1e308, -1e308, 1e-320, 0.5, -1.0, 3.0, 2.0**63)))
      arrays[name] = array
    elif change == "other":
      arrays[name] = arrays[draw(st.sampled_from(sorted(arrays)))]
    elif change == "remove" and len(arrays) > 1:
      del arrays[name]
    elif change == "cut" and array.ndim:
      arrays[name] = array[: draw(st.integers(0, 3))]
    elif change == "odd":
      arrays[name] = np.array(draw(st.sampled_from(
          (0, "rms", "\ud800", b"rms", [], [["a"]], [{}], np.zeros(3, "f4,i4"), np.zeros((0, 9)),
           np.full((24, 3), 1e300), np.zeros((24, 3)), 10**30))))
  return _npz(arrays, draw(st.booleans()))


@st.composite
def _odd_headers(draw: Any) -> bytes:
  """Members whose headers claim what they do not hold, such as terabytes."""
  descr = draw(st.sampled_from(
      ("'<f8'", "'|O'", "'<U0'", "'|V0'", "'<U999999999'", "'|i1'", "[('a', '<f8')]", "'x'", "8L",
       "'<f8' * 10**9", "[" * 300)))
  shape = draw(st.sampled_from(
      ("(1099511627776,)", "(2, 3)", "(-1,)", "(0,)", "(10**9,)", "(4294967296, 4294967296)",
       "(1.5,)", "(True,)", "()", "[3]", "(" * 150, f"({'9' * 5000},)", "(3L,)")))
  header = f"{{'descr': {descr}, 'fortran_order': False, 'shape': {shape}, }}".encode()
  content = (
      b"\x93NUMPY" + draw(st.sampled_from((b"\1\0", b"\2\0", b"\3\0", b"\4\0", b"")))
      + len(header).to_bytes(draw(st.sampled_from((2, 2, 4))), "little") + header
      + bytes(draw(st.sampled_from((0, 8, 48, 1000)))))
  file = io.BytesIO()
  with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
    for name in ("x", "y", "train_x", "metric"):
      archive.writestr(f"{name}.npy" if draw(st.booleans()) else name, content)
  return file.getvalue()


def run_files(place: pathlib.Path) -> Kind:
  """The files of a run directory: what shows runs, reports on them, or starts from them."""
  run = run_cases.with_history(place / "run")
  file_run = run_cases.of_classes(place / "table")
  originals = {path: path.read_bytes() for each in (run, file_run) for path in each.iterdir()
               if path.suffix in (".json", ".jsonl")}
  space = notation.infer_space([run_cases.LINEAR, run_cases.EMPTY], 4)

  def commands(directory: pathlib.Path, number: int) -> None:
    words = (["show", str(directory), "--programs=9"], ["compare", str(run), str(file_run)],
             ["list", str(place)])[number]
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(
        io.StringIO()) as told:
      if runs.main(words):
        raise Refused(told.getvalue())

  readers = (
      lambda directory: commands(directory, 0), lambda directory: commands(directory, 1),
      lambda directory: commands(directory, 2), page.read,
      lambda directory: read_programs(directory, space),
      lambda directory: candidates.named(str(directory)))

  def read(case: tuple[pathlib.Path, bytes, int]) -> None:
    path, content, number = case
    path.write_bytes(content)
    try:
      readers[number](path.parent)
    finally:
      path.write_bytes(originals[path])

  cases = st.one_of([
      st.tuples(st.just(path), _run_file(path, content), st.integers(0, len(readers) - 1))
      for path, content in originals.items()])
  return Kind(cases, read, str(place))


def _run_file(path: pathlib.Path, content: bytes) -> st.SearchStrategy[bytes]:
  """Damaged contents of a file of JSON or of JSON lines."""
  if path.suffix == ".json":
    changed = fuzzing.written(fuzzing.changed_json([json.loads(content)]))
  else:
    rows = [json.loads(line) for line in content.splitlines()]
    changed = fuzzing.changed_json([rows]).map(
        lambda rows: b"".join(json.dumps(row).encode() + b"\n" for row in rows)
        if isinstance(rows, list) else json.dumps(rows).encode())
  return st.one_of(changed, changed, fuzzing.damaged([content], fuzzing.PIECES))


def settings_files(place: pathlib.Path) -> Kind:
  """config.json of a run that is to be continued, of an experiment and of a search."""
  config = settings.build(linear_regression.Config, output_dir=str(place), run_name="run")
  directory = study.open_directory("linear_regression", config)
  path, good = directory.path / "config.json", json.dumps(directory.config).encode()

  def read(case: tuple[bytes, bool]) -> None:
    content, of_experiment = case
    path.write_bytes(content)
    if of_experiment:
      study.continued(linear_regression.Config, directory.path, max_programs=5)
    else:
      RunDirectory.open(directory.path, directory.config)

  return Kind(st.tuples(_run_file(path, good), st.booleans()), read, str(directory.path))


def json_programs(place: pathlib.Path) -> Kind:
  """Programs as JSON."""
  del place
  good = azero.export.json_text(azero.zoo.load("figure_6", 4)).encode()
  return Kind(
      _run_file(pathlib.Path("program.json"), good),
      lambda content: azero.export.from_json(content.decode(errors="replace")), "JSON")


def stopped_runs(place: pathlib.Path) -> Kind:
  """Runs that are to be continued, a file damaged, with an older checkpoint or without."""
  begun, run = place / "begun", place / "run"
  _advance(begun, 12)
  _advance(begun, 24)
  samples = {path.relative_to(begun): path.read_bytes() for path in begun.rglob("*")
             if path.is_file()}
  versions = sorted(path.name for path in (begun / "checkpoints").iterdir())

  def read(case: tuple[pathlib.Path, bytes | None, bool]) -> None:
    name, content, only_newest = case
    shutil.rmtree(run, ignore_errors=True)
    shutil.copytree(begun, run)
    for version in versions[:-1] if only_newest else ():
      shutil.rmtree(run / "checkpoints" / version)
    if content is None:
      (run / name).unlink(missing_ok=True)
    elif (run / name).parent.exists():
      (run / name).write_bytes(content)
    with contextlib.redirect_stderr(io.StringIO()):
      _advance(run, 28)

  def contents(path: pathlib.Path, content: bytes) -> st.SearchStrategy[bytes | None]:
    damaged = fuzzing.damaged([content], fuzzing.PIECES)
    if path.suffix not in (".json", ".jsonl") or path.name == "manifest.json":
      return st.one_of(damaged, damaged, st.none())
    return st.one_of(_run_file(path, content), _run_file(path, content), st.none())

  return Kind(
      st.one_of([st.tuples(st.just(path), contents(path, content), st.booleans())
                 for path, content in samples.items()]), read, str(run))


def forged_checkpoints_of_processes(place: pathlib.Path) -> Kind:
  """`forged_checkpoints` of a search over two processes."""
  return forged_checkpoints(place, num_processes=2)


def forged_checkpoints(place: pathlib.Path, num_processes: int = 0) -> Kind:
  """Runs that are to be continued from a checkpoint whose checksums are right and whose contents
  no run has saved, with an older checkpoint or without.
  """
  begun, run = place / "begun", place / "run"
  forged.advance(begun, 24, num_processes)
  forged.advance(begun, 48, num_processes)
  newest = forged.newest(begun)
  samples = {
      path.relative_to(newest).as_posix(): path.read_bytes() for path in newest.rglob("*")
      if path.is_file() and path.name not in (*forged.NOTES, "manifest.json")}
  body = json.loads((newest / "manifest.json").read_text().splitlines()[0])
  versions = sorted((begun / "checkpoints").iterdir())

  def read(case: tuple[Callable[..., None], tuple[Any, ...], bool]) -> None:
    forge, arguments, only_newest = case
    shutil.rmtree(run, ignore_errors=True)
    shutil.copytree(begun, run)
    for version in versions[:-1] if only_newest else ():
      shutil.rmtree(run / "checkpoints" / version.name)
    forge(run, *arguments)
    with contextlib.redirect_stderr(io.StringIO()):
      forged.advance(run, 60, num_processes)

  def contents(name: str, content: bytes) -> st.SearchStrategy[bytes]:
    damaged = fuzzing.damaged([content], fuzzing.PIECES)
    try:
      return st.one_of(damaged, fuzzing.written(fuzzing.changed_json([json.loads(content)])))
    except ValueError:
      return damaged

  files = st.one_of([
      st.tuples(st.just(forged.write_file), st.tuples(st.just(name), contents(name, content)))
      for name, content in samples.items()])
  manifests = st.tuples(
      st.just(forged.write_manifest), st.tuples(fuzzing.changed_json([body])))
  states = st.tuples(
      st.just(forged.write_state),
      st.tuples(forged.changed_states(forged.state_of(begun))))
  return Kind(
      st.tuples(st.one_of(files, manifests, states, states, states), st.booleans()).map(
          lambda case: (*case[0], case[1])), read, str(run))


def _advance(path: pathlib.Path, num_programs: int) -> None:
  """Begins or continues a run up to this number of programs."""
  search = Evolution(
      search_cases.FIXED, search_cases.tasks(2),
      search_cases.config(cycles_per_step=2, cache_size=16, max_programs=num_programs),
      evaluator=ToyEvaluator)
  directory = RunDirectory.open if path.exists() else RunDirectory
  runner.run(search, directory=directory(path, settings_of(search)), progress="off")


def flags(place: pathlib.Path) -> Kind:
  """Command lines of every experiment, up to its settings."""
  del place
  configs = [importlib.import_module(f"experiments.{name}").Config for name in _EXPERIMENTS]

  def read(case: tuple[int, list[str]]) -> None:
    number, arguments = case
    _settings(configs[number], arguments)

  return Kind(
      st.one_of([
          st.tuples(
              st.just(number), st.lists(_flag(list(leaves(config).values())), max_size=5))
          for number, config in enumerate(configs)]), read)


def _settings(config_class: type[Any], arguments: Sequence[str]) -> Any:
  """The settings of a command line; what refuses it is said as `main` says it."""
  values = FlagValues()
  command_line.define_flags(config_class, values)
  if len(rest := command_line.parse(["experiment", *arguments], values)) > 1:
    raise Refused(f"unexpected argument {rest[1]:.99}")
  return command_line.given(config_class, values)


_EXPERIMENTS = (
    "ablation", "adaptation", "backprop_discovery", "benchmark", "custom_data", "digits",
    "evaluate_program", "explain", "export", "final_evaluation", "linear_regression",
    "minimal_input", "predict", "search_baselines", "task_difficulty")
_VALUES = (
    "", "0", "1", "2", "3", "-1", "0.5", "1.5", "1e3", "1e12", "1e40", "1e999999999", "nan", "inf",
    "-inf", "none", "None", "true", "false", "maybe", "a", "a,b", ",", "1,2", "1,1", "3,-1", "/",
    "~", "~nobody/x", ".", "..", "../x", "x" * 300, "9" * 5000, "\u0663", "\udcff", " ", "0x10",
    "1_0", "paper", "azero", "local", "ray", "median", "mean", "random", "grown", "float64",
    "1/1/1")


@st.composite
def _flag(draw: Any, known: Sequence[Leaf], *, odd: bool = True) -> str:
  """A flag of these with a value that is good, odd or of another one; or, if odd, what is none."""
  leaf = draw(st.sampled_from(known))
  good = [leaf.show(leaf.default), *(leaf.choices or ())]
  value = draw(st.one_of(
      st.sampled_from(good), st.sampled_from(_VALUES), st.text(
          st.characters(exclude_characters="\0"), max_size=6)))
  if not odd or draw(st.integers(0, 9)):
    return f"--{leaf.name}={value}"
  name = draw(st.sampled_from((leaf.name, "preset", "help2", "", "seed ", "=")))
  return draw(st.sampled_from((
      f"-{name}={value}", f"--no{name}", f"--{name}", f"--{name} {value}", value)))


def beginnings(place: pathlib.Path) -> Kind:
  """Command lines up to where the search begins, of experiments that need few files."""
  table = place / "table.csv"
  table.write_bytes(_text_tables()[0])
  fixed = ("output_dir", "resume", "runtime", "workers")
  cases = (
      (linear_regression, ["--islands=2", "--num_tasks=2", "--population_size=10"]),
      (custom_data, [f"--data={table}", "--islands=2", "--num_tasks=2", "--population_size=10"]),
      (backprop_discovery, ["--preset=smoke"]))

  def read(case: tuple[int, list[str]]) -> None:
    number, arguments = case
    module, usual = cases[number]
    config = _settings(module.Config, [*usual, f"--output_dir={place}", *arguments])
    out = io.TextIOWrapper(io.BytesIO(), "utf-8")
    try:
      with contextlib.redirect_stdout(out), mock.patch.object(runner, "run", side_effect=_Begun):
        module.run(config)
    except _Begun:
      pass
    finally:
      for path in place.iterdir():
        if path.is_dir():
          shutil.rmtree(path)
      gc.collect()  # what was made for a search has cycles

  return Kind(
      st.one_of([
          st.tuples(st.just(number), st.lists(_flag([
              leaf for name, leaf in leaves(module.Config).items() if name not in fixed],
              odd=False), max_size=3))
          for number, (module, _) in enumerate(cases)]), read, reserved=12 << 30)


class _Begun(Exception):
  """A search would begin."""


def image_directories(place: pathlib.Path) -> Kind:
  """Data sets in TFDS directories, of both formats, one file damaged or missing."""
  source = SOURCES["mnist_5k"]
  images, labels = tiny_tfds.random_images(source, {2: 4, 7: 5}, seed=0)
  directories = {}
  tfds.disable_progress_bar()
  for file_format in tfds_store.FILE_FORMATS:
    directories[file_format] = tfds_store.write_images(
        source, {"train": (images.reshape(9, -1), labels)}, data_dir=place / file_format)
  tiny_tfds.convert_to_tfrecord(directories["tfrecord"])
  originals = {path: path.read_bytes() for each in directories.values() for path in each.iterdir()}

  def read(case: tuple[pathlib.Path, bytes | None]) -> None:
    path, content = case
    path.unlink()
    if content is not None:
      path.write_bytes(content)
    try:
      tfds_store.read_images(source, "train", data_dir=path.parents[2])
    finally:
      path.write_bytes(originals[path])

  return Kind(
      st.one_of([
          st.tuples(st.just(path), st.one_of(st.none(), *[
              _run_file(path, content) if path.suffix == ".json"
              else fuzzing.damaged([content])] * 6))
          for path, content in originals.items()]), read, str(place))


# How many cases of each kind are tried in a moment, and how many in all.
KINDS = {
    programs: (60, 6000),
    program_files: (50, 1500),
    text_tables: (50, 4000),
    packed_tables: (40, 1500),
    forged_parquet_files: (30, 2000),
    array_files: (80, 4000),
    run_files: (60, 3000),
    settings_files: (40, 1500),
    stopped_runs: (8, 1000),
    forged_checkpoints: (8, 1500),
    forged_checkpoints_of_processes: (4, 1500),
    json_programs: (60, 2000),
    flags: (100, 4000),
    beginnings: (15, 1500),
    image_directories: (10, 1000),
}
