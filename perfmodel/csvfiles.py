"""Reading CSV files that nobody vouches for: rows with their line numbers, and columns by name."""

from __future__ import annotations

import csv
import io
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence

from perfmodel.errors import InputError, Problem, quote

LARGEST_BYTES = 64 * 2**20
MOST_COLUMNS = 1000
MOST_ROWS = 1_000_000
MOST_PROBLEMS = 1000


def csv_rows(text: str, place: str) -> Iterator[tuple[int, list[str]]]:
    """Line number and cells of each row, blank rows left out, blanks around cells too.

    Raises `InputError` (E1208) at the line where the text is no CSV.
    """
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    try:
        for row in reader:
            if row:
                yield reader.line_num, [cell.strip() for cell in row]
    except csv.Error as error:
        found = f"is not readable as CSV: {error}."
        raise InputError.at("E1208", f"{place}:{reader.line_num}:", found, "Correct quotes and delimiters.") from None


def column_indices(
    header: Sequence[str], place: str, required: Iterable[str], added: Sequence[str] = ()
) -> dict[str, int]:
    """Index of each column; those `required` must be there, nothing twice, and none of those that will be `added`.

    Raises `InputError` (E1209) that names all columns at fault.
    """
    if len(header) > MOST_COLUMNS:
        raise InputError.at(
            "E1209", place, f"has {len(header)} columns; at most {MOST_COLUMNS} are read.", "Drop some."
        )
    problems = [
        Problem("E1209", place, f"there is no column {quote(name)}; found {_named(header)}.", "Add it.")
        for name in required
        if name not in header
    ]
    for name, count in Counter(header).items():
        if count > 1:
            problems.append(Problem("E1209", place, f"column {quote(name)} occurs twice.", "Rename one."))
        if name in added:
            problems.append(Problem("E1209", place, f"column {quote(name)} is one that is added.", "Rename it."))
    if problems:
        raise InputError(problems)
    return {name: i for i, name in enumerate(header)}


def check_width(row: Sequence[str], width: int, place: str) -> None:
    """Raise `InputError` (E1208) for a row that has more or fewer cells than the header."""
    if len(row) != width:
        raise InputError.at("E1208", place, f"has {len(row)} cells; the header has {width}.", "Correct the row.")


def _named(header: Sequence[str]) -> str:
    return quote(", ".join(header[:20])) if header else "nothing"
