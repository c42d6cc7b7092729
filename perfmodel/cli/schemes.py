"""`perfmodel schemes [NAME]`: the training schemes, one of them in full, and what quantising costs."""

from __future__ import annotations

from perfmodel.cli import options, writing

DESCRIPTION = """\
The training schemes with their sources, and the levels of --overhead; or one scheme in full: the format of each tensor
in each pass and the unit that it runs on, what is stored, extra kernels, schedule, and what our pricing leaves out.
NAME is a bundled scheme or a .toml file. A .csv holds the first table alone."""
ABOUT_ONE = ("device", "network", "batch", "overhead")  # options that go with a NAME


def run(argv: list[str]) -> int:
    """The verb; returns the exit code."""
    arguments = _parser().parse_args(argv)
    suffix = writing.output_suffix(arguments.output, figures=False)
    _check(arguments)
    tables = _everything() if arguments.name is None else _one(arguments)
    writing.emit(tables[:1] if suffix == ".csv" else tables, arguments.output)  # a CSV file holds one table
    return 0


def _parser() -> options.Parser:
    parser = options.parser("schemes", DESCRIPTION)
    parser.add_argument("name", nargs="?", metavar="NAME", help="explain this one: a name, or the path of a file")
    parser.add_argument("--device", metavar="D", help="say on which of its units each GEMM runs: a name or .toml file")
    parser.add_argument("--network", metavar="N", help="name its layers and count elements: a name or .toml file")
    parser.add_argument("--batch", type=options.whole, metavar="N", help="images of one step (default 256)")
    parser.add_argument("--overhead", metavar="LEVEL", help=f"what quantising costs: {options.LEVELS}")
    options.add_output_argument(parser, "table (.txt .csv .json .md .tex)")
    return parser


def _check(arguments) -> None:
    """Refuse options that say nothing of a list, and fill in what was not given."""
    from perfmodel.errors import InputError

    given = [name for name in ABOUT_ONE if getattr(arguments, name) is not None]
    if arguments.name is None and given:
        raise InputError.at("E1105", f"--{given[0]}", "is about one scheme.", "Name it: perfmodel schemes NAME.")
    arguments.batch = 256 if arguments.batch is None else arguments.batch
    arguments.overhead = "current" if arguments.overhead is None else arguments.overhead
    options.check_batch(arguments.batch)
    options.refuse_table3(arguments.overhead, "table3 depends on a trace's quantised epochs, and there is no trace.")


def _everything():
    from perfmodel.report.schemes import schemes_tables

    return schemes_tables()


def _one(arguments):
    from perfmodel.devices import find_device
    from perfmodel.networks import find_network
    from perfmodel.report.schemes import scheme_tables
    from perfmodel.schemes import find_overhead, find_scheme

    overhead, scheme = find_overhead(arguments.overhead), find_scheme(arguments.name)
    device = None if arguments.device is None else find_device(arguments.device)
    network = None if arguments.network is None else find_network(arguments.network)
    return scheme_tables(scheme, device, network, arguments.batch, overhead)
