"""What goes into a journal comes out again, every refusal is one line, and damage hides nothing but itself."""

import gc
import json
import os
import random
import stat
import zlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from perfmodel.errors import InputError, OutputError
from perfmodel.profiles import lines, reading
from perfmodel.profiles.environment import environment_key, make_header
from perfmodel.profiles.journal import Journal, MemoryJournal, encode, read_journal

HEADER = make_header({"name": "simulated", "sms": 7}, "2026-11-22T10:00:00Z", "perfmodel 0.3")
END = {"type": "end", "session": 1, "status": "done"}


def visit(i):
    return {"type": "visit", "session": 1, "round": i // 3, "kernel": i, "seconds": [3e-4 + i * 1e-7, 5e-4]}


VISITS = [visit(i) for i in range(7)]


def crc_line(body):
    """A line with a right checksum, whatever it holds."""
    return body + b',"crc32":"%08x"}\n' % zlib.crc32(body)


def written(path, records=VISITS, header=HEADER):
    path.write_bytes(b"".join(map(encode, [header, *records])))
    return path


def refused(code, found):
    """The context in which reading fails with one line that has this code and text."""
    return pytest.raises(InputError, match=rf"^{code} [^\n]*{found}[^\n]*$")


def damage_of(path):
    return [(problem.code, problem.place.removeprefix(f"{path}:")) for problem in read_journal(path).damage]


# Writing and reading


def test_records_come_back_in_order(tmp_path):
    path = tmp_path / "p.jsonl"
    with Journal.create(path, HEADER) as journal:
        assert (journal.header, journal.records, journal.damage) == (HEADER, [], ())
        for record in VISITS:
            journal.append(record)
            assert read_journal(path).records[-1] == record
    with Journal.open(str(path)) as journal:
        assert (journal.path, journal.header, journal.records, journal.damage) == (path, HEADER, VISITS, ())
        journal.append(END)
    found = read_journal(path)
    assert (found.header, found.records, found.damage) == (HEADER, [*VISITS, END], ())
    assert os.listdir(tmp_path) == ["p.jsonl"], "the lock is gone"
    assert path.read_bytes() == b"".join(map(encode, [HEADER, *VISITS, END]))


def test_each_record_is_one_write_and_one_fsync(tmp_path, monkeypatch):
    calls = []
    write, fsync = os.write, os.fsync
    journal = Journal.create(tmp_path / "p.jsonl", HEADER)
    monkeypatch.setattr(os, "write", lambda file, data: calls.append("write") or write(file, data))
    monkeypatch.setattr(os, "fsync", lambda file: calls.append("fsync") or fsync(file))
    journal.append(END)
    journal.close()
    assert calls == ["write", "fsync"]
    with Journal.open(tmp_path / "p.jsonl", sync=False) as journal:
        calls.clear()
        journal.append(END)
    assert calls == ["write"]


def test_a_new_file_and_its_folder_are_synchronised(tmp_path, monkeypatch):
    kinds = []
    fsync = os.fsync
    monkeypatch.setattr(os, "fsync", lambda file: kinds.append(stat.S_IFMT(os.fstat(file).st_mode)) or fsync(file))
    Journal.create(tmp_path / "p.jsonl", HEADER).close()
    assert kinds == [stat.S_IFREG, stat.S_IFDIR]


@pytest.mark.parametrize("mask", [0o022, 0o077])
def test_a_new_file_has_the_mode_of_the_umask(tmp_path, mask):
    before = os.umask(mask)
    try:
        Journal.create(tmp_path / "p.jsonl", HEADER).close()
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "p.jsonl").stat().st_mode) == 0o666 & ~mask


def test_after_close_nothing_is_appended(tmp_path):
    journal = Journal.create(tmp_path / "p.jsonl", HEADER)
    journal.close()
    journal.close()
    with pytest.raises(ValueError, match="closed"):
        journal.append(END)
    assert read_journal(tmp_path / "p.jsonl").records == []


def test_a_journal_in_memory_keeps_its_records():
    with MemoryJournal(HEADER) as journal:
        journal.append(END)
    assert (journal.header, journal.records, journal.damage) == (HEADER, [END], ())
    assert MemoryJournal().header == {}


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=4,
)
records = st.builds(
    lambda kind, rest: {"type": kind} | rest,
    st.text(max_size=3),
    st.dictionaries(st.text(max_size=3), values, max_size=3),
)


@settings(max_examples=500, deadline=None, derandomize=True)
@given(st.lists(records, max_size=3))
def test_any_json_comes_back_and_every_line_is_plain_json_with_its_checksum(tmp_path_factory, several):
    path = written(tmp_path_factory.getbasetemp() / "any.jsonl", several)
    found = read_journal(path)
    assert (found.records, found.damage) == (several, ())
    assert repr(found.records) == repr(several), "also 1 and 1.0, True and 1, -0.0"
    for line, record in zip(path.read_bytes().split(b"\n")[1:-1], several, strict=True):
        row = json.loads(line)
        assert row.pop("crc32") == f"{zlib.crc32(line[:-20]):08x}"
        assert row == record


@settings(max_examples=500, deadline=None, derandomize=True)
@given(st.text(st.characters(categories=["Cs"]), min_size=1, max_size=3), st.text(max_size=3))
def test_lone_surrogates_are_escaped(tmp_path_factory, lone, text):
    path = written(tmp_path_factory.getbasetemp() / "lone.jsonl", [{"type": "end", "reason": text + lone + "é"}, END])
    found = read_journal(path)
    # Two of them in the right order are one character in JSON.
    merged = (lone + "é").encode("utf-16", "surrogatepass").decode("utf-16", "surrogatepass")
    assert (found.records, found.damage) == ([{"type": "end", "reason": text + merged}, END], ())


@pytest.mark.parametrize(
    ("record", "error"),
    [
        ({"session": 1}, ValueError),
        ({"type": 3}, ValueError),
        ({"type": "end", "crc32": "x"}, ValueError),
        ({"type": "end", "x": float("nan")}, ValueError),
        ({"type": "end", "x": [float("-inf")]}, ValueError),
        ({"type": "end", "x": 10**5000}, ValueError),
        ({"type": "end", "x": {1, 2}}, TypeError),
        ({"type": "profile"}, ValueError),
    ],
)
def test_what_is_no_record_is_a_mistake_of_the_program(tmp_path, record, error):
    with Journal.create(tmp_path / "p.jsonl", HEADER) as journal:
        with pytest.raises(error):
            journal.append(record)
        journal.append(END)
    assert read_journal(tmp_path / "p.jsonl").records == [END]


def test_the_collector_runs_again_after_reading(tmp_path):
    path = written(tmp_path / "p.jsonl")
    read_journal(path)
    assert gc.isenabled()
    with refused("E1201", "does not exist"):
        read_journal(tmp_path / "none.jsonl")
    assert gc.isenabled()


# The first line


@pytest.mark.parametrize(
    ("content", "code", "found"),
    [
        (b"", "E2102", "is empty"),
        (b"\n", "E2102", "is not a profile: it begins with ''"),
        (b"m,n,k,ms\n3,5,7,0.1\n", "E2102", "is not a profile: it begins with 'm,n,k,ms'"),
        (b"\x1f\x8b\x08\x00", "E2102", "compressed by gzip"),
        (b"SQLite format 3\0", "E2102", "an SQLite database"),
        (b"\xff\xfe\x00", "E2102", "begins with"),
        (b"{}\n", "E2102", "is not a profile"),
        (b"17\n", "E2102", "is not a profile"),
        (b"[" * 100_000, "E2102", "is not a profile"),
        (b'{"schema":"perfmodel.trace/1","network":"n"}\n', "E2102", "its schema is 'perfmodel.trace/1'"),
        (b'{"schema":"perfmodel.profile/2"}\n', "E2103", "newer than .* Update perfmodel"),
        (crc_line(b'{"type":"profile","schema":"perfmodel.profile/11"'), "E2103", "newer than .* Update perfmodel"),
        (crc_line(b'{"type":"profile","schema":"perfmodel.profile/0"'), "E2103", "is not what this version reads"),
        (crc_line(b'{"type":"profile","schema":"perfmodel.profile/1"'), "E2104", "has no environment"),
        (crc_line(b'{"type":"visit","schema":"perfmodel.profile/1"'), "E2102", "first record is not a header"),
        (encode(END), "E2102", "is not a profile"),
        (encode(HEADER).replace(b'"sms":7', b'"sms":9'), "E2102", "header is damaged"),
        (encode(HEADER).replace(b"\n", b"\r\n"), "E2102", "header is damaged"),
        (encode(HEADER)[:99], "E2102", "header is damaged"),
        (json.dumps(HEADER).encode() + b"\n", "E2102", "header is damaged"),
        (b"\0" * 4096, "E2102", "is not a profile"),
        (b"x" * 3_000_000, "E2102", "is not a profile"),
    ],
)
def test_a_first_line_that_is_no_header(tmp_path, content, code, found):
    path = tmp_path / "p.jsonl"
    path.write_bytes(content)
    with refused(code, found):
        read_journal(path)
    with refused(code, found):
        Journal.open(path)
    assert path.read_bytes() == content
    assert os.listdir(tmp_path) == ["p.jsonl"]


@pytest.mark.parametrize("change", [{"environment": {"name": "other"}}, {"environment_key": "0" * 64}])
def test_an_environment_that_is_not_the_one_of_its_key(tmp_path, change):
    path = written(tmp_path / "p.jsonl", header=HEADER | change)
    with refused("E2104", "the header was edited"):
        read_journal(path)
    with refused("E2104", "the header was edited"):
        Journal.create(tmp_path / "q.jsonl", HEADER | change)
    assert os.listdir(tmp_path) == ["p.jsonl"]


def test_the_key_of_an_environment_is_that_of_its_canonical_json():
    # printf '{"a":"\\u00b5","b":7}' | sha256sum
    known = "fbc0fada6b0581e81b8690e4a962b8f5bb93aae30582ef16d044692c1bebab52"
    assert environment_key({"b": 7, "a": "µ"}) == known
    assert environment_key({"b": 7.0, "a": "µ"}) != known


def test_joined_files_are_not_taken_for_one(tmp_path):
    path = tmp_path / "p.jsonl"
    path.write_bytes(written(tmp_path / "a.jsonl").read_bytes() * 2)
    with refused("E2102", "second header"):
        read_journal(path)


# Damage


BAD_BODIES = [
    b'{"session":1',
    b'{"type":3',
    b'{"type":null',
    b'{"type":"end","crc32":"00000000"',
    b'{"type":"end","x":NaN',
    b'{"type":"end","x":-Infinity',
    b'{"type":"end","x":' + b"9" * 5000,
    b'{"type":"end","x":' + b"[" * 50_000 + b"]" * 50_000,
    b'{"type":"end","x":"\xff"',
    b'{"type":"end"},{"type":"end"',
    b'{"type":"end"} {"type":"end"',
    b"[3",
    b"3",
    b"",
]


@pytest.mark.parametrize("body", BAD_BODIES)
@pytest.mark.parametrize("before", [0, 3, 63, 64, 65])
def test_a_right_checksum_alone_makes_no_record(tmp_path, body, before):
    path = tmp_path / "p.jsonl"
    intact = [visit(i) for i in range(before)]
    path.write_bytes(b"".join(map(encode, [HEADER, *intact])) + crc_line(body) + encode(END))
    assert read_journal(path).records == [*intact, END]
    assert damage_of(path) == [("W2103", f"{before + 2}:")]


def test_halves_of_records_never_make_one(tmp_path):
    path = tmp_path / "p.jsonl"
    halves = crc_line(b'{"type":"a","x":[{"y":3') + crc_line(b'{"z":5}]')
    path.write_bytes(encode(HEADER) + halves + encode(END))
    assert read_journal(path).records == [END]
    assert damage_of(path) == [("W2103", "2:"), ("W2103", "3:")]


def test_damage_in_the_middle_is_named_and_passed_over(tmp_path):
    path = written(tmp_path / "p.jsonl")
    content = path.read_bytes()
    path.write_bytes(content.replace(b'"kernel":3', b'"kernel":4'))
    start, size = len(encode(HEADER)) + sum(len(encode(visit(i))) for i in range(3)), len(encode(visit(3)))
    assert read_journal(path).records == VISITS[:3] + VISITS[4:]
    problem = read_journal(path).damage[0]
    assert str(problem) == (
        f"W2102 {path}:5: a record of {size} bytes at byte {start} fails its checksum. --resume measures it again."
    )


@pytest.mark.parametrize(
    "junk", [b"\n", b"\0\n", b"17\n", b"null\n", b"}\n", b'"}\n', b"x" * 2_500_000 + b"\n", b',"crc32":"00000001"}\n']
)
def test_other_lines_are_damage(tmp_path, junk):
    path = tmp_path / "p.jsonl"
    path.write_bytes(encode(HEADER) + encode(VISITS[0]) + junk + encode(END))
    assert read_journal(path).records == [VISITS[0], END]
    assert damage_of(path) == [("W2102", "3:")]


@pytest.mark.parametrize("above", [0, 1, 7])
def test_the_longest_line_reads_and_longer_ones_are_refused(tmp_path, above):
    path = tmp_path / "p.jsonl"
    record = {"type": "end", "x": ""}
    record["x"] = "x" * (lines.LONGEST_LINE - len(encode(record)) + above)
    with Journal.create(path, HEADER) as journal:
        if above:
            with pytest.raises(OutputError, match=rf"^E2105 .*{lines.LONGEST_LINE + above} bytes is too long"):
                journal.append(record)
        else:
            journal.append(record)
        journal.append(END)
    assert read_journal(path).records == ([END] if above else [record, END])
    path.write_bytes(encode(HEADER) + encode(record) + encode(END))
    assert damage_of(path) == ([("W2102", "2:")] if above else [])
    assert read_journal(path).records[-1] == END


def test_a_thousand_problems_are_listed_and_the_others_counted(tmp_path):
    path = tmp_path / "p.jsonl"
    path.write_bytes(encode(HEADER) + b"x\n" * 1234 + encode(END))
    found = read_journal(path)
    assert found.records == [END]
    assert len(found.damage) == 1000
    assert found.damage[998].place == f"{path}:1000:"
    assert found.damage[999].found == "235 more lines do not read."


@settings(max_examples=500, deadline=None, derandomize=True)
@given(st.binary(max_size=200))
def test_any_bytes_behind_the_header_stop_nothing(tmp_path_factory, junk):
    path = tmp_path_factory.getbasetemp() / "junk.jsonl"
    path.write_bytes(encode(HEADER) + junk + b"\n" + encode(END))
    found = read_journal(path)
    assert found.records == [END]
    assert found.damage


@settings(max_examples=500, deadline=None, derandomize=True)
@given(st.binary(max_size=200))
def test_any_bytes_are_read_or_refused(tmp_path_factory, junk):
    path = tmp_path_factory.getbasetemp() / "bytes.jsonl"
    path.write_bytes(junk)
    with pytest.raises(InputError, match=r"^E2102"):
        read_journal(path)


def test_a_flipped_bit_is_never_silently_wrong(tmp_path):
    path = written(tmp_path / "p.jsonl")
    content = path.read_bytes()
    known = [json.dumps(record) for record in VISITS]
    for seed in range(1000):
        flipped = bytearray(content)
        at = random.Random(seed).randrange(len(encode(HEADER)), len(content))
        flipped[at] ^= 1 << random.Random(-seed - 1).randrange(8)
        path.write_bytes(flipped)
        found = read_journal(path)
        assert found.damage, at
        left = [json.dumps(record) for record in found.records]
        assert len(left) >= len(known) - 2, "a flip costs its own record, and the next one where a newline is hit"
        assert left == [record for record in known if record in left]


def test_a_flipped_bit_in_the_header_is_an_error(tmp_path):
    path = written(tmp_path / "p.jsonl")
    content = path.read_bytes()
    for bit in range(0, len(encode(HEADER)) * 8, 3):
        flipped = bytearray(content)
        flipped[bit // 8] ^= 1 << bit % 8
        path.write_bytes(flipped)
        with pytest.raises(InputError, match=r"^E210[23] [^\n]*$"):
            read_journal(path)


# Files that are none


def test_only_regular_files_are_read(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    for path, found in ((tmp_path, "folder"), (tmp_path / "pipe", "not a regular"), (os.devnull, "not a regular")):
        with refused("E1202", found):
            read_journal(path)
    for path in (tmp_path, tmp_path / "pipe"):
        for opened in (Journal.open, lambda path: Journal.create(path, HEADER)):
            with pytest.raises(OutputError, match=r"^E1905"):
                opened(path)


def test_a_path_that_the_system_refuses(tmp_path):
    for path in (tmp_path / "a\0b", tmp_path / ("x" * 300)):
        with refused("E1204", "cannot be read"):
            read_journal(path)
        with pytest.raises(OutputError, match=r"^E1906 [^\n]*$"):
            Journal.create(path, HEADER)


def test_a_huge_file_is_refused_before_it_is_read(tmp_path, monkeypatch):
    path = written(tmp_path / "p.jsonl")
    monkeypatch.setattr(reading, "LARGEST_BYTES", path.stat().st_size - 1)
    with refused("E1203", f"holds {path.stat().st_size} bytes"):
        read_journal(path)


def test_a_file_that_exists_is_not_begun_again(tmp_path):
    path = written(tmp_path / "p.jsonl")
    before = path.read_bytes()
    with pytest.raises(OutputError, match=r"^E2101 .*exists already"):
        Journal.create(path, HEADER)
    assert path.read_bytes() == before
    assert os.listdir(tmp_path) == ["p.jsonl"]


def test_a_file_that_does_not_exist_is_not_opened(tmp_path):
    with refused("E1201", "does not exist"):
        Journal.open(tmp_path / "p.jsonl")
    for opened in (Journal.open, lambda path: Journal.create(path, HEADER)):
        with pytest.raises(OutputError, match=r"^E1901 .*there is no folder"):
            opened(tmp_path / "none" / "p.jsonl")
    assert os.listdir(tmp_path) == []


def test_links_are_not_followed(tmp_path):
    written(tmp_path / "real.jsonl")
    (tmp_path / "link.jsonl").symlink_to(tmp_path / "real.jsonl")
    (tmp_path / "dangling.jsonl").symlink_to(tmp_path / "none")
    for name in ("link.jsonl", "dangling.jsonl"):
        for opened in (Journal.open, lambda path: Journal.create(path, HEADER)):
            with pytest.raises(OutputError, match=r"^E1902"):
                opened(tmp_path / name)
    assert not (tmp_path / "none").exists()
