"""`perfmodel speedup TRACE…`: training traces in, speedup table or timeline out."""

from __future__ import annotations

from perfmodel.cli import common, logs

DESCRIPTION = """\
How long the run of each training trace takes: in FP32, in mixed precision, with the trace's scheme, and with that
scheme without conversions (its theoretical limit).
A TRACE is the name of a bundled trace (see perfmodel traces), the path of a trace (.jsonl), or the log of a training
run, a file or its folder (see perfmodel trace --help).
With -o FILE.png, .svg or .pdf it draws the timeline of one trace."""


def run(argv: list[str]) -> int:
    """The verb; returns the exit code."""
    arguments = _parser().parse_args(argv)
    suffix = _check(arguments)
    given = logs.given(arguments)
    logs.refuse_inputs(arguments.output, arguments.traces)
    traces = common.gather(lambda trace: logs.find(trace, given, alter=False), arguments.traces)
    logs.warn_unused(arguments.traces, given, arguments.strict)
    names = _names(arguments.traces)
    for log, trace in zip(arguments.traces, traces, strict=True):
        logs.tell_corrections(log, trace, stored=False)
    logs.warn(arguments.traces, traces, arguments.strict)
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
    parser.add_argument("traces", nargs="+", metavar="TRACE", help="name of a bundled trace, a trace or a log")
    common.add_model_arguments(parser)
    common.add_calibration_argument(parser)
    common.add_framework_argument(parser)
    common.add_profile_arguments(parser)
    common.add_overhead_argument(parser)
    parser.add_argument(
        "--network",
        metavar="N",
        help="price this network instead of the one that the trace names: a name or a .toml file; for logs, which name "
        "none, the network that was trained",
    )
    parser.add_argument(
        "--baseline-epochs", type=common.whole, metavar="E",
        help="epochs of FP32 and mixed precision (default: as the trace says, else those of the trace)",
    )  # fmt: skip
    parser.add_argument("--strict", action="store_true", help="treat warnings as errors")
    common.add_output_argument(parser, "table (.txt .csv .json .md .tex) or timeline (.png .svg .pdf)")
    logs.add_log_arguments(parser, network=False)
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
    setting = Setting(
        model, arguments.mapping, _overhead(arguments.overhead, network, trace), common.find_view(arguments)
    )
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

    short = [os.path.basename(trace.rstrip("/" + os.sep)).removesuffix(".jsonl") or trace for trace in traces]
    return [name if short.count(name) == 1 else trace for name, trace in zip(short, traces, strict=True)]
