"""Tables of how wrong the models are: by series and model, by size, and beside the targets."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from perfmodel.report.table import Table
from perfmodel.report.text import percent, signed_percent
from perfmodel.validate.judging import ALL, Verdict
from perfmodel.validate.problems import Problems, Skipped
from perfmodel.validate.protocols import OTHER_GPUS, PROTOCOLS
from perfmodel.validate.scores import CLASSES
from perfmodel.validate.targets import OURS, UNSEEN, Result, covers, results

KINDS = {"gemm": "GEMMs", "conv": "Convolutions", "iteration": "Iterations"}
SERIES = {"source": "data", "device": "device", "precision": "precision", "pass": "pass", "rows": "rows"}
FIGURES = {"mape": "MAPE", "median": "median", "p90": "p90", "bias": "bias"}
INTERVALS = {"coverage": "in 90 % interval", "interval_width": "median width", "covers": "as it should"}
REACHED = {"limit": "at most", "mape": "MAPE", "met": "met", "baseline": "roofline beside"}


def verdicts_frame(verdicts: Sequence[Verdict]) -> pd.DataFrame:
    """One row for each series, model, protocol and part: every figure, errors as shares of the measured time."""
    return pd.DataFrame([_row(one) for one in verdicts])


def _row(one: Verdict) -> dict:
    score = one.score
    return _names(one.problems) | {
        "model": one.model, "fitted_on": one.fitted, "part": one.part, "rows": one.rows, "draws": one.draws,
        "mape": score.mape, "median": score.median, "p90": score.p90, "bias": score.bias, "coverage": score.coverage,
        "interval_width": score.width, "coverage_p": one.p, "mape_deviation": score.spread,
    }  # fmt: skip


def _names(problems: Problems) -> dict:
    return {
        "kind": problems.kind, "source": problems.source, "device": problems.device.name,
        "precision": problems.precision, "pass": problems.pass_,
    }  # fmt: skip


def validation_tables(
    verdicts: Sequence[Verdict], skipped: Sequence[Skipped], title: str, notes: tuple[str, ...]
) -> list[Table]:
    """What people read: targets, the models side by side for each protocol, ours in full, by size; what is left out."""
    tables = [_targets_table(verdicts, title, notes)]
    for kind, name in KINDS.items():
        mine = [one for one in verdicts if one.problems.kind == kind]
        for fitted, what in PROTOCOLS.items():
            if chosen := [one for one in mine if one.fitted == fitted and one.part == ALL]:
                tables.append(_beside_table(chosen, f"{name}, fitted on: {fitted}", (f"Fitted on {what}.",)))
        ours = [one for one in mine if one.model in OURS[kind] or (one.model, one.fitted) == UNSEEN]
        if whole := [one for one in ours if one.part == ALL]:
            tables.append(_full_table(whole, f"{name}: ours in full"))
        if parts := [one for one in ours if one.part in CLASSES and kind != "iteration" and one.fitted != OTHER_GPUS]:
            tables.append(_size_table(parts, f"{name}: ours by measured time"))
    return [*tables, *([skipped_table(skipped)] if skipped else [])]


def _targets_table(verdicts: Sequence[Verdict], title: str, notes: tuple[str, ...]) -> Table:
    rows = [_target_row(one) for one in results(verdicts)]
    columns = {"what": "target", **SERIES, "model": "model", **REACHED}
    frame = pd.DataFrame(rows, columns=list(columns))
    show = {"limit": percent, "mape": percent, "baseline": percent, "met": _met}
    return Table(title, frame, show, _without_empty(columns, frame), (*_coverage_notes(verdicts), *notes))


def _target_row(one: Result) -> dict:
    row = {key: value for key, value in _names(one.verdict.problems).items() if key != "kind"}
    return row | {
        "what": one.target.what, "rows": one.verdict.rows, "model": one.verdict.model, "limit": one.limit,
        "mape": one.verdict.score.mape, "met": one.met, "baseline": one.baseline,
    }  # fmt: skip


def _met(met: bool) -> str:
    return "met" if met else "missed"


def _coverage_notes(verdicts: Sequence[Verdict]) -> list[str]:
    """For each protocol, how many series have intervals that cover as they should."""
    notes = []
    for fitted in PROTOCOLS:
        found = [covers(one) for one in verdicts if one.part == ALL and one.fitted == fitted]
        judged = [one for one in found if one is not None]
        if judged:
            notes.append(
                f"Intervals, fitted on {fitted}: {sum(judged)} of {len(judged)} series are covered as they should be "
                "(88 to 94 % of 400 rows and more; fewer not rejected by a binomial test at 1 %)."
            )
    return notes


def _beside_table(verdicts: Sequence[Verdict], title: str, notes: tuple[str, ...]) -> Table:
    """One row for each series, one column of mean absolute errors for each model."""
    models = list(dict.fromkeys(one.model for one in verdicts))
    rows, fewer = {}, {}
    for one in verdicts:
        row = rows.setdefault(one.problems, _names(one.problems) | {"rows": len(one.problems)})
        row[one.model] = one.score.mape
        if one.rows < len(one.problems):
            fewer[one.model, _series_words(one.problems)] = one.rows
        if one.draws > 1:
            row[_deviation(one.model)] = one.score.spread
    frame = pd.DataFrame(list(rows.values()))
    drawn = [name for name in map(_deviation, models) if name in frame]
    frame = frame[[*SERIES, *models, *drawn]]
    if drawn:
        draws = max(one.draws for one in verdicts)
        typical = percent(frame[drawn].median().median())
        notes = (
            *notes,
            f"Means over {draws} draws; between draws they differ by {typical} (typical deviation).",
        )
    if fewer:
        listed = "; ".join(f"{model} on {count} rows of {series}" for (model, series), count in fewer.items())
        notes = (*notes, f"Judged on fewer rows, where the other half was too small to fit on: {listed}.")
    headers = _without_empty(SERIES | {name: name for name in models}, frame)
    return Table(title, frame, dict.fromkeys([*models, *drawn], percent), headers, notes)


def _series_words(problems: Problems) -> str:
    parts = (problems.source, problems.device.name, problems.precision, problems.pass_)
    return " ".join(part for part in parts if part)


def _deviation(model: str) -> str:
    return f"{model}: deviation"


def _full_table(verdicts: Sequence[Verdict], title: str) -> Table:
    frame = verdicts_frame(verdicts)
    frame["covers"] = [covers(one) for one in verdicts]
    columns = SERIES | {"model": "model", "fitted_on": "fitted on"} | FIGURES
    columns |= INTERVALS if frame["coverage"].notna().any() else {}
    shares = dict.fromkeys(("mape", "median", "p90", "coverage", "interval_width"), percent)
    show = shares | {"bias": signed_percent, "covers": _met}
    return Table(title, frame, show, _without_empty(columns, frame))


def _size_table(verdicts: Sequence[Verdict], title: str) -> Table:
    """One row for each series and protocol, one column for each class of measured time, with its number of rows."""
    classes = [name for name in CLASSES if any(one.part == name for one in verdicts)]
    rows = {}
    for one in verdicts:
        key = (one.problems, one.model, one.fitted)
        row = rows.setdefault(key, _names(one.problems) | {"model": one.model, "fitted_on": one.fitted})
        row[one.part] = f"{percent(one.score.mape)} of {one.rows}"
    frame = pd.DataFrame(list(rows.values())).reindex(
        columns=[*(name for name in SERIES if name != "rows"), "model", "fitted_on", *classes]
    )
    headers = {name: header for name, header in SERIES.items() if name != "rows"}
    headers |= {"model": "model", "fitted_on": "fitted on"} | {name: name for name in classes}
    return Table(title, frame, {}, _without_empty(headers, frame))


def skipped_table(skipped: Sequence[Skipped]) -> Table:
    """What is not judged, and why: equal reasons of one source together."""
    groups: dict[tuple[str, str, str], list[Skipped]] = {}
    for one in skipped:
        groups.setdefault((one.kind, one.source, one.reason), []).append(one)
    rows = [
        {
            "kind": kind, "source": source, "rows": sum(one.rows for one in group),
            "devices": ", ".join(dict.fromkeys(one.device for one in group)),
            "precisions": ", ".join(dict.fromkeys(one.precision for one in group)), "reason": reason,
        }
        for (kind, source, reason), group in groups.items()
    ]  # fmt: skip
    return Table("Left out", pd.DataFrame(rows))


def _without_empty(headers: dict[str, str], frame: pd.DataFrame) -> dict[str, str]:
    """The headers of columns in which some row says something."""
    return {name: header for name, header in headers.items() if not (frame[name].isna() | (frame[name] == "")).all()}
