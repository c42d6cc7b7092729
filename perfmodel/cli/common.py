"""What several verbs share: their arguments, and how results leave the program."""

from __future__ import annotations

import argparse
import re
from collections.abc import Sequence
from dataclasses import replace

from perfmodel.errors import InputError, PerfModelError, quote

DEFAULT_DEVICE = "rtx-2080-ti"
DEFAULT_MAPPING = "implicit"  # where neither --mapping nor a profile says otherwise
RAW_SUFFIXES = (".csv", ".json")  # files for programs: raw values in SI units, every column
LEVELS = "ideal, epilogue, delayed, current (default), naive, unfused, measured (with --profile)"


class Parser(argparse.ArgumentParser):
    """An argument parser whose complaints are one line in the house's form."""

    def error(self, message: str):
        """Raise E1100 instead of printing usage and exiting."""
        raise InputError.at("E1100", f"{self.prog}:", f"{message}.", f"See {self.prog} --help.")


def parser(verb: str, description: str) -> Parser:
    """The parser of one verb."""
    return Parser(
        prog=f"perfmodel {verb}", description=description, allow_abbrev=False,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip


def add_device_argument(to: argparse.ArgumentParser) -> None:
    """`--device`."""
    to.add_argument(
        "--device", default=DEFAULT_DEVICE, metavar="D", help=f"device name or .toml file (default {DEFAULT_DEVICE})"
    )


def add_model_arguments(to: argparse.ArgumentParser) -> None:
    """`--device`, `--mapping`, `--model`, `--tile`, `--no-split-k`."""
    add_device_argument(to)
    add_mapping_argument(to)
    add_cost_model_arguments(to)


def add_mapping_argument(to: argparse.ArgumentParser) -> None:
    """`--mapping`; None where it is not given, until `find_model` or `profiled.choose_mapping` decides."""
    to.add_argument(
        "--mapping", metavar="M",
        help="convolutions as GEMMs: implicit (default; with a profile that which it was made for); im2col or "
        "im2col-per-image, whose copies are charged",
    )  # fmt: skip


def add_cost_model_arguments(to: argparse.ArgumentParser) -> None:
    """`--model`, `--tile`, `--no-split-k`."""
    to.add_argument(
        "--model",
        default="tiles",
        metavar="MODEL",
        help="tiles (analytical, default), roofline (peak and bandwidth alone) or events (thread blocks, simulated)",
    )
    to.add_argument("--tile", default="best", metavar="MxN",
        help="this CUTLASS threadblock tile for every GEMM, 128x64 for example, instead of the fastest of the set",
    )  # fmt: skip
    to.add_argument("--no-split-k", action="store_true", help="never split a GEMM's k over several CTAs")


def add_calibration_argument(to: argparse.ArgumentParser) -> None:
    """`--calibration`."""
    to.add_argument(
        "--calibration", default="default", metavar="FILE",
        help="correct the model as this file of perfmodel calibrate says; default (the one that comes with the device, "
        "if any) or none",
    )  # fmt: skip


def add_framework_argument(to: argparse.ArgumentParser) -> None:
    """`--framework`."""
    to.add_argument(
        "--framework", metavar="NAME",
        help="whole iterations as a framework runs them, by constants fitted on published ones: pytorch-1.0, "
        "tensorflow-1.15, tensorflow-1.15-xla, or a .toml file",
    )  # fmt: skip


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


def add_profile_arguments(to: argparse.ArgumentParser) -> None:
    """`--profile`, `--fill`."""
    to.add_argument(
        "--profile", action="append", metavar="FILE",
        help="take times from this profile instead of a model; given again, from several of one device together",
    )  # fmt: skip
    to.add_argument(
        "--fill", metavar="MODEL", help="kernels that the profile lacks are modelled: analytical (tiles) or roofline"
    )


def whole(text: str) -> int:
    """A whole number in ASCII digits: `int` also takes 1_0, １２ and blanks."""
    if not re.fullmatch(r"[+-]?[0-9]{1,18}", text):
        raise argparse.ArgumentTypeError(f"{quote(text)} is not a whole number")
    return int(text)


def add_overhead_argument(to: argparse.ArgumentParser, levels: str = f"{LEVELS}, table3") -> None:
    """`--overhead`."""
    to.add_argument(
        "--overhead", default="current", metavar="LEVEL",
        help=f"what quantising costs: {levels}, or milliseconds per iteration",
    )  # fmt: skip


def add_output_argument(to: argparse.ArgumentParser, what: str) -> None:
    """`-o`."""
    to.add_argument("-o", "--output", metavar="FILE", help=f"write to FILE, in the format of its suffix: {what}")


def add_timeline_argument(to: argparse.ArgumentParser) -> None:
    """`--timeline`."""
    to.add_argument(
        "--timeline", metavar="FILE.json",
        help="write one training step of each precision to FILE.json too, as a timeline that Perfetto opens",
    )  # fmt: skip


def check_timeline(arguments: argparse.Namespace) -> None:
    """Check the path of `--timeline` before any computing: E1904 for another suffix, E1745 where `-o` is that file.

    Raises `OutputError` as `check_output`.
    """
    from os.path import abspath

    from perfmodel.output import check_suffix

    if arguments.timeline is None:
        return
    check_suffix(arguments.timeline, (".json",))
    if arguments.output is not None and abspath(arguments.output) == abspath(arguments.timeline):
        found = f"and -o are both {quote(arguments.output)}."
        raise InputError.at("E1745", "--timeline", found, "Give each a file of its own.")
    check_output(arguments.timeline)


def check_batch(batch: int) -> None:
    """Raise E1105 for a batch size out of range."""
    if not 1 <= batch <= 10**7:
        raise InputError.at("E1105", "--batch", f"{batch} is not between 1 and 10000000.", "Correct it.")


def refuse_table3(overhead: str, why: str) -> None:
    """Raise E1105 for `--overhead table3` where it has no meaning."""
    if overhead == "table3":
        raise InputError.at("E1105", "--overhead", why, "Choose a level, or milliseconds.")


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


SETTING = (
    "network", "batch", "device", "model", "calibration", "framework", "mapping", "tile", "no_split_k", "fill",
    "overhead",
)  # fmt: skip


def with_setting(table, arguments: argparse.Namespace, suffix: str | None):
    """The table for a raw file with what its rows were computed on in columns of their own; others as they are."""
    if suffix not in RAW_SUFFIXES:
        return table
    given = {name: getattr(arguments, name) for name in SETTING if getattr(arguments, name, None) is not None}
    if getattr(arguments, "profile", None) is not None:
        given |= {"model": "profile", "profile": profile_names(arguments.profile)}
    new = {name: value for name, value in given.items() if name not in table.frame.columns}
    return replace(table, frame=table.frame.assign(**new))


def emit(tables: Sequence, output: str | None) -> None:
    """Print tables, or write them to `output` in the format of its suffix.

    `.csv` and `.parquet` hold one table: for several, `OutputError` (E1903) is raised.
    """
    from perfmodel.output import PARQUET, TABLE_SUFFIXES, check_suffix, write_file, write_text
    from perfmodel.report.render import check_single, render

    if output is None:
        print(render(tables, ".txt"), end="")
    elif check_suffix(output, (*TABLE_SUFFIXES, PARQUET)) == PARQUET:
        from perfmodel.report.parquet import to_parquet

        content = to_parquet(check_single(tables, PARQUET))
        write_file(output, lambda file: file.write(content))
    else:
        write_text(output, render(tables, check_suffix(output, TABLE_SUFFIXES)))


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


def figure_suffixes() -> tuple[str, ...]:
    """Suffixes that ask for a figure."""
    from perfmodel.output import FIGURE_SUFFIXES

    return FIGURE_SUFFIXES


def check_output(output: str | None) -> None:
    """Raise `OutputError` for a place that cannot be written to, before the work and not after it."""
    from contextlib import suppress
    from pathlib import Path

    from perfmodel.output import check_target

    if output is not None:
        with suppress(OSError):  # the writer says what the system says
            check_target(Path(output))


def output_suffix(output: str | None, figures: bool) -> str | None:
    """The suffix of `-o`, checked before any computing; None without `-o`, `.csv` for `.parquet`, which holds the same.

    Raises `OutputError`: E1904 for one that is not known, E1741 for `.parquet` where it cannot be written. Whoever asks
    is about to make tables: see `accept_any_text`.
    """
    from perfmodel.output import FIGURE_SUFFIXES, PARQUET, TABLE_SUFFIXES, check_suffix

    if output is None:
        accept_any_text()
        return None
    suffix = check_suffix(output, (*TABLE_SUFFIXES, *(FIGURE_SUFFIXES if figures else ()), PARQUET))
    accept_any_text()
    if suffix != PARQUET:
        return suffix
    from perfmodel.report.parquet import check_parquet

    check_parquet()
    return ".csv"


def accept_any_text() -> None:
    """Let pandas take every text that a name can be; for this process, so of a program alone and not of the library.

    Where pyarrow is installed, pandas keeps texts with it, and it refuses those that are no UTF-8, as names of files
    may be.
    """
    import pandas as pd

    pd.set_option("mode.string_storage", "python")
