"""The cost model of `--profile` and `--fill`: what goes with them, and of which device and mapping it is."""

from __future__ import annotations

import argparse
import json
import shlex

from perfmodel.cli import common, complain, options
from perfmodel.errors import SHOWN, InputError, Problem, unknown_name

FILLS = {"analytical": "tiles", "roofline": "roofline"}


def check(arguments: argparse.Namespace) -> None:
    """Refuse what does not go together (E1105), and a `--fill` that is not known (E1007)."""
    if arguments.fill is not None and arguments.fill not in FILLS:
        raise unknown_name("E1007", "--fill", arguments.fill, FILLS)
    if arguments.profile is None:
        if arguments.fill is not None:
            raise _apart("--fill", "models what a profile lacks, and there is none.", "Add --profile FILE.")
        return
    if arguments.model != "tiles":
        raise _apart("--model", "does not go with --profile.", "Model what the profile lacks with --fill.")
    if arguments.fill is None and (arguments.tile != "best" or arguments.no_split_k):
        option = "--tile" if arguments.tile != "best" else "--no-split-k"
        raise _apart(option, "changes a model, and --profile asks for none.", "Drop it, or add --fill analytical.")
    if arguments.fill is None and getattr(arguments, "calibration", "default") != "default":
        found = "corrects a model, and --profile asks for none."
        raise _apart("--calibration", found, "Drop it, or add --fill analytical.")


def find_measured(arguments: argparse.Namespace, device):
    """The profiles as one cost model of `device`; chooses the mapping, see `choose_mapping`.

    Warns of damaged records, of a profile of another device (W2201) and of one to be doubted (W2202); with `--strict`
    these are errors.
    """
    profile = read(arguments)
    choose_mapping(arguments, profile)
    return measured(profile, device, arguments, other_device(profile, device, arguments))


def read(arguments: argparse.Namespace):
    """The profiles of `--profile` as one."""
    from pathlib import Path

    from perfmodel.profiles.profile import join_profiles, read_profile

    profiles = common.gather(lambda path: read_profile(Path(path)), arguments.profile)
    return profiles[0] if len(profiles) == 1 else join_profiles(profiles)


def measured(profile, device, arguments: argparse.Namespace, warnings: list[Problem]):
    """A profile as a cost model that models on `device` what the profile lacks, if `--fill` says so.

    Tells these warnings, and those of the profile itself.
    """
    from perfmodel.calibration import find_calibrated_model
    from perfmodel.cost.measured import Measured

    fill = None
    if arguments.fill is not None:
        model = FILLS[arguments.fill]
        fill = find_calibrated_model(
            model, device, arguments.tile, not arguments.no_split_k, getattr(arguments, "calibration", "none")
        )
    _warn([*profile.damage, *warnings, *_doubts(profile, arguments)], getattr(arguments, "strict", False))
    return Measured(profile, device, fill)


def choose_mapping(arguments: argparse.Namespace, profile=None) -> None:
    """Set `--mapping` where it may be given and was not: that of the profile's sessions, else the usual one."""
    if hasattr(arguments, "mapping") and arguments.mapping is None:
        arguments.mapping = (profile and _mapping(profile)) or options.DEFAULT_MAPPING


def _mapping(profile) -> str | None:
    """The mapping whose kernels all sessions were asked to time, as far as they say; None where they differ."""
    from perfmodel.lowering import MAPPINGS

    requests = [json.loads(session.identity or "{}").get("request") for session in profile.sessions]
    asked = [one["mapping"] for one in requests if isinstance(one, dict) and "mapping" in one]
    return next((mapping for mapping in MAPPINGS if asked and all(one == mapping for one in asked)), None)


def other_device(profile, device, arguments: argparse.Namespace) -> list[Problem]:
    """A warning (W2201) where the profile is of another device than `device`, or does not say of which."""
    from perfmodel.cost.measured import UNKNOWN_DEVICE, device_name, is_device

    timed = device_name(profile)
    if is_device(timed, device.title):
        return []
    place = f"--profile {common.profile_names(arguments.profile)}:"
    found = f"holds times of {timed}, and --device is {device.title}."
    if timed == UNKNOWN_DEVICE:  # cutlass_profiler's tables do not name it
        return [Problem("W2201", place, f"does not say of which device; --device is {device.title}.", "Check that.")]
    return [Problem("W2201", place, found, "Name the device that was timed.")]


def _doubts(profile, arguments: argparse.Namespace) -> list[Problem]:
    """One warning (W2202) for a profile that `perfmodel check` finds bad or doubtful."""
    from perfmodel.profiles.criticism import criticise, trusted
    from perfmodel.profiles.profile import Profile

    undamaged = Profile(profile.environment, profile.sessions)  # damage has been told
    found = [one for one in criticise(undamaged) if not trusted([one])]
    if not found:
        return []
    place = f"--profile {common.profile_names(arguments.profile)}:"
    more = f" and {len(found) - 1} more" if len(found) > 1 else ""
    return [Problem("W2202", place, f"{found[0].what}{more}.", f"See perfmodel check {shlex.join(arguments.profile)}.")]


def _warn(problems: list[Problem], strict: bool) -> None:
    if problems and strict:
        raise InputError(problems)
    for problem in problems[:SHOWN]:
        complain(problem)
    if len(problems) > SHOWN:
        complain(f"… {len(problems) - SHOWN} more")


def _apart(option: str, found: str, fix: str) -> InputError:
    return InputError.at("E1105", option, found, fix)
