"""What XLA makes of the wave executor: one native loop that changes the memory in place."""

import re

import jax.numpy as jnp
import numpy as np
import pytest
from support.random_programs import fusing_space

from azero.executors.waves import loop, tables
from azero.executors.waves.layout import make_layout
from azero.language.ops import Kind

NUM_TASKS, NUM_ROWS = 2, 64


def _compiled(
    num_classes: int, num_epochs: int
) -> tuple[dict[str, list[str]], list[str], list[str]]:
  """Lines of each computation of an executor's HLO, shapes of its memories and of its scores."""
  dtype = np.dtype(np.float32)
  layout = make_layout(fusing_space(4), NUM_TASKS, num_classes, dtype.itemsize)
  spec = loop.WaveSpec(layout, shuffled=num_epochs > 1)
  widths = layout.widths
  examples = loop.Examples(
      jnp.zeros((NUM_ROWS, widths[Kind.VECTOR]), dtype),
      jnp.zeros((NUM_ROWS, widths[Kind.SCALAR]), dtype),
      jnp.zeros((1, NUM_TASKS), jnp.uint32), jnp.zeros((NUM_ROWS, NUM_TASKS), jnp.int32))
  lowered = loop.compiled(spec).lower(
      loop.new_memory(layout, dtype), tables.new_arrays(layout, dtype), examples,
      (jnp.uint32(0), jnp.float32(100)), jnp.zeros(len(loop.Extent._fields), jnp.int32))
  computations: dict[str, list[str]] = {}
  for line in lowered.compile().as_text().splitlines():
    if line and not line[0].isspace() and line.endswith("{"):
      name = line.split("(")[0].strip()
      computations[name] = []
    elif line.startswith("  "):
      computations[name].append(line)
  memories = [
      f"f32[{','.join(map(str, (n, *shape)))}]"
      for n, shape in zip(layout.num_rows, layout.row_shapes)]
  columns = NUM_TASKS if layout.multiclass else widths[Kind.SCALAR]
  scores = [f"{dtype}[{layout.num_programs},{columns}]" for dtype in ("s32", "f32")]
  return computations, memories, scores


@pytest.mark.parametrize(("num_classes", "num_epochs"), [(0, 1), (2, 2), (3, 1)])
def test_the_memory_is_changed_in_place(num_classes, num_epochs):
  computations, memories, scores = _compiled(num_classes, num_epochs)
  entry = [name for name in computations if name.startswith("ENTRY")]
  assert len(entry) == 1
  lines = [line for name, own in computations.items() if name not in entry for line in own]
  # Loops carry the memories and write them; neither they nor a fusion copy one.
  for shape in memories:
    assert sum(" while(" in line and shape in line for line in lines) >= 3
    assert sum(" dynamic-update-slice(" in line and shape in line for line in lines) >= 3
    assert _copies(lines, shape) == []
  # Nor does a section copy scores; only the ends of epochs may.
  sections = [own for own in computations.values() if sum(" call(" in line for line in own) > 8]
  assert len(sections) == 1
  for shape in scores:
    assert _copies(sections[0], shape) == []


def _copies(lines: list[str], shape: str) -> list[str]:
  """The lines that copy an array of this shape."""
  copied = re.compile(rf"= \(?{re.escape(shape)}\S* copy(-start)?\(")
  return [line for line in lines if copied.search(line)]


def test_the_evaluation_is_one_native_call():
  computations, *_ = _compiled(0, 1)
  entry, = (own for name, own in computations.items() if name.startswith("ENTRY"))
  calls = [line for line in entry if " call(" in line]
  assert not any(" while(" in line for line in entry)
  assert len(calls) == 1 and 'xla_cpu_small_call="true"' in calls[0]
  # XLA runs more than a few kernels in threads of its own, for which a thread of the search waits.
  assert sum(bool(re.search(r" (fusion|copy|call|dot|reduce)\(", line)) for line in entry) <= 8
  called = re.search(r"to_apply=(%[\w.\-]+)", calls[0]).group(1)
  assert any(" while(" in line for line in computations[called])
