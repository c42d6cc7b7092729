"""cutlass_profiler's tables: rows of several versions, typed by hand, and what is refused and where."""

import math
from dataclasses import replace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from perfmodel.errors import InputError, PerfModelError
from perfmodel.gemm import Gemm, find_precision
from perfmodel.profiles import cutlass_csv
from perfmodel.profiles.kernel import Kernel
from perfmodel.profiles.profile import join_profiles, read_profile

OLD = (  # 2.x: no D, no rasterisation
    "Problem,Provider,OperationKind,Operation,Disposition,Status,gemm_kind,m,n,k,A,B,C,alpha,beta,split_k_slices,"
    "batch_count,op_class,accum,cta_m,cta_n,cta_k,stages,warps_m,warps_n,warps_k,inst_m,inst_n,inst_k,min_cc,max_cc,"
    "Bytes,Flops,Flops/Byte,Runtime,GB/s,GFLOPs"
)
NEW = (  # 4.x
    "Problem,Provider,OperationKind,Operation,Disposition,Status,gemm_kind,m,n,k,A,B,C,D,alpha,beta,split_k_mode,"
    "split_k_slices,batch_count,raster_order,runtime_input_datatype_a,runtime_input_datatype_b,use_pdl,"
    "enable_sm90_mixed_dtype_shuffle_test,swizzle_size,op_class,accum,cta_m,cta_n,cta_k,cluster_m,cluster_n,cluster_k,"
    "cluster_m_fallback,cluster_n_fallback,cluster_k_fallback,stages,warps_m,warps_n,warps_k,inst_m,inst_n,inst_k,"
    "min_cc,max_cc,Bytes,Flops,Flops/Byte,Runtime,GB/s,GFLOPs"
)
SIMT, TURING = "cutlass_simt_sgemm_128x128_8x2_nn_align1", "cutlass_tensorop_f16_s1688gemm_f16_256x128_32x2_tn_align8"
PLAIN = Gemm(96, 80, 48, layout="nn")  # of the row below: both operands column-major


def row(header=OLD, **cells):
    """A row of the table: a passing FP32 GEMM of 96 x 80 x 48 in 7 µs, but for the cells named."""
    plain = {
        "Problem": 1, "Provider": "CUTLASS", "OperationKind": "gemm", "Operation": SIMT, "Disposition": "passed",
        "Status": "success", "gemm_kind": "universal", "m": 96, "n": 80, "k": 48, "A": "f32:column", "B": "f32:column",
        "C": "f32:column", "D": "f32:column", "alpha": 1, "beta": 0, "split_k_mode": "serial", "split_k_slices": 1,
        "batch_count": 1, "raster_order": "heuristic", "op_class": "simt", "accum": "f32", "Runtime": "0.007",
    }  # fmt: skip
    found = plain | cells
    return ",".join(str(found.get(name, 0)) for name in header.split(","))


def write(tmp_path, *rows, header=OLD):
    path = tmp_path / "table.gemm.csv"
    path.write_bytes("\n".join((header, *rows, "")).encode())
    return path


def read(tmp_path, *rows, header=OLD):
    return read_profile(write(tmp_path, *rows, header=header))


def only(profile):
    (found,) = profile.timings.values()
    return found


@pytest.mark.parametrize("header", [OLD, NEW])
def test_a_row_of_each_version(tmp_path, header):
    profile = read(tmp_path, row(header), header=header)
    found = only(profile)
    assert found.kernel == Kernel(PLAIN, SIMT)
    assert found.seconds == found.raw_seconds == pytest.approx(7e-6)
    assert (found.interval, found.visits, found.sessions) == ("none", 1, 1)
    assert math.isnan(found.low)
    assert math.isnan(found.bound_s)
    assert math.isnan(found.reference_hz)
    assert found.flags == ()
    assert profile.basis == "measured"
    assert profile.environment["device"] == {"kind": "cutlass_profiler", "name": ""}
    assert profile.damage == ()
    assert profile.fastest(PLAIN) is found


def test_a_row_as_a_profiler_of_version_4_wrote_it(tmp_path):
    text = (
        "1,CUTLASS,gemm,cutlass_tensorop_f16_s16816gemm_f16_256x128_32x3_nt_align8,passed,success,universal,4096,4096,"
        "8192,f16:column,f16:row,f16:column,f16:column,1,0,serial,1,1,heuristic,invalid,invalid,false,false,1,tensorop,"
        "f32,256,128,32,1,1,1,0,0,0,3,4,2,1,16,8,16,80,1024,167772160,274911461376,1638,1.63447,95.5969,168196"
    )
    found = only(read(tmp_path, text, header=NEW))
    assert found.seconds == pytest.approx(1.63447e-3)
    assert found.kernel.problem == Gemm(4096, 4096, 8192, 1, find_precision("fp16"), layout="nt")


@pytest.mark.parametrize(
    ("cells", "precision"),
    [
        ({"A": "f16:row", "B": "f16:column", "C": "f16:column", "op_class": "tensorop"}, ("fp16", "fp32", "fp16")),
        ({"A": "f16:row", "B": "f16:column", "accum": "f16", "C": "f16:row"}, ("fp16", "fp16", "fp16")),
        ({"A": "bf16:row", "B": "bf16:row", "op_class": "tensorop"}, ("bf16", "fp32", "fp32")),
        ({"A": "tf32:row", "B": "tf32:row", "op_class": "tensorop"}, ("tf32", "fp32", "fp32")),
        ({"Operation": "cutlass_tensorop_s1688tf32gemm_x", "op_class": "tensorop"}, ("tf32", "fp32", "fp32")),
        ({"A": "s8:row", "B": "s8:column", "C": "s32:row", "accum": "s32"}, ("int8", "int32", "int32")),
        ({"A": "s4:row", "B": "s4:column", "C": "s8:row", "accum": "s32"}, ("int4", "int32", "int8")),
        ({"A": "fe4m3:row", "B": "fe4m3:column", "C": "bf16:row"}, ("fp8_e4m3", "fp32", "bf16")),
        ({"A": "e5m2:row", "B": "e5m2:column", "C": "f16:row"}, ("fp8_e5m2", "fp32", "fp16")),
        ({"A": "f64:row", "B": "f64:row", "C": "f64:row", "accum": "f64"}, ("fp64", "fp64", "fp64")),
    ],
)
def test_formats(tmp_path, cells, precision):
    found = only(read(tmp_path, row(**cells))).kernel.problem.precision
    assert (found.operand.name, found.accumulator.name, found.output.name) == precision


@pytest.mark.parametrize(
    ("a", "b", "layout"),
    [  # A [m, k] is contiguous in k where it is row-major, B [k, n] where it is column-major
        ("f16:row", "f16:column", "tn"), ("f16:row", "f16:row", "tt"), ("f16:column", "f16:row", "nt"),
        ("f16:column", "f16:column", "nn"), ("F16:Column", "f16:ROW", "nt"),
        ("f16", "f16", "tn"),  # not said
    ],
)  # fmt: skip
@pytest.mark.parametrize("c", ["f16:row", "f16:column"])
def test_layouts(tmp_path, a, b, c, layout):
    found = only(read(tmp_path, row(A=a, B=b, C=c)))
    assert found.kernel.problem == Gemm(96, 80, 48, 1, find_precision("fp16"), layout=layout)


def test_layouts_are_kernels_of_their_own(tmp_path):
    profile = read(tmp_path, row(), row(B="f32:row", Runtime="0.003"))
    assert profile.fastest(PLAIN).seconds == pytest.approx(7e-6)
    assert profile.fastest(replace(PLAIN, layout="nt")).seconds == pytest.approx(3e-6)
    assert profile.fastest(replace(PLAIN, layout="tn")) is None


def test_what_is_written_is_d_where_there_is_one(tmp_path):
    found = only(read(tmp_path, row(NEW, C="void:row", D="f64:row"), header=NEW))
    assert found.kernel.problem.precision.output.name == "fp64"


@pytest.mark.parametrize(
    ("cells", "variant"),
    [
        ({"split_k_slices": 4}, f"{SIMT} split 4"),
        ({"split_k_slices": 4, "split_k_mode": "parallel"}, f"{SIMT} split 4 parallel"),
        ({"Provider": "cuBLAS"}, f"cuBLAS for {SIMT}"),
        ({"batch_count": 3}, SIMT),
    ],
)
def test_variants(tmp_path, cells, variant):
    found = only(read(tmp_path, row(NEW, **cells), header=NEW))
    assert found.kernel == Kernel(replace(PLAIN, batch=cells.get("batch_count", 1)), variant)


@pytest.mark.parametrize(
    ("cells", "refusal"),
    [
        ({"Disposition": "incorrect"}, ("wrong", "cutlass_profiler found its result incorrect")),
        ({"Disposition": "failed"}, ("failed", "cutlass_profiler: failed, success")),
        ({"Disposition": "Not run", "Runtime": 0}, ("failed", "cutlass_profiler: not_run, success")),
        ({"Status": "Error: internal"}, ("failed", "cutlass_profiler: passed, error: internal")),
        ({"Disposition": "not_run", "Runtime": ""}, ("failed", "cutlass_profiler: not_run, success")),
        ({"Runtime": "0"}, ("failed", "cutlass_profiler gives no time")),
    ],
)
def test_rows_without_a_time(tmp_path, cells, refusal):
    profile = read(tmp_path, row(**cells))
    assert profile.timings == {}
    assert profile.refused == {Kernel(PLAIN, SIMT): refusal}


def test_unverified_rows_have_a_time_and_say_so(tmp_path):
    found = only(read(tmp_path, row(Disposition="Not verified", Status="Success")))
    assert found.seconds == pytest.approx(7e-6)
    assert found.flags == ("unverified",)


def test_repeated_rows_are_samples_of_one_visit(tmp_path):
    times = [row(Runtime=time) for time in ("0.013", "7e-3", "0.0110")]
    found = only(read(tmp_path, *times))
    assert (found.seconds, found.visits) == (pytest.approx(11e-6), 1)
    (refusal,) = read(tmp_path, *times, row(Disposition="incorrect")).refused.values()
    assert refusal[0] == "wrong"
    assert only(read(tmp_path, *times, row(Disposition="failed"))).seconds == pytest.approx(11e-6)


def test_variants_compete(tmp_path):
    profile = read(tmp_path, row(), row(Operation="faster", Runtime="0.003"), row(k=64))
    assert profile.fastest(PLAIN).kernel.variant == "faster"
    assert len(profile.timings) == 3


def test_rows_that_have_no_place_in_a_profile(tmp_path):
    mixed = row(A="f16:row", B="s8:column")
    profile = read(
        tmp_path, mixed, row(OperationKind="conv2d", m="?"), row(), mixed, row(A="cf32:row", B="cf32:row"),
        row(beta=1), row(Operation="cutlass_tensorop_s1688bf16gemm_x", op_class="tensorop"),
    )  # fmt: skip
    assert len(profile.timings) == 1
    lines = [str(problem).replace(f"{tmp_path}/", "") for problem in profile.damage]
    assert lines == [
        "W2105 table.gemm.csv:2: A and B are of different formats, 'f16' and 's8' (and 1 more rows). "
        "Such rows are left out.",
        "W2105 table.gemm.csv:6: the format 'cf32' is not known. Such rows are left out.",
        "W2105 table.gemm.csv:7: beta is '1': the kernel reads C as well. Such rows are left out.",
        "W2105 table.gemm.csv:8: tensor cores compute FP32 operands in a format that the table does not name. "
        "Such rows are left out.",
    ]


@pytest.mark.parametrize(
    ("cells", "text"),
    [
        ({"m": "-4"}, "E1207 table.gemm.csv:3:8 column m: '-4' is not a positive whole number."),
        ({"n": ""}, "E1207 table.gemm.csv:3:9 column n: '' is not"),
        ({"k": "1e3"}, "E1207 table.gemm.csv:3:10 column k: '1e3' is not"),
        ({"m": 0}, "E1102 table.gemm.csv:3:8 column m: 0 is not between 1 and 1000000000."),
        ({"batch_count": "x"}, "E1207 table.gemm.csv:3:17 column batch_count: 'x' is not"),
        ({"m": 10**9, "n": 10**9, "k": 10**9}, "E1102 table.gemm.csv:3: 1000000000 x 1000000000 x 1000000000 x 1 is"),
        ({"Runtime": "nan"}, "E1207 table.gemm.csv:3:35 column Runtime: 'nan' is not a time in ms."),
        ({"Runtime": "-1"}, "E1207 table.gemm.csv:3:35 column Runtime: '-1' is not"),
        ({"Runtime": "１"}, "E1207 table.gemm.csv:3:35 column Runtime: '１' is not"),
        ({"Runtime": "1e999"}, "E1102 table.gemm.csv:3:35 column Runtime: 1e999 ms is too long to be real."),
    ],
)
def test_wrong_cells(tmp_path, cells, text):
    with pytest.raises(InputError) as error:
        read(tmp_path, row(), row(**cells))
    assert str(error.value).replace(f"{tmp_path}/", "").startswith(text)


def test_wrong_tables(tmp_path):
    with pytest.raises(InputError, match=r"E1209 .*:1: there is no column 'Runtime'"):
        read(tmp_path, row(), header=OLD.replace("Runtime", "Time"))
    with pytest.raises(InputError, match=r"E1209 .*:1: column 'm' occurs twice"):
        read(tmp_path, row(), header=OLD.replace(",n,", ",m,"))
    with pytest.raises(InputError, match=r"E1208 .*:2: has 36 cells; the header has 37"):
        read(tmp_path, row().removesuffix(",0"))
    with pytest.raises(InputError, match=r"E1208 .*: holds no GEMM in 1 rows"):
        read(tmp_path, row(OperationKind="conv2d"))
    with pytest.raises(InputError, match=r"E1208 .*: holds no GEMM in 0 rows"):
        read(tmp_path)
    with pytest.raises(InputError, match=r"E1208 .* is not readable as CSV"):
        read(tmp_path, row(Operation='"x"y'))
    with pytest.raises(InputError, match="E1201"):
        read_profile(tmp_path / "missing.CSV")


def test_too_many_rows(tmp_path, monkeypatch):
    monkeypatch.setattr(cutlass_csv, "MOST_ROWS", 3)
    assert len(read(tmp_path, *[row()] * 3).timings) == 1
    with pytest.raises(InputError, match="E1203"):
        read(tmp_path, *[row()] * 4)


def test_tables_do_not_join_but_with_themselves(tmp_path):
    """Nothing says that two tables are of one device."""
    one, other = (read(tmp_path, row(Runtime=time)) for time in ("0.007", "0.009"))
    with pytest.raises(InputError, match="E2108 environment: file is "):
        join_profiles([one, other])
    assert only(join_profiles([one, one])).visits == 1


CELLS = st.sampled_from(["", "0", "7", "gemm", "f16:row", "nan", "passed", '"', "x\x1b", "1e5", ",", "\n", "é"])


@settings(
    max_examples=500, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.lists(st.dictionaries(st.sampled_from(OLD.split(",")), CELLS, max_size=4), max_size=3))
def test_garbage_gives_times_or_lines(tmp_path, rows):
    times, lines = [], []
    try:
        profile = read(tmp_path, *(row(**cells) for cells in rows))
        times, lines = [one.seconds for one in profile.timings.values()], map(str, profile.damage)
    except PerfModelError as error:
        lines = error.lines()
    assert all(line.isprintable() for line in lines)
    assert all(0 < time < math.inf for time in times)
