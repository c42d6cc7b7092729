"""The formats behind the many names that logs have for them."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache

from perfmodel.errors import InputError, quote
from perfmodel.formats import FORMATS, find_format
from perfmodel.traces.logs.numbers import NUMBER
from perfmodel.traces.precision import PassPrecision
from perfmodel.traces.values import within

ALIASES = {  # PyTorch's, JAX's and Lightning's names, and those of MLPerf's mllog 6.1
    "fp64": ("float64", "double", "64-true"),
    "fp32": ("float32", "float", "single", "32-true", "full"),
    "tf32": ("tensorfloat32", "tensorfloat-32"),
    "bf16": ("bfloat16", "bf16-mixed", "bf16-true", "mixed_bfloat16"),
    "fp16": ("float16", "half", "16-mixed", "16-true", "mixed_float16"),
    "fp8_e4m3": ("e4m3", "e4m3fn", "fp8_e4m3fn", "float8_e4m3", "float8_e4m3fn"),
    "fp8_e5m2": ("e5m2", "float8_e5m2"),
    "int8": ("uint8",),
    "int4": ("uint4",),
}
_NAMES = {alias: name for name, aliases in ALIASES.items() for alias in aliases}
FAMILIES = {"dfx": "dynamic fixed point", "int": "integers", "fp": "floating point"}
FP32_BITS = 32  # in every family: what quantised training falls back to
_FP = {64: "fp64", 32: "fp32", 16: "fp16"}  # 8 bits are two formats
PASSES = ("fprop", "dgrad", "wgrad")


class Precisions:
    """Formats from what a log calls them: a name, another's name for it, or a number of bits.

    `formats` maps texts of the log to formats and wins; `bits` is the family that numbers of bits count in.
    Raises `UnknownName` (E1004) for a format of `formats` that there is not.
    """

    def __init__(self, formats: Mapping[str, str] | None = None, bits: str | None = None):
        self._formats = {_plain(text): find_format(canonical(name)).name for text, name in (formats or {}).items()}
        self._bits = bits
        self._known: dict[str, str] = {}

    def format(self, text: str, place: str) -> str:
        """The format; `InputError` (E1322) at `place` where the text is none, or bits of which family is not known."""
        if text not in self._known:
            if len(self._known) > 1000:  # a column of something else
                self._known.clear()
            self._known[text] = self._find(_plain(text), text, place)
        return self._known[text]

    def _find(self, plain: str, text: str, place: str) -> str:
        bits = _bits(plain)
        for known in (plain, str(bits)):
            if known in self._formats:
                return self._formats[known]
        if plain in FORMATS or plain in _NAMES:
            return canonical(plain)
        if bits is not None:
            return self._of_bits(bits, text, place)
        fix = "Give --map precision=KEY for another key, --format TEXT=FORMAT, or --precision FORMAT for the whole run."
        if plain == "fp8":
            fix = "FP8 is two formats: give --format fp8=fp8_e4m3 or fp8=fp8_e5m2."
        raise InputError.at("E1322", place, f"{quote(text)} is no format.", fix)

    def _of_bits(self, bits: int, text: str, place: str) -> str:
        if bits == FP32_BITS:
            return "fp32"
        if self._bits is None:
            found = f"{quote(text)} counts bits, of which there are several kinds."
            kinds = ", ".join(f"{family} ({what})" for family, what in FAMILIES.items())
            raise InputError.at("E1322", place, found, f"Give --bits with one of {kinds}.")
        name = _FP.get(bits) if self._bits == "fp" else f"{self._bits}{bits}"
        if name not in FORMATS:
            found = f"{FAMILIES[self._bits]} of {bits} bits is no format."
            raise InputError.at("E1322", place, found, f"Name it: --format {bits}=FORMAT.")
        return name


def _bits(plain: str) -> int | None:
    """A number of bits, which tables with gaps write as 8.0."""
    if not NUMBER.fullmatch(plain) or not 1 <= float(plain) < 1000 or not float(plain).is_integer():
        return None
    return int(float(plain))


def canonical(name: str) -> str:
    """This project's name for a format that goes by another's (`half`, `torch.bfloat16`); else the name as it is."""
    plain = _plain(name)
    return _NAMES.get(plain, plain if plain in FORMATS else name)


def _plain(text: str) -> str:
    return text.strip().lower().removeprefix("torch.").removeprefix("dtype.")


@lru_cache(maxsize=256)
def passes(fprop: str, dgrad: str, wgrad: str, master: str | None) -> PassPrecision:
    """One object for the many rows that say the same."""
    return PassPrecision(fprop, dgrad, wgrad, master)


def whole_run(text: str) -> PassPrecision:
    """The precision of a whole run as the command line has it: a format, or `fprop=…,dgrad=…,wgrad=…[,master=…]`.

    Raises `InputError` (E1322) for a text of another form, `UnknownName` (E1004) for a format.

    >>> whole_run("fprop=fp8_e4m3,dgrad=fp8_e5m2,wgrad=fp8_e5m2").dgrad
    ('fp8_e5m2',)
    """
    if "=" not in text:
        with within("precision: "):
            return PassPrecision.same(find_format(canonical(text)).name)
    pairs = [part.partition("=")[::2] for part in text.split(",")]
    found = {key.strip(): canonical(name.strip()) for key, name in pairs}
    if len(found) < len(pairs) or not set(PASSES) <= found.keys() <= {*PASSES, "master"}:
        raise InputError.at(
            "E1322", "precision:", f"{quote(text)} is not the precision of a run.",
            "Give a format, or fprop=FORMAT,dgrad=FORMAT,wgrad=FORMAT and perhaps master=FORMAT.",
        )  # fmt: skip
    with within("precision: "):
        return PassPrecision(**found)
