"""What the README shows first is what it prints."""

import pathlib
import subprocess
import sys

import pytest

_ROOT = pathlib.Path(__file__).parents[2]


@pytest.mark.slow
def test_the_first_example_prints_what_stands_below_it():
  _, _, example = (_ROOT / "README.md").read_text().partition("```python\n")
  code, _, printed, *_ = example.split("```")
  done = subprocess.run(
      [sys.executable, "-c", code], cwd=_ROOT, text=True, capture_output=True, timeout=300)
  assert done.returncode == 0, done.stderr
  assert done.stdout == printed.removeprefix("\n")
  assert done.stdout.startswith("fitness 1.0000 after ") and done.stdout.endswith("[1.]\n")
