"""`perfmodel compare NETWORK`: training schemes side by side."""

from __future__ import annotations

from perfmodel.cli import common, options, writing

DESCRIPTION = """\
Training schemes side by side on one network, each by its own schedule: time of an epoch, where it goes, speedup
against FP32, bit operations and memory traffic.
NETWORK is a bundled network (see perfmodel networks) or a .toml file; schemes are names (see perfmodel schemes) or
.toml files. What the GPU cannot compute is refused by name. With -o FILE.png, .svg or .pdf it draws the bars.
--device D,D,… puts several devices beside each other."""
SCHEMES = "fp32,mixed,muppet,fp8,cpt,hbfp"
MOST_SCHEMES = 100


def run(argv: list[str]) -> int:
    """The verb; returns the exit code."""
    arguments = _parser().parse_args(argv)
    suffix = _check(arguments)
    from perfmodel.networks import find_network

    network, schemes = find_network(arguments.network), _schemes(arguments.schemes)
    if "," in arguments.device:
        return _compare_devices(network, schemes, arguments, suffix)
    result, device = _compare(network, schemes, arguments)
    title = f"Schemes side by side: {network.name}, batch {arguments.batch}"
    setting = f"{common.describe(arguments)}, conversions {arguments.overhead}"
    if suffix in writing.figure_suffixes():
        _draw(result, title, setting, arguments)
    else:
        writing.emit(_tables(result, device, f"{title}, {setting}", arguments, suffix), arguments.output)
    return 0


def _parser() -> options.Parser:
    parser = options.parser("compare", DESCRIPTION)
    parser.add_argument("network", metavar="NETWORK", help="name of a bundled network, or a .toml file")
    parser.add_argument("--schemes", default=SCHEMES, metavar="S,S,…", help=f"schemes to compare (default {SCHEMES})")
    parser.add_argument("--epochs", type=options.whole, default=90, metavar="N", help="epochs of each run (default 90)")
    parser.add_argument(
        "--samples", type=options.whole, metavar="N",
        help="images of an epoch (default: ImageNet's 1281167, CIFAR's 50000 for networks of images below 64 pixels)",
    )  # fmt: skip
    parser.add_argument(
        "--batch", type=options.whole, default=256, metavar="N", help="images of one step (default 256)"
    )
    options.add_pricing_arguments(parser)
    options.add_output_argument(
        parser,
        "table (.txt .csv .json .md .tex) or figure (.png .svg .pdf); csv and json hold each step of the runs",
    )
    return parser


def _check(arguments) -> str | None:
    from perfmodel.errors import InputError

    options.check_batch(arguments.batch)
    for name, most in (("epochs", 10**6), ("samples", 10**12)):
        given = getattr(arguments, name)
        if given is not None and not 1 <= given <= most:
            raise InputError.at("E1105", f"--{name}", f"{given} is not between 1 and {most}.", "Correct it.")
    options.refuse_table3(arguments.overhead, "table3 depends on a trace's quantised epochs, and there is no trace.")
    return writing.output_suffix(arguments.output, figures=True)


def _schemes(text: str):
    """The schemes by name or path; all problems in one error."""
    from perfmodel.errors import InputError, quote
    from perfmodel.schemes import find_scheme

    names = text.split(",")
    if len(names) > MOST_SCHEMES:
        raise InputError.at("E1105", "--schemes", f"names {len(names)}; at most {MOST_SCHEMES}.", "Name fewer.")
    schemes = common.gather(find_scheme, names)
    called = [scheme.name for scheme in schemes]
    if twice := next((name for name in called if called.count(name) > 1), None):
        raise InputError.at(
            "E1531", "--schemes", f"two are called {quote(twice)}.", "Name each once, or rename a file."
        )
    return schemes


def _compare(network, schemes, arguments):
    """The priced runs and the device; raises where no scheme at all has a price."""
    from perfmodel.schemes import find_overhead
    from perfmodel.sidebyside import Run, price_schemes, usual_samples
    from perfmodel.simulate import Setting

    overhead, model = find_overhead(arguments.overhead), common.find_model(arguments)
    if arguments.samples is None:
        arguments.samples = usual_samples(network)
    run = Run(arguments.epochs, arguments.samples, arguments.batch)
    setting = Setting(model, arguments.mapping, overhead, common.find_view(arguments))
    return price_schemes(network, schemes, run, setting), model.device


def _compare_devices(network, schemes, arguments, suffix: str | None) -> int:
    """The same on several devices: across them first, then each."""
    results = {}
    for name, one in _each_device(arguments):
        results[name] = (*_compare(network, schemes, one), one)
        arguments.samples, arguments.mapping = one.samples, one.mapping
    arguments.device = ", ".join(results)  # as titles have it
    title = f"Schemes side by side: {network.name}, batch {arguments.batch}"
    setting = f"{common.describe(arguments)}, conversions {arguments.overhead}"
    found = {name: result for name, (result, _, _) in results.items()}
    if suffix in writing.figure_suffixes():
        _draw_devices(found, title, setting, arguments.output)
        return 0
    writing.emit(_device_tables(results, f"{title}, {setting}", arguments, suffix), arguments.output)
    return 0


def _each_device(arguments):
    """The arguments with one device each, by its name; every name is known before anything is computed."""
    from argparse import Namespace

    from perfmodel.devices import find_device
    from perfmodel.errors import InputError

    if arguments.profile is not None:
        found = "is of one device, and --device names several."
        raise InputError.at("E1105", "--profile", found, "Name one device.")
    names = arguments.device.split(",")
    devices = common.gather(find_device, names)
    called = [device.name for device in devices]
    if twice := next((name for name in called if called.count(name) > 1), None):
        raise InputError.at("E1105", "--device", f"names {twice} twice.", "Name each once.")
    return [(device.name, Namespace(**{**vars(arguments), "device": name}))
            for name, device in zip(names, devices, strict=True)]  # fmt: skip


def _device_tables(results, title: str, arguments, suffix: str | None) -> list:
    from perfmodel.report.by_device import by_device_frame, by_device_table
    from perfmodel.report.table import Table

    found = {name: result for name, (result, _, _) in results.items()}
    if suffix in writing.RAW_SUFFIXES:
        return [writing.with_setting(Table(title, by_device_frame(found)), arguments, suffix)]
    tables = [by_device_table(found, title)]
    for name, (result, device, one) in results.items():
        tables += _tables(result, device, f"On {name}", one, suffix)
    return tables


def _draw_devices(found, title: str, setting: str, output: str) -> None:
    from perfmodel.cost.estimate import merge_bases
    from perfmodel.report.basis import source_words
    from perfmodel.report.by_device import by_device_frame
    from perfmodel.report.figures import devices_figure, write_figure

    basis = merge_bases(*(cost.basis for result in found.values() for cost in result.priced))
    note = f"{source_words(basis)}. Behind each bar its length and the speedup against FP32 on the same device."
    write_figure(devices_figure(by_device_frame(found), title, setting, note), output)


def _notes(result, device, arguments) -> tuple[str, ...]:
    from perfmodel.report.sidebyside import compare_notes
    from perfmodel.schemes import find_overhead

    notes = [*compare_notes(result, device)]
    steps = [one.step for cost in result.priced for one in cost.stretches]
    if any(work.kind == "quantise" for step in steps for work in step.works):
        notes.append(f"Quantising: {find_overhead(arguments.overhead).words}.")
    return (*notes, *_coverage(result, arguments))


def _coverage(result, arguments) -> list[str]:
    """With a profile: how much of the runs is measured."""
    from perfmodel.report.basis import coverage_note

    parts = [(one.step, float(one.iterations)) for cost in result.priced for one in cost.stretches]
    return [] if arguments.profile is None else [coverage_note(parts)]


def _tables(result, device, title: str, arguments, suffix: str | None):
    """What a file of this suffix holds: a `.csv` the steps alone, a `.json` the schemes and the steps."""
    from perfmodel.report.sidebyside import schemes_frame, schemes_tables, stretches_frame
    from perfmodel.report.table import Table

    notes = _notes(result, device, arguments)
    if suffix not in writing.RAW_SUFFIXES:
        return schemes_tables(result, device, title, notes)
    steps = Table(f"{title}: steps", stretches_frame(result, device))
    tables = [steps] if suffix == ".csv" else [Table(title, schemes_frame(result), notes=notes), steps]
    return [writing.with_setting(table, arguments, suffix) for table in tables]


def _draw(result, title: str, setting: str, arguments) -> None:
    from perfmodel.cost.estimate import merge_bases
    from perfmodel.report.basis import source_words
    from perfmodel.report.figures import schemes_figure, write_figure
    from perfmodel.report.sidebyside import schemes_frame

    basis = merge_bases(*(cost.basis for cost in result.priced))
    proxies = dict.fromkeys(proxy for cost in result.priced for proxy in cost.proxies)
    note = [f"{source_words(basis)}. Behind each bar its length and the speedup against FP32."]
    note += [f"Proxies: {', '.join(proxies)}."] if proxies else []
    note += _coverage(result, arguments)
    write_figure(schemes_figure(schemes_frame(result), title, setting, " ".join(note)), arguments.output)
