"""`perfmodel advise NETWORK`: which layers and passes a narrow format pays off for."""

from __future__ import annotations

from perfmodel.cli import common, options, writing

DESCRIPTION = """\
For each layer and pass of a training step: does a narrow format such as INT8 pay off once tensors are converted and
turned round for it, how far it is from breaking even, and from which batch size on. The plan of least time has each
tensor converted once, however many passes and layers read it; --plan FILE.toml writes it as a scheme that breakdown,
compare and speedup take.
NETWORK is a bundled network (see perfmodel networks) or a .toml file."""
BATCHES = "1,2,4,8,16,32,64,128,256,512,1024"
MOST_BATCHES = 100


def run(argv: list[str]) -> int:
    """The verb; returns the exit code."""
    arguments = _parser().parse_args(argv)
    batches = _check(arguments)
    from perfmodel.networks import find_network

    network, model = find_network(arguments.network), common.find_model(arguments)
    advice, found = _advise(network, model, batches, arguments)
    setting = f"{common.describe(arguments)}, conversions {arguments.overhead}"
    if arguments.plan is not None:
        _write_plan(advice, setting, arguments)
    if _suffix(arguments) in writing.figure_suffixes():
        _draw(advice, found, setting, arguments)
        return 0
    tables = _tables(advice, found, model, setting, arguments)
    writing.emit([writing.with_setting(table, arguments, _suffix(arguments)) for table in tables], arguments.output)
    return 0


def _parser() -> options.Parser:
    parser = options.parser("advise", DESCRIPTION)
    parser.add_argument("network", metavar="NETWORK", help="name of a bundled network, or a .toml file")
    parser.add_argument(
        "--precision", default="int8", metavar="P,P,…", help="narrow formats to choose among (default int8)"
    )
    parser.add_argument(
        "--base", default="mixed", metavar="SCHEME",
        help="what is computed and stored where the plan says nothing: mixed (default), bf16, fp32, or a .toml file",
    )  # fmt: skip
    parser.add_argument("--by", default="pass", metavar="GROUP", help="break-even by pass (default) or layer")
    parser.add_argument(
        "--batch", type=options.whole, default=256, metavar="N", help="images of one step (default 256)"
    )
    parser.add_argument(
        "--batches",
        metavar="N,N,…",
        help="batch sizes to compare (default: powers of two up to 1024; none with --profile)",
    )
    parser.add_argument("--plan", metavar="FILE", help="write the plan of least time as a scheme file (.toml)")
    options.add_model_arguments(parser)
    options.add_calibration_argument(parser)
    options.add_profile_arguments(parser)
    options.add_overhead_argument(parser, options.LEVELS)
    options.add_output_argument(
        parser, "table (.txt .csv .json .md .tex; csv holds the passes, json everything), figure (.png .svg .pdf)"
    )
    return parser


def _suffix(arguments) -> str | None:
    return writing.output_suffix(arguments.output, figures=True)


def _check(arguments) -> list[int]:
    """The batch sizes to compare; everything is checked before anything is computed."""
    from perfmodel.errors import unknown_name
    from perfmodel.output import check_suffix
    from perfmodel.report.advice import GROUPS

    if arguments.by not in GROUPS:
        raise unknown_name("E1008", "--by", arguments.by, GROUPS)
    options.check_batch(arguments.batch)
    options.refuse_table3(arguments.overhead, "table3 depends on a trace's quantised epochs, and there is no trace.")
    _suffix(arguments)
    writing.check_output(arguments.output)
    if arguments.plan is not None:
        check_suffix(arguments.plan, (".toml",))
        writing.check_output(arguments.plan)
        _refuse_inputs(arguments)
    return _batches(arguments)


def _refuse_inputs(arguments) -> None:
    """Raise E1105 for a plan that would replace the network, scheme or device that it is made from."""
    import os
    from contextlib import suppress

    from perfmodel.errors import InputError

    for given in (arguments.network, arguments.base, arguments.device):
        with suppress(OSError, ValueError):  # a name, or nothing is there
            if os.path.samefile(arguments.plan, given):
                raise InputError.at("E1105", "--plan", "is one of the files to read.", "Choose another name.")


def _batches(arguments) -> list[int]:
    from argparse import ArgumentTypeError

    from perfmodel.errors import InputError

    usual = BATCHES if arguments.profile is None else ""
    text = usual if arguments.batches is None else arguments.batches
    try:
        found = [options.whole(one) for one in text.split(",")] if text else []
    except ArgumentTypeError as error:
        raise InputError.at("E1105", "--batches", f"{error}.", "Give numbers such as 32,64,128.") from None
    if len(found) > MOST_BATCHES or not all(1 <= one <= 10**7 for one in found):
        raise InputError.at(
            "E1105", "--batches", f"are not up to {MOST_BATCHES} numbers from 1 to 10000000.", "Correct them."
        )
    return sorted(set(found))


def _advise(network, model, batches: list[int], arguments):
    from perfmodel.advise import advise
    from perfmodel.advise.sweep import sweep
    from perfmodel.formats import find_format
    from perfmodel.schemes import find_overhead, find_scheme
    from perfmodel.simulate import Setting

    base = find_scheme(arguments.base)
    narrow = [one.name for one in common.gather(find_format, list(dict.fromkeys(arguments.precision.split(","))))]
    setting = Setting(model, arguments.mapping, find_overhead(arguments.overhead))
    return advise(network, arguments.batch, base, narrow, setting), sweep(network, batches, base, narrow, setting)


def _tables(advice, found, model, setting: str, arguments) -> list:
    from perfmodel.report import advice as report
    from perfmodel.report.table import Table

    title = f"Advice on {advice.network.name}, batch {arguments.batch}"
    notes = _notes(advice, found, model, arguments)
    passes = Table(f"{title}: passes", report.passes_frame(advice, found), notes=notes)
    if _suffix(arguments) == ".csv":
        return [passes]
    if _suffix(arguments) == ".json":
        batches = [Table("By batch size", report.batches_frame(found))] if found else []
        return [Table(title, report.ways_frame(advice), notes=notes), *batches, passes]
    batches = [report.batches_table(advice, found)] if found else []
    return [
        report.gains_table(advice, found, arguments.by),
        *batches,
        report.ways_table(advice, f"{title}, {setting}", notes),
    ]


def _draw(advice, found, setting: str, arguments) -> None:
    from perfmodel.report.advice import batches_frame, layers_frame, plan_words
    from perfmodel.report.basis import source_words
    from perfmodel.report.figures import advice_figure, write_figure

    title = f"Advice on {advice.network.name}, batch {arguments.batch}"
    note = f"{source_words(advice.best.step.total.basis)}: {setting}. {plan_words(advice)}"
    batches = batches_frame(found) if found else None
    write_figure(advice_figure(layers_frame(advice, found), title, note, batches), arguments.output)


def _notes(advice, found, model, arguments) -> tuple[str, ...]:
    from perfmodel.report.advice import findings
    from perfmodel.report.basis import coverage_note, interval_notes, step_parts
    from perfmodel.report.units import units_note
    from perfmodel.schemes import find_overhead

    steps = [one.step for one in (advice.base, *advice.narrow, advice.best)]
    proxies = list(dict.fromkeys(proxy for step in steps for proxy in step.proxies))
    notes = [*findings(advice, found), *interval_notes((step.interval() for step in steps), rounded=True)]
    notes += [units_note(model.device, steps)]
    notes += [f"Proxies: {', '.join(proxies)}."] if proxies else []
    notes.append(f"Quantising: {find_overhead(arguments.overhead).words}.")
    return (*notes, *([] if arguments.profile is None else [coverage_note(step_parts(steps))]))


def _write_plan(advice, setting: str, arguments) -> None:
    from pathlib import Path

    from perfmodel.advise import plan_scheme, scheme_text
    from perfmodel.output import own_version, write_text
    from perfmodel.schemes import find_scheme

    name = Path(arguments.plan).name.removesuffix(".toml")
    title = f"least-time plan for {advice.network.name}"
    source = f"perfmodel advise {own_version()}: batch {arguments.batch}, {setting}"
    scheme = plan_scheme(advice.network, advice.best.plan, find_scheme(arguments.base), name, title, source)
    write_text(arguments.plan, scheme_text(scheme))
