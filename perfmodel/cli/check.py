"""`perfmodel check PROFILE…`: whether a profile can be trusted, and what to do about it."""

from __future__ import annotations

from perfmodel.cli import common, options, profiled, writing

DESCRIPTION = """\
Criticises a profile: intervals that are missing or wide, scatter, throttling, other users of the GPU, times that no
device could reach, kernels that were not timed; and says what to do. Several files of one device are joined.
PROFILE is a file that perfmodel profile wrote, or the .csv table of cutlass_profiler.
Exit codes: 0 nothing bad or doubtful, 3 something is, 2 bad input."""
DOUBTFUL = 3


def run(argv: list[str]) -> int:
    """The verb; returns the exit code."""
    parser = _parser()
    arguments = parser.parse_intermixed_args(argv)
    writing.output_suffix(arguments.output, figures=False)
    _check(arguments, parser)
    from perfmodel.profiles.criticism import criticise, trusted
    from perfmodel.profiles.profile import join_profiles, read_profile
    from perfmodel.report.profile import findings_table, timings_table

    profiles = common.gather(read_profile, arguments.profiles)
    profile = profiles[0] if len(profiles) == 1 else join_profiles(profiles)
    profiled.choose_mapping(arguments, profile)
    found = criticise(profile, _needed(arguments))
    name = common.profile_names(arguments.profiles)
    needs = _needs(arguments)
    table = timings_table(profile, name) if arguments.timings else findings_table(profile, name, found, needs)
    writing.emit([table], arguments.output)
    return 0 if trusted(found) and profile.timings else DOUBTFUL


def _parser() -> options.Parser:
    parser = options.parser("check", DESCRIPTION)
    parser.add_argument("profiles", nargs="+", metavar="PROFILE", help="a profile; several of one device are joined")
    parser.add_argument("--timings", action="store_true", help="the timings instead of what is wrong with them")
    parser.add_argument(
        "--network", action="append", metavar="N", help="also say which kernels of this network it lacks"
    )
    parser.add_argument("--precision", default="fp32,fp16,int8", metavar="P,P,…",
                        help="of the network's GEMMs (default fp32,fp16,int8)")  # fmt: skip
    parser.add_argument(
        "--batch", type=options.whole, default=256, metavar="N", help="images of one step (default 256)"
    )
    options.add_mapping_argument(parser)
    options.add_device_argument(parser)
    options.add_overhead_argument(parser, options.LEVELS)
    options.add_output_argument(parser, ".txt .csv .json .md .tex; csv and json of --timings hold every column")
    return parser


def _check(arguments, parser) -> None:
    from perfmodel.errors import InputError

    options.check_batch(arguments.batch)
    options.refuse_table3(arguments.overhead, "table3 is no kernel that could be timed.")
    for name in ("precision", "batch", "mapping", "device", "overhead"):
        if not arguments.network and getattr(arguments, name) != parser.get_default(name):
            raise InputError.at("E1105", f"--{name}", "says which kernels a network needs.", "Add --network N.")


def _needs(arguments) -> tuple[str, ...]:
    """A note on what the kernels that are needed are needed for."""
    if not arguments.network:
        return ()
    steps = f"{', '.join(arguments.network)}, batch {arguments.batch}, {arguments.precision}"
    return (f"Needed: the kernels of {steps}, {arguments.mapping}, conversions {arguments.overhead}.",)


def _needed(arguments) -> list:
    """The kernels of the networks' training steps."""
    if not arguments.network:
        return []
    from perfmodel.cost import find_cost_model
    from perfmodel.devices import find_device

    roofline = find_cost_model("roofline", find_device(arguments.device))
    return [row.kernel for row in common.find_plan(arguments, arguments.network, roofline, roofline).kernels]
