"""What verbs about runs share: their arguments, traces found and told of, and each priced beside its baselines."""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from typing import Any

from perfmodel.cli import common, logs, options


@dataclass(frozen=True, slots=True)
class Runs:
    """The traces of a command by name, each beside its baselines, and the cost model that priced them."""

    names: list[str]
    comparisons: list[Any]
    model: Any


def add_run_arguments(parser: argparse.ArgumentParser) -> None:
    """`TRACE…` and everything that prices it; not `-o` and the options of logs."""
    parser.add_argument("traces", nargs="+", metavar="TRACE", help="name of a bundled trace, a trace or a log")
    options.add_pricing_arguments(parser, f"{options.LEVELS}, table3")
    parser.add_argument(
        "--network",
        metavar="N",
        help="price this network instead of the one that the trace names: a name or a .toml file; for logs, which name "
        "none, the network that was trained",
    )
    parser.add_argument(
        "--baseline-epochs", type=options.whole, metavar="E",
        help="epochs of FP32 and mixed precision (default: as the trace says, else those of the trace)",
    )  # fmt: skip
    parser.add_argument(
        "--target", type=float, metavar="ACC",
        help="accuracy in percent, for the time to it of traces that hold one (default: the lowest of the best ones of "
        "the same network and data)",
    )  # fmt: skip
    parser.add_argument("--strict", action="store_true", help="treat warnings as errors")


def check(arguments: argparse.Namespace) -> None:
    """Raise E1105 for numbers out of range."""
    from perfmodel.errors import InputError

    epochs = arguments.baseline_epochs
    if epochs is not None and not 1 <= epochs <= 10**6:
        raise InputError.at("E1105", "--baseline-epochs", f"{epochs} is not between 1 and 1000000.", "Correct it.")
    if arguments.target is not None and not 0 <= arguments.target <= 100:
        raise InputError.at(
            "E1105", "--target", f"{arguments.target:g} is not between 0 and 100 percent.", "Correct it."
        )


def find_runs(arguments: argparse.Namespace) -> Runs:
    """Every trace read, what was corrected in it told, and priced; errors as of what reads and prices."""
    given = logs.given(arguments)
    logs.refuse_inputs(arguments.output, arguments.traces)
    traces = common.gather(lambda trace: logs.find(trace, given, alter=False), arguments.traces)
    logs.warn_unused(arguments.traces, given, arguments.strict)
    for log, trace in zip(arguments.traces, traces, strict=True):
        logs.tell_corrections(log, trace, stored=False)
    logs.warn(arguments.traces, traces, arguments.strict)
    model = common.find_model(arguments)
    return Runs(_names(arguments.traces), _compare(arguments, traces, model), model)


def describe(arguments: argparse.Namespace) -> str:
    """The setting in words, for titles; after `find_runs`, which chooses the mapping."""
    setting = f"{common.describe(arguments)}, conversions {arguments.overhead}"
    return setting if arguments.network is None else f"{setting}, network {arguments.network}"


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


def coverage(comparisons, arguments) -> list[str]:
    """With a profile: how much of the runs is measured."""
    from perfmodel.report.basis import coverage_note, run_parts

    runs = [run for c in comparisons for run in (c.fp32, c.mixed, *c.runs)]
    return [] if arguments.profile is None else [coverage_note(run_parts(runs))]


def _names(traces: list[str]) -> list[str]:
    """How the table calls each trace: its file's name without folder and suffix, or all of it where two are alike."""
    import os

    short = [os.path.basename(trace.rstrip("/" + os.sep)).removesuffix(".jsonl") or trace for trace in traces]
    return [name if short.count(name) == 1 else trace for name, trace in zip(short, traces, strict=True)]
