"""Run directories as experiments leave them, written in a moment and without a search."""

import json

EMPTY = "def Setup():\ndef Predict():\ndef Learn():"
LINEAR = """def Setup():
  s2 = 0.1
def Predict():
  s1 = dot(v0, v1)
def Learn():
  s3 = s0 - s1
  s3 = s3 * s2
  v2 = s3 * v0
  v1 = v1 + v2"""
SLOW = LINEAR.replace("0.1", "0.001")
SLOW_LINES = [line.strip() for line in SLOW.splitlines() if line.startswith(" ")]
SOFTMAX = """def Setup():
  s2 = uniform(0.123456, 0.654321)
def Predict():
  v2 = dot(m0, v0)
def Learn():
  v3 = v1 - v2
  v3 = s2 * v3
  m1 = outer(v3, v0)
  m0 = m0 + m1"""


def under_way(path, *, program=LINEAR, slow=SLOW, metric="rms", num_classes=0, status="running"):
  """A search of two islands; its best program is `program`, found on the second."""
  path.mkdir(parents=True)
  tasks = {"metric": metric, "num_tasks": 2, "num_features": 4, "num_train": 10, "num_valid": 10,
           "num_classes": num_classes}
  _write(path / "config.json", {"seed": 3, "islands": 2, "hurdle": None})
  _write(path / "run.json", {
      "experiment": "custom_data", "started": 1.7e9, "tasks": tasks,
      "command": "python -m experiments.custom_data --seed=3",
      "defaults": {"seed": 0, "islands": 2, "hurdle": None}})
  found = [(0, 0.2, 1, EMPTY), (1, 0.25, 1, EMPTY), (1, 0.5, 30, slow), (0, 0.4, 200, slow),
           (1, 0.995, 4000, program)]
  rows = [
      {"island": island, "fitness": fitness, "train_steps": 10 * programs,
       "num_programs": programs, "num_features": 4, "program": text}
      for island, fitness, programs, text in found]
  _write_lines(path / "improvements.jsonl", rows)
  _write(path / "hall_of_fame.json", rows[::-1])
  _write(path / "workers.json", {
      "seconds": 9.0, "programs": [5000, 5000], "train_steps": [5e4, 5e4],
      "best_fitness": [0.4, 0.995], "active": [1, 1]})
  _write_lines(path / "metrics.jsonl", [{
      "programs": 10_000, "train_steps": 100_000, "seconds": 9.0, "best_fitness": 0.995,
      "median_best_fitness": 0.7, "canonical_hit_rate": 0.5, "fingerprint_hit_rate": 0.25,
      "evaluated": 2500, "programs_per_second": 1111.0, "islands": 2, "time": 1.7e9,
      "status": status}])
  return path


def with_history(path, **about):
  """As `concluded`, with the lineage of the program, the front, and what parts are worth."""
  concluded(path, **about)
  program, slow = about.get("program", LINEAR), about.get("slow", SLOW)
  told = [
      (1, EMPTY, 0.25, "start", 0, 0.0, []), (30, slow, 0.5, "insert", 0, 0.25, ["+ Learn: x"]),
      (70, slow, 0.5, "copy", 5, 0.0, []),
      (4000, program, 0.995, "alter_constant", 0, 0.495, ["- Setup: old", "+ Setup: new"])]
  steps = [
      {"island": 1, "num_programs": programs, "fitness": fitness, "mutation": mutation,
       "skipped": skipped, "gain": gain, "changes": changes, "num_features": 4, "program": text}
      for programs, text, fitness, mutation, skipped, gain, changes in told]
  _write(path / "lineage.json", {"steps": steps, "lineages": [
      {"island": 1, "num_programs": 4000, "steps": [0, 1, 2, 3]}]})
  _write(path / "front.json", [
      {"island": 1, "fitness": fitness, "train_steps": 1, "num_programs": 4000, "num_features": 4,
       "complexity": complexity, "cost": cost, "program": text}
      for complexity, cost, fitness, text in ((0, 0.0, 0.25, EMPTY), (6, 40.0, 0.995, program))])
  findings = json.loads((path / "findings.json").read_text())
  interval = {"estimate": 0.5, "low": 0.4, "high": 0.6}
  _write(path / "findings.json", findings | {
      "simplification": {
          "original": program, "program": program, "original_fitness": 0.995, "fitness": 0.995,
          "loss": interval, "steps": [
              {"what": "nothing", "proof": "canonical key", "num_instructions": 6, "loss": None}]},
      "ablations": {
          "fitness": 0.995, "num_tasks": 20, "num_seeds": 1, "num_trials": 0, "ablations": [
              {"name": "gradient steps", "kind": "mechanism", "places": ["Learn 4: v1 = v1 + v2"],
               "without": "nothing is added", "fitness": 0.495, "loss": interval},
              {"name": "s2 = 0.1", "kind": "instruction", "places": ["Setup 1: s2 = 0.1"],
               "without": "left out", "fitness": 0.2,
               "loss": {"estimate": 0.795, "low": None, "high": None}}]}})
  return path


def concluded(path, **about):
  """A search that has come to its findings, on tasks; arguments as for `under_way`."""
  under_way(path, status="budget", **about)
  program, num_classes = about.get("program", LINEAR), about.get("num_classes", 0)
  _write(path / "findings.json", {
      "title": "A title & <more>", "summary": ["It **works** <b>well</b>."], "data": "",
      "tables": ["| a | b |\n| --- | --- |\n| 1 | 2 |"], "ended": "stopped: max_seconds=9",
      "num_classes": num_classes, "program": program, "num_features": 4, "scores": {
          "discovered program": [0.9, 1.0], "constant prediction": [0.25, 0.35],
          "linear model (Adam)": [0.88, 0.98]}})
  (path / "program.txt").write_text(program + "\n")
  (path / "report.md").write_text("# A title\n")
  return path


def of_classes(path):
  """A table of three classes, of which the last has a name that HTML must not believe."""
  concluded(
      path, program=SOFTMAX, slow=SOFTMAX.replace("0.123456", "0.2"), metric="accuracy",
      num_classes=3)
  _write(path / "result.json", _result("accuracy", ["a", "b", "<script>c"], 0.9) | {
      "confusion": [[10, 0, 1], [2, 7, 0], [0, 0, 10]]})
  (path / "model.pkl").write_bytes(b"")
  return path


def of_quantity(path):
  """A table with a quantity as its target."""
  concluded(path)
  _write(path / "result.json", _result("rms_error", None, 3.5) | {
      "residuals": [[1.0, 1.5], [2.0, 1.75], [4.0, 4.5]]})
  return path


def _result(metric, classes, score):
  return {
      "target": "price", "kind": "classification" if classes else "regression",
      "classes": classes, "features": ["x", "y"], "metric": metric,
      "rows": {"search": 60, "select": 20, "judged": 30}, "warnings": ["rows 3 and 7 are the same"],
      "scores": {"discovered program": {"score": score, "interval": [score - 0.1, score + 0.1]},
                 "constant prediction": {"score": 0.5, "interval": [0.25, 0.75]}},
      "verdicts": {"constant prediction": {
          "verdict": "better", "gain": 0.4, "gain_interval": [0.3, 0.5]}}}


def _write(path, value):
  path.write_text(json.dumps(value))


def _write_lines(path, rows):
  path.write_text("".join(json.dumps(row) + "\n" for row in rows))
