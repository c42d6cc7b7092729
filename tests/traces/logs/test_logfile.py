"""Files of logs: their lines whatever the line ends and the encoding, and every bad byte at its place."""

import codecs
import hashlib
import os
import re

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from perfmodel.errors import InputError
from perfmodel.traces.logs import logfile
from perfmodel.traces.logs.logfile import LONGEST_LINE, LogFile

FUZZ = settings(max_examples=500, suppress_health_check=[HealthCheck.function_scoped_fixture])


def log_of(folder, raw, limit=10**9):
    path = folder / "log.csv"
    path.write_bytes(raw)
    return LogFile(path, limit)


def lines_of(log):
    return [text for _, text in log.lines()]


def fault(log):
    with pytest.raises(InputError) as error:
        list(log.lines())
    return error.value.lines()[0].replace(log.place, "F")


@pytest.mark.parametrize(
    ("raw", "lines"),
    [
        (b"", []),
        (b"\n", [""]),
        (b"a", ["a"]),
        (b"a\nb\n", ["a", "b"]),
        (b"a\r\nb\rc\n\rd", ["a", "b", "c", "", "d"]),
        (b"a\r\r\nb", ["a", "", "b"]),
        (b"a\r", ["a"]),
        (b"\xef\xbb\xbfa,b\n1,2\n", ["a,b", "1,2"]),
        (codecs.BOM_UTF8, []),
        (codecs.BOM_UTF16_LE + "é\r\n1".encode("utf-16-le"), ["é", "1"]),
        (codecs.BOM_UTF16_BE + "a\r1\n".encode("utf-16-be"), ["a", "1"]),
        ("a\x0bb\x0c\x1c\x85\u2028c\n".encode(), ["a\x0bb\x0c\x1c\x85\u2028c"]),  # no line ends
    ],
)
def test_lines_end_as_in_any_text_file(tmp_path, raw, lines):
    log = log_of(tmp_path, raw)
    assert lines_of(log) == lines
    assert [number for number, _ in log.lines()] == list(range(1, len(lines) + 1))
    assert log.text(100) == "\n".join(lines)


@FUZZ
@given(
    text=st.text(st.sampled_from("ab,é😀\u2028\x85\r\n"), max_size=40),
    encoding=st.sampled_from(["utf-8", "utf-8-sig", "utf-16-le", "utf-16-be"]),
    block=st.integers(1, 9),
)
def test_lines_are_those_of_python_for_any_text_and_block(tmp_path, text, encoding, block):
    mark = {"utf-16-le": codecs.BOM_UTF16_LE, "utf-16-be": codecs.BOM_UTF16_BE}.get(encoding, b"")
    log = log_of(tmp_path, mark + text.encode(encoding))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(logfile, "BLOCK_BYTES", block)
        found = lines_of(log)
    expected = re.split("\r\n|\r|\n", text)
    assert found == (expected[:-1] if expected[-1] == "" else expected)
    assert log.torn == (bool(text) and text[-1] not in "\r\n")


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        (b"a,b\n1,\xff\n", "F: byte 6: is not UTF-8."),
        (b"\xef\xbb\xbfa\xc3(", "F: byte 4: is not UTF-8."),
        (b"a\xe2\x82", "F: byte 1: is not UTF-8."),
        (b"x" * 70_000 + b"\n\x80", "F: byte 70001: is not UTF-8."),
        (b"\xed\xa0\x80", "F: byte 0: is not UTF-8."),  # half of a pair
        (codecs.BOM_UTF16_LE + b"a\x00\x00\xd8b\x00", "F: byte 4: is not UTF-16-LE."),
        (codecs.BOM_UTF16_BE + b"\x00a\x00", "F: byte 4: is not UTF-16-BE."),
        (b"ab\n1\x002\n", "F:2:2 a NUL byte."),
        ("a,b\n1,2\n".encode("utf-16-le"), "F:1:2 a NUL byte."),
    ],
)
def test_what_is_no_text_has_its_place(tmp_path, raw, message):
    assert f"E1205 {message}" in fault(log_of(tmp_path, raw))


@FUZZ
@given(
    before=st.text(st.sampled_from("aé😀\r\n"), max_size=30),
    bad=st.sampled_from([b"\xff", b"\xc3(", b"\x80", b"\xf8"]),
    mark=st.sampled_from([b"", codecs.BOM_UTF8]),
    block=st.integers(1, 9),
)
def test_a_bad_byte_has_its_offset_anywhere(tmp_path, before, bad, mark, block):
    raw = mark + before.encode()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(logfile, "BLOCK_BYTES", block)
        assert fault(log_of(tmp_path, raw + bad + b"rest")).startswith(f"E1205 F: byte {len(raw)}: ")


@FUZZ
@given(before=st.text(st.sampled_from("aé😀\r\n"), max_size=30), block=st.integers(1, 9), little=st.booleans())
def test_half_of_a_pair_has_its_offset_anywhere(tmp_path, before, block, little):
    mark, name = (codecs.BOM_UTF16_LE, "utf-16-le") if little else (codecs.BOM_UTF16_BE, "utf-16-be")
    raw = mark + before.encode(name)
    half = b"\x00\xdc" if little else b"\xdc\x00"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(logfile, "BLOCK_BYTES", block)
        assert fault(log_of(tmp_path, raw + half + "rest".encode(name))).startswith(f"E1205 F: byte {len(raw)}: ")


def test_lines_before_a_fault_are_read(tmp_path):
    lines = log_of(tmp_path, b"a\nb\nc\x00\n").lines()
    assert [next(lines), next(lines)] == [(1, "a"), (2, "b")]
    with pytest.raises(InputError, match=r"E1205 .*:3:2 a NUL byte"):
        next(lines)


@pytest.mark.parametrize("end", [b"\n", b"\r\n", b""])
def test_a_line_may_have_so_many_characters_and_no_more(tmp_path, end):
    assert lines_of(log_of(tmp_path, b"x" * LONGEST_LINE + end)) == ["x" * LONGEST_LINE]
    log = log_of(tmp_path, b"ab\n" + b"x" * (LONGEST_LINE + 1) + end)
    assert fault(log) == f"E1313 F:2: more than {LONGEST_LINE} characters. Write shorter lines."


def test_a_long_line_ends_the_reading_early(tmp_path, monkeypatch):
    monkeypatch.setattr(logfile, "LONGEST_LINE", 10)
    monkeypatch.setattr(logfile, "BLOCK_BYTES", 4)
    log = log_of(tmp_path, b"x" * 13 + b"\xff")  # the bad byte is never come to
    assert fault(log).startswith("E1313 F:1:")


@pytest.mark.parametrize(
    ("raw", "encoding", "torn"),
    [
        (b"", "utf-8", False),
        (b"a", "utf-8", True),
        (b"a\n", "utf-8", False),
        (b"a\r", "utf-8", False),
        (codecs.BOM_UTF8, "utf-8", False),
        (codecs.BOM_UTF16_LE + b"a\x00\n\x00", "utf-16-le", False),
        (codecs.BOM_UTF16_LE + b"A\n", "utf-16-le", True),  # one character, U+0A41
        (codecs.BOM_UTF16_BE + b"\x00a\x00\r", "utf-16-be", False),
        (codecs.BOM_UTF16_BE + b"\x00a\n\x00", "utf-16-be", True),  # U+0A00
    ],
)
def test_a_torn_last_line_has_no_end(tmp_path, raw, encoding, torn):
    log = log_of(tmp_path, raw)
    assert (log.encoding, log.torn) == (encoding, torn)


def test_first_lines_are_those_of_the_head_and_never_fail(tmp_path, monkeypatch):
    monkeypatch.setattr(logfile, "HEAD_BYTES", 8)
    assert log_of(tmp_path, b"ab\r\ncd\refgh\n").first_lines() == ["ab", "cd", "e"]
    assert log_of(tmp_path, b"ab\ncd\nef\n").first_lines(2) == ["ab", "cd"]
    assert log_of(tmp_path, b"\xff\n\xe2\x82").first_lines() == ["\ufffd", "\ufffd"]
    assert log_of(tmp_path, b"").first_lines() == [""]


@pytest.mark.parametrize(
    ("first", "what"),
    [
        (b"\x1f\x8b\x08", "compressed (gzip)"),
        (b"PK\x03\x04", "zip archive"),
        (b"\x80\x02}", "pickle: never opened"),
        (b"\x80\x05\x95", "pickle: never opened"),
        (b":W&B\x00", "Export the run's history as CSV"),
    ],
)
def test_archives_and_pickles_are_not_opened(tmp_path, first, what):
    with pytest.raises(InputError, match=r"E1325 .*" + re.escape(what)):
        log_of(tmp_path, first + b"more")


def test_only_regular_files_within_the_limit_are_read(tmp_path):
    with pytest.raises(InputError, match=r"E1203 .*log.csv holds 5 bytes; at most 3"):
        log_of(tmp_path, b"a,b\n1", limit=3)
    with pytest.raises(InputError, match="E1201"):
        LogFile(tmp_path / "none.csv")
    with pytest.raises(InputError, match="E1202"):
        LogFile(tmp_path)
    os.mkfifo(tmp_path / "fifo")
    with pytest.raises(InputError, match="E1202"):
        LogFile(tmp_path / "fifo")
    with pytest.raises(InputError, match=r"E1203 .*holds 5 bytes; at most 4 are read of this kind"):
        log_of(tmp_path, b"a,b\n1").text(4)


def test_a_log_that_grows_is_read_as_it_was(tmp_path):
    log = log_of(tmp_path, b"a\nb\n")
    before = log.sha256()
    with open(log.path, "ab") as file:
        file.write(b"c\n\xff")
    assert lines_of(log) == ["a", "b"]
    assert log.sha256() == before == hashlib.sha256(b"a\nb\n").hexdigest()


def test_a_companion_lies_beside_the_log(tmp_path):
    log = log_of(tmp_path, b"a\n")
    assert log.companion("config.ini") is None
    (tmp_path / "config.ini").write_bytes(b"[x]\n")
    assert lines_of(log.companion("config.ini")) == ["[x]"]
    (tmp_path / "folder").mkdir()
    assert log.companion("folder") is None
    log.limit = 3
    with pytest.raises(InputError, match="E1203"):
        log.companion("config.ini")


def test_a_file_name_that_is_no_text_can_be_told(tmp_path):
    path = os.fsdecode(os.fsencode(tmp_path) + b"/l\xff\n.csv")
    with open(path, "wb") as file:
        file.write(b"a\n")
    assert LogFile(path).name == r"l\udcff\n.csv"
