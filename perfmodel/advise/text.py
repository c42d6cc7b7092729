"""A plan's scheme as the text of a scheme file (`docs/schemes.md`): what `read_scheme` reads comes out again."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import fields

from perfmodel.errors import InputError, quote
from perfmodel.schemes import Scheme
from perfmodel.schemes.conversions import Conversion
from perfmodel.schemes.files import LONGEST_PATTERN, MOST_ROWS
from perfmodel.schemes.rules import PASSES

SAID = {"ops": "ops", "pass_": "pass", "heads": "heads", "one_pass": "one_pass", "pooled": "pooled",
        "codes_only": "codes_only", "what": "what", "once": "once"}  # fmt: skip
WIDTH = 110  # characters of a line of names


def scheme_text(scheme: Scheme) -> str:
    """The file of a plan's scheme; raises `InputError` (E1763) for names or numbers of rules that no file can hold."""
    rules = scheme.layers
    if len(rules) > MOST_ROWS:
        raise _refuse(f"takes {len(rules)} rules of layers; a file holds {MOST_ROWS}.")
    for name in (one for rule in rules for one in rule.match):
        if len(name) > LONGEST_PATTERN:
            raise _refuse(f"names a layer {quote(name)}, and a file's patterns have {LONGEST_PATTERN} characters.")
    blocks = [
        _lines({"title": scheme.title, "source": scheme.source, "notes": scheme.notes}),
        f"formats = {_list(scheme.formats)}",
        "[tensors]\n" + _lines({"stored": scheme.stored, "accumulate": scheme.accumulate}),
        "[optimizer]\n" + _lines({key: getattr(scheme, key) for key in ("master", "gradients", "momentum")}),
        *(_layers(rule.match, rule.formats) for rule in rules),
        *(_conversion(one) for one in scheme.conversions),
    ]
    return "\n\n".join(blocks) + "\n"


def _refuse(found: str) -> InputError:
    return InputError.at("E1763", "plan:", f"it {found}", "Plan for a part of the network.")


def _layers(match: tuple[str, ...], formats) -> str:
    said = {pass_: name for pass_ in PASSES if (name := getattr(formats, pass_))}
    return "[[layers]]\nmatch = " + _list(match) + "\n" + _lines(said)


def _conversion(one: Conversion) -> str:
    usual = {field.name: field.default for field in fields(Conversion)}
    said = {"kind": one.kind, "of": one.of} | ({} if one.kind == "quantise" else {"bytes": one.bytes_each})
    said |= {key: value for name, key in SAID.items() if (value := getattr(one, name)) != usual[name]}
    if one.times != 1:
        said |= {"times": int(one.times)} if one.times > 1 else {"every": round(1 / one.times)}
    if one.of == ("parameters",) and not one.ops:
        said.pop("ops", None)  # all that have any: what a file means without
    return "[[conversions]]\n" + _lines(said)


def _lines(said: Mapping[str, object]) -> str:
    return "\n".join(f"{key} = {_value(value)}" for key, value in said.items() if value != "")


def _value(value: object) -> str:
    if isinstance(value, tuple):
        return _list(value)
    if isinstance(value, bool):
        return "true" if value else "false"
    return _text(value) if isinstance(value, str) else f"{value:g}"


def _text(text: str) -> str:
    """A basic TOML string: JSON's escapes are TOML's; what JSON leaves, and lone surrogates, which TOML has not."""
    return json.dumps(text.encode("utf-8", "backslashreplace").decode(), ensure_ascii=False).replace("\x7f", "\\u007F")


def _list(values: tuple) -> str:
    """On one line where there is room, else on several."""
    texts = [_value(value) for value in values]
    if sum(map(len, texts)) + 2 * len(texts) < WIDTH:
        return f"[{', '.join(texts)}]"
    return "[\n" + "".join(f"  {line},\n" for line in _filled(texts)) + "]"


def _filled(texts: list[str]) -> Iterator[str]:
    line = ""
    for text in texts:
        if line and len(line) + len(text) > WIDTH:
            yield line
            line = ""
        line += f"{', ' if line else ''}{text}"
    yield line
