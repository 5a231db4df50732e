"""The tables of the benchmark, in Markdown."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from azero.insight import tables as insight_tables
from experiments.benchmarks import device_rates
from experiments.benchmarks.device_rates import Row
from experiments.frame import reporting


def report(results: Mapping[str, Any], picture: str) -> str:
  """The report of a benchmark.

  Args:
    results: of `benchmark.run`.
    picture: file name of the picture.

  Returns:
    The text.
  """
  parts = [
      "# Benchmark", reporting.code_block(results["command"]),
      insight_tables.markdown(("machine", ""), list(results["machine"].items())),
      f"Every figure is the best of {results['settings']['runs']} runs of at least "
      f"{results['settings']['seconds']} s each; of those of single ops, in shorter turns. All of "
      f"it took {results['seconds'] / 60:.1f} minutes"
      + (f" and at most {results['peak_memory'] / 1e9:.2f} GB of memory in this process."
         if results["peak_memory"] else "."),
      "*Device* is one device kept busy: the plan of a batch is made once, and the host lays out "
      "the tables of the next launch while the device is at one. *End to end* is one call of "
      "`evaluate` after the other: analysis, schedule, device and results in turn. Nothing is "
      "cached, every program has its own constants and its own legal order of instructions, "
      "and only steps that were really trained count. Where fewer cores were busy than there are "
      "devices, other processes took part of the machine, and the figures are too low.",
      f"![All results]({picture})"]
  for part in _TABLES:
    if part in results:
      parts += tables(results, part)
  return "\n\n".join(parts) + "\n"


def tables(results: Mapping[str, Any], part: str) -> list[str]:
  """The heading, tables and remarks of one part of the results."""
  return _TABLES[part](results[part])


def _programs(rows: Sequence[Row]) -> list[str]:
  by_cell: dict[tuple, dict[str, Row]] = {}
  for row in rows:
    cell = row["program"], row["features"], row["tasks"]
    by_cell.setdefault(cell, {})[row["dtype"]] = row
  lines = []
  for (program, features, tasks), by_dtype in by_cell.items():
    row = by_dtype["float32"]
    lines.append((
        program, features, tasks, row["programs"], row["train"], row["valid"],
        *(_millions(by_dtype[dtype][f"steps_per_second{way}"]) for way in ("", "_end_to_end")
          for dtype in by_dtype), f"{row['ns_per_step']:.1f}",
        f"{min(row['trained'] for row in by_dtype.values()):.1%}", f"{row['cores']:.2f}"))
  dtypes = list(dict.fromkeys(row["dtype"] for row in rows))
  return [
      "## Hand-written programs", "Million training steps per second on one device.",
      insight_tables.markdown((
          "program", "F", "D", "programs", "train", "valid",
          *(f"{way}, {dtype}" for way in ("device", "end to end") for dtype in dtypes),
          "ns / step (float32)", "trained", "cores busy (float32, device)"), lines)]


def _populations(rows: Sequence[Row]) -> list[str]:
  lines = [(
      row["space"], row["population"], row["programs"], f"{row['instructions']:.1f}",
      f"{row['live_instructions']:.1f}", f"{row['trained']:.1%}",
      *(f"{row[f'programs_per_second{way}']:,.0f}" for way in ("", "_end_to_end")),
      *(_millions(row[f"steps_per_second{way}"]) for way in ("", "_end_to_end")),
      "" if row["best_fitness"] is None else f"{row['best_fitness']:.3f}") for row in rows]
  return [
      "## Populations",
      "Programs of distinct canonical keys on 5-versus-5 groups of digits, F = 16, D = 10, one "
      "device, float32. Evolved ones are the youngest of an evolution from empty programs, dead "
      "code and all; *trained* is the fraction of programs and tasks that were not stopped.",
      insight_tables.markdown((
          "space", "population", "programs", "instructions", "live", "trained",
          "programs/s, device", "programs/s, end to end", "M steps/s, device",
          "M steps/s, end to end", "best fitness reached"), lines)]


def _demo(demo: Mapping[str, Any]) -> list[str]:
  counts = demo["counts"]
  programs = max(counts["programs"], 1)
  answered = ", ".join(
      f"{counts[name] / programs:.1%} {words}" for name, words in (
          ("canonical_hits", "by the cache of canonical keys"),
          ("fingerprint_hits", "by fingerprint"), ("stopped_early", "as stopped early"),
          ("evaluated", "in full")))
  return [
      "## The demo search",
      f"{demo['islands']} islands on {demo['num_devices']} devices: "
      f"**{demo['programs_per_second']:,.0f} programs per second** "
      f"and {_millions(demo['steps_per_second'])} million training steps per second, over "
      f"{demo['seconds']:.1f} s, after compiling and warming up. Answered: {answered}.",
      insight_tables.markdown(("stage", "share of the wall time"), [
          (stage, f"{share:.1%}") for stage, share in demo["stages"].items()])]


def _searches(rows: Mapping[str, Row]) -> list[str]:
  stages = list(next(iter(rows.values()))["stages"])
  return [
      "## Searches",
      "From their start, when everything is compiled, one child at a time as the paper has it; "
      "see `experiments/benchmarks/searches.py` for what they are. Stages are shares of the wall "
      "time of one thread of the search as it goes on, watched by Python's profiler.",
      insight_tables.markdown(
          ("search", "programs/s", "M steps/s", "devices idle", *stages),
          [(name, f"{row['programs_per_second']:,.0f}", _millions(row["train_steps_per_second"]),
            f"{row['device_idle_share']:.0%}",
            *(f"{row['stages'][stage]:.0%}" for stage in stages)) for name, row in rows.items()])]


def _scaling(rows: Sequence[Row]) -> list[str]:
  first = rows[0]
  lines = []
  for row in rows:
    cells = [
        f"{_millions(rate)} ({rate / first['steps_per_second'][name]:.2f}x)"
        for name, rate in row["steps_per_second"].items()]
    rate = row["programs_per_second"]
    memory = row["peak_memory"]
    lines.append((
        row["num_devices"], *cells, f"{row['cores']:.2f}",
        f"{rate:,.0f} ({rate / first['programs_per_second']:.2f}x)",
        f"{memory / 1e9:.2f}" if memory else ""))
  return [
      "## Scaling over devices",
      "Million training steps per second of a large batch (device), and programs per second of "
      "the demo search; each row is a process of its own. With fewer devices than cores the "
      "host has a core of its own.",
      insight_tables.markdown((
          "devices", *(f"M steps/s, {name}" for name in first["steps_per_second"]),
          "cores busy meanwhile",
          "demo programs/s", "peak memory, GB"), lines),
      "Programs per second of the searches from their start:",
      insight_tables.markdown(("search", *(f"{row['num_devices']} devices" for row in rows)), [
          (name, *(f"{row['searches'][name]['programs_per_second']:,.0f} "
                   f"({_times(row, first, name):.2f}x)" for row in rows))
          for name in first["searches"]])]


def _times(row: Row, first: Row, name: str) -> float:
  """Speed of a search beside that with the first number of devices."""
  speeds = [each["searches"][name]["programs_per_second"] for each in (row, first)]
  return speeds[0] / max(speeds[1], 1e-9)


def _growth(rows: Sequence[Row]) -> list[str]:
  texts = []
  for varied, key, words in (
      ("length", "length", "live instructions of Learn"),
      ("examples", "train", "training examples")):
    some = [row for row in rows if row["varied"] == varied]
    names = list(dict.fromkeys(row["program"] for row in some))
    sizes = list(dict.fromkeys(row[key] for row in some))
    cost = {(row["program"], row[key]): row["ns_per_step"] for row in some}
    texts.append(insight_tables.markdown(
        (words, *names), [(size, *(f"{cost[name, size]:.1f}" for name in names))
                          for size in sizes]))
  return [
      "## How cost grows",
      f"ns per training step and task on one device (device, float32), F = "
      f"{rows[0]['features']}, D = {rows[0]['tasks']}; over F and D see the hand-written "
      "programs.", *texts]


def _ops(rows: Sequence[Row]) -> list[str]:
  features = list(dict.fromkeys(row["features"] for row in rows))
  by_op: dict[str, dict[int, Row]] = {}
  for row in rows:
    by_op.setdefault(row["op"], {})[row["features"]] = row
  middle = features[len(features) // 2]
  ordered = sorted(by_op.items(), key=lambda item: item[1][middle]["ns_per_element"])
  lines = []
  for op, cells in ordered:
    slow = [size for size in features if (cells[size]["ratio"] or 0) > device_rates.MAX_RATIO]
    lines.append((
        op, cells[middle]["kind"],
        *(f"{cells[size]['ns_per_element']:.3f}" for size in features),
        *(_ratio(cells[size]["ratio"]) for size in features),
        "slow at F = " + ", ".join(map(str, slow)) if slow else ""))
  noise = []
  for op, cells in by_op.items():
    bound = device_rates.NOISE_RATIOS.get(op.split("_")[-1])
    if bound is not None:
      ratios = [cells[size]["ratio"] for size in features]
      good = all(ratio is not None and ratio <= bound for ratio in ratios)
      noise.append((op, *map(_ratio, ratios), f"{bound:.0f}x", "yes" if good else "no"))
  header = *(f"F = {size}" for size in features),
  return [
      "## Every op on its own",
      "ns for each element of its widest operand, one device, float32, D = 10: programs that "
      "execute the op up to 16 times for every training example on operands that the example "
      "changes, less the same programs without it. Sorted by F = "
      f"{middle}. The ratio is to an addition of the same kind; above {device_rates.MAX_RATIO} the "
      "op is marked as slow. Zero is what the difference of two measurements does not "
      "resolve; a constant costs nothing where it is hoisted out of the loop.",
      insight_tables.markdown(
          ("op", "widest", *(f"ns, {name}" for name in header),
           *(f"ratio, {name}" for name in header), ""), lines),
      *([insight_tables.markdown(
          ("random op: ratio to an addition", *header, "bound", "kept"), noise)] if noise else [])]


def _millions(rate: float) -> str:
  return f"{rate / 1e6:.2f}"


def _ratio(ratio: float | None) -> str:
  return "" if ratio is None else f"{ratio:.2f}"


_TABLES: dict[str, Callable[[Any], list[str]]] = {
    "programs": _programs, "populations": _populations, "demo": _demo, "searches": _searches,
    "scaling": _scaling, "growth": _growth, "ops": _ops}
