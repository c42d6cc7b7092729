"""Figures inside the page: SVG with ids of its own, colours that follow the page, words for who cannot see."""

from __future__ import annotations

import io
import re
from xml.etree import ElementTree

import numpy as np
from matplotlib.figure import Figure

from perfmodel.report import style
from perfmodel.report.html.element import Element, Trusted
from perfmodel.report.table import visible

SVG, XLINK = "http://www.w3.org/2000/svg", "http://www.w3.org/1999/xlink"
LEAST_PT = 640  # a narrower window scrolls: below, letters get too small
POINTS = re.compile(r"([0-9.]+)pt")
REFERENCE = re.compile(r"url\(#([^)]*)\)|^#(.+)$")
COLOUR = re.compile(r"#[0-9a-fA-F]{6}")
GROUP, PATH, USE = f"{{{SVG}}}g", f"{{{SVG}}}path", f"{{{SVG}}}use"
HAIR_PT = 0.1  # narrower areas cannot be seen
NUMBER = re.compile(r"-?[0-9.]+")
UNTURNED = re.compile(r"rotate\(-?0 [^)]*\)")
LONG = re.compile(r"-?[0-9]+\.[0-9]{3,}")
NUMBERS = ("d", "x", "y", "transform", "points", "width", "height", "cx", "cy")  # attributes that hold positions
FONT = re.compile(r"; ?font-family:[^;]*|font-family:[^;]*; ?")
# Names of the page's variables (page.css) by the colours of `style`. Bars are lighter in the dark: so all ink on them
# is dark there.
VARIABLES = {
    getattr(style, name).lower(): f"var(--{name.lower().replace('_', '-')})"
    for name in (
        "BLACK", "ORANGE", "SKY", "GREEN", "YELLOW", "BLUE", "VERMILLION", "PURPLE", "NAVY", "DARK_GREY", "GREY",
        "LIGHT_GREY", "WHITE", "ON_DARK",
    )
}  # fmt: skip


def figure_element(figure: Figure, prefix: str, alt: str, caption: str) -> Element:
    """A figure with its caption; `alt` says what it shows, `prefix` begins its ids and is used once in a page."""
    return Element(
        "figure", Element("div", Trusted(svg_markup(figure, prefix, alt)), class_="scroll", tabindex="0", role="group",
                          aria_label=caption),
        Element("figcaption", caption),
    )  # fmt: skip


def svg_markup(figure: Figure, prefix: str, alt: str) -> str:
    """The figure as an `svg` element with a title; text stays text, nothing refers to anything outside."""
    file = io.BytesIO()
    style.save(figure, file, "svg")
    root = ElementTree.fromstring(file.getvalue())
    for parent in list(root.iter()):
        for child in list(parent):
            if child.tag in (f"{{{SVG}}}metadata", f"{{{SVG}}}title", f"{{{SVG}}}style"):
                parent.remove(child)
    _rename(root, prefix)
    _prune(root)
    width, height = (float(POINTS.fullmatch(root.attrib.pop(name))[1]) for name in ("width", "height"))
    root.set(
        "style",
        f"max-width: {width:.0f}pt; min-width: {min(width, LEAST_PT):.0f}pt; aspect-ratio: {width / height:.4f}",
    )
    root.set("role", "img")
    root.set("aria-labelledby", f"{prefix}-title")
    title = ElementTree.Element(f"{{{SVG}}}title", {"id": f"{prefix}-title"})
    title.text = visible(alt)
    root.insert(0, title)
    ElementTree.register_namespace("", SVG)
    return ElementTree.tostring(root, encoding="unicode", short_empty_elements=True)


def _rename(root: ElementTree.Element, prefix: str) -> None:
    """Ids that nothing refers to go, the others become short ones; colours and fonts become those of the page."""
    referred = (name for node in root.iter() for value in node.attrib.values() for name in _references(value))
    short = {name: f"{prefix}-{place}" for place, name in enumerate(dict.fromkeys(referred))}
    for node in root.iter():
        for key, value in list(node.attrib.items()):
            if key == "id":
                del node.attrib[key]
                if value in short:
                    node.set(key, short[value])
            elif key == f"{{{XLINK}}}href":
                del node.attrib[key]
                node.set("href", f"#{short[value.removeprefix('#')]}")
            elif key in ("style", "fill", "stroke"):
                node.set(key, _styled(value))
            elif key in NUMBERS:  # a hundredth of a point is finer than any screen
                node.set(key, LONG.sub(lambda match: f"{float(match[0]):.2f}", " ".join(value.split())))
                if UNTURNED.fullmatch(node.attrib[key]):
                    del node.attrib[key]
            if "url(#" in node.attrib.get(key, ""):
                node.set(key, REFERENCE.sub(lambda match: f"url(#{short[match[1]]})", node.attrib[key]))


def _prune(node: ElementTree.Element) -> None:
    """Blanks, groups that say nothing, and bars without a width go; marks of one look say it once."""
    kept: list[ElementTree.Element] = []
    for child in node:
        _prune(child)
        if child.tag == GROUP and not child.attrib:
            kept += list(child)
        elif not (child.tag == PATH and _is_nothing(child)):
            kept.append(child)
    node[:] = kept
    styles = {child.get("style") for child in kept}
    if node.tag == GROUP and "style" not in node.attrib and len(styles) == 1 and {c.tag for c in kept} == {USE}:
        node.set("style", styles.pop() or "")
        for child in kept:
            child.attrib.pop("style", None)
    for child in kept:
        child.tail = None
    if node.tag != f"{{{SVG}}}text" and not (node.text or "").strip():
        node.text = None


def _is_nothing(path: ElementTree.Element) -> bool:
    """Whether it is an area without a width or a height, and no line."""
    said = path.get("style", "")
    if "fill: none" in said or ("stroke:" in said and "stroke-width: 0" not in said.replace("stroke-width: 0.", "")):
        return False
    places = np.array([float(number) for number in NUMBER.findall(path.get("d", ""))])
    return len(places) >= 6 and bool((np.ptp(places.reshape(-1, 2), axis=0) < HAIR_PT).any())


def _references(value: str) -> list[str]:
    return [one or other for one, other in REFERENCE.findall(value)]


def _styled(value: str) -> str:
    """Colours of the palette as the page's variables; no font, which the page's style sheet gives."""
    value = COLOUR.sub(lambda match: VARIABLES.get(match[0].lower(), match[0]), value)
    return FONT.sub("", value)
