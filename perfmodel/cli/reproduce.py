"""`perfmodel reproduce table3`: the paper's figures and ours, side by side."""

from __future__ import annotations

from perfmodel.cli import common

DESCRIPTION = """\
Recompute a published table. table3: the twelve cells of the MuPPET paper's Table 3 in four modes, each cell saying
whether it was modelled, taken from the paper or solved from it; where no schedule is known, the lowest and highest time
over all feasible ones."""
TARGETS = ("table3",)


def run(argv: list[str]) -> int:
    """The verb; returns the exit code."""
    parser = common.parser("reproduce", DESCRIPTION)
    parser.add_argument("target", metavar="TARGET", help="table3")
    common.add_overhead_argument(parser)
    parser.add_argument(
        "--search", action="store_true", help="also try every variant of kernels and rank them (seconds)"
    )
    common.add_output_argument(parser, ".txt .json .md .tex; .csv holds the cells alone")
    arguments = parser.parse_args(argv)
    suffix = common.output_suffix(arguments.output, figures=False)
    from perfmodel.errors import InputError, unknown_name

    if arguments.search and suffix == ".csv":
        raise InputError.at("E1105", "--search", "does not go with .csv, which holds the cells alone.", "Use .json.")
    if arguments.target not in TARGETS:
        raise unknown_name("E1009", "target", arguments.target, TARGETS)
    common.emit(list(_tables(arguments, suffix)), arguments.output)
    return 0


def _tables(arguments, suffix: str | None):
    from perfmodel.devices import find_device
    from perfmodel.networks import find_network
    from perfmodel.report import table3 as tables
    from perfmodel.report import table3_details as details
    from perfmodel.report.table import Table
    from perfmodel.reproduce.modes import reproduce
    from perfmodel.reproduce.published import table3

    device = find_device(table3().device)
    networks = {row.network: find_network(row.network) for row in table3().rows}
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


def _overhead(text: str):
    from perfmodel.reproduce.overhead import PUBLISHED_OVERHEAD
    from perfmodel.schemes import find_overhead

    return text if text == PUBLISHED_OVERHEAD else find_overhead(text)
