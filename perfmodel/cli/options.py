"""The arguments that several verbs share, and the parser that takes them."""

from __future__ import annotations

import argparse
import re

from perfmodel.errors import InputError, quote

DEFAULT_DEVICE = "rtx-2080-ti"
DEFAULT_MAPPING = "implicit"  # where neither --mapping nor a profile says otherwise
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


def add_pricing_arguments(to: argparse.ArgumentParser, levels: str = LEVELS) -> None:
    """All that a step is priced by: the model, its corrections, a framework or a profile, and what conversions cost."""
    add_model_arguments(to)
    add_calibration_argument(to)
    add_framework_argument(to)
    add_profile_arguments(to)
    add_overhead_argument(to, levels)


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


def check_batch(batch: int) -> None:
    """Raise E1105 for a batch size out of range."""
    if not 1 <= batch <= 10**7:
        raise InputError.at("E1105", "--batch", f"{batch} is not between 1 and 10000000.", "Correct it.")


def refuse_table3(overhead: str, why: str) -> None:
    """Raise E1105 for `--overhead table3` where it has no meaning."""
    if overhead == "table3":
        raise InputError.at("E1105", "--overhead", why, "Choose a level, or milliseconds.")
