"""Bundled schemes' files, damaged: a result or errors that a user can cause, never anything else."""

import json
import math
import tomllib
from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from perfmodel.datafiles import bundled
from perfmodel.errors import PerfModelError
from perfmodel.networks import find_network
from perfmodel.schemes import (
    Overhead,
    bit_operations,
    find_scheme,
    read_scheme,
    run_stretches,
    scheme_names,
    training_step,
)

RESNET20 = find_network("resnet20")
BUNDLED = {name: path.read_text() for name, path in bundled("schemes").items()}


def use(path):
    """Everything that is done with a scheme's file; a result, or the errors a user can cause."""
    with suppress(PerfModelError):
        found = read_scheme(path)
        for stretch in run_stretches(found, 3, 10**6):
            assert stretch.iterations > 0
            assert bit_operations(stretch.scheme, RESNET20, 2, stretch.formats) > 0
            works = training_step(RESNET20, 2, stretch.scheme, stretch.formats, "implicit", Overhead())
            assert all(math.isfinite(work.count) for work in works)


@pytest.mark.parametrize("name", scheme_names())
def test_bundled_files_are_used_as_a_users_are(tmp_path, name):
    path = tmp_path / "mine.toml"
    path.write_text(BUNDLED[name])
    assert read_scheme(path).formats == find_scheme(name).formats
    use(path)


PIECES = [b"", b"\n", b"[", b"]", b"[[layers]]\n", b'"', b'"""', b"=", b"#", b"\xff", b"\0", b"\xe2\x80\xa8", b"nan",
          b"1e999", b"true", b"-1", b"99999999999999999999", b'"fp16"', b"{ }", b".", b"\r"]  # fmt: skip


@settings(max_examples=500)
@given(
    st.sampled_from(sorted(BUNDLED)),
    st.lists(st.tuples(st.floats(0, 1), st.integers(0, 9), st.sampled_from(PIECES)), min_size=1, max_size=4),
)
def test_mutated_bytes_never_raise_anything_else(tmp_path_factory, name, changes):
    raw = BUNDLED[name].encode()
    for where, cut, piece in changes:
        at = int(where * len(raw))
        raw = raw[:at] + piece + raw[at + cut :]
    path = tmp_path_factory.mktemp("fuzz") / "mine.toml"
    path.write_bytes(raw)
    use(path)


LEAVES = st.one_of(
    st.none(), st.booleans(), st.integers(-2, 40), st.integers(2**62, 2**66), st.floats(), st.text(max_size=4),
    st.sampled_from(["fp16", "int8", "int3", "fp8_e4m3", "dfx12", "bfp9", "int32", "mxfp8", "fp64", "first", "linear"]),
    st.sampled_from(["*", "[a-", "quantise", "cast", "cyclic", "shares", "constant", "weights", "parameters", "wgrad"]),
)  # fmt: skip
KEYS = ["weights", "errors", "format", "fprop", "dgrad", "stored", "accumulate", "tile_k", "match", "kind", "of",
        "bytes", "ops", "until", "layers", "epochs", "schedule", "low", "times", "every", "least_image", "extends",
        "x"]  # fmt: skip

VALUES = st.one_of(LEAVES, st.lists(LEAVES, max_size=3), st.dictionaries(st.sampled_from(KEYS), LEAVES))


def nodes(value, path=()):
    """Every place in a tree of tables and lists."""
    yield path
    if isinstance(value, dict | list):
        for key, inner in value.items() if isinstance(value, dict) else enumerate(value):
            yield from nodes(inner, (*path, key))


def toml(value):
    """A value as inline TOML; None is left out above."""
    if isinstance(value, dict):
        rows = (f"{json.dumps(key)} = {toml(one)}" for key, one in value.items() if one is not None)
        return "{ " + ", ".join(rows) + " }"
    if isinstance(value, list):
        return "[" + ", ".join(toml(one) for one in value if one is not None) + "]"
    if isinstance(value, float):
        return "nan" if math.isnan(value) else repr(value) if math.isfinite(value) else "-inf" if value < 0 else "inf"
    return json.dumps(value).replace("\x7f", "\\u007f")


@settings(max_examples=500)
@given(st.sampled_from(sorted(BUNDLED)), st.data())
def test_mutated_structure_never_raises_anything_else(tmp_path_factory, name, data):
    tree = tomllib.loads(BUNDLED[name])
    for _ in range(data.draw(st.integers(1, 4))):
        path = data.draw(st.sampled_from([one for one in nodes(tree) if one] or [("x",)]))
        value = data.draw(VALUES)
        holder = tree
        for key in path[:-1]:
            holder = holder[key]
        if isinstance(holder, dict) and data.draw(st.booleans()):
            holder[data.draw(st.sampled_from(KEYS))] = value
        else:
            holder[path[-1]] = value
    path = tmp_path_factory.mktemp("fuzz") / "mine.toml"
    path.write_text("\n".join(f"{json.dumps(key)} = {toml(one)}" for key, one in tree.items() if one is not None))
    use(path)
