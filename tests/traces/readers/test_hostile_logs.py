"""Files that are no logs, or logs that somebody broke on purpose: a trace, or one error with a code; nothing else."""

import bz2
import gzip
import io
import json
import lzma
import os
import pickle
import socket
import stat
import subprocess
import sys
import zipfile
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given as with_given
from hypothesis import settings
from hypothesis import strategies as st

from perfmodel.errors import InputError
from perfmodel.report.render import render
from perfmodel.report.trace import trace_tables
from perfmodel.traces.logs import Given, read_log
from perfmodel.traces.logs.read import all_readers

LOGS = Path(__file__).parents[2] / "data" / "logs"
RUN = Given(network="resnet20", dataset="cifar10", samples=12, batch=5, bits="dfx")
TABLE = b"epoch,precision,loss\n0,8,1.5\n1,8,0.5\n"
OF_PEOPLE = ("README.md", "VERSIONS.json")
SEEDS = sorted(path for path in LOGS.rglob("*") if path.is_file() and path.name not in OF_PEOPLE)
READERS = sorted(all_readers())


def refused(path: Path, **said) -> str:
    """The one problem with a file, which is fit for a terminal."""
    with pytest.raises(InputError) as found:
        read_log(path, Given(**({"network": "resnet20", "dataset": "cifar10", "bits": "dfx"} | said)))
    (problem,) = found.value.problems
    assert str(problem).isprintable()
    assert len(str(problem)) < 1000
    return str(problem)


@pytest.fixture
def log(tmp_path):
    """`log(data)`: a file of this content."""

    def write(data: bytes, name: str = "x.log") -> Path:
        (tmp_path / name).write_bytes(data)
        return tmp_path / name

    return write


def checkpoint() -> bytes:
    """A file as `torch.save` writes it."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("model/data.pkl", b"\x80\x02}.")
    return file.getvalue()


NEVER_OPENED = {
    "is a pickle: never opened": [pickle.dumps({"a": 1}, protocol) for protocol in (2, 3, 4, 5)],
    "is a zip archive": [checkpoint()],
    "is compressed (gzip)": [gzip.compress(TABLE)],
    "is compressed (bzip2)": [bz2.compress(TABLE)],
    "is compressed (xz)": [lzma.compress(TABLE)],
    "is compressed (Zstandard)": [b"\x28\xb5\x2f\xfd\x04\x00aaaa"],
    "is a run of Weights & Biases": [b":W&B\xce", (LOGS / "written/wandb_offline/run-toy.wandb").read_bytes()],
}  # fmt: skip


@pytest.mark.parametrize("name", [None, *READERS])
@pytest.mark.parametrize("what", NEVER_OPENED)
def test_what_is_never_opened_is_told_by_its_first_bytes_whatever_the_format_asked_for(log, what, name):
    for data in NEVER_OPENED[what]:
        assert refused(log(data), reader=name).startswith(f"E1325 {log(data)}: {what}")


UNKNOWN = {
    "elf": b"\x7fELF\x02\x01\x01" + bytes(9) + b"abc",
    "png": b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR",
    "pdf": b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n1 0 obj",
    "hdf5": b"\x89HDF\r\n\x1a\n" + bytes(64),
    "parquet": b"PAR1\x15\x04",
    "numpy": b"\x93NUMPY\x01\0v\0{'descr'",
    "safetensors": b"\x10\0\0\0\0\0\0\0" + b'{"a":{}}        ',
    "tar": b"a.csv" + bytes(95) + b"0000644\0" * 3 + bytes(300),
    "pickle, protocol 0": pickle.dumps({"a": 1}, 0),
    "pickle, protocol 1": pickle.dumps({"a": 1}, 1),
    "one byte": b"x",
    "more newlines than are looked at": b"\n" * 100_000,
    "a brace": b"{",
    "a bracket": b"[",
    "a quote": b'"',
    "a NUL": b"\0",
    "NULs": bytes(4096),
    "half a character": b"\xff\xfe\n",
    "a long line": b"a" * (2**20 + 5),
    "brackets": b"[" * 200_000,
}


EMPTY = {
    "nothing": b"",
    "mark of UTF-8": b"\xef\xbb\xbf",
    "mark of UTF-16": b"\xff\xfe",
    "newlines": b"\n" * 50_000,
    "carriage returns": b"\r" * 50_000,
    "blanks": b" \t\n" * 1000,
}


@pytest.mark.parametrize("what", EMPTY)
def test_what_is_empty(log, what):
    path = log(EMPTY[what])
    assert refused(path).startswith(f"E1324 {path}: is empty.")


@pytest.mark.parametrize("what", UNKNOWN)
def test_what_no_reader_knows(log, what):
    path = log(UNKNOWN[what])
    found = refused(path)
    assert found.startswith(f"E1324 {path}:1: ")
    assert "begins no log that is known. Name the format with --log-format; known: trace, " in found


@pytest.mark.parametrize("name", READERS)
@pytest.mark.parametrize("what", [*UNKNOWN, *EMPTY])
def test_no_reader_makes_a_trace_of_them(log, what, name):
    path = log({**UNKNOWN, **EMPTY}[what])
    with pytest.raises(InputError) as found:
        read_log(path, Given(network="resnet20", dataset="cifar10", precision="fp16", samples=12, batch=5, reader=name))
    assert all(str(problem).isprintable() for problem in found.value.problems)


def test_a_fifo_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "fifo")
    assert refused(tmp_path / "fifo").startswith(f"E1202 {tmp_path}/fifo is not a regular file.")


@pytest.mark.parametrize("path", ["/dev/zero", "/dev/null", "/dev/urandom"])
def test_devices(path):
    assert refused(Path(path)).startswith(f"E1202 {path} is not a regular file.")


def test_a_socket(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # names of sockets are short
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind("s")
        assert refused(Path("s")).startswith("E1204 s cannot be read: ")


def test_links_are_read_as_what_they_point_to(tmp_path, log):
    log(TABLE, "real.csv")
    (tmp_path / "to").symlink_to("real.csv")
    assert read_log(tmp_path / "to", RUN).epochs == 2
    (tmp_path / "loop").symlink_to("loop")
    assert refused(tmp_path / "loop").startswith(f"E1204 {tmp_path}/loop cannot be read: ")
    (tmp_path / "gone").symlink_to("nothing")
    assert refused(tmp_path / "gone").startswith(f"E1201 {tmp_path}/gone does not exist.")
    (tmp_path / "zero").symlink_to("/dev/zero")
    assert refused(tmp_path / "zero").startswith(f"E1202 {tmp_path}/zero is not a regular file.")


def test_a_folder_of_what_is_no_file(tmp_path):
    for name in ("metrics.csv", "log.csv"):
        (tmp_path / name).mkdir()
    os.mkfifo(tmp_path / "events.out.tfevents.1")
    (tmp_path / "mlflow.db").symlink_to("mlflow.db")
    assert refused(tmp_path).startswith(f"E1324 {tmp_path} is a folder without a log that is known.")


def test_companions_that_are_no_files_are_not_opened(tmp_path, log):
    os.mkfifo(tmp_path / "hparams.yaml")
    path = log((LOGS / "samples/lightning/csv/metrics.csv").read_bytes(), "metrics.csv")
    said = Given(network="resnet20", dataset="cifar10", precision="fp16", samples=32, batch=4)
    assert "with" not in read_log(path, said).source


@pytest.mark.parametrize("name", ["a\x1b[31m.csv", "a\nb.csv", "a\u202eb.csv", "=1.csv"])
def test_names_of_files(log, name):
    path = log(b"epoch,precision\n0,what\n", name)
    assert refused(path).startswith("E1322 ")
    path.write_bytes(TABLE)
    assert read_log(path, RUN).source["path"].isprintable()


def test_a_name_of_a_file_that_is_not_utf_8(log):
    found = read_log(log(TABLE, os.fsdecode(b"a\xff.csv")), RUN)
    assert found.source["path"] == "a\\udcff.csv"


def test_names_that_there_cannot_be(tmp_path):
    assert refused(tmp_path / "a\0b").startswith("E1204 ")
    assert refused(tmp_path / ("a" * 300)).startswith("E1204 ")


@pytest.mark.parametrize(
    ("data", "start"),
    [
        (b"epoch,precision,loss\n0,8," + b"1" * (2**20 + 5), "E1313 {}:2: more than 1048576 characters."),
        (b"epoch,precision,loss\n0,8,\0\n", "E1205 {}:2:5 a NUL byte."),
        (b"epoch,precision,loss\n0,8,\xff\n", "E1205 {}: byte 25: is not UTF-8."),
        (b"epoch,precision," + b"a" * 1001 + b"\n0,8,1\n", "E1328 {}:2: more than 1000 names, or one of more"),
        (b'epoch,precision,loss\n0,8,"' + b"\n" * 200_000, "E1208 {}:131074: is not readable as CSV: field larger"),
        (b'epoch,precision,loss\n0,8,1\n1,8,"\n', "E1208 {}:3: is not readable as CSV: unexpected end of data."),
        (b"epoch,precision,loss\n" + b"9" * 5000 + b",8,1\n", "E1207 {}:2:1 column 'epoch': '999"),
        ("epoch,precision,loss\n１,8,1\n".encode(), "E1207 {}:2:1 column 'epoch': '１' is not a number."),
        (b"epoch,precision,loss\n1_0,8,1\n", "E1207 {}:2:1 column 'epoch': '1_0' is not a number."),
        (b"epoch,precision,loss\n1e999,8,1\n", "E1207 {}:2:1 column 'epoch': '1e999' is too large."),
        (b"epoch,precision,loss\n1000001,8,1\n", "E1207 {}:2: 'epoch': 1000001.0 is not an epoch from 0 to 1000000."),
        (b"epoch,precision,loss\n-1,8,1\n", "E1207 {}:2: 'epoch': -1.0 is not an epoch"),
        (b'{"epoch":0,"precision":8,"a":' + b"[" * 200_000 + b"\n", "E1301 {}:1:1 is nested more than 64 levels deep."),
        (b'{"epoch":0,"precision":8,"a":' + b'{"a":' * 70 + b"1" + b"}" * 71 + b"\n", "E1301 {}:1:1 is nested more"),
        (b'{"epoch":' + b"9" * 5000 + b',"precision":8}\n', "E1207 {}:1:1 '999"),
        (b'{"epoch":0,"epoch":1,"precision":8}\n', "E1302 {}:1:1 the key 'epoch' occurs twice."),
        (b'{"epoch":0,"precision":8,"\\ud800":1}\n', "E1306 {}: metrics: '\\ud800' is not a text in Unicode."),
    ],
)  # fmt: skip
def test_what_is_told_of(log, data, start):
    path = log(data)
    assert refused(path, samples=12, batch=5).startswith(start.format(path))


def test_a_hundred_thousand_columns(log):
    head = b"epoch,precision," + b",".join(b"c%d" % i for i in range(100_000))
    path = log(head + b"\n0,8" + b",1" * 100_000 + b"\n")
    assert refused(path).startswith(f"E1209 {path}:1: has 100002 columns; at most 1000 are read.")
    keys = ",".join(f'"c{i}":1' for i in range(60_000))
    path = log(f'{{"epoch":0,"precision":8,{keys}}}\n'.encode())
    assert refused(path).startswith(f"E1328 {path}:1: more than 1000 names")


TERMINAL = "\x1b]0;owned\x07loss"
BIDI = "loss\u202etxt.exe"


def test_names_with_controls_of_terminals_stand_in_traces_and_are_escaped_for_people(log):
    path = log(f"epoch,precision,{TERMINAL},{BIDI}\n0,8,1,2\n1,8,nan,inf\n".encode())
    trace = read_log(path, RUN)
    assert trace.segments[0].metrics == {TERMINAL: 1.0, BIDI: 2.0}
    said = " ".join(trace.corrections)
    assert said.isprintable()
    assert "'\\x1b]0;owned\\x07loss' is not a finite number" in said
    assert "'loss\\u202etxt.exe' is not a finite number" in said
    for suffix in (".txt", ".md", ".tex", ".csv"):
        shown = render(trace_tables("x.log", trace, suffix), suffix)
        assert all(line.isprintable() for line in shown.splitlines()), suffix


def test_texts_with_controls_are_quoted(log):
    found = refused(log("epoch,precision\n0,\x1b[31m8\u202e\n".encode()), samples=12, batch=5)
    assert "'\\x1b[31m8\\u202e' is no format." in found


def test_formulas_in_names_do_not_run_in_a_spreadsheet(log):
    trace = read_log(log(b"epoch,precision,=1+1,+a,-b,@c,=cmd|' /C calc'!A0\n0,8,1,-2,3,4,5\n"), RUN)
    header, row = render(trace_tables("=x", trace, ".csv"), ".csv").splitlines()
    assert header.split(",")[-5:] == ["'=1+1", "'+a", "'-b", "'@c", "'=cmd|' /C calc'!A0"]
    assert row.split(",")[-5:] == ["1.0", "-2.0", "3.0", "4.0", "5.0"]


# -- every reader and every sample ------------------------------------------------------------------------------------

SAID = st.builds(
    Given,
    network=st.just("resnet20"), dataset=st.just("cifar10"), samples=st.sampled_from([None, 12, 256]),
    batch=st.sampled_from([None, 5, 64]), precision=st.sampled_from([None, "fp16"]),
    bits=st.sampled_from([None, "dfx", "int", "fp"]), step_is=st.sampled_from([None, "epoch", "iteration"]),
    epoch_is=st.sampled_from([None, "index", "progress"]), on_duplicate=st.sampled_from(["error", "last", "first"]),
    decimal=st.sampled_from(["point", "point", "comma"]),
    keys=st.sampled_from([{}, {}, {"step": "loss"}, {"epoch": "step"}, {"lr": "epoch"}]),
    formats=st.sampled_from([{}, {}, {"8": "fp8_e4m3"}]), reader=st.sampled_from([None, None, None, *READERS]),
)  # fmt: skip


@pytest.mark.parametrize("name", READERS)
def test_a_reader_of_another_format_gives_a_trace_or_an_error(reads, name):
    for path in SEEDS:
        for precision in (None, "fp16"):
            reads(path.read_bytes(), path.name, replace(RUN, precision=precision, reader=name), beside(path))


def beside(path: Path) -> dict[str, bytes]:
    """The contents of the other files in a sample's folder."""
    return {one.name: one.read_bytes() for one in path.parent.iterdir() if one.is_file() and one != path}


@pytest.mark.parametrize("examples", [500, pytest.param(20_000, marks=pytest.mark.nightly)])
def test_whatever_is_broken_and_joined_is_a_trace_or_an_error(reads, mutations, examples):
    @st.composite
    def files(draw):
        path, other = draw(st.sampled_from(SEEDS)), draw(st.sampled_from([None, *SEEDS]))
        data = path.read_bytes()
        if other is not None:
            second = other.read_bytes()
            cut, begin = draw(st.integers(0, len(data))), draw(st.integers(0, len(second)))
            data = data[:cut] + second[begin:]
        changed = draw(mutations(data))
        return path.name, changed, beside(path) if draw(st.booleans()) else {}

    @settings(max_examples=examples, deadline=None)
    @with_given(files(), SAID)
    def check(file, said):
        name, data, companions = file
        reads(data, name, said, companions)

    check()


# -- what reading touches ---------------------------------------------------------------------------------------------

AUDIT = r"""
import difflib, encodings.utf_16_be, encodings.utf_16_le, json, os, random, sys
from pathlib import Path
from perfmodel.errors import PerfModelError
from perfmodel.traces import format_trace
from perfmodel.traces.logs import Given, read_log
from perfmodel.traces.logs.read import all_readers

logs, work = Path(sys.argv[1]), Path(sys.argv[2])
known = [None, *all_readers()]
folders = sorted({path.parent for path in logs.rglob("*") if path.is_file()})
watched, seen, within = False, [], ""
QUIET = ("object.", "sys._getframe", "code.__new__", "builtins.id", "gc.", "array.__new__", "time.sleep", "sqlite3.")

def hook(event, arguments):
    if not watched or event.startswith(QUIET) and event != "sqlite3.enable_load_extension":
        return
    if event in ("open", "os.listdir", "os.scandir", "os.walk", "sqlite3.connect"):
        path = os.path.realpath(os.fsdecode(arguments[0]))
        writes = event == "open" and (
            bool(set("wax+") & set(arguments[1] or "")) or arguments[2] & (os.O_WRONLY | os.O_RDWR)
        )
        if (path + "/").startswith(within + "/") and not writes:
            return
    seen.append([event, repr(arguments)[:200], within])

def attempt(path, said):
    global watched, within
    within = os.path.realpath(path if path.is_dir() else path.parent)
    watched = True
    try:
        format_trace(read_log(path, said))
        return 1
    except PerfModelError:
        return 0
    finally:
        watched = False

def said(reader, precision):
    return Given(network="resnet20", dataset="cifar10", samples=12, batch=5, bits="dfx", step_is="epoch", reader=reader,
                 precision=precision)

def broken(rng, data):
    at, to = sorted(rng.randrange(len(data) + 1) for _ in range(2))
    return rng.choice([data[:at], data[:at] + data[to:], data[:at] + bytes([rng.randrange(256)]) + data[at + 1:],
                       data + data[at:to], b"\xff\xfe" + data, data.replace(b",", b";"), data.replace(b"0", b"nan", 3)])

def state():
    found = {}
    for root, _, names in os.walk(logs):
        for name in names:
            status = os.stat(os.path.join(root, name))
            found[os.path.join(root, name)] = (status.st_size, status.st_mtime_ns, status.st_mode)
    return found

def everything():
    traces = 0
    for folder in folders:
        traces += attempt(folder, said(None, None))
        for path in sorted(folder.iterdir()):
            for reader in known if path.is_file() else ():
                traces += attempt(path, said(reader, None)) + attempt(path, said(reader, "fp16"))
    return traces

def mutants(count):
    rng, traces = random.Random(7), 0
    for _ in range(count):
        path = rng.choice([path for folder in folders for path in sorted(folder.iterdir()) if path.is_file()])
        (work / path.name).write_bytes(broken(rng, path.read_bytes()))
        traces += attempt(work / path.name, said(rng.choice([None, rng.choice(known)]), rng.choice([None, "fp16"])))
        (work / path.name).unlink()
    return traces

before = state()
everything(), mutants(100)  # import what is imported late
sys.addaudithook(hook)
counts = [everything(), mutants(400)]
probe = len(seen)
watched, within = True, str(work)
open(os.devnull).close()  # the hook sees what it should
watched = False
print(json.dumps({"seen": seen[:probe][:20], "probed": [one[0] for one in seen[probe:]], "traces": counts,
                  "same": before == state(), "left": os.listdir(work)}))
"""


def test_reading_touches_nothing_but_the_log(tmp_path):
    work = tmp_path / "work"
    work.mkdir()
    command = [sys.executable, "-c", AUDIT, str(LOGS), str(work)]
    done = subprocess.run(command, check=True, capture_output=True, text=True, cwd=tmp_path, timeout=600)
    found = json.loads(done.stdout)
    assert found["seen"] == []
    assert found["probed"] == ["open"]
    assert min(found["traces"]) > 20
    assert (found["same"], found["left"], sorted(os.listdir(tmp_path))) == (True, [], ["work"])


def test_a_store_that_cannot_be_written_is_read(tmp_path):
    store = tmp_path / "mlflow.db"
    store.write_bytes((LOGS / "written/mlflow/mlflow.db").read_bytes())
    store.chmod(stat.S_IRUSR)
    tmp_path.chmod(stat.S_IRUSR | stat.S_IXUSR)
    try:
        said = Given(network="resnet20", dataset="cifar10", samples=54, batch=8, bits="dfx", step_is="epoch")
        assert read_log(store, said).epochs > 0
        assert os.listdir(tmp_path) == ["mlflow.db"]
    finally:
        tmp_path.chmod(stat.S_IRWXU)
