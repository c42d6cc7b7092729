"""The device code of the instrument, the operands and the checks, as text."""

from __future__ import annotations

from importlib.resources import files

FILES = ("instrument", "fill", "check")


def source_text() -> str:
    """All of it in one translation unit, without any `#include`."""
    here = files(__package__)
    names = ("numbers.cuh", *(f"{name}.cu" for name in FILES))
    return "\n".join(here.joinpath(name).read_text(encoding="utf-8") for name in names)
