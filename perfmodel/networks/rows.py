"""The rows of a network file: blocks unfolded, parameters filled in, inputs named.

A row is a table with `op` (a layer) or `use` (a block of the same file). Its input is the row before it unless `from`
names others; inside a block, `input` is the block's input. A text where a number is expected names a parameter of the
block or of the file; `when` keeps a row only if that parameter is true. `names` repeats a row under several names, one
after the other.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from perfmodel.datafiles import Section
from perfmodel.errors import quote
from perfmodel.networks.layers import MEMORY_BOUND

OPS = ("conv", "linear", *MEMORY_BOUND)
STRUCTURE = ("op", "use", "name", "names", "from", "when", "shares")  # keys that are texts and name no parameter
NAME = re.compile(r"[\w.+-]{1,100}")  # of a row
MOST_INPUTS = 256  # of one row
MOST_PARAMETERS = 1000  # of a file or a block
MOST_ROWS = 20_000  # visited, so that blocks of nothing but blocks end as well
DEEPEST = 12


@dataclass(frozen=True, slots=True)
class Row:
    """One layer to be built: its operation, full name, the full names of its inputs, and its other keys."""

    op: str
    name: str
    inputs: tuple[str, ...]
    keys: Section


@dataclass(slots=True)
class Scope:
    """The names of one block or of the file: short name to the full name of the layer whose output it stands for."""

    prefix: str
    outputs: dict[str, str]
    counts: Counter[str] = field(default_factory=Counter)

    def full(self, name: str) -> str:
        """The name with the names of the blocks around it."""
        return f"{self.prefix}.{name}" if self.prefix else name

    def free(self, stem: str) -> str:
        """The first of `relu`, `relu2`, `relu3` … that is not taken."""
        while True:
            self.counts[stem] += 1
            name = stem if self.counts[stem] == 1 else f"{stem}{self.counts[stem]}"
            if name not in self.outputs:
                return name


class Unfolder:
    """Unfolds the blocks of one network file into a flat list of rows."""

    def __init__(self, top: Section, blocks: Mapping[str, Any]):
        self.top, self.blocks = top, Section(blocks, top.place, "blocks")
        self.rows: list[Row] = []
        self.names: set[str] = {"input"}
        self.visited = 0

    def unfold(self, layers: list[Section], parameters: Mapping[str, Any], prefix: str, entry: str, depth: int) -> str:
        """Append the rows of one scope; returns the full name of its last layer."""
        if depth > DEEPEST:
            raise self.top.fail("E1403", "blocks", f"nest more than {DEEPEST} deep.", "Use fewer levels.")
        scope = Scope(prefix, {"input": entry})
        previous = entry
        for raw in layers:
            section = _fill_in(raw, parameters)
            if not _kept(section, parameters):
                self._visit()
                continue
            inputs = _inputs(section, scope.outputs, previous)
            for name in _names(section, scope, self._stem(section)):
                previous = self._place(section, scope.full(name), inputs, parameters, depth)
                scope.outputs[name] = previous
                inputs = (previous,)  # the next of `names` follows this one
        return previous

    def _visit(self) -> None:
        self.visited += 1
        if self.visited > MOST_ROWS:
            raise self.top.fail("E1403", "layers", f"unfold to more than {MOST_ROWS} rows.", "Use fewer.")

    def _stem(self, section: Section) -> str:
        """The operation, or the block that a row uses; it names the row that has no name."""
        block = section.take("use", str, None)
        if block is not None:
            blocks = self.blocks.values
            if block not in blocks:
                raise section.fail("E1402", "use", f"{quote(block)} is no block of this file.", known(blocks))
            return block
        op = section.text("op")
        if op not in OPS:
            raise section.fail("E1401", "op", f"{quote(op)} is no operation.", known(OPS))
        return op

    def _place(self, section: Section, full: str, inputs: tuple[str, ...], parameters, depth: int) -> str:
        """Append a row, or the rows of the block that it uses; returns the full name of the last layer."""
        self._visit()
        block = section.take("use", str, None)
        if block is None:
            return self._add(section, full, inputs)
        if len(inputs) != 1:
            raise section.fail("E1405", "from", f"a block takes one input, not {len(inputs)}.", "Name one row.")
        body = Section(self.blocks.take(block, dict, expected="a table"), self.top.place, f"blocks.{block}")
        defaults, rows = take_parameters(body), body.tables("layers")
        body.finish()
        given = _given(section, block, _mentioned(rows) | defaults.keys())
        return self.unfold(rows, {**parameters, **defaults, **given}, full, inputs[0], depth + 1)

    def _add(self, section: Section, full: str, inputs: tuple[str, ...]) -> str:
        if full in self.names:
            raise section.fail("E1404", "name", f"{quote(full)} is taken by an earlier row.", "Choose another name.")
        self.names.add(full)
        self.rows.append(Row(section.text("op"), full, inputs, section))
        return full


def take_parameters(body: Section) -> dict[str, Any]:
    """The `parameters` of a file or a block with their values; E1403 where there are too many."""
    parameters = body.take("parameters", dict, {}, "a table")
    if len(parameters) > MOST_PARAMETERS:
        raise body.fail(
            "E1403", "parameters", f"are {len(parameters)}; at most {MOST_PARAMETERS} may be.", "Use fewer."
        )
    return parameters


def known(names: Iterable[str]) -> str:
    """`Known: a, b.` with what was there to choose from, cut to one readable line."""
    text = quote(", ".join(names) or "none", 300)
    return f"Known: {text[1:].rstrip(text[0])}."


def _inputs(section: Section, outputs: Mapping[str, str], previous: str) -> tuple[str, ...]:
    """The full names of a row's inputs: those that `from` names, else the row before it."""
    named = section.take("from", (str, list), None, "a name or a list of names")
    if named is None:
        return (previous,)
    names = [named] if isinstance(named, str) else named
    if len(names) > MOST_INPUTS:
        raise section.fail("E1405", "from", f"names {len(names)} rows; at most {MOST_INPUTS} may be.", "Name fewer.")
    for name in names:
        if not isinstance(name, str) or name not in outputs:
            raise section.fail("E1405", "from", f"{quote(name)} is no earlier row here.", known(outputs))
    if not names:
        raise section.fail("E1405", "from", "is empty.", "Name at least one earlier row.")
    return tuple(outputs[name] for name in names)


def _names(section: Section, scope: Scope, stem: str) -> Iterator[str]:
    """The short names of a row: `names`, else `name`, else its stem with a number where that is taken."""
    key = "names" if "names" in section.values else "name"
    names = section.take("names", list, None, "a list of names")
    if names is None:
        name = section.take("name", str, None)
        names = [scope.free(stem) if name is None else name]
    if not names:
        raise section.fail("E1404", key, "is empty.", "Give at least one name.")
    for name in names:
        if not isinstance(name, str) or not NAME.fullmatch(name):
            raise section.fail("E1404", key, f"{quote(name)} is no name.", "Use letters, digits and any of _-+. only.")
        if name in scope.outputs:
            raise section.fail("E1404", key, f"{quote(name)} is taken by an earlier row.", "Choose another name.")
        yield name


def _given(section: Section, block: str, wanted: set[str]) -> dict[str, Any]:
    """The parameters that a row gives to the block it uses, each of which the block must declare or mention."""
    given = {key: section.take(key, (object, bool)) for key in section.values if key not in STRUCTURE}
    for key in given:
        if key not in wanted:
            raise section.fail("E1406", "use", f"block {block} has no parameter {quote(key)}.", known(sorted(wanted)))
    section.finish()
    return given


def _mentioned(rows: list[Section]) -> set[str]:
    """The parameters that a block's rows name."""
    texts: set[str] = set()
    for row in rows:
        texts.update(v for key, v in row.values.items() if isinstance(v, str) and key not in STRUCTURE)
        texts.add(str(row.values.get("when", "")).removeprefix("not "))
    return texts - {""}


def check_used(body: Section, layers: list[Section], blocks: Mapping[str, Any], parameters: Mapping[str, Any]) -> None:
    """Raise for a block that no row uses (E1402) and for a parameter that no row names (E1406): typing slips."""
    rows = list(layers)
    for name in blocks:
        block = Section(blocks, body.place, "blocks").take(name, dict, expected="a table")
        rows += Section(block, body.place, f"blocks.{name}").tables("layers", [])
    used = {str(row.values.get("use")) for row in rows}
    for name in blocks:
        if name not in used:
            raise body.fail("E1402", f"blocks.{name}", "is used by no row.", "Remove it, or correct its name.")
    named = _mentioned(rows)
    for name in parameters:
        if name not in named:
            raise body.fail("E1406", f"parameters.{name}", "is named by no row.", "Remove it, or correct its name.")


def _fill_in(raw: Section, parameters: Mapping[str, Any]) -> Section:
    """The row with parameter names replaced by their values; a name that is none is an error."""
    values = {}
    for key, value in raw.values.items():
        if key not in STRUCTURE and isinstance(value, str):
            if value not in parameters:
                raise raw.fail("E1406", key, f"{quote(value)} is no parameter here.", known(sorted(parameters)))
            value = parameters[value]
        values[key] = value
    return Section(values, raw.place, raw.key)


def _kept(section: Section, parameters: Mapping[str, Any]) -> bool:
    condition = section.take("when", str, None)
    if condition is None:
        return True
    name = condition.removeprefix("not ")
    if not isinstance(parameters.get(name), bool):
        raise section.fail("E1406", "when", f"{quote(name)} is no true-or-false parameter here.", "Define it.")
    return parameters[name] != condition.startswith("not ")
