"""Broken logs: `fuzzed` and `truncated` read mutations of a sample, and whatever comes must be a trace or an error.

    def test_mutations(fuzzed):
        fuzzed("keras/training.csv", Given(…))

`mutations` and `reads` are what they are made of.
"""

import re
import string
from pathlib import Path

import pytest
from hypothesis import given as with_given
from hypothesis import settings
from hypothesis import strategies as st

from perfmodel.errors import PerfModelError
from perfmodel.traces import Trace, format_trace, parse_trace
from perfmodel.traces.logs import Given, read_log

SAMPLES = Path(__file__).parents[2] / "data" / "logs" / "samples"
NUMBER = re.compile(rb"-?\d+(?:\.\d+)?(?:e-?\d+)?")
WORD = re.compile(rb"[A-Za-z_][\w/]*")
NUMBERS = (
    b"NaN", b"nan", b"Infinity", b"-inf", b"1e999", b"-1e999", b"1e-999", b"1e300", b"-1", b"0", b"1", b"2", b"0.5",
    b"-0.0", b"1_0", b"0x10", b"+1", b".5", b"1.", b"1e", b"9" * 25, b"9" * 5000, b"1000001", b"null", b"true", b'""',
    b"[]", b"{}", b'"8"', b"NA", b"", b" ", b"32", b"8", b"fp16", b"12.5 %", "١٢".encode(), "１２".encode(),
    b'"\\ud800"', b"\xed\xa0\x80", b"[" * 63 + b"]" * 63, b"[" * 70 + b"]" * 70, b"[" * 20_000, b'{"a":' * 5000, b"\0",
    b"\x1b[31m", b"\xe2\x80\xae",
)  # fmt: skip
WORDS = (
    b"epoch", b"step", b"loss", b"lr", b"precision", b"batch", b"", b" ", b"a" * 2000, b"nan", b"\\ud800", b"_step",
)  # fmt: skip
PIECES = (
    *NUMBERS, b'"', b",", b";", b"\t", b"|", b"{", b"}", b"[", b"]", b":", b"\n", b"\r", b"\\", b"'", b"=", b"&a *a",
)  # fmt: skip
DELIMITERS = (b",", b";", b"\t", b"|", b" ")
FIRST_BYTES = (
    b"\xef\xbb\xbf", b"\xff\xfe", b"\xfe\xff", b"\x1f\x8b", b"PK\x03\x04", b"\x80\x04", b":W&B", b"SQLite format 3\0",
    b"\n\n", b" ", b"\0", b"#", b'"', b"[", b'{"schema":"perfmodel.trace/1"}\n', b":::MLLOG ",
)  # fmt: skip
DUPLICATE_KEYS = (b'{"epoch":1,"epoch":2,', b'{"step":1,"step":1,', b'{"schema":1,"schema":2,')


def _put(data: bytes, begin: int, end: int, piece: bytes) -> bytes:
    return data[:begin] + piece + data[end:]


def _match(draw, data: bytes, pattern: re.Pattern) -> tuple[int, int]:
    found = [match.span() for match in pattern.finditer(data)] or [(0, 0)]
    return draw(st.sampled_from(found))


def _lines(draw, data: bytes) -> bytes:
    """Lines doubled, deleted, exchanged, or the begin of one joined to the end of another."""
    lines = data.splitlines(keepends=True) or [b""]
    i, j = (draw(st.integers(0, len(lines) - 1)) for _ in range(2))
    how = draw(st.sampled_from(["again", "gone", "exchanged", "spliced", "part"]))
    if how == "again":
        lines.insert(j, lines[i])
    elif how == "gone":
        del lines[i]
    elif how == "exchanged":
        lines[i], lines[j] = lines[j], lines[i]
    elif how == "spliced":
        lines[i] = lines[i][: draw(st.integers(0, len(lines[i])))] + lines[j][draw(st.integers(0, len(lines[j]))) :]
    else:
        lines[j:j] = lines[min(i, j) : max(i, j)]
    return b"".join(lines)


def _bytes(draw, data: bytes) -> bytes:
    """A bit turned, a piece put in, a part cut out, the end gone."""
    at = draw(st.integers(0, max(0, len(data) - 1)))
    how = draw(st.sampled_from(["bit", "piece", "cut", "end"]))
    if how == "bit":
        return _put(data, at, at + 1, bytes([(data[at] if data else 0) ^ 1 << draw(st.integers(0, 7))]))
    if how == "piece":
        return _put(data, at, at, draw(st.sampled_from(PIECES)))
    return data[:at] if how == "end" else _put(data, at, at + draw(st.integers(1, 40)), b"")


def _tokens(draw, data: bytes) -> bytes:
    """A number or a word replaced, or an object that says a key twice."""
    how = draw(st.sampled_from(["number", "number", "word", "twice"]))
    if how == "number":
        return _put(data, *_match(draw, data, NUMBER), draw(st.sampled_from(NUMBERS)))
    if how == "word":
        return _put(data, *_match(draw, data, WORD), draw(st.sampled_from(WORDS)))
    return _put(data, *_match(draw, data, re.compile(rb"\{")), draw(st.sampled_from(DUPLICATE_KEYS)))


def _whole(draw, data: bytes) -> bytes:
    """Another delimiter, line end, notation of numbers or encoding, or other first bytes."""
    how = draw(st.sampled_from(["delimiter", "lines", "comma", "digits", "encoding", "first"]))
    if how == "delimiter":
        return data.replace(draw(st.sampled_from(DELIMITERS)), draw(st.sampled_from(DELIMITERS)))
    if how == "lines":
        plain = data.replace(b"\r\n", b"\n")
        return plain.replace(b"\n", draw(st.sampled_from([b"\r\n", b"\r", b"\n\n", b"\x0b", "\u2028".encode()])))
    if how == "comma":
        return re.sub(rb"(\d)\.(\d)", rb"\1,\2", data)
    if how == "first":
        return draw(st.sampled_from(FIRST_BYTES)) + data
    text = data.decode(errors="replace")
    if how == "encoding":
        return text.encode(draw(st.sampled_from(["utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-8-sig"])))
    other = draw(st.sampled_from(["٠١٢٣٤٥٦٧٨٩", "０１２３４５６７８９"]))
    return text.translate(str.maketrans(string.digits, other)).encode()


CHANGES = (_lines, _bytes, _tokens, _tokens, _whole)


@st.composite
def _mutations(draw, seed: bytes) -> bytes:
    data = seed
    for _ in range(draw(st.integers(1, 3))):
        data = draw(st.sampled_from(CHANGES))(draw, data)
    return data


def _check(error: PerfModelError) -> None:
    assert error.problems
    for problem in error.problems:
        assert re.fullmatch(r"[EW]\d{4}", problem.code), problem
        assert str(problem).isprintable(), problem


@pytest.fixture(scope="session")
def mutations():
    """`mutations(seed)`: the strategy of bytes that are the seed's with one to three changes."""
    return _mutations


@pytest.fixture(scope="session")
def reads(tmp_path_factory):
    """`reads(data, name, given, beside={})`: the trace of a file of this name and content, or None after an error.

    Any other exception passes through. A trace must be one that can be written and read again, an error one that says
    its code; `beside` are the contents of files in the same folder, by name.
    """
    folder = tmp_path_factory.mktemp("mutations")

    def read(data: bytes, name: str, given: Given, beside=()) -> Trace | None:
        for other, content in {**dict(beside), name: data}.items():
            (folder / other).write_bytes(content)
        try:
            trace = read_log(folder / name, given)
            assert parse_trace(format_trace(trace).encode().decode()) == trace
        except PerfModelError as found:
            return _check(found)
        finally:
            for other in dict(beside):
                (folder / other).unlink()
        return trace

    return read


@pytest.fixture(params=[500, pytest.param(20_000, marks=pytest.mark.nightly)], ids=["500", "20000"])
def examples(request):
    """How many examples a property of mutations is tried with."""
    return request.param


@pytest.fixture
def fuzzed(examples, reads):
    """`fuzzed(sample, given, beside={}, name="")`: 500 mutations read, nightly 20,000.

    The sample is a file of the samples, or bytes that a file of this name holds.
    """

    def fuzz(sample: str | bytes, given: Given, beside=(), name: str = "") -> None:
        seed = sample if isinstance(sample, bytes) else (SAMPLES / sample).read_bytes()
        file = name or Path(sample).name

        @settings(max_examples=examples, deadline=None)
        @with_given(_mutations(seed))
        def check(data):
            reads(data, file, given, beside)

        check()

    return fuzz


@pytest.fixture(scope="session")
def truncated(reads):
    """`truncated(sample, given)`: a file of the samples, cut off at each byte; of a large one at some 2500."""

    def cut(sample: str, given: Given) -> None:
        seed = (SAMPLES / sample).read_bytes()
        for end in range(0, len(seed), 1 + len(seed) // 3500):
            reads(seed[:end], Path(sample).name, given)

    return cut
