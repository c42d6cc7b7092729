"""`perfmodel reproduce table3`: the paper's figures and ours, side by side."""

from __future__ import annotations

from perfmodel.cli import common, options, profiled, writing

DESCRIPTION = """\
Recompute a published table. table3: the twelve cells of the MuPPET paper's Table 3 in four modes, each cell saying
whether it was modelled, taken from the paper or solved from it; where no schedule is known, the lowest and highest time
over all feasible ones.
With --profile: the twelve cells from the times of a profile, each with its basis, beside the analytical model's, and
the model's error of each kernel."""
TARGETS = ("table3",)
WITH_A_PROFILE = ("mapping", "device")


def run(argv: list[str]) -> int:
    """The verb; returns the exit code."""
    arguments = _parser().parse_args(argv)
    suffix = writing.output_suffix(arguments.output, figures=False)
    _check(arguments, suffix)
    tables = _tables if arguments.profile is None else _profile_tables
    writing.emit(list(tables(arguments, suffix)), arguments.output)
    return 0


def _parser() -> options.Parser:
    parser = options.parser("reproduce", DESCRIPTION)
    parser.add_argument("target", metavar="TARGET", help="table3")
    options.add_overhead_argument(parser)
    parser.add_argument(
        "--search", action="store_true", help="also try every variant of kernels and rank them (seconds)"
    )
    options.add_profile_arguments(parser)
    options.add_mapping_argument(parser)
    parser.add_argument(
        "--device", metavar="D", help="the profile's device, for the model: a name or a .toml file (default: by name)"
    )
    options.add_output_argument(parser, ".txt .json .md .tex; .csv holds the cells alone")
    parser.set_defaults(model="tiles", tile="best", no_split_k=False)
    return parser


def _check(arguments, suffix: str | None) -> None:
    from perfmodel.errors import InputError, unknown_name

    if arguments.search and suffix == ".csv":
        raise InputError.at("E1105", "--search", "does not go with .csv, which holds the cells alone.", "Use .json.")
    if arguments.target not in TARGETS:
        raise unknown_name("E1009", "target", arguments.target, TARGETS)
    profiled.check(arguments)
    if arguments.profile is not None and arguments.search:
        raise InputError.at("E1105", "--search", "tries variants of a model, and --profile asks for none.", "Drop it.")
    for name in WITH_A_PROFILE if arguments.profile is None else ():
        if getattr(arguments, name) is not None:
            raise InputError.at("E1105", f"--{name}", "says what a profile is of.", "Add --profile FILE.")


def _networks() -> dict:
    from perfmodel.networks import find_network
    from perfmodel.reproduce.published import table3

    return {row.network: find_network(row.network) for row in table3().rows}


def _tables(arguments, suffix: str | None):
    from perfmodel.devices import find_device
    from perfmodel.report import table3 as tables
    from perfmodel.report import table3_details as details
    from perfmodel.report.table import Table
    from perfmodel.reproduce.modes import reproduce
    from perfmodel.reproduce.published import table3

    device, networks = find_device(table3().device), _networks()
    reproduction = reproduce(networks, device, _overhead(arguments.overhead))
    if suffix == ".csv":
        yield Table("Table 3", tables.cells_frame(reproduction))
        return
    if arguments.search:
        from perfmodel.reproduce.explanation import search

        yield details.search_table(search(networks, device))
    yield details.method_table(reproduction, device)
    yield details.schedules_table(reproduction)
    yield details.decomposition_table(reproduction)
    yield from tables.cells_tables(reproduction)
    yield tables.summary_table(reproduction)


def _profile_tables(arguments, suffix: str | None):
    from perfmodel.report import table3_profile as tables
    from perfmodel.report.table import Table
    from perfmodel.reproduce.profiled import from_profile

    profile = profiled.read(arguments)
    device, warnings = _device(profile, arguments)
    profiled.choose_mapping(arguments, profile)
    model = profiled.measured(profile, device, arguments, warnings)
    found = from_profile(_networks(), model, device, arguments.mapping, _overhead(arguments.overhead))
    if suffix == ".csv":
        arguments.device = device and device.name
        yield writing.with_setting(Table("Table 3", tables.cells(found)), arguments, suffix)
        return
    arguments.device = found.device_name
    yield from tables.profile_tables(found, common.describe(arguments))


def _device(profile, arguments):
    """The device that the profile is of, None where that is not known; and a warning where `--device` is another."""
    from perfmodel.devices import find_device
    from perfmodel.errors import InputError
    from perfmodel.reproduce.profiled import device_of

    if arguments.device is not None:
        device = find_device(arguments.device)
        return device, profiled.other_device(profile, device, arguments)
    device = device_of(profile)
    if device is None and arguments.fill is not None:
        raise InputError.at(
            "E1105", "--fill", "models the profile's device, and no device file is known to describe that.",
            "Name it with --device.",
        )  # fmt: skip
    return device, []


def _overhead(text: str):
    from perfmodel.reproduce.overhead import PUBLISHED_OVERHEAD
    from perfmodel.schemes import find_overhead

    return text if text == PUBLISHED_OVERHEAD else find_overhead(text)
