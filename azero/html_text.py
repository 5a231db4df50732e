"""HTML of what notebooks show: tables whose cells are text."""

from collections.abc import Sequence
import html


def table(header: Sequence[str], rows: Sequence[Sequence[str]], *, caption: str = "") -> str:
  """An HTML table.

  Args:
    header: names of columns; of none, the first column has names of rows.
    rows: cells.
    caption: a sentence above it.
  """
  left = "style='text-align:left;vertical-align:top'"
  lines = ["".join(f"<th {left}>{html.escape(name)}</th>" for name in header)] if header else []
  for row in rows:
    kinds = ["td" if header or k else "th" for k in range(len(row))]
    lines.append("".join(
        f"<{kind} {left}>{html.escape(cell)}</{kind}>" for kind, cell in zip(kinds, row)))
  above = f"<p>{html.escape(caption)}</p>" if caption else ""
  return f"{above}<table>{''.join(f'<tr>{line}</tr>' for line in lines)}</table>"


def code(text: str) -> str:
  """Text as it is written."""
  return f"<pre style='text-align:left'>{html.escape(text)}</pre>"
