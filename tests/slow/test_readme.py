"""What the README shows of a search is what it prints."""

import pathlib
import subprocess
import sys

import pytest

_ROOT = pathlib.Path(__file__).parents[2]


@pytest.mark.slow
def test_the_example_of_a_search_prints_what_stands_below_it():
  _, _, use = (_ROOT / "README.md").read_text().partition("**In Python or Jupyter**")
  _, _, example = use.partition("```python\n")
  code, _, printed, *_ = example.split("```")
  done = subprocess.run(
      [sys.executable, "-c", code], cwd=_ROOT, text=True, capture_output=True, timeout=300)
  assert done.returncode == 0, done.stderr
  assert done.stdout == printed.removeprefix("\n")
  assert done.stdout.startswith("fitness 1.0000 after ") and done.stdout.endswith("[1.]\n")
