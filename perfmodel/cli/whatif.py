"""`perfmodel policy what-if TRACE`: other ladders, formats and lengths of a run, priced beside it."""

from __future__ import annotations

from perfmodel.cli import common, logs, options, writing
from perfmodel.cli.policy import ladder, number

WHAT_IF = """\
A run beside others: other formats or lengths of its quantised phase, priced alike.
TRACE is whatever perfmodel speedup reads. --ladder, --all and --scale-phase may each be given again."""


def run(argv: list[str]) -> int:
    """The action; returns the exit code."""
    arguments = _parser().parse_args(argv)
    suffix = writing.output_suffix(arguments.output, figures=False)
    _check(arguments)
    logs.refuse_inputs(arguments.output, [arguments.trace])
    given = logs.given(arguments)
    trace = logs.find(arguments.trace, given, alter=False)
    logs.warn_unused([arguments.trace], given, strict=False)
    logs.tell_corrections(arguments.trace, trace, stored=False)
    logs.warn([arguments.trace], [trace], arguments.strict)
    alternatives = _alternatives(arguments, trace)
    model = common.find_model(arguments)
    comparison, priced = common.located(arguments.trace, lambda: _price(arguments, trace, alternatives, model))
    from perfmodel.report.policy_whatif import whatif_frame, whatif_table

    frame = whatif_frame(comparison, priced)
    title = f"What if: {arguments.trace}: {common.describe(arguments)}, conversions {arguments.overhead}"
    table = whatif_table(frame, title, priced, _proxies(comparison, priced), suffix in writing.RAW_SUFFIXES)
    writing.emit([writing.with_setting(table, arguments, suffix)], arguments.output)
    return 0


def _parser() -> options.Parser:
    parser = options.parser("policy what-if", WHAT_IF)
    parser.add_argument("trace", metavar="TRACE", help="name of a bundled trace, a trace or a log")
    parser.add_argument("--ladder", action="append", default=[], metavar="F,F…",
                        help="these formats or bits (8,16,32), lowest first")  # fmt: skip
    parser.add_argument("--epochs-of-removed", default="up", metavar="WHERE",
                        help="up, to the next higher rung (default), down, or dropped")  # fmt: skip
    parser.add_argument("--all", action="append", default=[], metavar="FORMAT", help="one format for the whole phase")
    parser.add_argument("--scale-phase", action="append", default=[], type=number, metavar="X",
                        help="the phase X times as long")  # fmt: skip
    options.add_model_arguments(parser)
    options.add_calibration_argument(parser)
    options.add_profile_arguments(parser)
    options.add_overhead_argument(parser, options.LEVELS)
    parser.add_argument("--network", metavar="N", help="price this network instead of the one that the trace names")
    parser.add_argument("--baseline-epochs", type=options.whole, metavar="E",
                        help="epochs of FP32 (default: as the trace says, else its own)")  # fmt: skip
    parser.add_argument("--strict", action="store_true", help="treat warnings as errors")
    options.add_output_argument(parser, "table .txt .csv .json .md .tex")
    logs.add_log_arguments(parser, network=False)
    return parser


def _check(arguments) -> None:
    from perfmodel.errors import InputError

    options.refuse_table3(arguments.overhead, "is known for the published runs alone, not for alternatives.")
    epochs = arguments.baseline_epochs
    if epochs is not None and not 1 <= epochs <= 10**6:
        raise InputError.at("E1105", "--baseline-epochs", f"{epochs} is not between 1 and 1000000.", "Correct it.")
    if not (arguments.ladder or arguments.all or arguments.scale_phase):
        fix = "Give --ladder 8,16,32, --all FORMAT or --scale-phase X."
        raise InputError.at("E1105", "perfmodel policy what-if:", "nothing to change was given.", fix)


def _alternatives(arguments, trace) -> list:
    from perfmodel.whatif import format_named, ladder_alternative, scaled_alternative, uniform_alternative

    ladders = [ladder_alternative(ladder(text, trace), arguments.epochs_of_removed) for text in arguments.ladder]
    formats = [uniform_alternative(format_named(text, trace)) for text in arguments.all]
    return [*ladders, *formats, *map(scaled_alternative, arguments.scale_phase)]


def _price(arguments, trace, alternatives, model):
    from perfmodel.networks import find_network
    from perfmodel.schemes import find_overhead
    from perfmodel.simulate import Setting
    from perfmodel.whatif import price_alternatives

    network = find_network(arguments.network or trace.network)
    setting = Setting(model, arguments.mapping, find_overhead(arguments.overhead))
    return price_alternatives(trace, alternatives, network, setting, arguments.baseline_epochs)


def _proxies(comparison, priced) -> tuple[str, ...]:
    runs = [run for one in priced for run in one.runs] + list(comparison.runs)
    found = list(dict.fromkeys(proxy for run in runs for proxy in run.proxies))
    return (f"Proxies: {', '.join(found)}.",) if found else ()
