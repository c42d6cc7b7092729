"""Markup by construction: every text and every attribute is escaped, and there is no other way in."""

from __future__ import annotations

from collections.abc import Iterator
from html import escape
from typing import Union

from perfmodel.report.table import visible

VOID = ("meta", "br", "hr", "col")
Node = Union["Element", "Trusted", str, None]


class Trusted:
    """Markup that this program made itself, such as a figure's: `vector.py` and fixed files alone make it."""

    __slots__ = ("markup",)

    def __init__(self, markup: str):
        self.markup = markup


class Element:
    """A tag with attributes and children.

    Attributes are keywords: a `_` at the end is dropped, others are `-`; True is an attribute without a value, None and
    False none. Texts are escaped, and what a reader would not see in them is written as an escape (`visible`).

    >>> render(Element("p", "a < b & c", Element("b", "\\u202edrawkcab"), class_="note", data_value=0.5))
    '<p class="note" data-value="0.5">a &lt; b &amp; c<b>\\\\u202edrawkcab</b></p>'
    """

    __slots__ = ("attributes", "children", "tag")

    def __init__(self, tag: str, *children: Node, **attributes: object):
        self.tag, self.children, self.attributes = tag, children, attributes


def render(node: Node) -> str:
    """The markup of a node."""
    return "".join(_parts(node))


def _parts(node: Node) -> Iterator[str]:
    if node is None:
        return
    if isinstance(node, Trusted):
        yield node.markup
    elif isinstance(node, Element):
        yield f"<{node.tag}{''.join(_attributes(node))}>"
        if node.tag not in VOID:
            for child in node.children:
                yield from _parts(child)
            yield f"</{node.tag}>"
    else:
        yield escape(visible(node), quote=True)


def _attributes(element: Element) -> Iterator[str]:
    for name, value in element.attributes.items():
        if value is None or value is False:
            continue
        name = name.rstrip("_").replace("_", "-")
        yield f" {name}" if value is True else f' {name}="{escape(visible(value), quote=True)}"'
