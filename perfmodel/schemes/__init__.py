"""Training schemes by name: one file each; a new one is a file and a row here."""

from dataclasses import replace

from perfmodel.errors import Unsupported, unknown_name
from perfmodel.formats import find_format
from perfmodel.gemm import ACCUMULATORS
from perfmodel.schemes.fp32 import Fp32
from perfmodel.schemes.mixed import Mixed
from perfmodel.schemes.muppet import Muppet
from perfmodel.schemes.scheme import LEVELS, Choice, Overhead, Scheme, find_overhead
from perfmodel.schemes.step import training_step
from perfmodel.schemes.uniform import Uniform

SCHEMES = {scheme.name: scheme for scheme in (Fp32(), Mixed(), Muppet())}


def find_scheme(name: str) -> Scheme:
    """The scheme of this name; `UnknownName` (E1006) with the nearest names otherwise."""
    try:
        return SCHEMES[name]
    except (KeyError, TypeError):
        raise unknown_name("E1006", "scheme", name, SCHEMES) from None


# The precisions that stand for a scheme's step in a breakdown, and the format that it has there.
STEP_OF = {"fp32": ("fp32", "fp32"), "fp16": ("mixed", "fp16"), "int8": ("muppet", "dfx8")} | {
    name: ("muppet", name) for name in SCHEMES["muppet"].formats if name != "fp32"
}


def find_breakdown_scheme(precision: str) -> tuple[Scheme, str]:
    """The scheme whose step a precision stands for, and its format there; `Uniform` where no scheme trains in it.

    Raises `UnknownName` (E1004) with the nearest names, `Unsupported` (E1101) for a format without GEMMs.
    """
    if precision in STEP_OF:
        scheme, format_ = STEP_OF[precision]
        return SCHEMES[scheme], format_
    scheme = Uniform(precision)
    try:
        return scheme, scheme.formats[0]
    except Unsupported as error:
        known = ", ".join(dict.fromkeys((*STEP_OF, *ACCUMULATORS)))
        raise Unsupported(replace(problem, fix=f"Choose one of {known}.") for problem in error.problems) from None


def step_words(precision: str) -> str:
    """What a precision stands for in a breakdown: whose step, and how wide tensors are between its layers.

    >>> step_words("int8")
    'a step of MuPPET in dfx8, 4 B between layers'
    """
    scheme, format_ = find_breakdown_scheme(precision)
    whose = f"GEMMs in {precision}, nothing converted" if isinstance(scheme, Uniform) else f"a step of {scheme.title}"
    whose += f" in {format_}" if format_ != precision and format_.startswith("dfx") else ""
    return f"{whose}, {scheme.activation_bytes(find_format(format_)):.0f} B between layers"


__all__ = [
    "LEVELS",
    "SCHEMES",
    "Choice",
    "Overhead",
    "Scheme",
    "find_breakdown_scheme",
    "find_overhead",
    "find_scheme",
    "step_words",
    "training_step",
]
