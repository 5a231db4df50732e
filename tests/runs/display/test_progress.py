import io
import re
import sys

import pytest
from rich.panel import Panel
from rich.text import Text

from azero.runs.display import progress as progress_module
from azero.runs.display.progress import Progress


class Terminal(io.StringIO):
  """A stream whose lines can be overwritten."""

  def isatty(self):
    return True


@pytest.fixture(autouse=True)
def narrow(monkeypatch):
  monkeypatch.setenv("COLUMNS", "40")
  monkeypatch.setenv("LINES", "24")
  monkeypatch.setenv("TERM", "xterm")


def screen(stream):
  """The lines that a terminal shows after what was written: cursor up, erase, return, text."""
  lines, row = [""], 0
  for token in re.split("(\x1b\\[[?0-9;]*[A-Za-z]|\r|\n)", stream.getvalue()):
    if token == "\x1b[1A":
      row -= 1
    elif token == "\x1b[2K":
      lines[row] = ""
    elif token == "\n":
      row += 1
      lines += [""] * (row == len(lines))
    elif not token.startswith(("\x1b", "\r")):
      lines[row] += token
  return [line.rstrip() for line in lines if line.strip()]


def cursor_is_shown(stream):
  return stream.getvalue().rfind("\x1b[?25h") >= stream.getvalue().rfind("\x1b[?25l")


def panel():
  return Panel(Text("inside"))


@pytest.mark.parametrize(("mode", "stream"), [("auto", io.StringIO), ("plain", Terminal)])
def test_a_log_gets_whole_lines(mode, stream):
  stream = stream()
  display = Progress(mode, stream)
  display.show("one", picture=panel)
  display.show("a line that is longer than the forty columns of a terminal")
  display.show("two", final=True)
  assert stream.getvalue() == (
      "one\na line that is longer than the forty columns of a terminal\ntwo\n")


def test_a_terminal_that_cannot_overwrite_gets_lines(monkeypatch):
  monkeypatch.setenv("TERM", "dumb")
  stream = Terminal()
  display = Progress(stream=stream)
  display.show("one", picture=panel)
  display.show("two", final=True)
  assert stream.getvalue() == "one\ntwo\n"


def test_a_terminal_overwrites_its_line():
  stream = Terminal()
  display = Progress(stream=stream)
  display.show("longer line")
  assert screen(stream) == ["longer line"]
  display.show("line")
  assert screen(stream) == ["line"] and not cursor_is_shown(stream)
  display.show("the end", final=True)
  assert screen(stream) == ["the end"] and cursor_is_shown(stream)


def test_a_terminal_shows_a_picture_until_the_final_line():
  stream = Terminal()
  display = Progress(stream=stream)
  for _ in range(3):
    display.show("line", picture=panel)
  top, middle, bottom = screen(stream)
  assert "inside" in middle and {len(top), len(middle), len(bottom)} == {40}
  display.show("the end", final=True)
  assert screen(stream) == ["the end"]


def test_a_line_never_wraps_in_a_terminal_but_the_last_is_whole():
  stream = Terminal()
  display = Progress(stream=stream)
  line = "x" * 100
  display.show(line)
  assert screen(stream) == ["x" * 39 + "…"]
  display.show(line, final=True)
  assert screen(stream) == [line]


def test_what_the_program_prints_goes_above_the_picture(monkeypatch):
  stream = Terminal()
  monkeypatch.setattr(sys, "stdout", stream)
  with Progress(stream=stream) as display:
    display.show("line", picture=panel)
    print("an estimate")
    display.show("line", picture=panel)
    first, *shown = screen(stream)
    assert first == "an estimate" and len(shown) == 3
    display.show("the end", final=True)
  assert screen(stream) == ["an estimate", "the end"] and sys.stdout is stream


def test_a_redirected_standard_output_stays_where_it_is(monkeypatch):
  stream, output = Terminal(), io.StringIO()
  monkeypatch.setattr(sys, "stdout", output)
  with Progress(stream=stream) as display:
    display.show("line", picture=panel)
    print("an estimate")
  assert output.getvalue() == "an estimate\n" and "estimate" not in stream.getvalue()


@pytest.mark.parametrize("error", [KeyboardInterrupt, ValueError])
def test_an_error_leaves_the_terminal_as_it_was(monkeypatch, error):
  stream = Terminal()
  monkeypatch.setattr(sys, "stdout", stream)
  with pytest.raises(error):
    with Progress(stream=stream) as display:
      display.show("line", picture=panel)
      raise error
  assert cursor_is_shown(stream) and screen(stream) == [] and sys.stdout is stream


@pytest.mark.parametrize(("mode", "stream_class", "seconds"), [
    ("auto", io.StringIO, 10.0), ("auto", Terminal, 0.5), ("plain", Terminal, 10.0)])
def test_due_after_a_while(monkeypatch, mode, stream_class, seconds):
  now = [100.0]
  monkeypatch.setattr(progress_module.time, "monotonic", lambda: now[0])
  with Progress(mode, stream_class()) as display:
    assert display.due()
    display.show("line")
    assert not display.due()
    now[0] += seconds - 0.01
    assert not display.due()
    now[0] += 0.02
    assert display.due()


def test_off_is_silent():
  stream = Terminal()
  display = Progress("off", stream)
  assert not display.due()
  display.show("line", picture=panel)
  display.show("line", final=True)
  assert stream.getvalue() == ""


def test_jupyter_updates_one_display(monkeypatch):
  shown = []

  class Display:
    def update(self, data, raw):
      shown.append((data, raw))

  monkeypatch.setattr(progress_module, "_jupyter_display", Display)
  stream = io.StringIO()
  display = Progress(stream=stream)
  display.show("one", picture=panel)
  display.show("two", final=True)
  assert stream.getvalue() == ""
  assert shown == [({"text/plain": "one"}, True), ({"text/plain": "two"}, True)]
  Progress("plain", stream).show("three")
  assert stream.getvalue() == "three\n"


def test_the_default_is_standard_error(capsys):
  Progress().show("line")
  captured = capsys.readouterr()
  assert (captured.out, captured.err) == ("", "line\n")


def test_unknown_mode():
  with pytest.raises(ValueError, match="progress must be one of auto, plain, off, got 'loud'"):
    Progress("loud")


def test_what_is_passing_delays_nothing(monkeypatch):
  monkeypatch.setattr(progress_module.time, "monotonic", lambda: 1000.0)
  stream = io.StringIO()
  with Progress("plain", stream) as display:
    display.show("compiling", passing=True)
    assert display.due()
    display.show("first")
    assert not display.due()
  assert stream.getvalue() == "compiling\nfirst\n"
