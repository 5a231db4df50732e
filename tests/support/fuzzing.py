"""Wrong input: how valid input is damaged, and what a program may do with it.

Whatever it is given, it comes to a result or to one clear error of its own, within bounds of
time and memory. `ends_well` holds a call to that.
"""

import collections
from collections.abc import Callable, Iterator, Sequence
import contextlib
import dataclasses
import json
import pathlib
import resource
import signal
import traceback
from typing import Any

import hypothesis
import hypothesis.strategies as st

from azero.language.text import ProgramSyntaxError
from azero.runs.manifest import CheckpointError

_ROOT = pathlib.Path(__file__).parents[2]
_OWN = tuple(str(_ROOT / room) for room in ("azero", "experiments"))
# The kinds of errors that docstrings promise for bad input; exactly these, no class below them.
_DOCUMENTED = (
    ValueError, ProgramSyntaxError, CheckpointError, FileNotFoundError, FileExistsError)
_MOST_SECONDS = 20  # of work; where others keep the processor busy it may last
_LONGEST_SECONDS = 300  # on the clock
_MOST_BYTES = 2 << 30  # of memory beside what the process has when a test begins
_LONGEST = 1500  # characters of a message
_NUMBERS = (
    0, -1, 1, 3.5, 1e308, -1e-320, 2**31, 2**63, 2**64, 10**30, 10**400, float("nan"),
    float("inf"), float("-inf"))


class Refused(Exception):
  """A command has ended with this message in place of its work."""


class _Hang(BaseException):
  """A call takes too long; no handler of errors may take this one for another."""


@dataclasses.dataclass(frozen=True)
class Kind:
  """One kind of input.

  Attributes:
    cases: inputs, valid ones and others.
    read: gives one to what reads it.
    where: what the message of every error has to name, such as a file.
    reserved: bytes of addresses that may be taken beside those that are in use; threads and
      devices take many, and use few.
  """

  cases: st.SearchStrategy[Any]
  read: Callable[[Any], Any]
  where: str = ""
  reserved: int = _MOST_BYTES


def fuzz(kind: Kind, num_cases: int) -> collections.Counter[str]:
  """Tries so many cases, each time the same; how many ended in which way, see `ends_well`."""
  ends: collections.Counter[str] = collections.Counter()

  @hypothesis.settings(
      max_examples=num_cases, database=None,
      phases=[hypothesis.Phase.generate], suppress_health_check=list(hypothesis.HealthCheck))
  @hypothesis.given(kind.cases)
  def try_one(case: Any) -> None:
    ends[ends_well(lambda: kind.read(case), kind.where)] += 1

  most = max(_memory("VmHWM"), _memory("VmRSS") + _MOST_BYTES)
  with _bounded_addresses(kind.reserved):
    try_one()
  assert _memory("VmHWM") <= most
  return ends


def ends_well(call: Callable[[], Any], where: str = "") -> str:
  """Calls, and says how that ended.

  Args:
    call: what is given the input.
    where: what the message of an error has to name, such as a file.

  Returns:
    "accepted", or "refused" if it was refused by one clear error.

  Raises:
    AssertionError: it ended in any other way; tells it with the place.
  """
  try:
    with _limited():
      call()
  except (Refused, *_DOCUMENTED) as error:
    if problem := _problem(error, where):
      raise AssertionError(f"{problem}: {_told(error)}") from error
    return "refused"
  except OSError as error:  # the system's own word, which has the name of the file
    if error.filename is None or len(str(error)) > _LONGEST:
      raise AssertionError(f"an error that names no file: {_told(error)}") from error
    return "refused"
  except (Exception, SystemExit, _Hang) as error:
    raise AssertionError(f"an error that is not documented: {_told(error)}") from error
  return "accepted"


@contextlib.contextmanager
def _bounded_addresses(num_bytes: int) -> Iterator[None]:
  """Lets the process take no more than so many bytes of addresses beside those that it has."""
  limit, hard = resource.getrlimit(resource.RLIMIT_AS)
  resource.setrlimit(resource.RLIMIT_AS, (_memory("VmSize") + num_bytes, hard))
  try:
    yield
  finally:
    resource.setrlimit(resource.RLIMIT_AS, (limit, hard))


def _memory(name: str) -> int:
  """Bytes of this process: its addresses, what it holds now, or held at most."""
  status = pathlib.Path("/proc/self/status").read_text()
  lines = dict(line.split(":", 1) for line in status.splitlines())
  return int(lines[name].split()[0]) * 1024


@contextlib.contextmanager
def _limited() -> Iterator[None]:
  def stop(*_: Any) -> None:
    raise _Hang

  clocks = (
      (signal.SIGPROF, signal.ITIMER_PROF, _MOST_SECONDS),
      (signal.SIGALRM, signal.ITIMER_REAL, _LONGEST_SECONDS))
  before = [signal.signal(number, stop) for number, _, _ in clocks]
  for _, clock, seconds in clocks:
    signal.setitimer(clock, seconds)
  try:
    yield
  finally:
    for (number, clock, _), handler in zip(clocks, before):
      signal.setitimer(clock, 0)
      signal.signal(number, handler)


def _problem(error: Exception, where: str) -> str:
  """What is not as it should be in an error of a documented kind, or nothing."""
  message, own = str(error), isinstance(error, Refused)
  if not own and type(error) not in _DOCUMENTED:
    return f"{type(error).__name__} comes from within a library"
  if not own and not traceback.extract_tb(error.__traceback__)[-1].filename.startswith(_OWN):
    return "a library's own message"
  if len(message) > _LONGEST:
    return f"a message of {len(message)} characters"
  if len(message) < 15 or "\n\n" in message or "Traceback" in message:
    return "not a paragraph"
  if where not in message:
    return f"the message does not name {where}"
  return ""


def _told(error: BaseException) -> str:
  frames = traceback.extract_tb(error.__traceback__)[-4:]
  places = " < ".join(
      f"{pathlib.Path(each.filename).name}:{each.lineno}" for each in reversed(frames))
  return f"{type(error).__name__}({str(error)[:600]!r}) at {places}"


@st.composite
def damaged(draw: Any, samples: Sequence[bytes], pieces: Sequence[bytes] = ()) -> bytes:
  """A sample of bytes with one to four changes: bits, cuts, copies, inserted and swapped pieces.

  Args:
    draw: of Hypothesis.
    samples: valid input.
    pieces: what may be inserted, beside random bytes.
  """
  data = draw(st.sampled_from(samples))
  for _ in range(draw(st.integers(1, 4))):
    first, last = sorted(draw(st.tuples(*[st.integers(0, len(data))] * 2)))
    kind = draw(st.sampled_from(("bit", "cut", "drop", "copy", "insert", "piece", "swap")))
    if kind == "bit" and first < len(data):
      flipped = data[first] ^ (1 << draw(st.integers(0, 7)))
      data = data[:first] + bytes([flipped]) + data[first + 1 :]
    elif kind == "cut":
      data = data[:first]
    elif kind == "drop":
      data = data[:first] + data[last:]
    elif kind == "copy":
      data = data[:last] + data[first : first + 4000] + data[last:]
    elif kind == "insert":
      data = data[:first] + draw(st.binary(min_size=1, max_size=8)) + data[first:]
    elif kind == "piece" and pieces:
      data = data[:first] + draw(st.sampled_from(pieces)) + data[first:]
    elif kind == "swap":
      middle = draw(st.integers(first, last))
      data = data[:first] + data[middle:last] + data[first:middle] + data[last:]
  return data


@st.composite
def changed_json(draw: Any, samples: Sequence[Any]) -> Any:
  """A JSON value with one to three of its parts replaced, removed, added or exchanged."""
  value = json.loads(json.dumps(draw(st.sampled_from(samples))))
  for _ in range(draw(st.integers(1, 3))):
    places = list(_places(value))
    if not places:
      return draw(json_values())
    inside, key = draw(st.sampled_from(places))
    kind = draw(st.sampled_from(("replace", "remove", "add", "exchange")))
    if kind == "replace":
      inside[key] = draw(json_values())
    elif kind == "remove":
      del inside[key]
    elif kind == "add" and isinstance(inside, dict):
      inside[draw(st.text(max_size=6))] = draw(json_values())
    else:
      other, there = draw(st.sampled_from(places))
      inside[key], other[there] = json.loads(json.dumps((other[there], inside[key])))
  return value


def _places(value: Any) -> Iterator[tuple[Any, Any]]:
  """What holds each part of a JSON value, and by which key or index."""
  if isinstance(value, dict | list):
    for key in list(value if isinstance(value, dict) else range(len(value))):
      yield value, key
      yield from _places(value[key])


def json_values() -> st.SearchStrategy[Any]:
  """JSON values, odd ones above all, among them deep and long ones."""
  return st.one_of(
      st.sampled_from(_NUMBERS), st.booleans(), st.none(), st.text(max_size=12),
      st.sampled_from(["x" * 100_000, "9" * 5000, "\ud800", "", "none", "1e999"]),
      st.lists(st.integers(-3, 3), max_size=3), st.just([]), st.just({}),
      st.dictionaries(st.text(max_size=4), st.integers(-3, 3), max_size=3),
      st.integers(1, 400).map(_nested))


def _nested(depth: int) -> Any:
  value: Any = 0
  for _ in range(depth):
    value = [value]
  return value


DEEP = b"[" * 100_000  # deeper than any reader goes
PIECES = (  # of texts
    b"\0", b"\xff\xfe", b"\xef\xbb\xbf", b"\xe4", "\u0663".encode(), "\u2028".encode(), b"\r",
    b"\n", b'"', b"'", b",", b";", b"nan", b"-inf", b"1e999", b"{", b"[", b"null", b"NaN",
    b"9" * 5000, b"9" * 70_000 + b"x", b"x" * 70_000, DEEP)


def written(values: st.SearchStrategy[Any]) -> st.SearchStrategy[bytes]:
  """JSON values as texts."""
  return values.map(lambda value: json.dumps(value).encode())
