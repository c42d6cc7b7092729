"""The document around the sections: head, contents, style, script, and the policy that keeps it to itself."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

from perfmodel.report.html.element import Element, Node, Trusted, render

# U+2028 and U+2029 end lines in some readers of scripts.
IN_SCRIPT = {c: f"\\u{ord(c):04x}" for c in "<>&\u2028\u2029"}


@dataclass(frozen=True, slots=True)
class Section:
    """A part of the page; `name` is its id, unique in the page."""

    name: str
    title: str
    nodes: tuple[Node, ...]

    def element(self) -> Element:
        """The section with its heading."""
        return Element("section", Element("h2", self.title), *self.nodes, id=self.name)


def page(title: str, setting: str, sections: Sequence[Section], data: object, made_with: str) -> str:
    """The whole file. `data` goes in as JSON, for programs."""
    head = Element(
        "head", Element("meta", charset="utf-8"),
        Element("meta", http_equiv="Content-Security-Policy", content=policy()),
        Element("meta", name="viewport", content="width=device-width, initial-scale=1"),
        Element("meta", name="referrer", content="no-referrer"),
        Element("title", title), Element("style", Trusted(_file("page.css"))),
    )  # fmt: skip
    contents = Element(
        "nav", Element("ul", *(Element("li", Element("a", one.title, href=f"#{one.name}")) for one in sections)),
        aria_label="Contents",
    )  # fmt: skip
    body = Element(
        "body", Element("a", "To the answer", href="#main", class_="skip"),
        Element("header", Element("h1", title), Element("p", setting, class_="setting")), contents,
        Element("main", *(one.element() for one in sections), id="main"),
        Element("footer", Element("p", made_with)),
        Element("script", Trusted(json_text(data)), type="application/json", id="data"),
        Element("script", Trusted(_file("page.js"))),
    )  # fmt: skip
    return f"<!DOCTYPE html>\n{render(Element('html', head, body, lang='en'))}\n"


def policy() -> str:
    """Nothing is loaded, the file's own script and style alone run."""
    script = _hash("page.js")
    return (
        f"default-src 'none'; script-src '{script}'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; "
        "form-action 'none'"
    )


def json_text(data: object) -> str:
    """JSON that cannot end the script that it stands in."""
    text = json.dumps(data, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    return "".join(IN_SCRIPT.get(c, c) for c in text)


@cache
def _file(name: str) -> str:
    return files("perfmodel.report.html").joinpath(name).read_text(encoding="utf-8")


@cache
def _hash(name: str) -> str:
    digest = hashlib.sha256(_file(name).encode()).digest()
    return f"sha256-{base64.b64encode(digest).decode()}"
