"""Figures in the page: colours of the page, ids of their own, nothing that refers outside."""

import re
from xml.etree import ElementTree

import pytest

from perfmodel.report import style
from perfmodel.report.html.vector import VARIABLES, svg_markup


def figure():
    with style.styled():
        made = style.page("", "", "", 4, 3)
        axes = made.add_subplot()
        axes.barh([0, 1], [1.0, 0.0], facecolor=style.BLUE, hatch="////", edgecolor=style.GREY, linewidth=0)
        axes.barh([2, 3], [2.0, 3.0], facecolor=style.BLACK)
        axes.plot([0, 1, 2], [0, 1, 2], "o", color=style.GREEN)
        axes.text(0.5, 0.5, "a <b> & \u202e", color=style.ink_on(style.BLUE))
        return style.settle(made)


def test_only_colours_of_the_page():
    svg = svg_markup(figure(), "f1", "alt")
    assert set(re.findall("#[0-9a-fA-F]{6}", svg)) <= {style.ON_DARK.lower(), style.ON_LIGHT.lower()}
    assert {"var(--blue)", "var(--green)"} <= set(re.findall(r"var\([^)]*\)", svg))
    assert "font-family" not in svg


def test_ids_begin_with_the_prefix_and_are_referred_to():
    root = ElementTree.fromstring(svg_markup(figure(), "f1", "alt"))
    ids = {node.attrib["id"] for node in root.iter() if "id" in node.attrib}
    used = set(re.findall(r'(?:url\(#|href="#)([^)"]*)', svg_markup(figure(), "f1", "alt")))
    assert all(name.startswith("f1-") for name in ids)
    assert used == ids - {"f1-title"}


def test_title_and_size():
    root = ElementTree.fromstring(svg_markup(figure(), "f1", 'what "it" <shows>\u202e'))
    assert root[0].text == 'what "it" <shows>\\u202e'
    assert root.attrib["role"] == "img"
    assert "width" not in root.attrib
    assert root.attrib["style"].startswith("max-width: 2")


def test_bars_without_a_width_are_left_out():
    svg = svg_markup(figure(), "f1", "")
    assert len(re.findall(r"<path [^>]*fill: url\(#", svg)) == 1  # hatched, of two


def test_the_page_has_every_colour_in_both_schemes():
    from importlib.resources import files

    css = files("perfmodel.report.html").joinpath("page.css").read_text()
    for variable in VARIABLES.values():
        name = re.search(r"--[a-z-]+", variable)[0]
        assert len(re.findall(rf"{name}: #[0-9a-f]{{6}};", css)) == 4  # light, dark twice, print


def blocks():
    from importlib.resources import files

    css = files("perfmodel.report.html").joinpath("page.css").read_text()
    found = [dict(re.findall(r"(--[a-z-]+): (#[0-9a-f]{6});", block)) for block in re.findall(r"\{([^{}]*)\}", css)]
    return [block for block in found if "--page" in block]


@pytest.mark.parametrize("place", range(4))
def test_colours_are_legible(place):
    """Text at 4.5:1, what is drawn at 3:1 but for faint lines and fills that have a neighbour's contrast."""
    colours = blocks()[place]
    for name in ("--ink", "--soft", "--accent", "--black", "--dark-grey"):
        for ground in ("--page", "--shade"):
            assert style.contrast(colours[name], colours[ground]) >= 4.5, (name, ground)
    for name in ("--blue", "--green", "--vermillion"):
        assert style.contrast(colours[name], colours["--page"]) >= 3, name
