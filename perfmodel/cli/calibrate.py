"""`perfmodel calibrate --device D TIMINGS.csv -o CALIBRATION.toml`: what timings of a device teach about its model."""

from __future__ import annotations

import argparse
import datetime
import re

from perfmodel.cli import complain, options, writing
from perfmodel.errors import Problem, quote

DESCRIPTION = """\
Fit the model to timings of GEMMs on a device: 20 of a precision are enough, thousands are welcome. TIMINGS.csv has the
columns m, n, k, seconds and optionally batch, precision, accumulate, op_a, op_b (N or T, as BLAS has them).
What is learned goes to CALIBRATION.toml, for --calibration of predict, speedup, breakdown and compare."""

DOUBTFUL = 1.0  # mean error: beyond it, timings contradict each other
STRANGE = 10.0  # times the model, either way: no device that anyone timed is so far off


def run(argv: list[str]) -> int:
    """The verb; returns the exit code."""
    parser = options.parser("calibrate", DESCRIPTION)
    parser.add_argument("timings", metavar="TIMINGS.csv", help="the timings")
    parser.add_argument("--device", required=True, metavar="D", help="the device timed: its name or .toml file")
    parser.add_argument("--title", help="what was timed, for the file's title (default: the name of TIMINGS.csv)")
    parser.add_argument("--source", help="where the timings come from (default: the name of TIMINGS.csv)")
    parser.add_argument("--date", type=_date, help="YYYY-MM-DD of the timings (default: today)")
    options.add_output_argument(parser, ".toml")
    arguments = parser.parse_args(argv)
    import os
    from pathlib import Path

    from perfmodel.calibrate import calibrate, read_timings
    from perfmodel.calibration.files import calibration_text
    from perfmodel.devices import find_device
    from perfmodel.output import check_suffix, write_text
    from perfmodel.report.calibration import tabulate_calibration

    if arguments.output is not None:
        check_suffix(arguments.output, (".toml",))
        writing.check_output(arguments.output)
    device = find_device(arguments.device)
    name = os.path.basename(arguments.timings)
    calibration = calibrate(
        device, read_timings(Path(arguments.timings)), title=_given(arguments.title, name),
        source=_given(arguments.source, name),
        date=arguments.date or datetime.date.today().isoformat(),
    )  # fmt: skip
    if arguments.output is not None:
        write_text(arguments.output, calibration_text(calibration))
    for group in calibration.groups.values():
        for found in _doubts(group):
            complain(Problem("W1621", f"{name}:", found, "Are they seconds of one device, and of one call each?"))
    writing.emit([tabulate_calibration(calibration)], None)
    return 0


def _doubts(group):
    """What a reader should doubt about the timings of one precision."""
    if group.mape > DOUBTFUL:
        yield f"predicted from each other, timings in {group.precision} are {group.mape:.0%} off on average."
    if not 1 / STRANGE < group.body < STRANGE:
        yield f"kernels in {group.precision} take {group.body:.3g} times what the model says."


def _given(text: str | None, otherwise: str) -> str:
    return text if text is not None and text.strip() else otherwise


def _date(text: str) -> str:
    """A day as YYYY-MM-DD."""
    try:
        if re.fullmatch(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", text):
            return datetime.date.fromisoformat(text).isoformat()
    except ValueError:
        pass
    raise argparse.ArgumentTypeError(f"{quote(text)} is not a day as YYYY-MM-DD")
