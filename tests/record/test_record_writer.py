"""The recorder's file: what is on it when, byte for byte, and what is refused."""

import contextlib
import math
import multiprocessing
import os
import subprocess
import sys
import tempfile
import warnings
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from perfmodel.errors import InputError, OutputError, PerfModelError, UnknownName
from perfmodel.formats import FORMATS
from perfmodel.record import TraceWriter, tracefile
from perfmodel.record import lock as locking
from perfmodel.traces import PassPrecision, Segment, Trace, format_trace, parse_trace, read_trace, write_trace

RUN = {"network": "net", "dataset": "toy", "scheme": "muppet", "samples": 95, "batch": 10}  # 10 iterations an epoch
HEADER = (
    '{"schema":"perfmodel.trace/1","network":"net","dataset":"toy","scheme":"muppet","samples":95,"batch":10,'
    '"source":{"by":"hand"}}\n'
)


def line(epoch, iterations, name, rest=""):
    passes = f'{{"fprop":"{name}","dgrad":"{name}","wgrad":"{name}"}}'
    return f'{{"epoch":{epoch},"iterations":{iterations},"precision":{passes}{rest}}}\n'


def recorder(path, **more):
    return TraceWriter(path, **(RUN | {"source": {"by": "hand"}} | more))


@pytest.fixture
def path(tmp_path):
    return tmp_path / "t.jsonl"


def count(log, epoch, iterations, name, **more):
    for _ in range(iterations):
        log.iteration(epoch, name, **more)


def codes(error):
    return [problem.code for problem in error.value.problems]


# What is on file when


def test_a_run_by_hand(path):
    with recorder(path) as log:
        assert path.read_text() == HEADER
        count(log, 0, 4, "dfx8", lr=0.5)
        assert path.read_text() == HEADER
        count(log, 0, 6, "fp32", lr=0.25)
        first = HEADER + line(0, 4, "dfx8", ',"lr":0.5')
        assert path.read_text() == first
        log.end_epoch({"top1": 31.2}, gradient_diversity={"mean": 0.3})
        first += line(0, 6, "fp32", ',"lr":0.25,"gd":{"mean":0.3},"metrics":{"top1":31.2}')
        assert path.read_text() == first
        log.segment(1, 7, {"fprop": "dfx8", "dgrad": "dfx12", "wgrad": "dfx12"}, layers={"fc": "fp32"})
        first += '{"epoch":1,"iterations":7,"precision":{"fprop":"dfx8","dgrad":"dfx12","wgrad":"dfx12"},'
        first += '"layers":{"fc":"fp32"}}\n'
        assert path.read_text() == first
        count(log, 2, 3, PassPrecision.same("fp16", "fp32"))
    whole = '{"fprop":"fp16","dgrad":"fp16","wgrad":"fp16","master":"fp32"}'
    assert path.read_text() == first + f'{{"epoch":2,"iterations":3,"precision":{whole}}}\n'
    assert format_trace(read_trace(path)) == path.read_text()


def test_at_most_flush_every_iterations_are_not_on_file(path):
    with recorder(path, flush_every=3) as log:
        count(log, 0, 3, "fp32", metrics={"loss": 2})
        assert path.read_text() == HEADER  # what ends the epoch must still find its segment
        log.iteration(0, "fp32", metrics={"loss": 1.5})
        assert path.read_text() == HEADER + line(0, 3, "fp32", ',"metrics":{"loss":2}')
        log.flush()
        log.flush()
        assert path.read_text() == HEADER + line(0, 3, "fp32", ',"metrics":{"loss":2}') + line(
            0, 1, "fp32", ',"metrics":{"loss":1.5}'
        )


def test_the_source_says_the_recorder_where_nobody_else_does(path):
    with TraceWriter(path, **RUN, title="a", notes="b", baseline_epochs=7, scheme_params={"ladder": ["dfx8"]}) as log:
        log.segment(0, 1, "fp32")
    trace = read_trace(path)
    assert trace.source["reader"] == "perfmodel.record"
    assert (trace.title, trace.notes, trace.baseline_epochs) == ("a", "b", 7)
    assert trace.scheme_params == {"ladder": ["dfx8"]}


def test_values_that_come_after_their_segment_was_written(path):
    with recorder(path) as log:
        log.note({"lost": 1})  # there is no segment yet
        count(log, 0, 2, "fp32", lr=0.5, metrics={"loss": 123.25})
        log.flush()
        log.end_epoch({"top1": 31.2}, lr=0.25, gradient_diversity={"mean": 2})
        want = line(0, 2, "fp32", ',"lr":0.25,"gd":{"mean":2},"metrics":{"loss":123.25,"top1":31.2}')
        assert path.read_text() == HEADER + want
        log.note({"loss": 1, "top1": 2})  # a shorter line than before
        want = line(0, 2, "fp32", ',"lr":0.25,"gd":{"mean":2},"metrics":{"loss":1,"top1":2}')
        assert path.read_text() == HEADER + want
        log.note({"loss": math.nan})
        assert path.read_text() == HEADER + want


def test_late_values_at_every_place_of_a_page(path):
    with recorder(path) as log:
        want = HEADER
        for epoch in range(150):
            log.segment(epoch, 2, "fp32", metrics={"loss": 1})
            log.note({"top1": epoch})
            want += line(epoch, 2, "fp32", f',"metrics":{{"loss":1,"top1":{epoch}}}')
            assert path.read_text() == want
    assert len(want) > 4 * tracefile.PAGE_BYTES


def test_a_late_value_is_written_even_where_the_file_was_renamed(path):
    with recorder(path) as log:
        log.segment(0, 2, "fp32")
        path.rename(path.with_name("moved"))
        path.write_text("another")
        log.note({"top1": 31.2})
    assert path.read_text() == "another"
    assert path.with_name("moved").read_text() == HEADER + line(0, 2, "fp32", ',"metrics":{"top1":31.2}')


# What is left out, what is refused


class Tensor:
    """Like a tensor of one element, or of many."""

    def __init__(self, *values):
        self.values = values

    def item(self):
        if len(self.values) > 1:
            raise RuntimeError("a Tensor with 2 elements cannot be converted to Scalar")
        return self.values[0]


def test_no_metric_ends_a_training_run(path):
    metrics = {
        "nan": math.nan, "inf": -math.inf, "text": "1", "none": None, "yes": True, "many": Tensor(1, 2), "list": [1],
        "": 3, 7: 3, "\ud800": 3, "huge": 10**400, "one": Tensor(1.5), "bad": Tensor(math.nan), "good": 2,
    }  # fmt: skip
    with recorder(path) as log:
        for lr in (math.nan, 0.0, "a", None, Tensor(0.5), -1, math.inf):
            log.iteration(0, "fp32", lr=lr, metrics=metrics)
        log.end_epoch(metrics, lr=math.nan, gradient_diversity=metrics)
        log.segment(1, 2, "fp32", math.nan, metrics, metrics)
    values = '{"one":1.5,"good":2}'
    assert path.read_text() == HEADER + line(0, 7, "fp32", f',"lr":0.5,"gd":{values},"metrics":{values}') + line(
        1, 2, "fp32", f',"gd":{values},"metrics":{values}'
    )


def test_metrics_too_long_for_a_line_are_left_out(path):
    with recorder(path) as log:
        log.segment(0, 2, "fp32", metrics={"x" * 2**20: 1})
        with pytest.raises(OutputError, match="E1907"):
            log.segment(1, 2, "fp32", layers={"x" * 2**20: "fp32"})
    assert path.read_text() == HEADER + line(0, 2, "fp32")


@pytest.mark.parametrize(
    ("arguments", "kind", "code"),
    [
        ((0, "fp33"), UnknownName, "E1004"),
        ((0, 16), InputError, "E1306"),
        ((0, ["fp16"]), InputError, "E1306"),
        ((0, {"fprop": "fp16"}), InputError, "E1304"),
        ((-1, "fp32"), InputError, "E1307"),
        ((0.5, "fp32"), InputError, "E1306"),
        ((0, "fp32", 0.1, 7), InputError, "E1306"),
    ],
)
def test_what_is_wrong_fails_at_the_first_call(path, arguments, kind, code):
    with recorder(path) as log, pytest.raises(kind) as error:
        log.iteration(*arguments)
    assert codes(error)[0] == code


def test_a_wrong_format_is_named_with_the_nearest(path):
    with recorder(path) as log, pytest.raises(UnknownName, match=r"E1004 precision: format 'bf17' .*bf16"):
        log.iteration(0, "bf17")


def test_a_wrong_segment_is_not_written(path):
    with recorder(path) as log:
        log.segment(3, 6, "fp32")
        for epoch, iterations, layers, code in [
            (2, 1, None, "E1309"),
            (3, 5, None, "E1311"),
            (4, 11, None, "E1311"),
            (4, 0, None, "E1307"),
            (4, 1, {"fc": "fp33"}, "E1004"),
        ]:
            with pytest.raises(PerfModelError) as error:
                log.segment(epoch, iterations, "fp32", layers=layers)
            assert codes(error) == [code]
    assert path.read_text() == HEADER + line(3, 6, "fp32")


def test_an_epoch_that_goes_back_is_refused_with_the_way_out(path):
    with recorder(path) as log:
        log.iteration(3, "fp32")
        with pytest.raises(InputError, match=r"E1309 .*epoch 2 follows epoch 3. Call resume_at\(2\)"):
            log.iteration(2, "fp32")


def test_iterations_that_samples_and_batch_do_not_allow_are_not_recorded(path):
    with recorder(path, flush_every=4) as log:
        with pytest.warns(UserWarning, match="E1311 .*epoch 0 has more iterations than the 10") as caught:
            count(log, 0, 25, "fp32")
        log.end_epoch({"top1": 31.2})
        with warnings.catch_warnings():
            warnings.simplefilter("error")  # once is enough
            count(log, 1, 11, "fp32")
    assert len(caught) == 1
    assert path.read_text() == HEADER + line(0, 4, "fp32") * 2 + line(0, 2, "fp32", ',"metrics":{"top1":31.2}') + line(
        1, 4, "fp32"
    ) * 2 + line(1, 2, "fp32")


def test_the_values_of_iterations_that_are_not_recorded_are_kept(path):
    with recorder(path, flush_every=5) as log:
        count(log, 0, 10, "fp32", metrics={"loss": 2})
        with pytest.warns(UserWarning, match="E1311"):
            log.iteration(0, "fp32", metrics={"loss": 1})
        log.end_epoch({"top1": 31.2})
    first, second = (line(0, 5, "fp32", f',"metrics":{{{values}}}') for values in ('"loss":2', '"loss":1,"top1":31.2'))
    assert path.read_text() == HEADER + first + second


def test_all_wrong_values_of_the_header_are_named_and_no_file_is_made(path):
    with pytest.raises(InputError) as error:
        recorder(path, samples=0, batch="10", network=" ", source={})
    assert codes(error) == ["E1306", "E1307", "E1306", "E1304"]
    with pytest.raises(InputError, match="flush_every"):
        recorder(path, flush_every=0)
    assert not path.exists()


def test_nothing_is_written_after_close(path):
    log = recorder(path)
    log.close()
    log.close()
    with pytest.raises(ValueError, match="is closed"):
        log.iteration(0, "fp32")
    with pytest.raises(ValueError, match="is closed"):
        log.segment(0, 1, "fp32")


def test_an_error_in_training_loses_no_iteration(path):
    with contextlib.suppress(KeyboardInterrupt), recorder(path) as log:
        count(log, 0, 3, "fp32")
        raise KeyboardInterrupt
    assert path.read_text() == HEADER + line(0, 3, "fp32")


# Where it is written


def test_a_file_is_never_overwritten(path):
    path.write_text("precious")
    with pytest.raises(OutputError, match=r"E1345 .*t.jsonl: exists already. Pass resume=True"):
        recorder(path)
    assert path.read_text() == "precious"


@pytest.mark.parametrize(
    ("name", "code"), [("", "E1905"), ("no/such/folder.jsonl", "E1901"), ("nul\0.jsonl", "E1906"), ("x" * 300, "E1906")]
)
@pytest.mark.parametrize("resume", [False, True])
def test_where_nothing_can_be_written(tmp_path, name, code, resume):
    with pytest.raises(OutputError, match=code):
        recorder(tmp_path / name, resume=resume)
    assert os.listdir(tmp_path) == []


def test_a_link_is_not_written_through(tmp_path):
    (tmp_path / "target").write_text(HEADER)
    (tmp_path / "link").symlink_to(tmp_path / "target")
    with pytest.raises(OutputError, match="E1902"):
        recorder(tmp_path / "link", resume=True)


def test_one_recorder_for_a_file(path):
    with recorder(path) as log:
        with pytest.raises(OutputError, match=r"E1347 .*another recorder is writing to it"):
            recorder(path, resume=True)
        log.segment(0, 1, "fp32")
    recorder(path, resume=True).close()
    assert path.read_text() == HEADER + line(0, 1, "fp32")
    assert os.listdir(path.parent) == ["t.jsonl"]


def test_another_process_holds_the_file(path):
    code = (
        "import sys\nfrom perfmodel.record import TraceWriter\n"
        f"log = TraceWriter(sys.argv[1], **{RUN!r})\nprint('ready', flush=True)\nsys.stdin.read()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as other:
        other.stdout.readline()
        with pytest.raises(OutputError, match="E1347"):
            recorder(path, resume=True)
        other.kill()
    TraceWriter(path, **RUN, resume=True).close()


def test_without_locks_of_the_system(path, monkeypatch):
    monkeypatch.setattr(locking, "fcntl", None)
    with recorder(path) as log:
        log.segment(0, 1, "fp32")
    assert path.read_text() == HEADER + line(0, 1, "fp32")


def test_the_lock_of_windows(path, monkeypatch):
    held = []

    class Msvcrt:
        LK_NBLCK = 3

        @staticmethod
        def locking(file, mode, length):
            if held:
                raise PermissionError(13, "Permission denied")
            held.append((os.lseek(file, 0, os.SEEK_CUR), mode, length))

    monkeypatch.setattr(locking, "fcntl", None)
    monkeypatch.setattr(locking, "msvcrt", Msvcrt)
    with recorder(path) as log:
        log.segment(0, 1, "fp32")
        with pytest.raises(OutputError, match="E1347"):
            recorder(path, resume=True)
    assert held == [(2**30, 3, 1)]
    assert path.read_text() == HEADER + line(0, 1, "fp32")


def test_a_file_system_without_locks(path, monkeypatch):
    class Fcntl:
        LOCK_EX, LOCK_NB, LOCK_UN = 2, 4, 8

        @staticmethod
        def flock(*_):
            raise OSError(37, "No locks available")

    monkeypatch.setattr(locking, "fcntl", Fcntl)
    with recorder(path) as log:
        log.segment(0, 1, "fp32")
    assert path.read_text() == HEADER + line(0, 1, "fp32")


def _in_worker(log):
    log.iteration(0, "fp32")
    log.segment(5, 1, "fp32")
    log.end_epoch({"loss": 1})
    log.flush()
    log.resume_at(0)
    log.close()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork")
def test_a_forked_worker_writes_nothing_and_keeps_the_lock(path):
    with recorder(path) as log:
        count(log, 0, 3, "fp32")
        worker = multiprocessing.get_context("fork").Process(target=_in_worker, args=(log,))
        worker.start()
        worker.join()
        assert worker.exitcode == 0
        assert path.read_text() == HEADER
        with pytest.raises(OutputError, match="E1347"):
            recorder(path, resume=True)
        log.iteration(0, "fp32")
    assert path.read_text() == HEADER + line(0, 4, "fp32")


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork")
def test_a_worker_that_is_still_there_does_not_keep_the_lock(path):
    context = multiprocessing.get_context("fork")
    end = context.Event()
    with recorder(path) as log:
        worker = context.Process(target=end.wait)
        worker.start()
        log.segment(0, 1, "fp32")
    try:
        recorder(path, resume=True).close()
    finally:
        end.set()
        worker.join()


# Full disk

LIMITED = """
import resource, sys
from perfmodel.errors import OutputError
from perfmodel.record import TraceWriter
run = {"network": "net", "dataset": "toy", "scheme": "muppet", "samples": 95, "batch": 10}
log = TraceWriter(sys.argv[1], **run, source={"by": "hand"})
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[2]), resource.RLIM_INFINITY))
try:
    log.segment(0, 4, "fp32")
    log.note({"loss": 1.5})
    log.segment(0, 6, "fp32")
    log.close()
except OutputError as error:
    print(error)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="no limits")
def test_a_full_disk_never_leaves_half_a_line(path):
    first, second = line(0, 4, "fp32", ',"metrics":{"loss":1.5}'), line(0, 6, "fp32")
    bare = line(0, 4, "fp32")
    whole = [HEADER, HEADER + bare, HEADER + first, HEADER + first + second]
    for room in (3, len(bare) - 1, len(bare), len(first) - 1, len(first), len(first) + 5, len(first + second)):
        path.unlink(missing_ok=True)
        out = subprocess.run(
            [sys.executable, "-c", LIMITED, str(path), str(len(HEADER) + room)], capture_output=True, text=True
        )
        assert out.stderr == ""
        written = max((text for text in whole if len(text) <= len(HEADER) + room), key=len)
        assert path.read_text() == written, room
        assert ("E1906" in out.stdout) == (room < len(first + second))


def test_a_new_file_that_cannot_hold_its_header_is_removed(path, monkeypatch):
    monkeypatch.setattr(tracefile.os, "write", lambda *_: 5)
    with pytest.raises(OutputError, match=r"E1906 .*No space left"):
        recorder(path)
    assert not path.exists()


# Going on


def resumed(path, **more):
    return recorder(path, resume=True, **more)


def test_resume_makes_a_file_that_is_not_there(path):
    with resumed(path) as log:
        log.segment(0, 1, "fp32")
    assert path.read_text() == HEADER + line(0, 1, "fp32")


def test_going_on_with_the_next_epoch(path):
    path.write_text(HEADER + line(0, 10, "dfx8"))
    with resumed(path) as log:
        count(log, 1, 2, "fp32")
    assert path.read_text() == HEADER + line(0, 10, "dfx8") + line(1, 2, "fp32")


@pytest.mark.parametrize("first", ["segment", "iteration"])
def test_an_epoch_that_is_repeated_replaces_what_was_on_file(path, first):
    old = HEADER + line(0, 10, "dfx8")
    path.write_text(old + line(1, 10, "dfx8") + line(2, 5, "dfx12") + line(2, 5, "fp32") + line(3, 1, "fp32"))
    with resumed(path) as log:
        if first == "segment":
            log.segment(2, 4, "fp16")
        else:
            count(log, 2, 4, "fp16")
        log.segment(2, 6, "fp32")  # the second one of this session does not replace the first
    assert path.read_text() == old + line(1, 10, "dfx8") + line(2, 4, "fp16") + line(2, 6, "fp32")


def test_from_the_beginning(path):
    path.write_text(HEADER + line(0, 10, "dfx8") + line(1, 10, "dfx8"))
    with resumed(path) as log:
        log.segment(0, 1, "fp32")
    assert path.read_text() == HEADER + line(0, 1, "fp32")


@pytest.mark.parametrize(
    ("at", "left"),
    [
        ((0,), ""),
        ((1,), line(0, 10, "dfx8")),
        ((1, 2), line(0, 10, "dfx8") + line(1, 2, "dfx8", ',"lr":0.5')),
        ((1, 3), line(0, 10, "dfx8") + line(1, 3, "dfx8", ',"lr":0.5,"metrics":{"top1":7}')),
        ((1, 5), line(0, 10, "dfx8") + line(1, 3, "dfx8", ',"lr":0.5,"metrics":{"top1":7}') + line(1, 2, "fp32")),
        ((1, 99), line(0, 10, "dfx8") + line(1, 3, "dfx8", ',"lr":0.5,"metrics":{"top1":7}') + line(1, 7, "fp32")),
        ((2, 5), line(0, 10, "dfx8") + line(1, 3, "dfx8", ',"lr":0.5,"metrics":{"top1":7}') + line(1, 7, "fp32")),
    ],
)
@pytest.mark.parametrize("session", ["same", "next"])
def test_resume_at(path, at, left, session):
    log = recorder(path)
    log.segment(0, 10, "dfx8")
    log.segment(1, 3, "dfx8", 0.5, {"top1": 7})
    log.segment(1, 7, "fp32")
    log.segment(3, 7, "fp32")
    count(log, 4, 2, "fp32")
    if session == "next":
        log.close()
        log = resumed(path)
    log.resume_at(*at)
    assert path.read_text() == HEADER + left
    log.iteration(5, "fp16")
    log.close()
    assert path.read_text() == HEADER + left + line(5, 1, "fp16")


def test_the_rest_of_an_epoch_after_a_checkpoint(path):
    path.write_text(HEADER + line(0, 10, "dfx8") + line(1, 8, "dfx8"))
    with resumed(path) as log:
        log.resume_at(1, 6)
        count(log, 1, 4, "dfx8")
        log.end_epoch({"top1": 2})
    assert read_trace(path).partial == ()
    assert path.read_text().endswith(line(1, 6, "dfx8") + line(1, 4, "dfx8", ',"metrics":{"top1":2}'))


def test_every_torn_end_is_cut_off_and_a_missing_newline_added(path):
    whole = HEADER + line(0, 10, "dfx8") + line(1, 4, "dfx8", ',"metrics":{"top1 é":31.2}')
    content = whole.encode()
    ends = [i + 1 for i, byte in enumerate(content) if byte == ord("\n")]
    for size in range(len(content) + 1):
        path.write_bytes(content[:size])
        resumed(path).close()
        left = max((end for end in ends if end - 1 <= size), default=ends[0])
        assert path.read_bytes() == content[:left], size


def test_another_run_is_not_gone_on_with(path):
    content = HEADER + line(0, 10, "dfx8")
    path.write_text(content)
    with pytest.raises(InputError) as error:
        resumed(path, network="other", batch=20, title="x")
    assert str(error.value) == (
        f"E1346 {path}:1: is the trace of another run: network (there 'net', here 'other'), batch (there 10, here 20), "
        "title (there None, here 'x'). Give the values of the file, or another path."
    )
    with pytest.raises(InputError, match=r"E1346 .* source"):
        resumed(path, source={"by": "another hand"})
    assert path.read_text() == content


def test_the_source_of_the_file_stays_where_none_is_given(path):
    path.write_text(HEADER + line(0, 10, "dfx8"))
    with TraceWriter(path, **RUN, resume=True) as log:
        log.segment(1, 1, "fp32")
    assert path.read_text() == HEADER + line(0, 10, "dfx8") + line(1, 1, "fp32")


@pytest.mark.parametrize(
    ("content", "code"),
    [
        (b"my notes", "E1303"),
        (b"my notes\n", "E1301"),
        (b"[1]\n", "E1301"),
        (b"\xff\xfe\n", "E1205"),
        (b"\n", "E1314"),
        (HEADER.encode() + b"{}\n", "E1304"),
        (HEADER.encode() + line(1, 1, "fp32").encode() + line(0, 1, "fp32").encode(), "E1309"),
        (HEADER.encode()[:-20], "E1303"),
        (b"[" * 100_000, "E1301"),
    ],
)
def test_what_is_no_trace_stays_as_it_is(path, content, code):
    path.write_bytes(content)
    with pytest.raises(InputError) as error:
        TraceWriter(path, **RUN | {"network": "other"}, resume=True)
    assert codes(error)[0] == code
    assert path.read_bytes() == content
    with pytest.raises(InputError):  # the lock was given back
        TraceWriter(path, **RUN | {"network": "other"}, resume=True)


# Any trace

texts = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=8).filter(str.strip)
tables = st.dictionaries(texts, st.integers(-(10**9), 10**9) | st.floats(-1e300, 1e300), max_size=2)
formats = st.lists(st.sampled_from(sorted(FORMATS)), min_size=1, max_size=2, unique=True)
passes = st.builds(PassPrecision, formats, formats, formats, st.none() | st.sampled_from(sorted(FORMATS)))
layers = st.dictionaries(texts, st.sampled_from(sorted(FORMATS)), max_size=1)
rates = st.none() | st.floats(1e-12, 10)


@st.composite
def traces(draw):
    epochs = sorted(draw(st.lists(st.integers(0, 5), min_size=1, max_size=8)))
    segments = [
        Segment(epoch, draw(st.integers(1, 3)), draw(passes), draw(rates), draw(tables), draw(tables), draw(layers))
        for epoch in epochs
    ]
    rest = {"title": draw(st.just("") | texts), "notes": draw(st.just("") | texts)}
    rest |= {"scheme_params": draw(tables), "baseline_epochs": draw(st.none() | st.integers(1, 10**6))}
    source = draw(st.dictionaries(texts, texts, min_size=1, max_size=2))
    return Trace(*(draw(texts) for _ in range(3)), 241, 10, segments, source, **rest)


HEADER_KEYS = (
    "network", "dataset", "scheme", "samples", "batch", "source", "scheme_params", "baseline_epochs", "title", "notes",
)  # fmt: skip


def write_segments(log, segments):
    for s in segments:
        log.segment(s.epoch, s.iterations, s.precision, s.lr, s.metrics, s.gradient_diversity, s.layers)


@settings(deadline=None, max_examples=500)
@given(traces(), st.data())
def test_the_file_is_that_of_write_trace_also_after_a_stop_anywhere(trace, data):
    header = {key: getattr(trace, key) for key in HEADER_KEYS}
    with tempfile.TemporaryDirectory() as folder:
        ours, theirs = Path(folder, "ours"), Path(folder, "theirs")
        write_trace(trace, theirs)
        stop = data.draw(st.integers(0, len(trace.segments)), label="segments before the stop")
        with TraceWriter(ours, **header) as log:
            write_segments(log, trace.segments[:stop])
        content = ours.read_bytes()
        ours.write_bytes(content[: data.draw(st.integers(0, len(content)), label="bytes that are left")])
        with TraceWriter(ours, **header, resume=True) as log:
            on_file = ours.read_bytes().count(b"\n") - 1
            again = data.draw(st.integers(0, on_file), label="segment from which training is repeated")
            while 0 < again < len(trace.segments) and trace.segments[again - 1].epoch == trace.segments[again].epoch:
                again -= 1  # to the beginning of its epoch
            write_segments(log, trace.segments[again:])
        assert ours.read_bytes() == theirs.read_bytes()


@settings(deadline=None, max_examples=500)
@given(st.lists(st.tuples(st.integers(0, 3), st.sampled_from(["fp32", "dfx8"])), min_size=1, max_size=40), st.data())
def test_iterations_are_neither_lost_nor_made_up(steps, data):
    steps.sort(key=lambda step: step[0])
    every = data.draw(st.integers(1, 5))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "t.jsonl")
        with TraceWriter(path, **RUN | {"samples": 400}, flush_every=every) as log:
            for n, (epoch, name) in enumerate(steps, 1):
                log.iteration(epoch, name)
                text = path.read_text()
                on_file = parse_trace(text).iterations if text.count("\n") > 1 else 0
                assert n - every <= on_file < n
        said = [(s.epoch, s.precision.label) for s in read_trace(path).segments for _ in range(s.iterations)]
        assert said == steps
