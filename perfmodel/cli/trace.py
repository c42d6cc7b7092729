"""`perfmodel trace convert|check|show LOG`: training logs of any tool as traces."""

from __future__ import annotations

from perfmodel.cli import common, logs, options, writing

DESCRIPTION = """\
What a training log says, as a trace: the precision of every epoch.
  perfmodel trace convert LOG -o RUN.jsonl   the trace as a file, which every verb reads
  perfmodel trace check LOG                  whether the log reads and can be priced, and what was corrected
  perfmodel trace show LOG                   a table and a plot; -o writes them as file or figure
LOG is a file, or the folder of a run. Its format is found by its content; known are:
"""
ACTIONS = ("convert", "check", "show")


def run(argv: list[str]) -> int:
    """The verb; returns the exit code."""
    from perfmodel.errors import unknown_name

    if argv and argv[0] not in ACTIONS and not argv[0].startswith("-"):
        raise unknown_name("E1000", "perfmodel trace", argv[0], ACTIONS)
    parser = _parser(argv)
    arguments = parser.parse_args(argv)
    return {"convert": _convert, "check": _check, "show": _show}[arguments.action](arguments)


def _parser(argv: list[str]) -> options.Parser:
    parser = options.parser("trace", DESCRIPTION + (_formats() if {"-h", "--help"} & {*argv} else ""))
    parser.add_argument("action", choices=ACTIONS, metavar="ACTION", help=", ".join(ACTIONS))
    parser.add_argument("log", metavar="LOG", help="a log, a trace, the folder of a run, or a bundled trace's name")
    parser.add_argument("--strict", action="store_true", help="treat warnings as errors")
    options.add_output_argument(
        parser, "convert .jsonl; show .png .svg .pdf .txt .csv .json .md .tex; without it, on the screen"
    )
    logs.add_log_arguments(parser)
    return parser


def _formats() -> str:
    from perfmodel.traces.logs.read import all_readers

    known = all_readers()
    width = max(map(len, known))
    return "\n".join(f"  {name:<{width}}  {known[name].TITLE}" for name in sorted(known))


def _read(arguments, tell: bool = True):
    """The trace; what was corrected is told, and warnings, which are errors with `--strict`."""
    logs.refuse_inputs(arguments.output, [arguments.log])
    trace = logs.find(arguments.log, logs.given(arguments), alter=True)
    if tell:
        logs.tell_corrections(arguments.log, trace, stored=True)
    logs.warn([arguments.log], [trace], arguments.strict)
    return trace


def _convert(arguments) -> int:
    from contextlib import suppress
    from pathlib import Path

    from perfmodel.output import check_suffix, check_target
    from perfmodel.traces import format_trace, write_trace

    if arguments.output is not None:
        check_suffix(arguments.output, (".jsonl",))
        with suppress(OSError):  # the writer says what the system says
            check_target(Path(arguments.output))
    trace = _read(arguments)
    if arguments.output is None:
        print(format_trace(trace), end="")
    else:
        write_trace(trace, arguments.output)
    return 0


def _check(arguments) -> int:
    from perfmodel.errors import InputError

    if arguments.output is not None:
        raise InputError.at("E1105", "-o", "check writes nothing.", "Use perfmodel trace convert or show.")
    trace = _read(arguments)
    problems = _unpriceable(arguments.log, trace)
    if problems:
        raise InputError(problems)
    counts = ", ".join(f"{epochs} in {name}" for name, epochs in trace.epochs_by_precision().items())
    what = f"{trace.scheme} on {trace.network}, {trace.dataset}"
    print(
        f"{arguments.log}: {what}: {trace.epochs} epochs ({counts}), {trace.iterations} iterations. It can be priced."
    )
    return 0


def _unpriceable(name: str, trace) -> list:
    """What would keep `speedup` from pricing it: an unknown network, scheme, or format, precision left open."""
    from perfmodel.errors import PerfModelError
    from perfmodel.networks import find_network

    problems = []
    for check in (lambda: find_network(trace.network), lambda: _check_formats(trace)):
        try:
            common.located(name, check)
        except PerfModelError as error:
            problems += error.problems
    return problems


def _check_formats(trace) -> None:
    """Raise as the scheme does for a format that it does not train in, or where the precision stays unknown."""
    from perfmodel.schemes import find_scheme
    from perfmodel.schemes.formats import StepFormats

    scheme = find_scheme(trace.scheme)
    for known in trace.completions():
        for formats in dict.fromkeys(StepFormats.of_segment(segment) for segment in known.segments):
            scheme.check(formats)


def _show(arguments) -> int:
    suffix = writing.output_suffix(arguments.output, figures=True)
    trace = _read(arguments, tell=suffix in writing.figure_suffixes())  # tables tell it themselves
    name = arguments.log
    if suffix in writing.figure_suffixes():
        from perfmodel.report.figures import write_figure
        from perfmodel.report.trace import source_text
        from perfmodel.report.trace_figure import trace_figure

        write_figure(trace_figure(trace, trace.title or name, source_text(trace.source)), arguments.output)
        return 0
    from perfmodel.report.terminal import terminal_plot
    from perfmodel.report.trace import trace_tables

    writing.emit(trace_tables(name, trace, suffix or ".txt"), arguments.output)
    if arguments.output is None:
        print("\n" + terminal_plot(trace, **_terminal()), end="")
    return 0


def _terminal() -> dict:
    """The width of the terminal, and whether it takes more than ASCII."""
    import shutil
    import sys

    encoding = (getattr(sys.stdout, "encoding", None) or "ascii").lower()
    return {"width": min(100, shutil.get_terminal_size().columns), "ascii": not encoding.startswith("utf")}
