"""`perfmodel predict GEMMS.csv`: seconds of each GEMM."""

from __future__ import annotations

from perfmodel.cli import common, options

DESCRIPTION = """\
Seconds of each GEMM of a CSV file with the columns m, n, k and optionally batch, precision, accumulate, op_a, op_b.
The same rows come out as CSV, with seconds, basis and tile added."""


def run(argv: list[str]) -> int:
    """The verb; returns the exit code."""
    parser = options.parser("predict", DESCRIPTION)
    parser.add_argument("gemms", metavar="GEMMS.csv", help="the GEMMs")
    options.add_device_argument(parser)
    options.add_cost_model_arguments(parser)
    options.add_calibration_argument(parser)
    options.add_profile_arguments(parser)
    options.add_output_argument(parser, ".csv")
    arguments = parser.parse_args(argv)
    from pathlib import Path

    from perfmodel.errors import printable
    from perfmodel.output import check_suffix, write_text
    from perfmodel.predict import format_predictions, predict, read_gemms
    from perfmodel.report.render import escape_csv

    if arguments.output is not None:
        check_suffix(arguments.output, (".csv",))
    model = common.find_model(arguments)
    gemms = read_gemms(Path(arguments.gemms))
    text = format_predictions(gemms, predict(gemms, model), escape_csv)
    if arguments.output is None:
        print("\n".join(printable(line) for line in text.split("\n")), end="")  # its cells come from a file
    else:
        write_text(arguments.output, text)
    return 0
