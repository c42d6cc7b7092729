"""The precision that a row of a log gives, in one value or one for each pass."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from perfmodel.errors import InputError, quote
from perfmodel.traces.logs.moments import Value
from perfmodel.traces.logs.names import PASSES, Precisions, passes
from perfmodel.traces.precision import PassPrecision


class RowPrecisions(Precisions):
    """Formats as `Precisions` finds them, for the passes of a row."""

    def of_row(self, fields: Iterable[tuple[str, str]], row: Mapping[str, Value], place: str) -> PassPrecision:
        """The precision of a row; `fields` are the fields of precision that it has, each with its name in the log.

        Raises `InputError` (E1322) at `place` for what is no format, and where not all three passes have one.
        """
        names = {}
        for key, name in fields:
            text = row[name] if isinstance(row[name], str) else f"{row[name]:g}"
            names[key] = self.format(text, f"{place} {quote(name, 40)}:")
        if "precision" in names:
            names = dict.fromkeys(PASSES, names["precision"]) | names
        if missing := [key for key in PASSES if key not in names]:
            found = f"the row gives the precision of {', '.join(names)} but not of {', '.join(missing)}."
            fix = "Give --map for all three passes, or --map precision=KEY."
            raise InputError.at("E1322", place, found, fix)
        return passes(*(names[key] for key in PASSES), names.get("master"))
