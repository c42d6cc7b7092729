"""Logs in, traces out: the reader is chosen by content, and every log has a clear end."""

import tracemalloc

import pytest

from perfmodel.errors import PerfModelError
from perfmodel.traces.logs import Given, read_log, reader_names
from perfmodel.traces.logs.read import all_readers

SAID = {"network": "net", "dataset": "data", "scheme": "own", "batch": 3, "samples": 21}
TEXT = "epoch,loss,precision\n0,5.5,fp16\n1,3.25,fp32\n"


def log_of(folder, text, name="log.csv"):
    path = folder / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def fault(path, **said):
    with pytest.raises(PerfModelError) as error:
        read_log(path, Given(**SAID | said))
    return str(error.value).replace(str(path), "F")


def parts(trace):
    return [(part.epoch, part.iterations, part.precision.label) for part in trace.segments]


def test_every_reader_says_what_it_is():
    assert reader_names() == sorted(reader_names())
    for name, module in all_readers().items():
        assert (module.NAME, bool(module.TITLE.strip())) == (name, True)
        assert "\n" not in module.TITLE
    last = list(all_readers().values())[-1]
    assert last.ANY_TABLE


def test_a_table_that_no_reader_knows_better_is_csv(tmp_path):
    trace = read_log(log_of(tmp_path, "epoch,loss,precision,gpu\n0,5,fp16,t4\n1,3,fp32,t4\n"), Given(**SAID))
    assert trace.source["reader"] == "csv"
    assert parts(trace) == [(0, 7, "fp16"), (1, 7, "fp32")]
    assert (trace.network, trace.dataset, trace.scheme, trace.batch, trace.samples) == ("net", "data", "own", 3, 21)


def test_the_reader_can_be_named(tmp_path):
    path = log_of(tmp_path, TEXT)
    assert read_log(path, Given(**SAID, reader="csv")).source["reader"] == "csv"
    assert "E1012 log format 'cvs' is not known." in fault(path, reader="cvs")


@pytest.mark.parametrize("text", ["nonsense\n", b"\xff\xfe\xfd", b"\x7fELF\x00", "Dear diary\ntoday\n"])
def test_what_no_reader_knows_is_told(tmp_path, text):
    assert fault(log_of(tmp_path, text)).startswith("E1324 F:1: ")


@pytest.mark.parametrize("text", ["", "\n\n", b"\xef\xbb\xbf"])
def test_an_empty_log_is_told(tmp_path, text):
    assert fault(log_of(tmp_path, text)).startswith("E1324 F: is empty.")


def test_what_is_no_file_is_told(tmp_path):
    assert fault(tmp_path / "none.csv").startswith("E1201 F does not exist.")
    assert fault(tmp_path).startswith("E1324 F is a folder without a log that is known.")
    assert fault(log_of(tmp_path, TEXT), largest_bytes=5).startswith("E1203 F holds ")


def test_a_column_of_the_metric_called_precision_has_ways_out(tmp_path):
    path = log_of(tmp_path, "epoch,gpu,precision,fmt/bits\n0,t4,0.93,8\n1,t4,0.97,16\n")
    assert "'0.93' is no format. Give --map precision=KEY for another key" in fault(path)
    trace = read_log(path, Given(**SAID, precision="bf16"))
    assert [dict(part.metrics) for part in trace.segments] == [
        {"precision": 0.93, "fmt/bits": 8.0}, {"precision": 0.97, "fmt/bits": 16.0},
    ]  # fmt: skip
    trace = read_log(path, Given(**SAID, keys={"precision": "fmt/bits"}, bits="dfx"))
    assert parts(trace) == [(0, 7, "dfx8"), (1, 7, "dfx16")]
    assert [part.metrics["precision"] for part in trace.segments] == [0.93, 0.97]


def test_a_trace_may_begin_late(tmp_path):
    trace = read_log(log_of(tmp_path, "epoch,loss,precision\n30,5,fp16\n31,3,fp16\n"), Given(**SAID))
    assert parts(trace) == [(30, 7, "fp16"), (31, 7, "fp16")]
    assert trace.gaps == ((0, 29),)


def test_everything_that_is_missing_is_told_at_once(tmp_path):
    with pytest.raises(PerfModelError) as error:
        read_log(log_of(tmp_path, "epoch,loss,gpu\n0,5,t4\n"))
    missing = [line.split()[1] for line in error.value.lines()]
    assert missing == ["network:", "dataset:", "batch:", "precision:", "samples:"]


def test_a_long_log_needs_little_memory(tmp_path):
    row = "{},{},1.2345678901234567,0.1234567890123456,0.9345678901234567,0.8765432109876543,0.001,fp16,1.5e-05\n"
    rows = "".join(row.format(step // 2000, step) for step in range(20_000))
    path = log_of(tmp_path, "epoch,step,a,b,c,d,lr,precision,e\n" + rows)
    assert path.stat().st_size > 1.9e6
    tracemalloc.start()
    try:
        trace = read_log(path, Given(**SAID | {"samples": 6000}))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert parts(trace) == [(epoch, 2000, "fp16") for epoch in range(10)]
    assert peak < 1.5e6


def test_the_folder_that_holds_the_log_is_named(tmp_path):
    below = tmp_path / "lightning_logs" / "version_0"
    below.mkdir(parents=True)
    (below / "metrics.csv").write_text("epoch,step,loss\n0,1,2\n")
    assert (
        fault(tmp_path) == "E1324 F is a folder without a log that is known. Did you mean F/lightning_logs/version_0?"
    )
