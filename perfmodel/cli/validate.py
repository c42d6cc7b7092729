"""`perfmodel validate`: how wrong the cost models are, on published timings."""

from __future__ import annotations

from perfmodel.cli import options, progress, writing

DESCRIPTION = """\
How wrong the cost models are on published timings of GEMMs, convolutions and training iterations: mean (MAPE), median
and 90th percentile of the absolute error, bias, and how often 90 % intervals hold the measured time; by data set,
device, precision, pass and size. Simple rooflines, fitted on the same timings, stand beside.
Shapes are split in halves: what is fitted on one is judged on the other. No model sees a row, or a shape, that it is
judged on. The timings are no part of perfmodel: --data or the variable PERFMODEL_DATA names the folder that has
gemm_times.csv, conv_times.csv or training_times.csv."""
MOST_DRAWS = 1000


def run(argv: list[str]) -> int:
    """The verb; returns the exit code."""
    arguments = _parser().parse_args(argv)
    suffix = writing.output_suffix(arguments.output, figures=False)
    writing.check_output(arguments.output)
    _check(arguments)
    from perfmodel.validate import Ledger, find_contenders, find_folder, judge, read_folder

    found = read_folder(find_folder(arguments.data), _sets(arguments.sets))
    contenders, ledger = find_contenders(), Ledger()
    tell = progress.counted("series judged")
    verdicts = progress.then_cleared(lambda: judge(found.series, contenders, arguments.draws, ledger, tell))
    writing.emit(_tables(verdicts, found, contenders, ledger, arguments, suffix), arguments.output)
    return 0


def _parser() -> options.Parser:
    parser = options.parser("validate", DESCRIPTION)
    parser.add_argument("--data", metavar="DIR", help="the folder of the timings (default: $PERFMODEL_DATA)")
    parser.add_argument(
        "--sets", metavar="S,S,…", help="gemm, conv, iterations (default: all whose file is in the folder)"
    )
    parser.add_argument(
        "--draws", type=options.whole, default=10, metavar="N",
        help="how often 20 timings are drawn anew; figures are means (default 10)",
    )  # fmt: skip
    options.add_output_argument(parser, ".txt .csv .json .md .tex; csv and json hold every figure")
    return parser


def _check(arguments) -> None:
    from perfmodel.errors import InputError

    if not 1 <= arguments.draws <= MOST_DRAWS:
        found = f"{arguments.draws} is not between 1 and {MOST_DRAWS}."
        raise InputError.at("E1105", "--draws", found, "Correct it.")


def _sets(text: str | None) -> tuple[str, ...]:
    return tuple(part.strip() for part in text.split(",")) if text is not None else ()


def _tables(verdicts, found, contenders, ledger, arguments, suffix: str | None):
    """What a file of this suffix holds: raw figures in one table, or tables for people."""
    from perfmodel.report.table import Table
    from perfmodel.report.validation import skipped_table, validation_tables, verdicts_frame

    title, notes = "Errors on published timings", _notes(contenders, ledger, arguments)
    if suffix not in writing.RAW_SUFFIXES:
        return validation_tables(verdicts, found.skipped, title, notes)
    figures = Table(title, verdicts_frame(verdicts), notes=notes)
    return [figures, skipped_table(found.skipped)] if suffix == ".json" and found.skipped else [figures]


def _notes(contenders, ledger, arguments) -> tuple[str, ...]:
    """Which models were judged, and that none saw what it was judged on."""
    from perfmodel.validate.matmul_heuristics import NAME, PACKAGE

    notes = [one.note for one in contenders if one.note]
    if NAME not in [one.name for one in contenders]:
        notes.append(f"{NAME} is not installed ({PACKAGE}); left out.")
    return (
        "MAPE: mean of |predicted / measured - 1|. Shapes are halved, and both directions judged; a shape lies in the "
        "same half for every device, precision and pass.",
        f"{ledger.fits} fits and {ledger.judgements} judgements: none on a row, or a shape, of its own fit.",
        *notes,
    )
