"""`perfmodel speedup TRACE…`: training traces in, speedup table or timeline out."""

from __future__ import annotations

from perfmodel.cli import logs, options, runs, writing

DESCRIPTION = """\
How long the run of each training trace takes: in FP32, in mixed precision, with the trace's scheme, and with that
scheme without conversions (its theoretical limit).
A TRACE is the name of a bundled trace (see perfmodel traces), the path of a trace (.jsonl), or the log of a training
run, a file or its folder (see perfmodel trace --help).
With -o FILE.png, .svg or .pdf it draws the timeline of one trace, or the speedups of several."""


def run(argv: list[str]) -> int:
    """The verb; returns the exit code."""
    arguments = _parser().parse_args(argv)
    suffix = _check(arguments)
    found = runs.find_runs(arguments)
    setting = runs.describe(arguments)
    if arguments.timeline is not None:
        _write_timeline(found, setting, arguments.timeline)
    if suffix in writing.figure_suffixes():
        _draw(found, setting, arguments)
    else:
        notes = _notes(found, arguments)
        tables = _tables(found.names, found.comparisons, notes, setting, suffix, arguments.target)
        writing.emit([writing.with_setting(table, arguments, suffix) for table in tables], arguments.output)
    return 0


def _parser() -> options.Parser:
    parser = options.parser("speedup", DESCRIPTION)
    runs.add_run_arguments(parser)
    options.add_output_argument(parser, "table (.txt .csv .json .md .tex) or figure (.png .svg .pdf)")
    options.add_timeline_argument(parser)
    logs.add_log_arguments(parser, network=False)
    return parser


def _check(arguments) -> str | None:
    """The suffix of the output, checked before anything is computed."""
    from perfmodel.errors import InputError

    runs.check(arguments)
    if arguments.timeline is not None and len(arguments.traces) > 1:
        found = f"is of the steps of one run, and there are {len(arguments.traces)} traces."
        raise InputError.at("E1752", "--timeline", found, "Give one trace.")
    writing.check_timeline(arguments)
    logs.refuse_inputs(arguments.timeline, arguments.traces)
    suffix = writing.output_suffix(arguments.output, figures=True)
    if suffix in writing.figure_suffixes() and arguments.target is not None:
        raise InputError.at("E1105", "--target", "is of a table, and -o asks for a figure.", "Leave one of them out.")
    return suffix


def _notes(found, arguments) -> tuple[str, ...]:
    from perfmodel.report.speedup import speedup_notes

    return (*speedup_notes(found.comparisons, found.model.device), *runs.coverage(found.comparisons, arguments))


def _figure_note(comparisons, setting: str, arguments) -> str:
    from perfmodel.cost.estimate import merge_bases
    from perfmodel.report.basis import source_words

    basis = merge_bases(*(run.basis for one in comparisons for run in (one.fp32, one.mixed, *one.runs)))
    return " ".join((f"{source_words(basis)}: {setting}.", *runs.coverage(comparisons, arguments)))


def _tables(names, comparisons, notes: tuple[str, ...], setting: str, suffix: str | None, target: float | None):
    """Speedups, and the times to an accuracy where a trace holds one: in a raw file, columns of the same rows."""
    from perfmodel.errors import InputError
    from perfmodel.report.accuracy import COLUMNS, accuracy_frame, accuracy_table
    from perfmodel.report.speedup import ROWS, SCHEME_ROW, speedup_frame, speedup_table
    from perfmodel.report.table import Table

    frame, title = speedup_frame(names, comparisons), f"Training time and speedup: {setting}"
    reached = accuracy_frame(names, comparisons, target)
    if target is not None and not len(reached):
        fix = "docs/speedup.md lists the names of metrics that are known."
        raise InputError.at("E1731", "--target", "is of an accuracy, and no trace holds one.", fix)
    if suffix in writing.RAW_SUFFIXES:
        if len(reached):
            frame = frame.join(reached[list(COLUMNS)].set_index(reached.index * ROWS + SCHEME_ROW))
        return [Table(title, frame, notes=notes)]
    tables = [speedup_table(frame, title, notes)]
    return (
        [*tables, accuracy_table(reached, f"Time to accuracy: {setting}", target is not None)]
        if len(reached)
        else tables
    )


def _write_timeline(found, setting: str, path: str) -> None:
    """One step of every format of the run and of its baselines, as trace events."""
    from perfmodel.report.steps import distinct_steps
    from perfmodel.report.timeline import write_timeline

    (comparison,) = found.comparisons
    words = f"{found.names[0]}, batch {comparison.trace.batch}, {setting}"
    write_timeline(path, distinct_steps(found.comparisons), comparison.network, words, found.model.device.name)


def _draw(found, setting: str, arguments) -> None:
    """The timeline of one trace, or the speedups of several."""
    from perfmodel.report.figures import speedup_figure, timeline_figure, write_figure
    from perfmodel.report.run_figure import shaded_words
    from perfmodel.report.speedup import speedup_frame, timeline_frame

    note = _figure_note(found.comparisons, setting, arguments)
    if len(found.names) == 1:
        (comparison,) = found.comparisons
        title = f"{found.names[0]}: {comparison.network.title}"
        frame = timeline_frame(comparison)
        figure = timeline_figure(frame, title, note + shaded_words(frame), comparison.runs[0].title)
    else:
        title = f"Speedup against FP32 on {found.model.device.name}"
        figure = speedup_figure(
            speedup_frame(found.names, found.comparisons), title, f"{note} Whiskers: 90 % intervals."
        )
    write_figure(figure, arguments.output)
