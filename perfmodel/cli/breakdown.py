"""`perfmodel breakdown NETWORK`: where the time of one training step goes."""

from __future__ import annotations

from perfmodel.cli import common, options, writing

DESCRIPTION = """\
Where the time of one training step goes, precisions side by side: as a table, or as stacked bars with -o FILE.png.
NETWORK is a bundled network (see perfmodel networks) or a .toml file. fp32, fp16 and int8 stand for the FP32, the
mixed-precision and the 8-bit MuPPET step with its conversions; dfx12, dfx14 and dfx16 for MuPPET's others; any other
format for GEMMs in that format, nothing converted; the name of a scheme (see perfmodel schemes), or a scheme's .toml
file, for the first step of its run."""


def run(argv: list[str]) -> int:
    """The verb; returns the exit code."""
    arguments = _parser().parse_args(argv)
    suffix = _check(arguments)
    from perfmodel.networks import find_network
    from perfmodel.report.breakdown import breakdown_frame

    network, model = find_network(arguments.network), common.find_model(arguments)
    steps = {name: _price(network, name, model, arguments) for name in arguments.precision.split(",")}
    if arguments.timeline is not None:
        from perfmodel.report.timeline import write_timeline

        setting = f"batch {arguments.batch}, {common.describe(arguments)}"
        write_timeline(arguments.timeline, steps, network, setting, model.device.name)
    picture = suffix in writing.figure_suffixes()
    notes, title = _notes(steps, model.device, arguments, picture), f"of {network.name}, batch {arguments.batch}"
    if picture:
        _draw(steps, model.device, title, notes, arguments)
    else:
        title = f"One training step {title}: {common.describe(arguments)}"
        table = _table(
            breakdown_frame(steps), steps, arguments.by, suffix, title, notes, arguments.framework is not None
        )
        writing.emit([writing.with_setting(table, arguments, suffix)], arguments.output)
    return 0


def _draw(steps, device, title: str, notes: tuple[str, ...], arguments) -> None:
    """Bars, or with `--roofline` the GEMMs under the device's roofs."""
    from perfmodel.report.basis import source_words
    from perfmodel.report.breakdown import breakdown_frame
    from perfmodel.report.figures import breakdown_figure, roofline_figure, write_figure
    from perfmodel.report.roofline import roofline_frame, roofs_frame

    note = f"{source_words(_basis(steps))}: {common.describe(arguments)}. {' '.join(notes)}"
    if arguments.roofline:
        points = roofline_frame(steps, device)
        roofs = roofs_frame(device, points["kernel_precision"])
        figure = roofline_figure(points, roofs, f"GEMMs of one training step {title}, and what bounds them", note)
    else:
        figure = breakdown_figure(breakdown_frame(steps), f"One training step {title}", arguments.by, note)
    write_figure(figure, arguments.output)


def _parser() -> options.Parser:
    parser = options.parser("breakdown", DESCRIPTION)
    parser.add_argument("network", metavar="NETWORK", help="name of a bundled network, or a .toml file")
    parser.add_argument(
        "--precision", default="fp32,fp16,int8", metavar="P,P,…", help="precisions to compare (default fp32,fp16,int8)"
    )
    parser.add_argument("--by", default="layer", metavar="GROUP", help="layer (default), pass or kind")
    parser.add_argument(
        "--batch", type=options.whole, default=256, metavar="N", help="images of one step (default 256)"
    )
    options.add_pricing_arguments(parser)
    options.add_output_argument(
        parser,
        "table (.txt .csv .json .md .tex .parquet) or figure (.png .svg .pdf); csv, json and parquet hold every kernel",
    )
    parser.add_argument(
        "--roofline", action="store_true", help="with -o FILE.png, .svg or .pdf: GEMMs under the device's roofs"
    )
    options.add_timeline_argument(parser)
    return parser


def _check(arguments) -> str | None:
    from perfmodel.errors import InputError, unknown_name
    from perfmodel.report.breakdown import GROUPS

    if arguments.by not in GROUPS:
        raise unknown_name("E1008", "--by", arguments.by, GROUPS)
    options.check_batch(arguments.batch)
    options.refuse_table3(arguments.overhead, "table3 depends on a trace's quantised epochs, and one step has none.")
    writing.check_timeline(arguments)
    suffix = writing.output_suffix(arguments.output, figures=True)
    if arguments.roofline and (suffix not in writing.figure_suffixes() or arguments.by != "layer"):
        found = "is a figure of layers and passes."
        raise InputError.at("E1105", "--roofline", found, "Give -o FILE.png, .svg or .pdf, and no --by.")
    return suffix


def _price(network, precision: str, model, arguments):
    from perfmodel.schemes import find_breakdown_scheme, find_overhead
    from perfmodel.simulate import Setting, step_cost

    scheme, formats = find_breakdown_scheme(precision)
    view = common.find_view(arguments)
    setting = Setting(model, arguments.mapping, find_overhead(arguments.overhead), view)
    return step_cost(network, arguments.batch, scheme, formats, setting)


def _notes(steps, device, arguments, picture: bool) -> tuple[str, ...]:
    """What each precision stands for, which units run it, what quantising costs, and where the numbers come from."""
    from perfmodel.report.basis import coverage_note, interval_notes, step_parts, totals_note
    from perfmodel.report.units import units_note
    from perfmodel.schemes import find_overhead, step_words

    notes = [f"{'; '.join(f'{name}: {step_words(name)}' for name in steps)}."]
    notes += (
        totals_note(steps) if picture else interval_notes((step.interval() for step in steps.values()), rounded=True)
    )
    notes.append(units_note(device, steps.values()))
    proxies = list(dict.fromkeys(proxy for step in steps.values() for proxy in step.proxies))
    notes += [f"Proxies: {', '.join(proxies)}."] if proxies else []
    if any(work.kind == "quantise" for step in steps.values() for work in step.works):
        notes.append(f"Quantising: {find_overhead(arguments.overhead).words}.")
    if arguments.profile is not None:
        notes.append(coverage_note(step_parts(steps.values())))
    return (*notes, f"Basis: {_basis(steps)}.")


def _basis(steps) -> str:
    from perfmodel.cost.estimate import merge_bases

    return merge_bases(*(step.total.basis for step in steps.values()))


def _table(frame, steps, by: str, suffix: str | None, title: str, notes: tuple[str, ...], framework: bool):
    from perfmodel.report.breakdown import breakdown_table, interval_frame
    from perfmodel.report.table import Table

    if suffix in writing.RAW_SUFFIXES:
        return Table(title, frame, notes=notes)
    intervals = interval_frame(steps, [by])
    if framework:  # whose interval is of whole iterations
        intervals = intervals.drop_duplicates("precision")
    return breakdown_table(frame, by, title, notes, intervals)
