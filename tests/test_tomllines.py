"""The line of every key of a TOML file, whatever stands around it."""

import json
import tomllib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from perfmodel.tomllines import LONGEST, key_lines


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", {}),
        ("\n\n# a = 1\n", {}),
        ("a = 1", {"a": 1}),
        ("  a=1\r\n\r\n\tb\t=\t2\r\n", {"a": 1, "b": 3}),
        ("a = [1,\n2, # ]\n3]\nb = 2", {"a": 1, "b": 4}),
        ('a = ["]",\n"[", \'[\', """[""", [\n]]\nb = 2', {"a": 1, "b": 4}),
        ("a = { b = [1, 2], c = { d = 3 } }\ne = 4", {"a": 1, "e": 2}),
        ('a = """\nb = 1\n[c]\n"""\nd = 2', {"a": 1, "d": 5}),
        ("a = '''\nb = 1\n[[c]]\n'''\nd = 2", {"a": 1, "d": 5}),
        ('a = """x\\"""\nb = 1"""\nc = 2', {"a": 1, "c": 3}),  # an escaped quote, then two that close nothing
        ('a = ["""x""""", "]"]\nb = 2', {"a": 1, "b": 2}),  # a long text that ends in two quotes of its own
        ("a = ['''x''''', ']',\n'''\n''']\nb = 2", {"a": 1, "b": 4}),
        ('a = "\\"["\nb = "\\\\"\nc = 1', {"a": 1, "b": 2, "c": 3}),
        ("a = '\\'\nb = 1", {"a": 1, "b": 2}),
        ('a = "#" # "\nb = 1', {"a": 1, "b": 2}),
        ("a.b = 1\na . c = 2\n'd e'.\"f\" = 3", {"a": 1, "a.b": 1, "a.c": 2, "d e": 3, "d e.f": 3}),
        ('"a\\u0062" = 1\n"c\\"d" = 2', {"ab": 1, 'c"d': 2}),
        ("'\"' = 1\n\"'\" = 2", {'"': 1, "'": 2}),
        ("[a] # [b]\nc = 1\n[ d . e ]\nf = 2", {"a": 1, "a.c": 2, "d": 3, "d.e": 3, "d.e.f": 4}),
        ('["]"]\na = 1\n[\'[\']\nb = 2', {"]": 1, "].a": 2, "[": 3, "[.b": 4}),
        (
            "[[a]]\nb = 1\n[[a.c]]\nd = 2\n[[a.c]]\n[[a]]\n[[a.c]]\n[a.e]\nf = 3",
            {
                "a": 1, "a[0]": 1, "a[0].b": 2, "a[0].c": 3, "a[0].c[0]": 3, "a[0].c[0].d": 4, "a[0].c[1]": 5,
                "a[1]": 6, "a[1].c": 7, "a[1].c[0]": 7, "a[1].e": 8, "a[1].e.f": 9,
            },
        ),
        ("# \u2028 a\x85b\na = 'x\u2028y\x85'\nb = 1", {"a": 2, "b": 3}),  # ends of lines elsewhere, none in TOML
    ],
)  # fmt: skip
def test_lines(text, expected):
    tomllib.loads(text)  # it is valid
    assert key_lines(text) == expected


def test_long_paths_are_not_kept():
    name = "a" * LONGEST
    assert key_lines(f"{name} = 1\n{name}b = 2\n[{name}b]\nc = 3\n[d]\ne = 1") == {name: 1, "d": 5, "d.e": 6}


def test_many_keys_below_a_long_path_are_found_in_bounded_memory():
    text = f"[{'.'.join('a' * 500)}]\n" + "\n".join(f"k{i} = 1" for i in range(1000))
    assert sum(map(len, key_lines(text))) < LONGEST**2


@pytest.mark.parametrize("text", ['["' + " " * 300_000 + '["]\na = 1', "a" + " " * 300_000 + "= 1", "[" * 9_000])
def test_long_lines_end(text):
    assert len(key_lines(text)) <= 3


WORDS = st.text("abz09_-", min_size=1, max_size=3)
QUOTED = st.text("a.[]#='\" {}\\\u2028é", min_size=1, max_size=5).map(json.dumps)  # JSON's texts are TOML's
VALUES = st.recursive(
    st.one_of(
        st.integers(-9, 99).map(str),
        st.sampled_from(["true", "1.5", "1979-05-27", "'[#'", '"""a"""""']),
        st.sampled_from(["'''\n[x]\ny = 1\n'''", '"""\nz = 2 # \\""" [\n"""']),
        st.text("ab[]{}#='\"\\\n", max_size=6).map(json.dumps),
    ),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3).map(lambda xs: "[" + ", # ]\n".join(xs) + "\n]"),
        st.lists(inner.filter(lambda x: "\n" not in x), max_size=2).map(
            lambda xs: "{" + ", ".join(f"k{i} = {x}" for i, x in enumerate(xs)) + "}"
        ),
    ),
    max_leaves=5,
)  # fmt: skip


@st.composite
def documents(draw):
    """Valid TOML and the line of each key and table, as they were written."""
    lines, expected, plain, used = [], {}, "", set()
    for part in range(draw(st.integers(1, 4))):
        if part:
            repeated = draw(st.booleans())
            plain = f"list{draw(st.integers(0, 1))}" if repeated else f"table{part}"
            index = sum(one.startswith(f"{plain}[") and one.endswith("]") for one in used)
            header = f"[[ {plain} ]]" if repeated else f"[{plain}]"
            lines.append(header + draw(st.sampled_from(["", " # [no]", "\t"])))
            plain += f"[{index}]" * repeated
            used.add(plain)
            expected[plain] = _line(lines)
        names = draw(st.lists(st.one_of(WORDS, QUOTED), max_size=4, unique_by=lambda name: _decoded(name)))
        for name in names:
            lines.extend(draw(st.lists(st.sampled_from(["", "# x = [", "  "]), max_size=1)))
            dotted = draw(st.sampled_from(["", ".q", ' . "r s"']))
            if dotted and any(_decoded(other) == _decoded(name) for other in names if other is not name):
                dotted = ""
            lines.append(f"{name}{dotted} = ")
            full = f"{plain}.{_decoded(name)}" if plain else _decoded(name)
            expected[full + dotted.replace(" ", "", 2).replace('"', "")] = _line(lines)
            lines[-1] += draw(VALUES)
    return "\n".join(lines), expected


def _decoded(name):
    return tomllib.loads(f"key = {name}")["key"] if name[0] == '"' else name


def _line(lines):
    return sum(line.count("\n") + 1 for line in lines[:-1]) + 1


@given(documents(), st.booleans())
def test_every_key_of_a_valid_file_has_its_line(document, crlf):
    text, expected = document
    try:
        tomllib.loads(text)
    except tomllib.TOMLDecodeError:  # names that clash, such as "list0" and a list of that name
        return
    found = key_lines(text.replace("\n", "\r\n") if crlf else text)
    paths = [path for path in expected if sum(other.startswith(path) for other in expected) == 1]
    assert {path: found.get(path) for path in paths} == {path: expected[path] for path in paths}
