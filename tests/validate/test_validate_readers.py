"""Files of published timings: what is read, what is left out and why, and that hostile ones are refused by place."""

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from perfmodel.errors import InputError
from perfmodel.validate import cells, grouping, readers


def sizes_of(series):
    return [(g.m, g.n, g.k, g.batch, g.layout) for g in series.problems.kernels]


def refused(read, path):
    with pytest.raises(InputError) as error:
        read(path)
    return [line.replace(f"{path.parent}/", "") for line in error.value.lines()]


def test_rows_of_a_source_device_and_precision_are_one_series(write_times):
    path = write_times("gemm_times.csv", [
        {"m": 3}, {"m": 5, "op_a": "N", "op_b": "T", "batch": 7}, {"m": 9, "seconds": "4e-3"},
        {"device": "Tesla T4", "m": 3}, {"device": "Tesla T4", "m": 11}, {"device": "Tesla T4", "m": 13},
    ])  # fmt: skip
    turing, volta = readers.read_gemms(path).series
    assert (turing.problems.device.name, volta.problems.device.name) == ("t4", "v100-sxm2")
    assert sizes_of(volta) == [(3, 160, 224, 1, "tn"), (5, 160, 224, 7, "nt"), (9, 160, 224, 1, "tn")]
    assert volta.seconds.tolist() == [0.003, 0.003, 0.004]
    assert volta.problems.lines.tolist() == [2, 3, 4]
    assert turing.problems.lines.tolist() == [5, 6, 7]


def test_a_shape_has_one_number_and_half_on_every_device_and_precision(write_times):
    rows = [
        {"device": device, "precision": p, "m": m}
        for m in (3, 5, 7)
        for device in ("V100", "T4")
        for p in ("fp32", "fp16")
    ]
    series = readers.read_gemms(write_times("gemm_times.csv", rows)).series
    assert len(series) == 4
    for one in series[1:]:
        assert one.problems.shapes.tolist() == series[0].problems.shapes.tolist() == [0, 1, 2]
        assert one.problems.halves.tolist() == series[0].problems.halves.tolist()


def test_low_precision_sizes_are_those_that_kernels_run(write_times):
    path = write_times("gemm_times.csv", [{"precision": "fp16", "m": m, "k": 147} for m in (3, 5, 7)])
    (series,) = readers.read_gemms(path).series
    assert [g.k for g in series.problems.kernels] == [152, 152, 152]


def test_what_is_not_judged_is_counted_with_its_reason(write_times):
    rows = [{"m": m} for m in (3, 5, 7)]
    rows += [{"device": "TitanX", "m": m} for m in (3, 5)]
    rows += [
        {"source": "deepbench", "device": "T4", "precision": "int8", "accumulate": "int32", "m": m} for m in (3, 5, 7)
    ]
    rows += [{"source": "deepbench", "device": "P100", "precision": "fp16_storage"}]
    rows += [{"device": "Tesla P4", "m": 3}, {"device": "P100", "precision": "int8", "accumulate": "int32"}]
    found = readers.read_gemms(write_times("gemm_times.csv", rows))
    assert len(found.series) == 1
    assert sorted((one.device, one.rows, one.reason[:24]) for one in found.skipped) == [
        ("P100", 1, "FP16 is stored and FP32 "), ("P100", 1, "device p100: has no unit"),
        ("T4", 3, "they run on DP4A units ("),
        ("Tesla P4", 1, "fewer than 3 timings, or"), ("TitanX", 2, "no device file describes"),
    ]  # fmt: skip


def test_one_shape_alone_is_no_series(write_times):
    found = readers.read_gemms(write_times("gemm_times.csv", [{}] * 9))
    assert (found.series, found.skipped[0].rows) == ((), 9)


def test_passes_of_a_convolution_are_their_implicit_gemms(write_times):
    rows = [{"pass": p, "k": k} for p in ("fprop", "dgrad", "wgrad") for k in (24, 32, 40)]
    dgrad, fprop, wgrad = readers.read_convolutions(write_times("conv_times.csv", rows)).series
    assert [one.problems.pass_ for one in (dgrad, fprop, wgrad)] == ["dgrad", "fprop", "wgrad"]
    # 3 images of 8 x 17 output pixels, 24 filters, 16 x 3 x 5 taps
    assert sizes_of(fprop)[0] == (408, 24, 240, 1, "tn")
    assert sizes_of(wgrad)[0] == (24, 240, 408, 1, "nt")
    assert sizes_of(dgrad)[0] == (765, 16, 184, 1, "tt")  # 360 taps over 2 strides, in lines of 8
    assert fprop.problems.kernels[0].conv.images == 3
    assert dgrad.problems.halves.tolist() == fprop.problems.halves.tolist() == wgrad.problems.halves.tolist()


def test_algorithm_and_few_channels_are_tags(write_times):
    rows = [{"c": 3, "algorithm": "WINOGRAD"}, {"c": 16, "note": "padded"}, {"c": 7}]
    (series,) = readers.read_convolutions(write_times("conv_times.csv", rows)).series
    assert series.tags == (("winograd", "fewer than 8 channels"), ("padded",), ("fewer than 8 channels",))


def test_iterations_of_a_compiler_are_a_source_of_their_own(write_times):
    rows = [
        {"source": "lambda_tf", "network": name, "mode": "train step", "note": note, "batch": 3 + 2 * i}
        for i, note in enumerate(("", "xla "))
        for name in ("resnet50", "inception3", "inception4")
    ]
    plain, fused = readers.read_iterations(write_times("training_times.csv", rows)).series
    assert (plain.problems.source, fused.problems.source) == ("lambda_tf", "lambda_tf xla")
    assert [what.batch for what in fused.problems.kernels] == [5, 5, 5]
    assert plain.problems.shapes.tolist() == fused.problems.shapes.tolist()  # a network is a shape


def test_iterations_that_cannot_be_priced_say_why(write_times):
    rows = [
        {"note": "TF32_or_FP32_unknown"}, {"network": "resnet9000"}, {"precision": "fp99"}, {"source": "somebody"},
        {"batch": 200_000}, {"device": "Vega 20"},
    ]  # fmt: skip
    found = readers.read_iterations(write_times("training_times.csv", rows))
    assert sorted(one.reason for one in found.skipped) == [
        "its batch is beyond 100000", "its framework is not known", "its network is not bundled",
        "its precision is no scheme's", "no device file describes it",
        "the source does not say whether it is FP32 or TF32",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("column", "text", "place"),
    [
        ("m", "-4", "2:7"), ("n", "3.0", "2:8"), ("k", "1_0", "2:9"), ("batch", "0", "2:10"), ("m", "１２", "2:7"),
        ("m", "99999999999", "2:7"), ("seconds", "nan", "2:11"), ("seconds", "inf", "2:11"),
        ("seconds", "-1e-3", "2:11"), ("seconds", "0", "2:11"), ("seconds", "1,5", "2:11"),
        ("seconds", "1e999", "2:11"), ("op_a", "n", "2:5"),
        ("source", "x" * 81, "2:1"), ("k", "", "2:9"),
    ],
)  # fmt: skip
def test_bad_cells_are_named_by_line_and_column(write_times, column, text, place):
    (line,) = refused(readers.read_gemms, write_times("gemm_times.csv", [{column: text}]))
    assert line.startswith(f"E1207 gemm_times.csv:{place} column {column}: ")


def test_all_bad_rows_are_told_at_once(write_times):
    lines = refused(readers.read_gemms, write_times("gemm_times.csv", [{"m": "x"}, {}, {"k": "y"}]))
    assert [line.split()[1] for line in lines] == ["gemm_times.csv:2:7", "gemm_times.csv:4:9"]


def test_sizes_that_only_together_are_too_large_are_refused(write_times):
    huge = dict.fromkeys(("m", "n", "k"), 10**8)
    (line,) = refused(readers.read_gemms, write_times("gemm_times.csv", [huge]))
    assert line.startswith("E1102 gemm_times.csv:2:")


@pytest.mark.parametrize("row", [{"h": 1, "pad_h": 0}, {"n": 10**6, "h": 10**6, "w": 10**6, "c": 10**6}])
def test_convolutions_without_output_or_beyond_measure_are_refused(write_times, row):
    (line,) = refused(readers.read_convolutions, write_times("conv_times.csv", [row]))
    assert line.startswith("E1102 conv_times.csv:2:")


def test_a_pass_that_is_none_is_refused(write_times):
    (line,) = refused(readers.read_convolutions, write_times("conv_times.csv", [{"pass": "bprop"}]))
    assert "'bprop' is not one of fprop, dgrad, wgrad" in line


def test_a_missing_column_is_named(tmp_path):
    (tmp_path / "t.csv").write_text("source,device\na,b\n")
    lines = refused(readers.read_iterations, tmp_path / "t.csv")
    assert lines[0].startswith("E1209 t.csv:1: there is no column 'network'")


def test_a_ragged_row_is_refused(write_times):
    path = write_times("gemm_times.csv", [{}])
    path.write_text(path.read_text() + "a,b\n")
    assert refused(readers.read_gemms, path)[0].startswith("E1208 gemm_times.csv:3: has 2 cells")


def test_rows_and_series_are_bounded(write_times, monkeypatch):
    path = write_times("gemm_times.csv", [{"source": f"s{i}", "m": m} for i in range(4) for m in (3, 5, 7)])
    monkeypatch.setattr(grouping, "MOST_SERIES", 3)
    assert refused(readers.read_gemms, path)[0].startswith("E1603 gemm_times.csv: holds more than 3 series")
    monkeypatch.setattr(cells, "MOST_ROWS", 11)
    assert refused(readers.read_gemms, path)[0].startswith("E1203 gemm_times.csv: holds more than 11 rows")


def test_different_iterations_are_bounded(write_times, monkeypatch):
    monkeypatch.setattr(readers, "MOST_ITERATIONS", 2)
    path = write_times("training_times.csv", [{"batch": 3}, {"batch": 5}, {"batch": 7}])
    assert refused(readers.read_iterations, path)[0].startswith("E1603 training_times.csv: holds more than 2 different")


@settings(max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.lists(st.text(max_size=6), max_size=8), max_size=6))
def test_no_file_makes_a_traceback(tmp_path, rows):
    path = tmp_path / "any.csv"
    path.write_text("\n".join(",".join(row) for row in rows), encoding="utf-8", errors="replace")
    with pytest.raises(InputError):
        readers.read_gemms(path)


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(column=st.sampled_from(readers.GEMM_COLUMNS), text=st.text(max_size=12))
def test_no_cell_makes_a_traceback(write_times, column, text):
    path = write_times("gemm_times.csv", [{column: text.replace("\0", "")}, {"m": 7}, {"m": 9}])
    try:
        found = readers.read_gemms(path)
    except InputError:
        return
    assert sum(map(len, found.series)) + sum(one.rows for one in found.skipped) == 3
