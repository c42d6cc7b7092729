"""Schemes on several devices: one table across them, and the frame that its picture is drawn of."""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd

from perfmodel.report.sidebyside import epoch_words, refusal_text, schemes_frame
from perfmodel.report.table import Table
from perfmodel.sidebyside import Refused, SideBySide


def by_device_frame(results: Mapping[str, SideBySide]) -> pd.DataFrame:
    """The rows of `schemes_frame` of each device, its name in the column `device`."""
    frames = [schemes_frame(result).assign(device=device) for device, result in results.items()]
    frame = pd.concat(frames, ignore_index=True)
    return frame[["device", *(name for name in frame.columns if name != "device")]]


def by_device_table(results: Mapping[str, SideBySide], title: str) -> Table:
    """A row for each scheme, a column for each device: time of an epoch and the speedup against that device's FP32."""
    frame = by_device_frame(results)
    columns: dict[str, list[str]] = {"scheme": list(dict.fromkeys(frame["scheme"]))}
    for device, result in results.items():
        rows = frame[frame["device"] == device].set_index("scheme")
        codes = {one.scheme.name: one.error.problems[0].code for one in result.costs if isinstance(one, Refused)}
        columns[device] = [_cell(rows.loc[name], codes.get(name)) for name in columns["scheme"]]
    notes = (
        "Time of an epoch, and times as fast as FP32 on the same device. Refused is what a device has no unit for.",
        *(
            f"Refused on {device}: {one.scheme.name}: {refusal_text(one)}"
            for device, result in results.items() for one in result.costs if isinstance(one, Refused)
        ),
    )  # fmt: skip
    return Table(title, pd.DataFrame(columns), notes=(*notes, *_on_two_scales(frame)))


def _on_two_scales(frame: pd.DataFrame) -> list[str]:
    """A warning where some devices have been corrected by timings of theirs, and others have not."""
    corrected = (
        frame.dropna(subset="basis")
        .groupby("device", sort=False)["basis"]
        .agg(lambda bases: any("calibrated" in basis for basis in bases))
    )
    if corrected.nunique() < 2:
        return []
    names = ", ".join(corrected.index[corrected])
    return [f"Calibrated: {names}; the others are not, so between the two times compare less well: --calibration none."]


def _cell(row: pd.Series, code: str | None) -> str:
    if code is not None:
        return f"refused, {code}"
    return epoch_words(row)
