"""A calibration as a table: what each precision's timings have taught."""

from __future__ import annotations

import pandas as pd

from perfmodel.cost.calibration import Calibration
from perfmodel.report.table import Table
from perfmodel.report.text import milliseconds, percent

HEADERS = {
    "precision": "precision", "timings": "timings", "range": "ms", "body": "body", "launch_s": "launch, ms",
    "timing_s": "timing adds, ms", "points": "points", "mape": "error", "quantile": "interval, deviations",
}  # fmt: skip
NOTES = (
    "body: how long kernels take against the model, once launch is taken off; timing adds: what each timing holds "
    "besides, the gap between two events for example, which kernels in a training step do not pay.",
    "error: mean of |predicted / measured - 1| with each timing predicted from the others, a tenth left out at a time.",
)


def tabulate_calibration(calibration: Calibration) -> Table:
    """One row for each precision."""
    rows = [
        {
            "precision": group.precision, "timings": group.timings, "least_s": group.least_seconds,
            "most_s": group.most_seconds,
            "range": f"{milliseconds(group.least_seconds)} to {milliseconds(group.most_seconds)}", "body": group.body,
            "launch_s": group.launch_s, "timing_s": group.timing_s, "points": len(group.residual.errors),
            "mape": group.mape, "quantile": group.quantile,
        }
        for group in calibration.groups.values()
    ]  # fmt: skip
    show = {
        "body": "{:.3f}x".format, "launch_s": milliseconds, "timing_s": milliseconds, "mape": percent,
        "quantile": "{:.2f}".format,
    }  # fmt: skip
    title = f"Calibration of {calibration.device}: {calibration.title}, {calibration.date}"
    return Table(title, pd.DataFrame(rows), show, HEADERS, NOTES)
