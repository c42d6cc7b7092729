"""Colours, sizes and file settings of all figures.

Colours are those of Okabe and Ito ("Color Universal Design", jfly.uni-koeln.de/color, 2008), which colour-blind readers
can tell apart. There are eight: work that is usually small is grey, or shares a colour and has a hatch.
"""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Sequence
from contextlib import AbstractContextManager
from functools import cache
from typing import Any, BinaryIO

import matplotlib
import matplotlib.style
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.font_manager import findfont, get_font

from perfmodel.formats import FORMATS
from perfmodel.lowering import PASSES
from perfmodel.report.table import cut, visible

BLACK, ORANGE, SKY, GREEN, YELLOW, BLUE, VERMILLION, PURPLE = (
    "#000000", "#E69F00", "#56B4E9", "#009E73", "#F0E442", "#0072B2", "#D55E00", "#CC79A7",
)  # fmt: skip
NAVY, DARK_GREY, GREY, LIGHT_GREY, WHITE = "#003B5C", "#4D4D4D", "#999999", "#CFCFCF", "#FFFFFF"
# Ink on a colour of its own: not BLACK and WHITE, which are page and ink of the page, and change where it is dark.
ON_LIGHT, ON_DARK = "#010101", "#FEFEFE"

TITLE, LABEL, TICK, SMALL = 12, 10, 9, 8  # font sizes [pt]
DPI = 150
MARGIN_IN = 0.15  # around a figure [inch]
LONGEST_NAME = 40  # characters of a layer's name in a figure
LETTER_EM = 0.6
FONT = "DejaVu Sans"  # comes with matplotlib, so that pictures are the same everywhere

PASS_COLOR = {**dict(zip(PASSES, (NAVY, BLUE, SKY), strict=True)), "update": PURPLE}
KIND_COLOR = {
    "gemm": BLUE, "im2col": GREEN, "batch norm": ORANGE, "activation": YELLOW, "pooling": YELLOW, "add/concat": GREY,
    "loss": BLACK, "bias": LIGHT_GREY, "update": PURPLE, "cast": VERMILLION, "quantise": VERMILLION,
    "transpose": VERMILLION, "scale": VERMILLION,
}  # fmt: skip
KIND_HATCH = {"pooling": "////", "cast": "////", "transpose": "||||", "scale": "\\\\\\\\"}

# Dynamic fixed point goes from warm to cool as it gets wider, up to FP32 in blue.
PRECISION_COLOR = {
    "fp64": BLACK, "fp32": BLUE, "tf32": NAVY, "bf16": GREY, "fp16": GREEN, "fp8_e4m3": PURPLE, "fp8_e5m2": PURPLE,
    "int8": VERMILLION, "int4": DARK_GREY, "dfx4": BLACK, "dfx6": DARK_GREY, "dfx8": VERMILLION, "dfx10": PURPLE,
    "dfx12": ORANGE, "dfx14": YELLOW, "dfx16": SKY,
}  # fmt: skip
SPARE = (BLUE, VERMILLION, GREEN, ORANGE, PURPLE, SKY, YELLOW, BLACK, GREY, NAVY, DARK_GREY, LIGHT_GREY)

SETTINGS = {
    "font.family": FONT, "font.size": TICK, "axes.titlesize": LABEL, "axes.labelsize": TICK, "xtick.labelsize": TICK,
    "ytick.labelsize": TICK, "legend.fontsize": TICK, "legend.frameon": False, "hatch.linewidth": 0.8,
    "axes.spines.top": False, "axes.spines.right": False, "axes.axisbelow": True,
}  # fmt: skip
# SVG keeps its text as text and has the same ids in every run; PDF embeds fonts that journals accept.
FILE_SETTINGS = {"svg.fonttype": "none", "svg.hashsalt": "perfmodel", "pdf.fonttype": 42}
UNDATED = {"png": {}, "svg": {"Date": None}, "pdf": {"CreationDate": None}}


def styled() -> AbstractContextManager[None]:
    """A context in which figures are built: matplotlib's defaults and ours, whatever the user's matplotlibrc says."""
    return matplotlib.style.context(["default", SETTINGS])


def save(figure: Figure, file: BinaryIO, format_: str) -> None:
    """Write a figure as `png`, `svg` or `pdf`; the same figure gives the same bytes."""
    with styled(), matplotlib.rc_context(FILE_SETTINGS):
        figure.savefig(file, format=format_, dpi=DPI, metadata=UNDATED[format_])


def kind_style(kind: str) -> dict[str, Any]:
    """Fill of a bar for one kind of work; grey and cross-hatched for a kind that has no colour.

    >>> kind_style("cast")["facecolor"], kind_style("cast")["hatch"]
    ('#D55E00', '////')
    """
    hatch = KIND_HATCH.get(kind) if kind in KIND_COLOR else "xxxx"
    # The edge is not drawn; it gives the hatch its colour.
    return {"facecolor": KIND_COLOR.get(kind, GREY), "hatch": hatch, "edgecolor": DARK_GREY, "linewidth": 0}


def part_style(part: str) -> dict[str, Any]:
    """Fill of a part of a stacked bar: `GEMM fprop` in the shade of its pass, any other kind as `kind_style`."""
    kind, _, pass_ = part.partition(" ")
    return {**kind_style("gemm"), "facecolor": PASS_COLOR.get(pass_, GREY)} if kind == "GEMM" else kind_style(part)


def precision_colors(names: Iterable[str]) -> dict[str, str]:
    """A colour for each precision, no two the same among the first twelve: its own, else one that is free.

    >>> precision_colors(["int8", "dfx8", "mine"])
    {'int8': '#D55E00', 'dfx8': '#0072B2', 'mine': '#009E73'}
    """
    colors: dict[str, str] = {}
    names = list(dict.fromkeys(names))
    for name in sorted(names, key=lambda name: name not in PRECISION_COLOR):  # those that have a colour choose first
        free = [c for c in (PRECISION_COLOR.get(name), *SPARE) if c and c not in colors.values()]
        colors[name] = free[0] if free else GREY
    return {name: colors[name] for name in names}


def precision_label(name: str) -> str:
    """A precision for people; candidates, joined by `|` in a trace, by the widths they span.

    >>> [precision_label(name) for name in ("dfx8", "fp32", "fp8_e4m3", "dfx8|dfx12|dfx16", "fp16|fp32")]
    ['8-bit', 'FP32', 'FP8 E4M3', '8–16-bit (not known)', 'FP16 or FP32 (not known)']
    """
    names = name.split("|")
    if len(names) == 1:
        known = FORMATS.get(name)
        if known is None:
            return drawable(name)
        return f"{known.bits}-bit" if known.family == "dfx" else name.upper().replace("_", " ")
    known = [FORMATS.get(each) for each in names]
    if all(format_ and format_.family == "dfx" for format_ in known):
        bits = [format_.bits for format_ in known]
        return f"{min(bits)}–{max(bits)}-bit (not known)"
    return f"{' or '.join(map(precision_label, names))} (not known)"


def ink_on(color: str) -> str:
    """The ink, dark or light, that is easier to read on a colour.

    >>> ink_on(YELLOW), ink_on(NAVY)
    ('#010101', '#FEFEFE')
    """
    return max((ON_LIGHT, ON_DARK), key=lambda ink: contrast(ink, color))


def contrast(one: str, other: str) -> float:
    """The contrast of two colours, 1 to 21 (W3C, Web Content Accessibility Guidelines 2.1, "contrast ratio").

    >>> contrast("#000000", "#FFFFFF"), contrast(BLUE, BLUE)
    (21.0, 1.0)
    """
    dark, light = sorted(_luminance(to_rgb(color)) for color in (one, other))
    return (light + 0.05) / (dark + 0.05)


def _luminance(rgb: tuple[float, float, float]) -> float:
    red, green, blue = (c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in rgb)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def drawable(text: object, limit: int = LONGEST_NAME) -> str:
    r"""Text as matplotlib draws it unchanged: printable, at most `limit` characters, `$` no formula, no missing glyph.

    >>> print(drawable("$x^2$"), drawable("conv\x1b"))
    \$x^2\$ conv\x1b
    """
    short = cut(visible(text), limit)
    return cut("".join(c if _has_glyph(c) else rf"\u{ord(c):04x}" for c in short), limit).replace("$", r"\$")


def text_inches(text: str, size: float) -> float:
    """About how wide text is at a font size of `size` points: letters of DejaVu Sans are 0.6 em wide on average."""
    return len(text) * LETTER_EM * size / 72


def wrapped(text: str, inches: float, size: float) -> list[str]:
    """Lines of at most about `inches`."""
    return textwrap.wrap(text, max(20, int(inches / text_inches("x", size))), break_on_hyphens=False)


def line_inches(size: float) -> float:
    """Height of a line of text."""
    return 1.35 * size / 72


def page(title: str, subtitle: str, note: str, width: float, height: float) -> Figure:
    """An empty figure `width` inches wide with text above and below, and `height` inches between them for the axes."""
    room = width - 2 * MARGIN_IN
    head = [(line, TITLE, "bold") for line in wrapped(drawable(title, 300), room, TITLE)]
    head += [(line, TICK, "normal") for line in wrapped(drawable(subtitle, 300), room, TICK)]
    foot = [(line, SMALL, "normal") for line in wrapped(drawable(note, 1000), room, SMALL)]
    head_in, foot_in = (sum(line_inches(size) for _, size, _ in lines) for lines in (head, foot))
    total = MARGIN_IN + head_in + height + foot_in + MARGIN_IN
    figure = Figure(figsize=(width, total), layout="constrained")
    middle = (MARGIN_IN / width, (MARGIN_IN + foot_in) / total, room / width, height / total)
    figure.get_layout_engine().set(rect=middle, w_pad=0.02, h_pad=0.06)
    for lines, top in ((head, total - MARGIN_IN), (foot, MARGIN_IN + foot_in)):
        for text, size, weight in lines:
            line = figure.text(MARGIN_IN / width, top / total, text, size=size, weight=weight, va="top")
            line.set_in_layout(False)
            top -= line_inches(size)
    return figure


def settle(figure: Figure) -> Figure:
    """The figure of `page` with its axes laid out for good, to the last bit the same in every run.

    The solver behind matplotlib's layout leaves last digits to chance, and ids in SVG are hashes of positions.
    """
    figure.get_layout_engine().execute(figure)
    figure.set_layout_engine("none")
    for axes in figure.axes:
        axes.set_position([round(float(value), 6) for value in axes.get_position().bounds])
    return figure


def clean(axes: Axes, grid: str) -> None:
    """A frame of two lines, and faint grid lines along one axis (`x` or `y`) behind the data."""
    axes.grid(axis=grid, color=LIGHT_GREY, linewidth=0.6)
    axes.tick_params(length=0, axis="y" if grid == "x" else "x")
    for side in ("left", "bottom"):
        axes.spines[side].set_color(GREY)


@cache
def _font():
    return get_font(findfont(FONT))


def _has_glyph(c: str) -> bool:
    return c.isascii() or _font().get_char_index(ord(c)) != 0


def check_columns(frame: pd.DataFrame, columns: Sequence[str]) -> None:
    """Raise `ValueError` where a frame has no rows or lacks a column: a mistake of the program."""
    if frame.empty or not set(columns) <= set(frame.columns):
        raise ValueError(f"needs rows and the columns {columns}; has {len(frame)} rows of {list(frame.columns)}")
