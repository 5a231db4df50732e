"""The notebooks run from the first cell to the last, and show what they promise."""

import pathlib

import nbclient
import nbformat

_NOTEBOOKS = pathlib.Path(__file__).parents[1] / "notebooks"


def test_quickstart_runs_and_shows_a_program_and_a_picture():
  notebook = nbformat.read(_NOTEBOOKS / "quickstart.ipynb", as_version=4)
  assert all(not cell.get("outputs") for cell in notebook.cells)  # kept without outputs
  nbclient.NotebookClient(notebook, timeout=300, kernel_name="python3").execute()
  outputs = [output for cell in notebook.cells for output in cell.get("outputs", [])]
  shown = [output["data"] for output in outputs if "data" in output]
  assert sum("image/png" in data for data in shown) == 1
  assert any(data["text/plain"].startswith("def Setup():") for data in shown)
  printed = "".join(output["text"] for output in outputs if output.output_type == "stream")
  assert "hand-written 1.0000" in printed
  # The search of the notebook ends in a discovery, which learns tasks it has not seen.
  assert "fitness 1.0000 after" in printed and "evolved      1.0000" in printed
