"""What a name means where one training step is asked for: a scheme's step, or GEMMs in one precision."""

from __future__ import annotations

from dataclasses import replace

from perfmodel.errors import UnknownName, Unsupported, unknown_name
from perfmodel.formats import FORMATS, find_format
from perfmodel.gemm import ACCUMULATORS, find_precision
from perfmodel.schemes.files import find_scheme, scheme_names
from perfmodel.schemes.formats import StepFormats
from perfmodel.schemes.schedule import Constant
from perfmodel.schemes.scheme import Scheme
from perfmodel.schemes.stretches import first_stretch

LEAST_STORED_BYTES = 2  # of a tensor between layers: batch norm and its like are not computed in 8 bits or fewer


def uniform(precision: str) -> Scheme:
    """All GEMMs in one precision, nothing converted: for formats in which no bundled scheme's name is asked for.

    Tensors between layers are as wide as its operands, but at least 2 B. Refuses chips without the unit. Raises
    `UnknownName` (E1004), `Unsupported` (E1101) for a format without GEMMs.
    """
    found = find_precision(precision)
    operand = found.operand
    narrow = operand.bytes < LEAST_STORED_BYTES or operand.family != "float"
    return Scheme(
        name=precision, title="one precision, no conversions", source="no scheme: the GEMMs' own time",
        formats=(operand.name,), stored="fp16" if narrow else "fp32" if operand.name == "tf32" else operand.name,
        accumulate=found.accumulator.name, schedule=Constant(operand.name), exact=True,
    )  # fmt: skip


def stand_ins() -> dict[str, tuple[str, str]]:
    """The precisions that stand for a scheme's step, and its format there: what the scheme files say."""
    return {
        precision: (name, format_)
        for name in scheme_names()
        for precision, format_ in find_scheme(name).stands_for.items()
    }


def names_scheme(name: str) -> bool:
    """Whether a name means a scheme, bundled or a file, and no precision: a format, or what stands for a step."""
    is_precision = name in stand_ins() or name.partition("+")[0] in FORMATS
    return not is_precision and (name in scheme_names() or name.endswith(".toml"))


def find_breakdown_scheme(name: str) -> tuple[Scheme, StepFormats]:
    """The scheme and the formats that a name means: a precision that stands for them, a format, a scheme.

    `fp16` is mixed precision's step, `int8` MuPPET's of 8 bits; a scheme's own name is its first step. Raises
    `UnknownName` (E1004) with the nearest names, `Unsupported` (E1101) for a format without GEMMs.
    """
    known = stand_ins()
    if name in known:
        scheme, format_ = known[name]
        return find_scheme(scheme), StepFormats.everywhere(format_)
    if names_scheme(name):
        begin = first_stretch(find_scheme(name))  # whose scheme is what the first of a user's stages makes of it
        return begin.scheme, begin.formats
    try:
        scheme = uniform(name)
    except Unsupported as error:
        words = ", ".join(dict.fromkeys((*known, *ACCUMULATORS, *scheme_names())))
        raise Unsupported(replace(problem, fix=f"Choose one of {words}.") for problem in error.problems) from None
    except UnknownName:
        if "+" in name:
            raise
        raise unknown_name("E1004", "format", name, (*FORMATS, *scheme_names())) from None
    return scheme, StepFormats.everywhere(scheme.formats[0])


def step_words(name: str) -> str:
    """What a name stands for in a breakdown: whose step, and how wide tensors are between its layers.

    >>> step_words("int8")
    'a step of MuPPET in dfx8, 4 B between layers'
    """
    scheme, formats = find_breakdown_scheme(name)
    if scheme.exact:
        whose = f"GEMMs in {name}, nothing converted"
    else:
        whose = f"a step of {scheme.title}" + (f" in {formats.label}" if formats.label != name else "")
    width = find_format(scheme.stored).stored_bytes
    return f"{whose}, {width:.0f} B between layers"
