"""On which line of a TOML file each key stands: what `tomllib` does not tell, for error messages."""

from __future__ import annotations

import re
import tomllib

LONGEST = 200  # characters of a path that is kept: none of ours is as long, and thousands of long ones fill a memory
PART = r"""[A-Za-z0-9_-]+|"(?:[^"\\]|\\.)*"|'[^']*'"""
PATH = rf"(?:{PART})(?:[ \t]*\.[ \t]*(?:{PART}))*"
PARTS = re.compile(PART)
HEADER = re.compile(rf"[ \t]*(\[\[?)[ \t]*({PATH})[ \t]*\]")
KEY = re.compile(rf"[ \t]*({PATH})[ \t]*=")
TOKEN = re.compile(r'''"""|\'\'\'|"(?:[^"\\]|\\.)*"|'[^']*'|#|[\[\]{}]|[^"'#\[\]{}]+|.''')
CLOSED = {  # a long text may end in one or two quotes of its own
    '"""': re.compile(r'(?:[^"\\]|\\.|"{1,2}(?!"))*"{3,5}'),
    "'''": re.compile(r"(?:[^']|'{1,2}(?!'))*'{3,5}"),
}
OPENING, CLOSING = "[{", "]}"


def key_lines(text: str) -> dict[str, int]:
    """The line (from 1) on which every table and key first stands, by its path: `layers[1].match`.

    Keys of inline tables are not found; their table is. Nor are paths of more than 200 characters. For text that is
    valid TOML.

    >>> key_lines('a = 1\\n[[b]]\\nc.d = 2\\n[[b]]\\n"e" = 3')
    {'a': 1, 'b[0]': 2, 'b': 2, 'b[0].c.d': 3, 'b[0].c': 3, 'b[1]': 4, 'b[1].e': 5}
    """
    found: dict[str, int] = {}
    counts: dict[str, int] = {}
    table, depth, quotes = "", 0, ""
    for number, line in enumerate(text.split("\n"), 1):  # splitlines() would count more than TOML's line ends
        if not depth and not quotes:
            if header := HEADER.match(line):
                table = _table(header, counts)
                _note(found, table, number)
                continue
            if key := KEY.match(line):
                _note(found, ".".join((table, *_parts(key[1])) if table else _parts(key[1])), number)
                line = line[key.end() :]
        depth, quotes = _scan(line, depth, quotes)
    return found


def _note(found: dict[str, int], path: str, number: int) -> None:
    """The line of a path, and of everything around it that has none yet."""
    while 0 < len(path) <= LONGEST and path not in found:
        found[path] = number
        path = path[: max(path.rfind("."), path.rfind("["), 0)]


def _table(header: re.Match, counts: dict[str, int]) -> str:
    """The path of a table; one of a list has its index, as has the list above it."""
    path = ""
    for part in _parts(header[2]):
        if path in counts:
            path += f"[{counts[path]}]"
        if len(path) > LONGEST:
            break
        path = f"{path}.{part}" if path else part
    if header[1] == "[[":
        counts[path] = counts.get(path, -1) + 1
        path += f"[{counts[path]}]"
    return path


def _parts(key: str) -> list[str]:
    return [_plain(part) for part in PARTS.findall(key)]


def _plain(part: str) -> str:
    """A part of a key without its quotes, and with its escapes undone."""
    if "\\" in part and part[0] == '"':
        return tomllib.loads(f"key = {part}")["key"]
    return part[1:-1] if part[0] in "\"'" else part


def _scan(line: str, depth: int, quotes: str) -> tuple[int, str]:
    """How deep in brackets a line ends, and in which kind of long text."""
    position = 0
    while position < len(line):
        if quotes:
            end = CLOSED[quotes].match(line, position)
            if not end:
                return depth, quotes
            position, quotes = end.end(), ""
            continue
        token = TOKEN.match(line, position)[0]
        position += len(token)
        if token == "#":
            break
        if token in CLOSED:
            quotes = token
        elif token in OPENING:
            depth += 1
        elif token in CLOSING:
            depth -= 1
    return depth, quotes
