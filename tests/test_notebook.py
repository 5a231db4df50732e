"""The notebooks run from the first cell to the last, and show what they promise."""

import pathlib
import re

import nbclient
import nbformat

_NOTEBOOKS = pathlib.Path(__file__).parents[1] / "notebooks"


def _run(name):
  """What the cells of a notebook show, and all that they print."""
  notebook = nbformat.read(_NOTEBOOKS / name, as_version=4)
  assert all(not cell.get("outputs") for cell in notebook.cells)  # kept without outputs
  nbclient.NotebookClient(notebook, timeout=300, kernel_name="python3").execute()
  outputs = [output for cell in notebook.cells for output in cell.get("outputs", [])]
  shown = [output["data"] for output in outputs if "data" in output]
  return shown, "".join(
      output["text"] for output in outputs if output.output_type == "stream")


def test_quickstart_runs_and_shows_a_program_and_a_picture():
  shown, printed = _run("quickstart.ipynb")
  assert sum("image/png" in data for data in shown) == 1
  assert any(data["text/plain"].startswith("def Setup():") for data in shown)
  assert "hand-written 1.0000" in printed
  # The search of the notebook ends in a discovery, which learns tasks it has not seen.
  assert "fitness 1.0000 after" in printed and "evolved      1.0000" in printed


def test_explore_goes_from_a_run_to_an_estimator():
  shown, printed = _run("explore.ipynb")
  run, hall, lineage, simplified, explained, ablated, report = (
      data["text/html"] for data in shown if "text/html" in data)
  assert "<th style='text-align:left;vertical-align:top'>status</th>" in run
  assert hall.count("<tr>") == 1 + 20 + 2  # names, entries, and the best program
  assert "start" in lineage and "+ Learn" in lineage
  assert "without effect left out" in simplified
  assert "A linear model of the features" in explained and "gradient steps" in ablated
  assert report.startswith("<iframe srcdoc=") and "How it came about" in report
  [diagram] = [data["image/svg+xml"] for data in shown if "image/svg+xml" in data]
  assert "prediction: s1 = dot(" in diagram
  assert "RMS error of the exported file 0.0000" in printed
  scores = re.search(r"R2 of three folds \[(.*)\]", printed)[1].split()
  assert len(scores) == 3 and min(map(float, scores)) > 0.9
