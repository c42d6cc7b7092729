"""What arguments of several verbs mean: the model, the plan and the view they ask for, and the setting in words."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import replace

from perfmodel.errors import InputError, PerfModelError


def find_view(arguments: argparse.Namespace):
    """The framework of `--framework` as a `Setting` takes it; None where there is none.

    Its constants belong to the model tiles as it stands: E1105 for what changes that.
    """
    if arguments.framework is None:
        return None
    from perfmodel.framework import find_framework
    from perfmodel.framework.setting import InFramework

    plain = {"--model": ("model", "tiles"), "--tile": ("tile", "best"), "--no-split-k": ("no_split_k", False),
             "--profile": ("profile", None), "--mapping": ("mapping", "implicit")}  # fmt: skip
    for option, (name, usual) in plain.items():
        if getattr(arguments, name) != usual:
            found = "changes what the constants of --framework were fitted on."
            raise InputError.at("E1105", option, found, "Drop one of the two.")
    if arguments.calibration not in ("default", "none"):
        raise InputError.at("E1105", "--calibration", "and --framework both correct the model.", "Drop one of the two.")
    return InFramework(find_framework(arguments.framework))


def find_plan(arguments: argparse.Namespace, networks: Sequence[str], model, roofline):
    """The kernels of these networks' training steps, as `--batch`, `--precision`, `--mapping` and `--overhead` say."""
    from perfmodel.networks import find_network
    from perfmodel.plan import make_plan
    from perfmodel.schemes import find_overhead

    found = gather(find_network, networks)
    precisions = arguments.precision.split(",")
    overhead = find_overhead(arguments.overhead)
    return make_plan(found, (arguments.batch,), precisions, arguments.mapping, overhead, model, roofline)


def find_model(arguments: argparse.Namespace):
    """The cost model that the arguments ask for; where `--mapping` was not given, this is where it is chosen."""
    from perfmodel.calibration import find_calibrated_model
    from perfmodel.cli import profiled
    from perfmodel.devices import find_device

    if hasattr(arguments, "profile"):
        profiled.check(arguments)
        if arguments.profile is not None:
            return profiled.find_measured(arguments, find_device(arguments.device))
    profiled.choose_mapping(arguments)
    device = find_device(arguments.device)
    in_framework = getattr(arguments, "framework", None) is not None  # whose constants are of the model as it stands
    calibration = "none" if in_framework else arguments.calibration
    return find_calibrated_model(arguments.model, device, arguments.tile, not arguments.no_split_k, calibration)


def describe(arguments: argparse.Namespace) -> str:
    """The setting in words, for titles."""
    parts = [arguments.device]
    if hasattr(arguments, "mapping"):
        parts.append(f"{arguments.mapping} GEMM" if arguments.mapping == "implicit" else arguments.mapping)
    if getattr(arguments, "profile", None) is None:
        parts.append(f"model {arguments.model}")
        given = getattr(arguments, "calibration", "default")
        parts += [f"calibration {profile_names([given])}"] if given != "default" else []
    else:
        parts.append(f"profile {profile_names(arguments.profile)}")
        parts += [f"fill {arguments.fill}"] if arguments.fill is not None else []
    if getattr(arguments, "framework", None) is not None:
        parts.append(f"in {profile_names([arguments.framework])}")
    if arguments.tile != "best":
        parts.append(f"tile {arguments.tile}")
    if arguments.no_split_k:
        parts.append("no split-K")
    return ", ".join(parts)


def profile_names(paths: Sequence[str]) -> str:
    """Profiles as titles name them: without their folders."""
    import os

    return " + ".join(os.path.basename(path) for path in paths)


IN_A_TRACE = ("E1002", "E1006", "E1104", "E1108", "E1315")  # network, scheme, format, layer, unknown precision


def located(name: str, call):
    """What `call` returns; an error that lies in what a trace says is told with the trace's name."""
    try:
        return call()
    except PerfModelError as error:
        problems = (replace(p, place=f"{name}: {p.place}") if p.code in IN_A_TRACE else p for p in error.problems)
        raise type(error)(problems) from None


def gather(call, items):
    """`call` of every item; the problems of all of them in one error, each once, instead of the first alone."""
    results, problems = [], []
    for item in items:
        try:
            results.append(call(item))
        except PerfModelError as error:
            problems += error.problems
    if problems:
        raise InputError(dict.fromkeys(problems))
    return results
