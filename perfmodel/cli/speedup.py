"""`perfmodel speedup TRACE…`: training traces in, speedup table or timeline out."""

from __future__ import annotations

from perfmodel.cli import common, complain

DESCRIPTION = """\
How long the run of each training trace takes: in FP32, in mixed precision, with the trace's scheme, and with that
scheme without conversions (its theoretical limit).
A TRACE is the name of a bundled trace (see perfmodel traces) or the path of a .jsonl file.
With -o FILE.png, .svg or .pdf it draws the timeline of one trace."""


def run(argv: list[str]) -> int:
    """The verb; returns the exit code."""
    arguments = _parser().parse_args(argv)
    suffix = _check(arguments)
    from perfmodel.traces import find_trace

    traces = common.gather(find_trace, arguments.traces)
    names = _names(arguments.traces)
    _warn(arguments.traces, traces, arguments.strict)
    model = common.find_model(arguments)
    comparisons = _compare(arguments, traces, model)
    setting = f"{common.describe(arguments)}, conversions {arguments.overhead}"
    if arguments.network is not None:
        setting += f", network {arguments.network}"
    if suffix in common.figure_suffixes():
        _draw(names[0], comparisons[0], _figure_note(comparisons[0], setting, arguments), arguments.output)
    else:
        notes = _notes(comparisons, model.device, arguments)
        table = _table(names, comparisons, notes, setting, suffix)
        common.emit([common.with_setting(table, arguments, suffix)], arguments.output)
    return 0


def _parser() -> common.Parser:
    parser = common.parser("speedup", DESCRIPTION)
    parser.add_argument("traces", nargs="+", metavar="TRACE", help="name of a bundled trace, or a .jsonl file")
    common.add_model_arguments(parser)
    common.add_profile_arguments(parser)
    common.add_overhead_argument(parser)
    parser.add_argument(
        "--network",
        metavar="N",
        help="price this network instead of the one that the trace names: a name or a .toml file",
    )
    parser.add_argument(
        "--baseline-epochs", type=common.whole, metavar="E",
        help="epochs of FP32 and mixed precision (default: as the trace says, else as many as the trace has)",
    )  # fmt: skip
    parser.add_argument("--strict", action="store_true", help="treat warnings as errors")
    common.add_output_argument(parser, "table (.txt .csv .json .md .tex) or timeline (.png .svg .pdf)")
    return parser


def _check(arguments) -> str | None:
    """The suffix of the output, checked before anything is computed."""
    from perfmodel.errors import InputError

    epochs = arguments.baseline_epochs
    if epochs is not None and not 1 <= epochs <= 10**6:
        raise InputError.at("E1105", "--baseline-epochs", f"{epochs} is not between 1 and 1000000.", "Correct it.")
    suffix = common.output_suffix(arguments.output, figures=True)
    if suffix in common.figure_suffixes() and len(arguments.traces) > 1:
        raise InputError.at("E1105", "-o", "a figure shows one trace.", "Give one TRACE, or write a table.")
    return suffix


def _compare(arguments, traces, model):
    """Every trace beside its baselines; an error that lies in a trace says in which."""
    from perfmodel.networks import find_network

    network = None if arguments.network is None else find_network(arguments.network)
    pairs = list(zip(arguments.traces, traces, strict=True))
    return common.gather(
        lambda pair: common.located(pair[0], lambda: _price(pair[1], network, arguments, model)), pairs
    )


def _price(trace, network, arguments, model):
    from perfmodel.networks import find_network
    from perfmodel.simulate import Setting, compare

    network = network or find_network(trace.network)
    setting = Setting(model, arguments.mapping, _overhead(arguments.overhead, network, trace))
    return compare(trace, network, setting, arguments.baseline_epochs)


def _overhead(text: str, network, trace):
    """The overhead of one trace: `table3` depends on the network and on how many iterations are quantised."""
    from perfmodel.reproduce.overhead import PUBLISHED_OVERHEAD, published_overhead
    from perfmodel.schemes import find_overhead

    return published_overhead(network, trace) if text == PUBLISHED_OVERHEAD else find_overhead(text)


def _notes(comparisons, device, arguments) -> tuple[str, ...]:
    from perfmodel.report.speedup import speedup_notes

    return (*speedup_notes(comparisons, device), *_coverage(comparisons, arguments))


def _coverage(comparisons, arguments) -> list[str]:
    """With a profile: how much of the runs is measured."""
    from perfmodel.report.basis import coverage_note, run_parts

    runs = [run for c in comparisons for run in (c.fp32, c.mixed, *c.runs)]
    return [] if arguments.profile is None else [coverage_note(run_parts(runs))]


def _figure_note(comparison, setting: str, arguments) -> str:
    from perfmodel.cost.estimate import merge_bases
    from perfmodel.report.basis import source_words

    basis = merge_bases(*(run.basis for run in (comparison.fp32, comparison.mixed, *comparison.runs)))
    return " ".join((f"{source_words(basis)}: {setting}.", *_coverage([comparison], arguments)))


def _table(names, comparisons, notes: tuple[str, ...], setting: str, suffix: str | None):
    from perfmodel.report.speedup import speedup_frame, speedup_table
    from perfmodel.report.table import Table

    frame, title = speedup_frame(names, comparisons), f"Training time and speedup: {setting}"
    return Table(title, frame, notes=notes) if suffix in common.RAW_SUFFIXES else speedup_table(frame, title, notes)


def _draw(name: str, comparison, note: str, output: str) -> None:
    from perfmodel.report.figures import timeline_figure, write_figure
    from perfmodel.report.speedup import timeline_frame

    title = f"{name}: {comparison.network.title}"
    write_figure(timeline_figure(timeline_frame(comparison), title, note, comparison.runs[0].title), output)


def _names(traces: list[str]) -> list[str]:
    """How the table calls each trace: its file's name without folder and suffix, or all of it where two are alike."""
    import os

    short = [os.path.basename(trace).removesuffix(".jsonl") for trace in traces]
    return [name if short.count(name) == 1 else trace for name, trace in zip(short, traces, strict=True)]


def _warn(names: list[str], traces, strict: bool) -> None:
    """Warn of epochs that a trace leaves out or cuts short; with `--strict` that is an error."""
    from perfmodel.errors import InputError, Problem

    problems = []
    for name, trace in zip(names, traces, strict=True):
        if trace.gaps:
            found = f"{_epochs(trace.gaps)} missing: no time is counted for what is missing."
            problems.append(Problem("W1310", f"{name}:", found, "Add what is missing."))
        if trace.partial:
            found = f"{_epochs([(epoch, epoch) for epoch in trace.partial])} cut short: the iterations given count."
            problems.append(Problem("W1311", f"{name}:", found, "Add what is missing."))
    if problems and strict:
        raise InputError(problems)
    for problem in problems:
        complain(problem)


def _epochs(gaps) -> str:
    """`epoch 3 is`, or `epochs 1, 3 to 5 are`; after twenty gaps an ellipsis."""
    runs = [str(first) if first == last else f"{first} to {last}" for first, last in gaps[:20]]
    one = len(gaps) == 1 and gaps[0][0] == gaps[0][1]
    return f"epoch {runs[0]} is" if one else f"epochs {', '.join(runs)}{' …' * (len(gaps) > 20)} are"
