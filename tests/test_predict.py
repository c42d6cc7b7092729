"""GEMMs of a CSV file: what is read, what is refused and where, and that the prices are those of the cost models."""

import csv
import io
import os

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from perfmodel.cost import Roofline, Tiles
from perfmodel.cost.estimate import price
from perfmodel.devices import find_device
from perfmodel.errors import InputError, PerfModelError, UnknownName, Unsupported
from perfmodel.gemm import Gemm, find_precision
from perfmodel.predict import format_predictions, predict, read_gemms

TURING, PASCAL = find_device("rtx-2080-ti"), find_device("p100")


def write(tmp_path, content):
    path = tmp_path / "gemms.csv"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def refused(tmp_path, content):
    """The lines of the error that reading gives, without the folder."""
    with pytest.raises(PerfModelError) as error:
        read_gemms(write(tmp_path, content))
    return [line.replace(f"{tmp_path}/", "") for line in error.value.lines()]


def predicted(tmp_path, content, model=None):
    gemms = read_gemms(write(tmp_path, content))
    text = format_predictions(gemms, predict(gemms, model or Tiles(TURING)))
    return list(csv.DictReader(io.StringIO(text)))


def test_rows_come_back_as_they_went_in(tmp_path):
    rows = predicted(tmp_path, 'layer,m,n,k\nconv1,1024,64,147\n"a, ""b""",7,5,3\n')
    assert [row["layer"] for row in rows] == ["conv1", 'a, "b"']
    assert [(row["m"], row["n"], row["k"]) for row in rows] == [("1024", "64", "147"), ("7", "5", "3")]
    assert list(rows[0]) == ["layer", "m", "n", "k", "seconds", "basis", "tile", "low_s", "high_s"]
    assert {row["basis"] for row in rows} == {"analytical"}
    assert all(float(row["seconds"]) > 0 and row["tile"] for row in rows)


@pytest.mark.parametrize("model", [Tiles(TURING), Tiles(TURING, "64x64", False), Roofline(TURING)])
def test_prices_are_those_of_the_cost_model(tmp_path, model):
    rows = predicted(
        tmp_path,
        "m,n,k,batch,precision,accumulate\n4096,64,147,1,fp32,\n4096,64,147,1,fp16,\n4096,64,147,1,fp16,fp16\n"
        "4096,64,147,,int8,\n32,1000,2048,8,fp16+fp16,\n4096,64,147,1,,\n",
        model,
    )
    fp32, fp16, half, int8 = (find_precision(name) for name in ("fp32", "fp16", "fp16+fp16", "int8"))
    kernels = [  # k as the kernels need it: 147 in FP32, 152 in FP16, 160 in INT8
        Gemm(4096, 64, 147, 1, fp32), Gemm(4096, 64, 152, 1, fp16), Gemm(4096, 64, 152, 1, half),
        Gemm(4096, 64, 160, 1, int8), Gemm(32, 1000, 2048, 8, half), Gemm(4096, 64, 147, 1, fp32),
    ]  # fmt: skip
    expected = price(model, kernels)
    assert [float(row["seconds"]) for row in rows] == expected.seconds.tolist()
    assert [row["tile"] for row in rows] == expected.detail
    assert [row["basis"] for row in rows] == expected.basis


def test_optional_cells_may_be_empty(tmp_path):
    full = predicted(tmp_path, "m,n,k,batch,precision,accumulate,op_a,op_b\n64,64,64,1,fp32,fp32,N,T\n")
    bare = predicted(tmp_path, "m,n,k,batch,precision,accumulate,op_a,op_b\n64,64,64,,,,,\n")
    alone = predicted(tmp_path, "m,n,k\n64,64,64\n")
    assert full[0]["seconds"] == bare[0]["seconds"] == alone[0]["seconds"]


@pytest.mark.parametrize("bom", [b"", b"\xef\xbb\xbf"])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_bom_and_line_ends(tmp_path, bom, end):
    text = end.join(["", "m,n,k", "", "64,32,16", "1,2,3", ""])
    gemms = read_gemms(write(tmp_path, bom + text.encode()))
    assert gemms.sizes.tolist() == [[64, 32, 16, 1], [1, 2, 3, 1]]


def test_the_last_line_may_end_without_a_newline(tmp_path):
    assert read_gemms(write(tmp_path, "m,n,k\n1,2,3")).rows == [["1", "2", "3"]]


def test_blanks_around_a_cell_do_not_matter(tmp_path):
    assert read_gemms(write(tmp_path, " m , n,k\n 5 ,6,\t7 \n")).rows == [["5", "6", "7"]]


@pytest.mark.parametrize(
    "text", ["1_0", "１２", "١٢", "1e3", "-0", "-5", "+5", "1.0", "0x10", "nan", "", "5 6", "1" * 11, "²", "1\u200b"]
)
def test_what_is_no_whole_number(tmp_path, text):
    (line,) = refused(tmp_path, f"m,n,k\n1,2,3\n1,{text},3\n")
    assert line.startswith("E1207 gemms.csv:3:2 column n: ")
    assert line.endswith(" is not a positive whole number. Write digits only.")
    assert line.isprintable()


@pytest.mark.parametrize(
    ("row", "line"),
    [
        ("0,2,3,1", "E1102 gemms.csv:2:1 column m: 0 is not between 1 and 1000000000. Correct it."),
        ("1,2,3,0", "E1102 gemms.csv:2:4 column batch: 0 is not between 1 and 1000000000. Correct it."),
        ("1,2,1000000001,1", "E1102 gemms.csv:2:3 column k: 1000000001 is not between 1 and 1000000000. Correct it."),
        (
            "1000000000,1000000000,1000000000,1",
            "E1102 gemms.csv:2: 1000000000 x 1000000000 x 1000000000 x 1 is too large to be real. Correct the row.",
        ),
    ],
)
def test_sizes_out_of_range(tmp_path, row, line):
    assert refused(tmp_path, f"m,n,k,batch\n{row}\n") == [line]


def test_the_largest_sizes_have_a_price(tmp_path):
    for model in (Tiles(TURING), Roofline(TURING)):
        (row,) = predicted(tmp_path, "m,n,k\n1000000000,1000000000,4\n", model)
        assert 0 < float(row["seconds"]) < 1e9


@pytest.mark.parametrize(
    ("content", "lines"),
    [
        ("m,n,k\n1,2\n", ["E1208 gemms.csv:2: has 2 cells; the header has 3. Correct the row."]),
        ("m,n,k\n1,2,3,\n", ["E1208 gemms.csv:2: has 4 cells; the header has 3. Correct the row."]),
        ("m,n,k\n\n\n1;2;3\n", ["E1208 gemms.csv:4: has 1 cells; the header has 3. Correct the row."]),
        ("m,n,k\n", ["E1208 gemms.csv: holds no GEMM. Give a header with m, n, k and at least one row."]),
        (
            'm,n,k\n1,"2,3\n4,5,6\n',
            ["E1208 gemms.csv:3: is not readable as CSV: unexpected end of data. Correct quotes and delimiters."],
        ),
        (
            'm,n,k\n1,"2"x,3\n',
            ["E1208 gemms.csv:2: is not readable as CSV: ',' expected after '\"'. Correct quotes and delimiters."],
        ),
    ],
)
def test_rows_that_do_not_read(tmp_path, content, lines):
    assert refused(tmp_path, content) == lines


def test_a_cell_that_never_ends(tmp_path):
    (line,) = refused(tmp_path, "m,n,k\n1,2," + "3" * 200_000 + "\n")
    assert line.startswith("E1208 gemms.csv:2: is not readable as CSV: field larger than field limit")


@pytest.mark.parametrize(
    ("content", "lines"),
    [
        ("", [f"E1209 gemms.csv:1: there is no column '{name}'; found nothing. Add it." for name in "mnk"]),
        ("m,n\n1,2\n", ["E1209 gemms.csv:1: there is no column 'k'; found 'm, n'. Add it."]),
        ("\n\nm,n\n1,2\n", ["E1209 gemms.csv:3: there is no column 'k'; found 'm, n'. Add it."]),
        ("m,n,k,m\n1,2,3,4\n", ["E1209 gemms.csv:1: column 'm' occurs twice. Rename one."]),
        ("m,n,k,x,x,x\n1,2,3,4,5,6\n", ["E1209 gemms.csv:1: column 'x' occurs twice. Rename one."]),
        ("m,n,k,seconds\n1,2,3,4\n", ["E1209 gemms.csv:1: column 'seconds' is one that is added. Rename it."]),
        ("M,n,k\n1,2,3\n", ["E1209 gemms.csv:1: there is no column 'm'; found 'M, n, k'. Add it."]),
        ("m,n,\x1b[31m\n", ["E1209 gemms.csv:1: there is no column 'k'; found 'm, n, \\x1b[31m'. Add it."]),
    ],
)
def test_headers(tmp_path, content, lines):
    assert refused(tmp_path, content) == lines


@pytest.mark.parametrize(
    ("cells", "code", "place", "text"),
    [
        ("fp17,", "E1004", "gemms.csv:3:4 ", "Did you mean fp16?"),
        ("fp16,fp33", "E1004", "gemms.csv:3:5 ", "Did you mean fp32?"),
        ("fp16+fp33,", "E1004", "gemms.csv:3:4 ", "Did you mean fp32?"),
        ("mxfp8,", "E1101", "gemms.csv:3:4 ", "no GEMM unit computes in it"),
        ("dfx8,", "E1101", "gemms.csv:3:4 ", "no GEMM unit computes in it"),
        ("\x1b[31m,", "E1004", "gemms.csv:3:4 ", "'\\x1b[31m' is not known"),
    ],
)
def test_precisions(tmp_path, cells, code, place, text):
    (line,) = refused(tmp_path, f"m,n,k,precision,accumulate\n1,2,3,fp32,\n1,2,3,{cells}\n")
    assert line.startswith(f"{code} {place}")
    assert text in line
    assert line.isprintable()


@pytest.mark.parametrize("cell", ["X", "n", "NT", "\x1b"])
def test_layouts(tmp_path, cell):
    (line,) = refused(tmp_path, f"m,n,k,op_a,op_b\n1,2,3,N,{cell}\n")
    assert line.startswith("E1207 gemms.csv:2:5 column op_b: ")
    assert line.endswith("is not N or T. Correct it.")
    assert line.isprintable()


def test_a_precision_that_the_device_lacks(tmp_path):
    gemms = read_gemms(write(tmp_path, "m,n,k,precision\n1,2,3,fp32\n1,2,3,int8\n1,2,3,int8\n"))
    for model in (Tiles(PASCAL), Roofline(PASCAL)):
        with pytest.raises(Unsupported, match=r"^E1103 .*gemms\.csv:3: device p100: has no unit for int8\."):
            predict(gemms, model)


def test_a_tile_that_the_precision_lacks(tmp_path):
    gemms = read_gemms(write(tmp_path, "m,n,k,precision\n1,2,3,fp32\n"))
    with pytest.raises(PerfModelError, match=r"E1106 .*gemms\.csv:2: tile '3x3'"):
        predict(gemms, Tiles(TURING, "3x3"))


def test_many_faults_are_counted(tmp_path):
    lines = refused(tmp_path, "m,n,k\n" + "x,2,3\n" * 25)
    assert len(lines) == 21
    assert lines[0].startswith("E1207 gemms.csv:2:1 ")
    assert lines[19].startswith("E1207 gemms.csv:21:1 ")
    assert lines[20] == "… 5 more"


def test_kinds_of_error(tmp_path):
    with pytest.raises(InputError, match="E1207"):
        read_gemms(write(tmp_path, "m,n,k\nx,2,3\n"))
    with pytest.raises(InputError, match="E1004"):  # many problems of several kinds come together
        read_gemms(write(tmp_path, "m,n,k,precision\n1,2,3,fp17\n"))
    with pytest.raises(UnknownName, match="E1004"):
        find_precision("fp17")


@pytest.mark.parametrize(
    ("content", "line"),
    [
        (b"m,n,k\n1,2,\xff\n", "E1205 gemms.csv: byte 10: 0xff is not UTF-8. Save the file as UTF-8."),
        (b"m,n,k\n1,\x00,3\n", "E1205 gemms.csv: byte 8: a NUL byte. Give a text file."),
        ("m,n,k\n1,2,3\n".encode("utf-16"), "E1205 gemms.csv: byte 0: 0xff is not UTF-8. Save the file as UTF-8."),
    ],
)
def test_what_is_no_text(tmp_path, content, line):
    assert refused(tmp_path, content) == [line]


def test_no_file_a_folder_and_a_pipe(tmp_path):
    with pytest.raises(InputError, match=r"E1201 .*missing\.csv does not exist"):
        read_gemms(tmp_path / "missing.csv")
    with pytest.raises(InputError, match=r"E1202 .* is "):
        read_gemms(tmp_path)
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(InputError, match=r"E1202 .*pipe is not a regular file"):
        read_gemms(tmp_path / "pipe")


def test_a_huge_file_is_refused_unread(tmp_path):
    path = tmp_path / "huge.csv"
    with open(path, "wb") as file:
        file.truncate(64 * 2**20 + 1)  # sparse: takes no room
    with pytest.raises(InputError, match=r"^E1203 .*huge\.csv holds 67108865 bytes; at most 67108864 are read"):
        read_gemms(path)


def test_too_many_columns(tmp_path):
    def content(columns):
        extra = "".join(f",c{n}" for n in range(columns - 3))
        return f"m,n,k{extra}\n1,2,3{',' * (columns - 3)}\n"

    assert len(read_gemms(write(tmp_path, content(1000))).header) == 1000
    assert refused(tmp_path, content(1001)) == [
        "E1209 gemms.csv:1: has 1001 columns; at most 1000 are read. Drop some."
    ]


def test_cells_may_be_escaped_on_the_way_out(tmp_path):
    gemms = read_gemms(write(tmp_path, "note,m,n,k\n=1+1,7,5,3\n"))
    text = format_predictions(gemms, iter([(0.5, "=basis", "", (0.0, 0.0, ""))]), lambda cell: f"<{cell}>")
    assert text == "<note>,<m>,<n>,<k>,seconds,basis,tile,low_s,high_s\n<=1+1>,<7>,<5>,<3>,0.5,=basis,,0.5,0.5\n"


def test_too_many_rows(tmp_path, monkeypatch):
    monkeypatch.setattr("perfmodel.predict.MOST_ROWS", 3)
    assert len(read_gemms(write(tmp_path, "m,n,k\n" + "1,2,3\n" * 3)).rows) == 3
    with pytest.raises(InputError, match=r"E1203 .* holds more than 3 rows\. Split the file\."):
        read_gemms(write(tmp_path, "m,n,k\n" + "1,2,3\n" * 4))


SIZES = st.integers(1, 4096)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(SIZES, SIZES, SIZES, st.sampled_from(["fp32", "fp16", "int8"])), min_size=1, max_size=20))
def test_order_and_numbers_survive(tmp_path, rows):
    content = "m,n,k,precision\n" + "".join(f"{m},{n},{k},{precision}\n" for m, n, k, precision in rows)
    out = predicted(tmp_path, content, Roofline(TURING))
    assert [(int(r["m"]), int(r["n"]), int(r["k"]), r["precision"]) for r in out] == rows
    kernels = [Gemm(m, n, k, 1, find_precision(precision)).aligned() for m, n, k, precision in rows]
    assert [float(row["seconds"]) for row in out] == price(Roofline(TURING), kernels).seconds.tolist()


@pytest.mark.parametrize(
    ("header", "cells", "layout", "padded"),
    [  # 3, 5 and 7 elements of FP16 are 8 along the lines of A, B and C
        ("m,n,k", "", "tn", (3, 8, 8)), ("m,n,k,op_a,op_b", ",T,N", "tn", (3, 8, 8)),
        ("m,n,k,op_a,op_b", ",T,T", "tt", (3, 8, 8)), ("m,n,k,op_a,op_b", ",N,T", "nt", (8, 8, 7)),
        ("m,n,k,op_a,op_b", ",N,N", "nn", (8, 8, 8)), ("m,n,k,op_a,op_b", ",,", "tn", (3, 8, 8)),
        ("m,n,k,op_b", ",T", "tt", (3, 8, 8)), ("m,n,k,op_a", ",N", "nn", (8, 8, 8)),
    ],
)  # fmt: skip
def test_layouts_and_padding(tmp_path, header, cells, layout, padded):
    asked = []

    class Recorder(Roofline):
        def gemms(self, gemms):
            asked.extend(gemms.each())
            return super().gemms(gemms)

    predicted(tmp_path, f"{header},precision\n3,5,7{cells},fp16\n", Recorder(TURING))
    assert asked == [Gemm(*padded, 1, find_precision("fp16"), layout=layout)]


PARTS = ["m,n,k", "1", ",", "\n", '"', "\r", "x", "fp16", " ", "\x00", "é", "9999999999", "\x1b"]


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.sampled_from(PARTS)))
def test_garbage_gives_a_result_or_lines(tmp_path, parts):
    path, lines = write(tmp_path, "".join(parts)), []
    try:
        read_gemms(path)
    except PerfModelError as error:
        lines = error.lines()
    assert all(line.isprintable() for line in lines)
