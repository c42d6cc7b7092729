"""Tables as text: for the terminal, Markdown, LaTeX, CSV and JSON.

Text, Markdown and LaTeX hold what people are shown, CSV and JSON the raw values of every column. Names in tables come
from files of others, so each format has its escape: what it would interpret is written so that it does not.

pandas could write three of these, but only with tabulate or jinja2 installed, and would escape none of them.
"""

from __future__ import annotations

import csv
import io
import json
import math
import re
import textwrap
import unicodedata
from collections.abc import Sequence
from typing import Any

from perfmodel.errors import OutputError
from perfmodel.report.table import INVISIBLE, Table, visible

GAP = "  "  # between the columns of a text table
NO_ROWS = "(no rows)"
NOTE_WIDTH = 120  # characters of a line of notes in a text table

NUMBER = re.compile(r"[+-]?[0-9]+(\.[0-9]+)?([eE][+-]?[0-9]{1,3})?")
FORMULA_STARTS = tuple("=+-@\t\r\n＝＋－＠")  # spreadsheets read the full-width forms, too

LATEX = str.maketrans({
    "\\": r"\textbackslash{}", "&": r"\&", "%": r"\%", "$": r"\$", "#": r"\#", "_": r"\_", "{": r"\{", "}": r"\}",
    "~": r"\textasciitilde{}", "^": r"\textasciicircum{}",
})  # fmt: skip
MARKDOWN = str.maketrans({c: f"\\{c}" for c in "\\`*[]|$~"} | {"&": "&amp;", "<": "&lt;", ">": "&gt;"})


def render(tables: Sequence[Table], suffix: str) -> str:
    """The tables as the text of a file with this suffix: `.txt`, `.md`, `.tex`, `.csv` or `.json`.

    One table in JSON is an object, several are a list of objects. CSV holds one table: for several, `OutputError`
    (E1903) is raised, because stacked tables of different columns are a file that no CSV reader reads.

    >>> import pandas as pd
    >>> render([Table("T", pd.DataFrame({"bytes": [1, 20]}))], ".csv")
    'bytes\\n1\\n20\\n'
    """
    if suffix == ".json":
        objects = [_json_object(table) for table in tables]
        return _dump(objects[0] if len(objects) == 1 else objects)
    if suffix == ".csv":
        return to_csv(check_single(tables, suffix))
    write, between = {
        ".txt": (to_text, "\n\n"), ".md": (to_markdown, "\n"), ".tex": (to_latex, "\n"),
    }[suffix]  # fmt: skip
    return between.join(write(table) for table in tables)


def check_single(tables: Sequence[Table], suffix: str) -> Table:
    """The one table that a file with this suffix holds; `OutputError` (E1903) where there are several."""
    if len(tables) > 1:
        raise OutputError.at(
            "E1903", f"{suffix}:", f"holds one table, and there are {len(tables)}.",
            f"Write them together as .txt, .md, .tex or .json, or each to a {suffix} file of its own.",
        )  # fmt: skip
    return tables[0]


def to_text(table: Table) -> str:
    """For a terminal: one line a row, columns aligned, numbers to the right.

    >>> import pandas as pd
    >>> print(to_text(Table("Step", pd.DataFrame({"layer": ["conv1", "fc"], "bytes": [64, 1024]}))), end="")
    Step
    <BLANKLINE>
    layer  bytes
    -----  -----
    conv1     64
    fc      1024
    """
    rows, numeric = table.rows(), table.numeric()
    header = [visible(text) for text in table.shown().values()]
    widths = [max(map(width, column)) for column in zip(header, *rows, strict=True)]
    lines = [_aligned(row, widths, numeric) for row in (header, ["-" * n for n in widths], *rows)]
    notes = (line for note in table.notes for line in textwrap.wrap(visible(note), NOTE_WIDTH, break_on_hyphens=False))
    return _joined([visible(table.title)], lines + [NO_ROWS] * (not rows), notes)


def to_markdown(table: Table) -> str:
    """For GitHub and most other Markdown: a heading, a table, the notes as a paragraph.

    >>> import pandas as pd
    >>> print(to_markdown(Table("Step", pd.DataFrame({"layer": ["a|b"], "bytes": [64]}))), end="")
    ## Step
    <BLANKLINE>
    | layer | bytes |
    |---|---:|
    | a\\|b | 64 |
    """
    header = [escape_markdown(text) for text in table.shown().values()]
    rows = [[escape_markdown(cell) for cell in row] for row in table.rows()]
    rule = "|" + "|".join("---:" if right else "---" for right in table.numeric()) + "|"
    lines = ["| " + " | ".join(row) + " |" for row in (header, *rows)]
    lines.insert(1, rule)
    title = f"## {escape_markdown(table.title)}" if table.title else ""
    return _joined([title], lines, [_paragraph(note) for note in table.notes])


def to_latex(table: Table) -> str:
    """For a paper: a plain `tabular` that needs no package, the notes under it, the title as a comment.

    It stands alone or inside a `table` environment, whose caption is the author's to write.
    """
    sides = "".join("r" if right else "l" for right in table.numeric())
    header, *rows = (
        "  " + " & ".join(_latex_cell(cell) for cell in row) + r" \\" for row in (table.shown().values(), *table.rows())
    )
    lines = [rf"\begin{{tabular}}{{{sides}}}", r"  \hline", header, r"  \hline", *rows, r"  \hline", r"\end{tabular}"]
    notes = [rf"\par\smallskip\noindent{{\footnotesize {escape_latex(note)}\par}}" for note in table.notes]
    return _joined([f"% {visible(table.title)}", *lines], notes)


def to_csv(table: Table) -> str:
    """Raw values of every column under their raw names, in full precision; a missing value is an empty cell.

    There are no comment lines, so title and notes are left out: every CSV reader can read it.
    """
    names = list(table.frame.columns)
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(map(_csv_cell, names))
    writer.writerows(zip(*(map(_csv_cell, table.values(name)) for name in names), strict=True))
    return out.getvalue()


def to_json(table: Table) -> str:
    """Title, columns, rows and notes as strict JSON: raw values by raw name, null for a missing one.

    A hidden column's header is null. Infinity, which JSON does not have, becomes the text "Infinity" or "-Infinity".
    """
    return _dump(_json_object(table))


def width(text: str) -> int:
    """Columns of a terminal that printable text takes: two for wide East Asian characters, none for combining marks.

    >>> width("conv"), width("畳み込み"), width("e\u0301")
    (4, 8, 1)
    """
    if text.isascii():
        return len(text)
    wide = sum(unicodedata.east_asian_width(c) in "WF" for c in text)
    return len(text) + wide - sum(unicodedata.category(c) in ("Mn", "Me") for c in text)


def escape_markdown(text: object) -> str:
    """Printable text that Markdown shows as it is: no markup, HTML, formula or cell border.

    An underscore inside a word is left alone (`fp8_e4m3`): there it marks nothing.

    >>> print(escape_markdown("</script> `$x^2$` a|b fp8_e4m3 _x_"))
    &lt;/script&gt; \\`\\$x^2\\$\\` a\\|b fp8_e4m3 \\_x\\_
    """
    escaped = visible(text).translate(MARKDOWN)
    return re.sub(r"(?<![^\W_])_|_(?![^\W_])", r"\\_", escaped)


def escape_latex(text: object) -> str:
    """Printable text with the ten special characters of LaTeX escaped.

    >>> print(escape_latex("50% of $x_1$"))
    50\\% of \\$x\\_1\\$
    """
    return visible(text).translate(LATEX)


def escape_csv(text: str) -> str:
    """Printable text that no spreadsheet runs: what looks like a formula and is no number starts with an apostrophe.

    >>> escape_csv("=1+1"), escape_csv("-1.5e3"), escape_csv("-x")
    ("'=1+1", '-1.5e3', "'-x")
    """
    risky = text.startswith(FORMULA_STARTS) or text.lstrip().startswith(FORMULA_STARTS)
    return ("'" if risky and not NUMBER.fullmatch(text) else "") + visible(text)


def _aligned(row: Sequence[str], widths: Sequence[int], right: Sequence[bool]) -> str:
    # str.ljust counts characters; a terminal counts columns.
    padding = [" " * (full - width(cell)) for cell, full in zip(row, widths, strict=True)]
    cells = [pad + cell if to_right else cell + pad for cell, pad, to_right in zip(row, padding, right, strict=True)]
    return GAP.join(cells).rstrip()


def _joined(*blocks) -> str:
    """Blocks of lines with an empty line between; empty lines and blocks are dropped."""
    texts = ("\n".join(line for line in block if line) for block in blocks)
    return "\n\n".join(text for text in texts if text) + "\n"


def _paragraph(note: str) -> str:
    """A note that Markdown takes for neither a heading, a list nor code."""
    return re.sub(r"^((?=[-+=#])|\d+(?=[.)]\s))", r"\1\\", escape_markdown(note).strip())


def _latex_cell(text: str) -> str:
    # After the line break of the row before, LaTeX would take [ or * at a row's start for that command's option.
    escaped = escape_latex(text)
    return f"{{{escaped[0]}}}{escaped[1:]}" if escaped.startswith(("[", "*")) else escaped


def _csv_cell(value: Any) -> Any:
    if value is None or isinstance(value, (bool, int, float)):
        return value  # the csv module writes None as nothing and a float with repr: in full precision
    return escape_csv(str(value))


def _json_object(table: Table) -> dict[str, Any]:
    shown = table.shown()
    names = list(table.frame.columns)
    columns = ([_json_value(value) for value in table.values(name)] for name in names)
    return {
        "title": table.title,
        "columns": [{"name": name, "header": shown.get(name)} for name in names],
        "rows": [dict(zip(names, row, strict=True)) for row in zip(*columns, strict=True)],
        "notes": list(table.notes),
    }


def _json_value(value: Any) -> Any:
    if isinstance(value, float) and not math.isfinite(value):
        return "Infinity" if value > 0 else "-Infinity"
    return value if value is None or isinstance(value, (bool, int, float, str)) else str(value)


def _dump(content: Any) -> str:
    """Strict JSON in which all that a reader would not see is a \\u escape; a JSON reader gives the original back."""
    text = json.dumps(content, ensure_ascii=False, allow_nan=False, indent=1) + "\n"
    return "".join(json.dumps(c)[1:-1] if c != "\n" and unicodedata.category(c) in INVISIBLE else c for c in text)
