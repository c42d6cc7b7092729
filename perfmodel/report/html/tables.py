"""Tables as HTML: what people are shown, and the raw value of each number for sorting and saving."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pandas as pd

from perfmodel.report.html.element import Element
from perfmodel.report.table import MISSING, Table, is_missing
from perfmodel.units import grouped

SHORT, WORD = 32, 64  # letters of a cell that is not broken: of words, of one word


def table_element(
    table: Table, name: str, rest: int = 0, sorting: Mapping[str, Sequence[float]] | None = None
) -> Element:
    """A table that sorts; `name` is its id, and the last `rest` rows stay last, however it is sorted.

    Notes are left to the section. A number's cell has its raw value in SI units; `sorting` gives the values of columns
    that hold numbers as texts.
    """
    shown, numeric = table.shown(), table.numeric()
    raw = {column: list((sorting or {}).get(column, table.values(column))) for column in shown}
    numbers = [is_number or column in (sorting or {}) for column, is_number in zip(shown, numeric, strict=True)]
    rows = table.rows()
    heads = [
        Element("th", text, class_="number" if number else "text", scope="col")
        for text, number in zip(shown.values(), numbers, strict=True)
    ]
    body = [
        Element(
            "tr",
            *(_cell(text, values[i], number) for text, values, number in zip(row, raw.values(), numbers, strict=True)),
            class_="rest" if i >= len(rows) - rest else None,
        )
        for i, row in enumerate(rows)
    ]
    sorts = "sortable" if len(rows) - rest > 1 else None
    made = Element(
        "table", Element("thead", Element("tr", *heads)), Element("tbody", *body), id=name, class_=sorts,
        aria_labelledby=f"{name}-caption",
    )  # fmt: skip
    return Element(
        "div", Element("p", table.title, class_="caption", id=f"{name}-caption"),
        Element("div", made, class_="scroll", tabindex="0", role="group", aria_labelledby=f"{name}-caption"),
    )  # fmt: skip


def _cell(text: str, value: object, number: bool) -> Element:
    unbroken = len(text) <= (SHORT if " " in text else WORD)
    side = "number" if number else "text short" if unbroken else "text"
    return Element("td", text, class_=side, data_value=repr(float(value)) if number and not is_missing(value) else None)


def heaviest(frame: pd.DataFrame, by: str, most: int, names: Sequence[str]) -> tuple[pd.DataFrame, int]:
    """The `most` rows with the largest `by`, in their order, and one row with the sums of the others.

    The first of `names` says how many those are, the others are left empty. Returns how many rows were added: 0 or 1.
    """
    if len(frame) <= most:
        return frame, 0
    kept = frame.loc[frame[by].nlargest(most).index].sort_index()
    others = frame.drop(index=kept.index)
    sums = {name: others[name].sum() for name in frame.columns if pd.api.types.is_numeric_dtype(frame[name])}
    words = {names[0]: f"{grouped(len(others))} others", **dict.fromkeys(names[1:], MISSING)}
    return pd.concat([kept, pd.DataFrame([{**sums, **words}])], ignore_index=True), 1
