"""Tables as text: what each format looks like, and that no name from a file does harm in any of them."""

import csv
import io
import json
import string

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from perfmodel.errors import OutputError
from perfmodel.output import TABLE_SUFFIXES
from perfmodel.report.render import escape_latex, render, to_csv, to_json, to_latex, to_markdown, to_text, width
from perfmodel.report.table import LONGEST_CELL, Table, visible

FRAME = pd.DataFrame(
    {
        "layer": ["conv1", "fc|8", None],
        "time_s": [0.00123, 1 / 3, np.nan],
        "bytes": [4096, 12, 7],
        "basis": ["roofline", "measured", "measured"],
    }
)
TABLE = Table(
    "One step",
    FRAME,
    show={"time_s": lambda s: f"{s * 1e3:.2f}"},
    headers={"layer": "layer", "time_s": "time [ms]", "bytes": "bytes"},
    notes=("12_bit is timed as fp16.", "50% is $ & more."),
)
HOSTILE = (
    "</script>",
    "$x^2$",
    "a|b",
    "=1+1",
    "\x1b[31mred\x07",
    "\u202eevil\u2066",
    "n" * 10_000,
    "x\ny\r\u2028z",
    "`c`",
)


def hostile_table():
    names = list(HOSTILE)
    return Table(names[4], pd.DataFrame({"layer": names, names[3]: 1.5}), notes=tuple(names))


def test_text():
    assert to_text(TABLE) == (
        "One step\n"
        "\n"
        "layer  time [ms]  bytes\n"
        "-----  ---------  -----\n"
        "conv1       1.23   4096\n"
        "fc|8      333.33     12\n"
        "–              –      7\n"
        "\n"
        "12_bit is timed as fp16.\n"
        "50% is $ & more.\n"
    )


def test_markdown():
    assert to_markdown(TABLE) == (
        "## One step\n"
        "\n"
        "| layer | time \\[ms\\] | bytes |\n"
        "|---|---:|---:|\n"
        "| conv1 | 1.23 | 4096 |\n"
        "| fc\\|8 | 333.33 | 12 |\n"
        "| – | – | 7 |\n"
        "\n"
        "12_bit is timed as fp16.\n"
        "50% is \\$ &amp; more.\n"
    )


def test_latex():
    assert to_latex(TABLE) == (
        "% One step\n"
        "\\begin{tabular}{lrr}\n"
        "  \\hline\n"
        "  layer & time [ms] & bytes \\\\\n"
        "  \\hline\n"
        "  conv1 & 1.23 & 4096 \\\\\n"
        "  fc|8 & 333.33 & 12 \\\\\n"
        "  – & – & 7 \\\\\n"
        "  \\hline\n"
        "\\end{tabular}\n"
        "\n"
        "\\par\\smallskip\\noindent{\\footnotesize 12\\_bit is timed as fp16.\\par}\n"
        "\\par\\smallskip\\noindent{\\footnotesize 50\\% is \\$ \\& more.\\par}\n"
    )


def test_csv_has_every_column_raw():
    assert to_csv(TABLE) == (
        "layer,time_s,bytes,basis\nconv1,0.00123,4096,roofline\nfc|8,0.3333333333333333,12,measured\n,,7,measured\n"
    )


def test_json_has_every_column_raw():
    content = json.loads(to_json(TABLE))
    assert content["title"] == "One step"
    assert content["columns"][1:] == [
        {"name": "time_s", "header": "time [ms]"},
        {"name": "bytes", "header": "bytes"},
        {"name": "basis", "header": None},
    ]
    assert content["rows"][1] == {"layer": "fc|8", "time_s": 1 / 3, "bytes": 12, "basis": "measured"}
    assert content["rows"][2] == {"layer": None, "time_s": None, "bytes": 7, "basis": "measured"}
    assert content["notes"] == list(TABLE.notes)


def test_csv_round_trip():
    pd.testing.assert_frame_equal(pd.read_csv(io.StringIO(to_csv(TABLE))), FRAME)


@given(st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=1))
def test_floats_survive_csv_and_json(values):
    table = Table("t", pd.DataFrame({"time_s": values}))
    rows = list(csv.reader(io.StringIO(to_csv(table))))
    assert [float(row[0]) for row in rows[1:]] == values
    assert [row["time_s"] for row in json.loads(to_json(table))["rows"]] == values


def test_json_is_strict_and_gives_names_back():
    frame = pd.DataFrame({"x": [np.inf, -np.inf, np.nan, 1.0]}).assign(
        layer=pd.Series([*HOSTILE[:3], "\ud800"], dtype=object)  # which pandas with pyarrow would not take as texts
    )
    text = to_json(Table("t", frame))
    rows = json.loads(text, parse_constant=pytest.fail)["rows"]
    assert [row["x"] for row in rows] == ["Infinity", "-Infinity", None, 1.0]
    assert [row["layer"] for row in rows] == list(frame["layer"])
    text.encode("utf-8")


def test_numbers_of_any_make_are_numbers():
    frame = pd.DataFrame({"a": pd.Series([np.int64(5), None], dtype=object), "b": pd.array([True, pd.NA])})
    assert to_csv(Table("t", frame)) == "a,b\n5,True\n,\n"
    assert json.loads(to_json(Table("t", frame)))["rows"] == [{"a": 5, "b": True}, {"a": None, "b": None}]
    assert Table("t", frame).numeric() == [True, False]


@pytest.mark.parametrize("suffix", TABLE_SUFFIXES)
def test_nothing_invisible_reaches_any_format(suffix):
    text = render([hostile_table()], suffix)
    assert all(c == "\n" or visible(c) == c for c in text)
    assert "\u202e" not in text
    text.encode("utf-8")


@pytest.mark.parametrize("suffix", [".txt", ".md", ".tex"])
def test_a_row_is_a_line_and_no_cell_is_endless(suffix):
    table = Table("t", pd.DataFrame({"layer": HOSTILE}))
    lines = render([table], suffix).splitlines()
    extra = {".txt": 4, ".md": 4, ".tex": 7}[suffix]  # title, header, rules
    assert len(lines) == len(HOSTILE) + extra
    assert max(map(len, lines)) < LONGEST_CELL + 40


def test_text_columns_stay_aligned_for_wide_characters():
    table = Table("t", pd.DataFrame({"layer": ["conv", "畳み込み", "é"], "bytes": [1, 22, 333]}))
    ends = {width(line) for line in to_text(table).splitlines()[2:]}
    assert ends == {len("畳み込み") * 2 + 2 + len("bytes")}


def test_empty_tables_say_so():
    table = Table("t", FRAME.iloc[:0])
    assert "(no rows)" in to_text(table)
    assert to_csv(table) == "layer,time_s,bytes,basis\n"
    assert json.loads(to_json(table))["rows"] == []


def test_markdown_shows_names_as_they_are():
    text = to_markdown(Table("# <b>*t*</b>", pd.DataFrame({"layer": ["</script>", "a|b", "`c`", "$x^2$", "[a](b)"]})))
    assert "<" not in text
    assert "## # &lt;b&gt;\\*t\\*&lt;/b&gt;" in text
    assert r"| a\|b |" in text
    assert r"| \`c\` |" in text
    assert r"| \$x^2\$ |" in text
    assert r"| \[a\](b) |" in text


@pytest.mark.parametrize(
    ("note", "line"),
    [
        ("- x", r"\- x"),
        ("# x", r"\# x"),
        ("1. x", r"1\. x"),
        ("12-bit x", "12-bit x"),
        ("3.5 ms", "3.5 ms"),
        ("   x", "x"),
    ],
)
def test_a_markdown_note_is_a_paragraph(note, line):
    assert to_markdown(Table("t", FRAME, notes=(note,))).splitlines()[-1] == line


def test_latex_escapes_its_ten_specials():
    specials = "\\&%$#_{}~^"
    assert escape_latex(specials) == (r"\textbackslash{}\&\%\$\#\_\{\}\textasciitilde{}\textasciicircum{}")
    harmless = set(string.printable) - set(string.whitespace) - set(specials)
    assert all(escape_latex(c) == c for c in harmless)


def test_latex_rows_give_the_line_break_no_option():
    text = to_latex(Table("t", pd.DataFrame({"layer": ["[2cm]", "*"]})))
    assert "  {[}2cm] \\\\" in text
    assert "  {*} \\\\" in text


@pytest.mark.parametrize("text", ["=1+1", "+x", "-x", "@x", "\tx", "\rx", " =1", "＝1"])
def test_csv_runs_no_formula(text):
    cell = next(csv.reader(io.StringIO(to_csv(Table("t", pd.DataFrame({text: [text]}))))))[0]
    assert cell.startswith("'")


@pytest.mark.parametrize("text", ["-1", "+1.5e-3", "conv-1", "a=b", "–"])
def test_csv_leaves_numbers_and_names_alone(text):
    assert to_csv(Table("t", pd.DataFrame({"x": [text]}))) == f"x\n{text}\n"


def test_several_tables():
    assert render([TABLE, TABLE], ".txt") == to_text(TABLE) + "\n\n" + to_text(TABLE)
    assert render([TABLE, TABLE], ".md").count("## One step") == 2
    assert [each["title"] for each in json.loads(render([TABLE, TABLE], ".json"))] == ["One step"] * 2
    assert json.loads(render([TABLE], ".json"))["title"] == "One step"


def test_csv_holds_one_table():
    assert render([TABLE], ".csv") == to_csv(TABLE)
    with pytest.raises(OutputError, match=r"^E1903 \.csv: holds one table, and there are 2\. .*\.json"):
        render([TABLE, TABLE], ".csv")


@pytest.mark.parametrize("wrong", [{"headers": {"no": "x"}}, {"show": {"no": str}}, {"notes": "a sentence"}])
def test_a_table_refuses_what_it_cannot_show(wrong):
    with pytest.raises(ValueError, match=r"no columns|notes"):
        Table("t", FRAME, **wrong)


def test_a_table_refuses_two_columns_of_one_name():
    with pytest.raises(ValueError, match="different"):
        Table("t", pd.DataFrame([[1, 2]], columns=["a", "a"]))


def test_each_row_may_have_its_own_way_to_be_shown():
    frame = pd.DataFrame({"time_s": [1.25, np.nan, 2.5]})
    table = Table("t", frame, show={"time_s": ["{:.1f}".format, str, "{:.3f}".format]})
    assert table.rows() == [["1.2"], ["–"], ["2.500"]]
    assert table.numeric() == [True]
    assert to_csv(table) == 'time_s\n1.25\n""\n2.5\n'
    with pytest.raises(ValueError, match="one for each row"):
        Table("t", frame, show={"time_s": [str]})
