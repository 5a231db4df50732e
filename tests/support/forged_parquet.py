"""Parquet files that claim what they do not hold, or unpack to far more than they are long."""

import functools
import io
from typing import Any

import hypothesis.strategies as st
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from support import thrift

_ODD = (0, -1, 1, 2, 2**15, 10**6, 2**28, 2**31 - 1, 2**31, 2**32, 10**12, 2**62, -(2**63))
_ROWS = 3  # field of a file and of a part of it
_ROW_GROUPS, _COLUMNS, _META = 4, 1, 3  # fields that lead to what is told of a column chunk
_STORED, _PAGES, _DICTIONARY = 7, 9, 11  # of that: bytes, where pages begin, where the dictionary
_PAGE_BYTES = 3  # of the header of a page: bytes behind it


@functools.cache
def samples() -> list[bytes]:
  """Good tables of 60 rows, in each way that columns are stored."""
  rng = np.random.default_rng(0)
  frame = pd.DataFrame({
      "size": rng.normal(size=60), "rooms": rng.integers(0, 9, 60),
      "colour": rng.choice(["red", "green", None], 60), "new": rng.integers(0, 2, 60) > 0,
      "price": rng.normal(size=60).round(3)})
  table = pa.Table.from_pandas(frame)
  return [
      _stored(table, compression=compression, use_dictionary=dictionary, row_group_size=size,
              data_page_version=version)
      for compression, dictionary, size, version in (
          ("snappy", True, 100, "1.0"), ("none", False, 25, "1.0"), ("zstd", True, 100, "2.0"),
          ("gzip", False, 100, "2.0"))]


@functools.cache
def long_texts(rows: int = 4000, length: int = 1 << 20) -> bytes:
  """One text in all rows: a file of few bytes that takes rows * length."""
  column = pa.DictionaryArray.from_arrays(
      pa.array(np.zeros(rows, np.int32)), pa.array(["x" * length]))
  table = pa.table({"text": column, "price": np.arange(float(rows))})
  return _stored(table, store_schema=False)


@functools.cache
def long_lists(length: int = 1 << 22) -> bytes:
  """A column of lists, of which one has so many zeros."""
  lists = pa.ListArray.from_arrays(
      pa.array([0, length, length], pa.int32()), pa.array(np.zeros(length, np.int8)))
  return _stored(pa.table({"list": lists, "price": [1.0, 2.0]}))


def claiming_rows(rows: int) -> bytes:
  """A table of 60 rows that claims so many, as does its only part."""
  data = samples()[0]
  footer, begin = _footer(data)
  for struct in (footer, _field(footer, _ROW_GROUPS)[1][0][2]):
    field = next(field for field in struct if field[0] == _ROWS)
    field[2] = rows
  return _with_footer(data[:begin], footer)


def _stored(table: pa.Table, **settings: Any) -> bytes:
  file = io.BytesIO()
  pq.write_table(table, file, **settings)
  return file.getvalue()


@st.composite
def forged(draw: Any) -> bytes:
  """A good table in which a few numbers of what it says of itself are others."""
  data = samples()[draw(st.integers(0, len(samples()) - 1))]
  for _ in range(draw(st.integers(1, 3))):
    footer, begin = _footer(data)
    chunks = [
        _field(column, _META) for _, _, group in _field(footer, _ROW_GROUPS)[1]
        for _, _, column in _field(group, _COLUMNS)[1]]
    if draw(st.booleans()):
      _change(draw, footer)
      data = _with_footer(data[:begin], footer)
      continue
    chunk = draw(st.sampled_from(chunks))
    start = min(
        _field(chunk, name) for name in (_PAGES, _DICTIONARY) if _field(chunk, name) is not None)
    try:
      header, end = thrift.read_struct(data, start)
      _change(draw, header)
    except (AssertionError, IndexError):  # a number before this one was changed that led here
      continue
    new = thrift.write_struct(header)
    grown = len(new) - (end - start)
    for other in chunks:
      for field in other:
        if field[0] in (_PAGES, _DICTIONARY) and field[2] > start:
          field[2] += grown
    for field in chunk:
      if field[0] == _STORED:
        field[2] += grown
    data = _with_footer(data[:start] + new + data[end:begin], footer)
  return data


def _footer(data: bytes) -> tuple[list[Any], int]:
  """What a file says of itself, and where that begins."""
  begin = len(data) - 8 - int.from_bytes(data[-8:-4], "little")
  return thrift.read_struct(data, begin)[0], begin


def _with_footer(pages: bytes, footer: list[Any]) -> bytes:
  written = thrift.write_struct(footer)
  return pages + written + len(written).to_bytes(4, "little") + b"PAR1"


def _field(struct: list[Any], number: int) -> Any:
  return next((value for own, _, value in struct if own == number), None)


def _change(draw: Any, struct: list[Any]) -> None:
  """Puts an odd number in the place of one of those of a struct."""
  fields = list(_integers(struct))
  if not fields:
    return
  field = fields[draw(st.integers(0, len(fields) - 1))]
  widest = {4: 15, 5: 31, 6: 63}[field[1]]
  value = draw(st.one_of(
      st.sampled_from(_ODD), st.just(field[2] + 1), st.just(field[2] * 1000)))
  field[2] = max(-(1 << widest), min(value, (1 << widest) - 1))


def _integers(fields: list[Any]) -> Any:
  for field in fields:
    _, kind, value = field
    if kind in thrift.INTEGERS:
      yield field
    elif kind == 12:
      yield from _integers(value)
    elif kind in (9, 10):
      yield from _integers(value[1])
