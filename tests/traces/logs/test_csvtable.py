"""Rows from CSV of any make, and clear errors for what is none."""

import contextlib

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from perfmodel.errors import InputError
from perfmodel.traces.logs import csvtable
from perfmodel.traces.logs.csvtable import delimiter_of
from perfmodel.traces.logs.given import Given
from perfmodel.traces.logs.logfile import LogFile
from perfmodel.traces.logs.tablerun import csv_run

FUZZ = settings(max_examples=500, suppress_health_check=[HealthCheck.function_scoped_fixture])


def run_of(folder, raw, **said):
    path = folder / "log.csv"
    path.write_bytes(raw if isinstance(raw, bytes) else raw.encode())
    return csv_run("csv", LogFile(path), Given(**said))


def values(folder, raw, **said):
    """Epoch, precision and metrics of each stretch."""
    stretches = run_of(folder, raw, **said).stretches
    return [(one.epoch, one.precision and one.precision.label, dict(one.metrics)) for one in stretches]


def fault(folder, raw, **said):
    with pytest.raises(InputError) as error:
        run_of(folder, raw, **said)
    return [line.replace(str(folder / "log.csv"), "F") for line in error.value.lines()]


def told(folder, raw, **said):
    return [text.replace(str(folder / "log.csv"), "F") for text in run_of(folder, raw, **said).corrections]


PLAIN = [(0, "fp16", {"loss": 5.5}), (1, "fp32", {"loss": 3.25})]
TEXT = "epoch,loss,precision\n0,5.5,fp16\n1,3.25,fp32\n"


@pytest.mark.parametrize(
    "raw",
    [
        TEXT, TEXT.rstrip("\n"), "\n\n" + TEXT, TEXT.replace("\n", "\r\n"), TEXT.replace("\n", "\r"),
        TEXT.replace("\n", "\n\n"), TEXT.replace(",", ", "), TEXT.replace(",", "\t"), TEXT.replace(",", " ,\t"),
        TEXT.replace(",", ";"), TEXT.replace(",", "|"), b"\xef\xbb\xbf" + TEXT.encode(), TEXT.encode("utf-16"),
        '"epoch","loss","precision"\n"0","5.5","fp16"\n1,3.25,"fp32"\n', TEXT.replace("5.5", "+.55e1"),
    ],
)  # fmt: skip
def test_csv_is_written_in_many_ways(tmp_path, raw):
    assert values(tmp_path, raw) == PLAIN


def test_decimals_may_follow_a_comma(tmp_path):
    raw = TEXT.replace(",", ";").replace(".", ",")
    assert values(tmp_path, raw, decimal="comma") == PLAIN
    assert fault(tmp_path, raw)[0] == (
        "E1207 F:2:2 column 'loss': '5,5' is not a number (decimal comma). Use --decimal comma or replace ',' by '.'."
    )
    assert fault(tmp_path, TEXT, decimal="comma")[0].startswith("E1105 F: --decimal: decimal commas in a file whose")


def test_quoted_cells_may_hold_anything(tmp_path):
    raw = 'epoch,"a ""b"", c",note,precision\n0,5,"x\ny, z",fp16\n1,"3","",fp32\n'
    assert values(tmp_path, raw) == [(0, "fp16", {'a "b", c': 5.0}), (1, "fp32", {'a "b", c': 3.0})]
    assert told(tmp_path, raw)[0] == "F:1 columns of texts left out: 'note'"


def test_lines_after_a_quoted_line_end_keep_their_numbers(tmp_path):
    raw = 'epoch,note,loss\n0,"x\ny\nz",5\n1,b,7,8\n'
    assert fault(tmp_path, raw) == ["E1208 F:5: has 4 cells; the header has 3. Correct the row."]


@pytest.mark.parametrize("empty", ["", "NA", "N/A", "None", "null", " "])
def test_missing_values_are_left_out(tmp_path, empty):
    raw = f"epoch,loss,acc,precision\n0,{empty},7,fp16\n1,5,{empty},{empty}\n"
    assert values(tmp_path, raw) == [(0, "fp16", {"acc": 7.0}), (1, "fp16", {"loss": 5.0})]


def test_columns_of_texts_are_left_out_and_told(tmp_path):
    raw = "date,epoch,loss,split,precision\n2026-01-02,0,5.5,val,fp16\n2026-01-03,1,3.25,val,fp32\n"
    assert values(tmp_path, raw) == PLAIN
    assert told(tmp_path, raw) == ["F:1 columns of texts left out: 'date', 'split'"]


@pytest.mark.parametrize("cell", ["abc", "1_0", "97%", "１２", "0x10", "1e999"])
@pytest.mark.parametrize("rows", [1, 2, 5])
def test_a_cell_that_is_no_number_in_a_column_of_numbers_is_an_error(tmp_path, cell, rows):
    raw = "epoch,loss\n" + "".join(f"{i},5\n" for i in range(rows)) + f"{rows},{cell}\n"
    assert fault(tmp_path, raw)[0].startswith(f"E1207 F:{rows + 2}:2 column 'loss': '{cell}' is ")


def test_an_epoch_that_is_no_number_is_an_error_from_the_first_row_on(tmp_path):
    assert fault(tmp_path, "epoch,loss\n1/90,5\n")[0].startswith("E1207 F:2:1 column 'epoch': '1/90' is not a number")


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        ("", "E1208 F:1: there is no header line."),
        ("\n\n", "E1208 F:1: there is no header line."),
        (",,\n1,2,3\n", "E1208 F:1: there is no header line."),
        ("epoch,loss\n1,2,3\n", "E1208 F:2: has 3 cells; the header has 2."),
        ("epoch,loss\n1\n", "E1208 F:2: has 1 cells; the header has 2."),
        ("epoch,loss,loss\n1,2,3\n", "E1209 F:1: column 'loss' occurs twice."),
        ('epoch,loss\n0,"5\n1,3\n', "E1208 F:"),
        ('epoch,loss\n0,"5"x\n', "E1208 F:2: is not readable as CSV: "),
        ("epoch,loss\n0,\x005\n", "E1205 F:2:3 a NUL byte."),
        (b"epoch,loss\n0,\xe9\n", "E1205 F: byte 13: is not UTF-8."),
        ("epoch,loss\n0," + "5" * 2**21 + "\n", "E1313 F:2: more than 1048576 characters."),
        (",".join(f"c{i}" for i in range(1001)) + "\n", "E1209 F:1: has 1001 columns; at most 1000 are read."),
        ("epoch,bits\n0,8\n", "E1322 F:2: 'bits': '8' counts bits"),
    ],
)
def test_what_is_no_table_is_told_with_its_place(tmp_path, raw, message):
    assert fault(tmp_path, raw)[0].startswith(message)


def test_a_header_alone_holds_no_epoch(tmp_path):
    assert run_of(tmp_path, "epoch,loss\n").stretches == ()


def test_rows_are_bounded(tmp_path, monkeypatch):
    monkeypatch.setattr(csvtable, "MOST_ROWS", 3)
    assert len(values(tmp_path, "epoch,loss\n0,1\n1,1\n2,1\n")) == 3
    assert fault(tmp_path, "epoch,loss\n0,1\n1,1\n2,1\n3,1\n") == ["E1203 F:5: more than 3 rows. Split the file."]


def test_problems_of_cells_are_collected_and_bounded(tmp_path):
    raw = "epoch,loss\n0,1\n" + "1,x\n" * 30
    lines = fault(tmp_path, raw)
    assert lines[19].startswith("E1207 F:22:2")
    assert lines[20:] == ["… 10 more"]
    assert fault(tmp_path, "epoch,loss\n0,1\n" + "1,x\n" * 5000)[20:] == ["… 980 more"]


@pytest.mark.parametrize(("header", "delimiter"), [("a,b;c,d", ","), ("a\tb", "\t"), ("a", None), ("", None)])
def test_the_delimiter_is_what_the_header_has_most_of(header, delimiter):
    assert delimiter_of(header) == delimiter


NUMBERS = st.one_of(
    st.floats(-1e30, 1e30), st.integers(-(10**6), 10**6).map(float), st.sampled_from([0.0, -0.0, 1e-300])
)


@FUZZ
@given(
    columns=st.lists(st.lists(st.one_of(st.none(), NUMBERS), min_size=3, max_size=3), min_size=1, max_size=5),
    delimiter=st.sampled_from(",;\t|"),
    blank=st.sampled_from(["", " "]),
    end=st.sampled_from(["\n", "\r\n", "\r"]),
)
def test_numbers_read_back_exactly(tmp_path, columns, delimiter, blank, end):
    names = [f"m{i}" for i in range(len(columns))]
    rows = [["epoch", *names]]
    rows += [[str(i), *("" if column[i] is None else repr(column[i]) for column in columns)] for i in range(3)]
    raw = "".join((blank + delimiter).join(row) + end for row in rows)
    expected = [
        (i, None, {name: column[i] for name, column in zip(names, columns, strict=True) if column[i] is not None})
        for i in range(3)
    ]
    assert values(tmp_path, raw) == expected


SEEDS = [TEXT, "epoch,step,lr,bits\n0,0,0.1,8\n0,1,0.1,8\n1,2,,16\n", 'epoch;"a";b\n1;5,5;x\n2;nan;\n']


@FUZZ
@given(
    seed=st.sampled_from(SEEDS),
    edits=st.lists(
        st.tuples(
            st.integers(0, 60), st.integers(0, 3), st.sampled_from(
                [b"", b",", b";", b'"', b"\n", b"\r", b"\x00", b"\xff", b"nan", b"1e999", b"-", b"_", b".", b"9" * 30,
                 "１".encode(), b"\xef\xbb\xbf", b"epoch", b"0,0\n", b"inf", b"e"]
            ),
        ), max_size=6,
    ),
)  # fmt: skip
def test_any_bytes_are_a_run_or_errors(tmp_path, seed, edits):
    raw = seed.encode()
    for at, cut, put in edits:
        raw = raw[:at] + put + raw[at + cut :]
    with contextlib.suppress(InputError):
        epochs = [one.epoch for one in run_of(tmp_path, raw, bits="dfx").stretches]
        assert epochs == sorted(epochs)


def test_a_header_that_comes_again_is_left_out(tmp_path):
    """As a script writes it that opens its log anew when it is resumed."""
    raw = "epoch,loss\n0,5\n1,4\nepoch,loss\n1,3\n2,2\n"
    assert [stretch.metrics for stretch in run_of(tmp_path, raw).stretches] == [{"loss": 5}, {"loss": 3}, {"loss": 2}]
    assert any("4 the header again: left out (lines 4)" in text for text in told(tmp_path, raw))


@pytest.mark.parametrize("end", ["2", "2,", "2,3,", "2,3,0.", '2,3,"0.'])
def test_a_last_line_that_is_cut_off_is_left_out_or_doubted(tmp_path, end):
    raw = "epoch,loss,acc\n0,5,0.5\n1,4,0.7\n" + end
    doubted = end == "2,3,0."
    if end == '2,3,"0.':
        assert fault(tmp_path, raw)[0].startswith("E1208 F:4: ")  # whatever may have been swallowed
        return
    assert [stretch.epoch for stretch in run_of(tmp_path, raw).stretches] == [0, 1, 2][: 2 + (doubted or end == "2,3,")]
    words = "has no end" if doubted or end == "2,3," else "is cut off: left out"
    assert any(f"4 the last line {words}" in text for text in told(tmp_path, raw))


@pytest.mark.parametrize("missing", ["NA", "nan", ""])
def test_a_missing_precision_is_that_of_the_row_before(tmp_path, missing):
    raw = f"epoch,loss,precision\n0,5,fp16\n1,4,{missing}\n2,3,{missing}\n3,2,fp32\n"
    names = [stretch.precision.fprop[0] for stretch in run_of(tmp_path, raw).stretches]
    assert names == ["fp16", "fp16", "fp16", "fp32"]


@pytest.mark.parametrize("cells", [("hello", "5", "world"), ("hello", "5", "6"), ("hello", " 5", '" 6"')])
def test_a_column_that_begins_with_a_text_is_one_of_texts(tmp_path, cells):
    raw = "epoch,loss,note\n" + "".join(f"{i},1,{cell}\n" for i, cell in enumerate(cells))
    assert all(stretch.metrics == {"loss": 1} for stretch in run_of(tmp_path, raw).stretches)
