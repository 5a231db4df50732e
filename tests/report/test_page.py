"""What a page says of a run, by its text; `test_browser` looks at it in a browser."""

import importlib.util
import json
import re

import pytest
from support import run_cases

import azero
from azero import lazy
from azero.report import anatomy, facts, figures, history, library, page, scores
from azero.runs import reader

ALWAYS = ["next", "took", "settings"]


_SCRIPT = library.script


@pytest.fixture(autouse=True)
def no_library(monkeypatch):
  """To put the library together takes seconds, which only the test of the browser needs."""
  monkeypatch.setattr(library, "script", lambda: "/* library */")


def sections(report):
  return re.findall(r'<section id="(\w+)">', report.html)


@pytest.mark.parametrize(("make", "shown"), [
    (run_cases.under_way, ["progress", "walk", "program"]),
    (run_cases.concluded, ["summary", "progress", "walk", "program", "comparison"]),
    (run_cases.with_history,
     ["summary", "progress", "walk", "program", "ablations", "front", "comparison"]),
    (run_cases.of_classes,
     ["summary", "progress", "walk", "program", "comparison", "confusion", "data"]),
    (run_cases.of_quantity,
     ["summary", "progress", "walk", "program", "comparison", "residuals", "data"])])
def test_sections_are_there_when_their_data_are(tmp_path, make, shown):
  report = azero.report.read(make(tmp_path / "run"))
  assert sections(report) == shown + ALWAYS
  assert report.write() == tmp_path / "run" / "report.html"
  assert (tmp_path / "run" / "report.html").read_text(encoding="utf-8") == report.html
  # Neither does anything come from elsewhere, nor is it allowed to.
  assert not re.search(r'(?:src|href)="(?!#|data:)|@import|url\((?!#)', report.html)
  assert "default-src 'none'" in report.html


def test_a_run_without_a_program_has_what_there_is(tmp_path):
  (tmp_path / "run").mkdir()
  (tmp_path / "run" / "config.json").write_text('{"seed": 0}')
  assert sections(azero.report.read(tmp_path / "run")) == ["next", "settings"]


def test_a_picture_of_an_experiment_is_in_the_page(tmp_path):
  path = run_cases.concluded(tmp_path / "run")
  findings = json.loads((path / "findings.json").read_text())
  (path / "findings.json").write_text(json.dumps(findings | {"picture": "a.png"}))
  assert "<img" not in azero.report.read(path).html  # the file is gone
  (path / "a.png").write_bytes(b"abc")
  assert '<img src="data:image/png;base64,YWJj" alt="A title &amp; &lt;more&gt;">' in (
      azero.report.read(path).html)


def test_what_people_wrote_is_text_and_no_code(tmp_path):
  html = azero.report.read(run_cases.of_classes(tmp_path / "run")).html
  assert "<h1>A title &amp; &lt;more&gt;</h1>" in html
  assert "<strong>works</strong> &lt;b&gt;well&lt;/b&gt;" in html
  assert "<script>c" not in html and "&lt;script&gt;c" in html


def test_the_best_island_is_the_strong_curve(tmp_path):
  found = history.progress_of(reader.read_run(run_cases.under_way(tmp_path / "run")))
  assert {point["curve"] for point in found.best} == {"1"}
  assert found.best[-1]["programs"] == 5000  # as far as the island went
  assert [point["height"] for point in found.best[:2]] == [0.75, 0.5]
  assert "rose from 0.2500 to 0.9950" in found.alt


def test_long_curves_are_thinned_but_for_the_best(tmp_path):
  path = run_cases.under_way(tmp_path / "run")
  rows = [
      {"island": island, "fitness": 0.9 - island / 10 - 0.5 / k, "num_programs": k,
       "num_features": 4, "program": run_cases.LINEAR} for k in range(1, 500) for island in (0, 1)]
  (path / "improvements.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
  found = history.progress_of(reader.read_run(path))
  assert len(found.best) == 500 and len(found.others) == 80
  assert [found.others[k]["programs"] for k in (0, -1)] == [1, 5000]


def test_without_a_lineage_the_steps_of_the_best_island_have_what_is_new_in_them(tmp_path):
  found = history.walk_of(reader.read_run(run_cases.under_way(tmp_path / "run")))
  assert [(step.number, step.programs, step.before, step.fitness, step.changes)
          for step in found.steps] == [
      (1, 30, 0.25, 0.5, [f"+ {line}" for line in run_cases.SLOW_LINES]),
      (2, 4000, 0.5, 0.995, ["+ s2 = 0.1"])]
  assert found.inventions == []


def test_without_a_lineage_the_island_is_that_of_the_program(tmp_path):
  path = run_cases.concluded(tmp_path / "run")
  rows = [json.loads(line) for line in (path / "improvements.jsonl").read_text().splitlines()]
  rows.append(rows[-1] | {"island": 0, "fitness": 0.999, "program": run_cases.SLOW})
  (path / "improvements.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
  found = history.walk_of(reader.read_run(path))
  assert [(step.island, step.fitness) for step in found.steps] == [(1, 0.5), (1, 0.995)]


def test_a_lineage_is_told_by_its_inventions(tmp_path):
  found = history.walk_of(reader.read_run(run_cases.with_history(tmp_path / "run")))
  assert [(step.mutation, step.programs, step.before, step.changes) for step in found.steps] == [
      ("insert", 30, 0.25, ["+ Learn: x"]),
      ("alter_constant", 4000, 0.5, ["+ Setup: new", "- Setup: old"])]
  assert found.num_mutations == 8  # three steps, and five that were left out
  assert found.inventions == [
      ("1", "1", "start", "0.250000", ""), ("30", "1", "insert", "0.500000", "+0.250000"),
      ("4,000", "1", "alter_constant", "0.995000", "+0.495000")]


def test_fronts_of_groups_are_one(tmp_path):
  path = run_cases.with_history(tmp_path / "run")
  entries = json.loads((path / "front.json").read_text())
  worse = [entry | {"fitness": 0.2, "complexity": 5} for entry in entries]
  (path / "front.json").write_text(json.dumps(entries + worse))
  found = history.front_of(reader.read_run(path))
  assert [(point["complexity"], point["fitness"], round(point["height"], 9))
          for point in found.points] == [(0, 0.25, 0.75), (6, 0.995, 0.005)]


def test_ablations_begin_with_the_largest_loss(tmp_path):
  found = anatomy.ablations_of(reader.read_run(run_cases.with_history(tmp_path / "run")))
  assert [(row["name"], row["loss"], row["low"], row["high"]) for row in found.rows] == [
      ("Setup 1: s2 = 0.1", 0.795, 0.795, 0.795), ("gradient steps", 0.5, 0.4, 0.6)]


def test_of_a_run_under_way_the_best_program_is_made_simple(tmp_path):
  longer = run_cases.LINEAR.replace("Predict():", "Predict():\n  s3 = s1 - s2")  # without effect
  found = anatomy.anatomy_of(reader.read_run(run_cases.under_way(tmp_path / "a", program=longer)))
  assert found.caption == "7 instructions as evolved, 6 made simple."
  assert [len(lines) for _, _, lines in found.functions] == [1, 1, 4]
  assert "linear model" in found.explanation.summary


def test_references_that_lie_together_share_a_name(tmp_path):
  path = run_cases.concluded(tmp_path / "run", metric="accuracy", num_classes=2)
  findings = json.loads((path / "findings.json").read_text())
  findings["scores"]["network"] = [0.92, 0.95]
  (path / "findings.json").write_text(json.dumps(findings))
  found = history.progress_of(reader.read_run(path))
  assert [each["name"] for each in found.references] == [
      "network; linear model (Adam)", "constant prediction"]


def test_scores_of_rows_have_their_verdicts(tmp_path):
  found = scores.comparison_of(reader.read_run(run_cases.of_quantity(tmp_path / "run")))
  assert found.title == "RMS error of price"
  assert found.caption.startswith("Less is better. On 30 rows that nobody saw")
  assert [(each.name, each.own, each.score, each.verdict) for each in found.scores] == [
      ("discovered program", True, 3.5, ""),
      ("constant prediction", False, 0.5, "the program is better")]


def test_residuals_are_told_in_words(tmp_path):
  found = scores.residuals_of(reader.read_run(run_cases.of_quantity(tmp_path / "run")))
  assert found.bounds == (1.0, 4.5) and found.points[0] == {"truth": 1.0, "predicted": 1.5}
  assert found.alt == (
      "Predicted over true price of 3 rows; half of the predictions are at most 0.5 away.")


def test_scores_of_tasks_have_two_standard_errors(tmp_path):
  found = scores.comparison_of(reader.read_run(run_cases.concluded(tmp_path / "run")))
  assert [(each.score, round(each.high - each.low, 12)) for each in found.scores] == [
      (pytest.approx(0.95), 0.2), (pytest.approx(0.3), 0.2), (pytest.approx(0.93), 0.2)]


def test_a_score_of_one_task_has_no_interval(tmp_path):
  path = run_cases.concluded(tmp_path / "run")
  findings = json.loads((path / "findings.json").read_text())
  (path / "findings.json").write_text(json.dumps(findings | {"scores": {"best program": [0.75]}}))
  [score] = scores.comparison_of(reader.read_run(path)).scores
  assert score.own and (score.score, score.low, score.high) == (0.75, 0.75, 0.75)


def test_of_many_classes_the_frequent_ones_are_shown(tmp_path):
  path = run_cases.of_classes(tmp_path / "run")
  result = json.loads((path / "result.json").read_text())
  result["classes"] = [f"class {k}" for k in range(23)]
  result["confusion"] = [[k * (k == j) for j in range(23)] for k in range(23)]
  (path / "result.json").write_text(json.dumps(result))
  found = scores.confusion_of(reader.read_run(path))
  assert found.left_out == 3 and found.labels[0] == "class 3" and len(found.counts) == 20
  assert "3 rarer classes are left out." in azero.report.read(path).html


def test_searches_of_an_experiment_are_compared(tmp_path):
  (tmp_path / "run").mkdir()
  (tmp_path / "run" / "config.json").write_text('{"seed": 0}')
  paths = [run_cases.under_way(tmp_path / "run" / name) for name in ("a", "b")]
  assert history.progress_of(reader.read_run(tmp_path / "run")) is None  # a point is no curve
  for path in paths:
    line = (path / "metrics.jsonl").read_text()
    (path / "metrics.jsonl").write_text(line + line.replace("10000", "20000"))
  found = history.progress_of(reader.read_run(tmp_path / "run"))
  assert {point["curve"] for point in found.best + found.others} == {"a", "b"}
  assert history.walk_of(reader.read_run(tmp_path / "run")) is None
  assert found.across == "programs evaluated in a search"


def test_an_op_that_is_not_registered_leaves_the_text(tmp_path):
  strange = run_cases.LINEAR.replace("dot(v0, v1)", "mystery(v0, v1)")
  html = azero.report.read(run_cases.under_way(tmp_path / "run", program=strange)).html
  assert "an op of your own in it is not registered" in html and "mystery(v0, v1)" in html
  assert 'class="azero-flow"' not in html


def test_settings_that_are_no_defaults_are_told(tmp_path):
  run = reader.read_run(run_cases.under_way(tmp_path / "run"))
  assert facts.settings_of(run) == [
      ("seed", "3", "0"), ("islands", "2", ""), ("hurdle", "none", "")]


def test_what_to_do_next_fits_the_run(tmp_path):
  table = page._commands(reader.read_run(run_cases.of_classes(tmp_path / "table")))
  words = [line for line, _ in table]
  assert [line.split()[0] for line in words] == [
      "Predict", "Say", "Export", "Train", "Make"]
  assert "azero.ProgramClassifier(program)" in table[3][1]
  (tmp_path / "table" / "findings.json").unlink()  # as after it has gone on with a larger budget
  went_on = page._commands(reader.read_run(tmp_path / "table"))
  assert [line.split()[0] for line, _ in went_on] == ["Predict", "Say", "Make"]
  run = run_cases.under_way(tmp_path / "stopped", status="interrupted")
  assert page._commands(reader.read_run(run))[0] == (
      "Go on with the search", f"python -m experiments.custom_data --resume={run}")


def test_long_logarithmic_axes_have_round_ticks():
  assert figures._ticks([0.9, 0.4]) == {"tickCount": 5}
  assert figures._ticks([0.9, 0.004])["values"][:4] == [1, 0.5, 0.2, 0.1]


def test_a_notebook_shows_the_page_in_a_frame(tmp_path):
  shown = azero.report.read(run_cases.under_way(tmp_path / "run"))._repr_html_()
  assert shown.startswith('<iframe srcdoc="&lt;!doctype html&gt;')
  assert '"' not in shown.split('srcdoc="')[1].split('" sandbox')[0]


@pytest.mark.parametrize("package", ["jinja2", "markdown_it", "vl_convert"])
def test_a_missing_package_is_one_sentence(tmp_path, package, monkeypatch):
  find = importlib.util.find_spec
  monkeypatch.setattr(
      importlib.util, "find_spec",
      lambda name, *rest: None if name == package else find(name, *rest))
  monkeypatch.setattr(library, "script", _SCRIPT)
  with pytest.raises(lazy.MissingPackageError, match=r"pip install 'azero\[report\]'"):
    azero.report.read(run_cases.under_way(tmp_path / "run"))
