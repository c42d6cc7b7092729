"""Files that are no files, no text or no TOML, and tables with wrong values: one clear line each, never a hang."""

import os
import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from perfmodel.datafiles import LARGEST_BYTES, Section, bundled, find_file, read_bytes, read_text, read_toml
from perfmodel.errors import InputError, UnknownName


def line_of(call, *arguments, **keywords):
    """The only line of the `InputError` that a call raises; fails where it waits for more than 10 s."""
    caught = []

    def attempt():
        try:
            caught.append(call(*arguments, **keywords))
        except BaseException as error:
            caught.append(error)

    thread = threading.Thread(target=attempt, daemon=True)
    thread.start()
    thread.join(10)
    assert caught, "still waiting"
    assert isinstance(caught[0], InputError), caught[0]
    (line,) = caught[0].lines()
    assert line.isprintable()
    return line


def test_missing(tmp_path):
    path = tmp_path / "a.toml"
    assert line_of(read_bytes, path) == f"E1201 {path} does not exist. Check the path."


def test_folder(tmp_path):
    assert line_of(read_bytes, tmp_path) == f"E1202 {tmp_path} is a folder, not a file. Give the path of a file."


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no FIFOs here")
def test_fifo_without_a_writer(tmp_path):
    path = tmp_path / "pipe"
    os.mkfifo(path)
    assert line_of(read_bytes, path) == f"E1202 {path} is not a regular file. Give the path of a file."


@pytest.mark.skipif(not os.path.exists("/dev/zero"), reason="no /dev/zero here")
def test_endless_device():
    assert line_of(read_bytes, "/dev/zero").startswith("E1202 /dev/zero is not a regular file.")


@pytest.mark.parametrize("kind", ["below a file", "loop", "long", "nul", "unreadable"])
def test_unreadable(tmp_path, kind):
    path = tmp_path / "a"
    path.write_text("x")
    if kind == "below a file":
        path = path / "b"
    elif kind == "loop":
        path = tmp_path / "loop"
        path.symlink_to(path)
    elif kind == "long":
        path = tmp_path / ("n" * 5000)
    elif kind == "nul":
        path = tmp_path / "a\0b"
    elif os.access(path, os.R_OK) and os.geteuid() == 0:
        pytest.skip("root reads everything")
    else:
        path.chmod(0)
    line = line_of(read_bytes, path)
    assert line.startswith(f"E1204 {tmp_path}")
    assert line.endswith("Check path and permissions.")
    assert "cannot be read: " in line


def test_too_large(tmp_path):
    path = tmp_path / "a.toml"
    path.write_bytes(b"#" * 7)
    assert read_bytes(path, 7) == b"#######"
    assert line_of(read_bytes, path, 6) == f"E1203 {path} holds 7 bytes; at most 6 are read. Give a smaller file."
    with open(path, "wb") as file:
        file.truncate(LARGEST_BYTES + 1)
    assert line_of(read_toml, path).startswith(f"E1203 {path} holds 1048577 bytes; at most 1048576 are read.")


@pytest.mark.parametrize(
    ("content", "byte", "found"),
    [
        ("a = 'ü'".encode("latin-1"), 5, "0xfc is not UTF-8."),
        (b"\xef\xbb\xbfa = '\xfc'", 8, "0xfc is not UTF-8."),  # counted in the file, byte-order mark and all
        ("a = 1".encode("utf-16-le"), 1, "a NUL byte."),
        (b"\xff\xfe" + "a = 1".encode("utf-16-le"), 0, "0xff is not UTF-8."),
        (b"\xfe\xff" + "a = 1".encode("utf-16-be"), 0, "0xfe is not UTF-8."),
        (b"a = 1\0", 5, "a NUL byte."),
        ("'é'\0".encode(), 4, "a NUL byte."),
        (b"\xef\xbb\xbfa\0", 4, "a NUL byte."),
        (b"a = '\xe2\x82", 5, "0xe2 is not UTF-8."),  # cut in the middle of a character
    ],
)
def test_no_text(tmp_path, content, byte, found):
    path = tmp_path / "a.toml"
    path.write_bytes(content)
    assert line_of(read_text, path).startswith(f"E1205 {path}: byte {byte}: {found}")


def test_byte_order_mark_is_dropped(tmp_path):
    path = tmp_path / "a.toml"
    path.write_bytes(b"\xef\xbb\xbfa = 7\r\n")
    assert read_text(path) == "a = 7\r\n"
    assert read_toml(path).values == {"a": 7}


@given(st.text(st.characters(exclude_characters="\0\ufeff", exclude_categories=["Cs"])))
def test_text_comes_back_as_it_was_written(tmp_path_factory, text):
    path = tmp_path_factory.mktemp("texts") / "a.txt"
    path.write_bytes(text.encode())
    assert read_text(path) == text


@pytest.mark.parametrize(
    ("content", "found"),
    [
        ("a = 1\nb = \n", "not valid TOML: Invalid value (at line 2, column 5)."),
        ("a = 1\na = 2", "not valid TOML: Cannot overwrite a value"),
        ("a = " + 5000 * "9", "not valid TOML: "),
        ("a = " + 100_000 * "[", "is nested too deeply. Use fewer levels."),
    ],
)
def test_no_toml(tmp_path, content, found):
    path = tmp_path / "a.toml"
    path.write_text(content)
    assert line_of(read_toml, path).startswith(f"E1206 {path}: {found}")


def section(**values):
    return Section(values, "a.toml", "top")


@pytest.mark.parametrize(
    ("method", "value", "line"),
    [
        ("text", 7, "E1211 a.toml: top.x: 7 is not a text."),
        ("text", " \t", "E1211 a.toml: top.x: is blank."),
        ("whole", 7.0, "E1211 a.toml: top.x: 7.0 is not a whole number."),
        ("whole", True, "E1211 a.toml: top.x: True is not a whole number."),
        ("whole", "7", "E1211 a.toml: top.x: '7' is not a whole number."),
        ("whole", 0, "E1212 a.toml: top.x: 0 is not between 1 and 1000000000."),
        ("whole", 10**9 + 1, "E1212 a.toml: top.x: 1000000001 is not between 1 and 1000000000."),
        pytest.param("whole", 1 << 20_000, "E1212 a.toml: top.x: is beyond 64 bits.", id="huge"),
        pytest.param("whole", -(1 << 63), "E1212 a.toml: top.x: is beyond 64 bits.", id="huge"),
        ("number", False, "E1211 a.toml: top.x: False is not a number."),
        ("number", "1e3", "E1211 a.toml: top.x: '1e3' is not a number."),
        ("number", 0, "E1212 a.toml: top.x: 0 is not a number above 0 and up to 1e+30."),
        ("number", float("nan"), "E1212 a.toml: top.x: nan is not a number above 0 and up to 1e+30."),
        ("number", float("inf"), "E1212 a.toml: top.x: inf is not a number above 0 and up to 1e+30."),
        ("tables", 7, "E1211 a.toml: top.x: 7 is not a list of tables."),
        ("tables", [{}, "\x1b"], "E1211 a.toml: top.x[1]: '\\x1b' is not a table."),
        pytest.param(
            "tables", [[1 << 20_000]], "E1211 a.toml: top.x[0]: list of thousands of digits is not a table.", id="huge"
        ),
    ],
)
def test_wrong_values(method, value, line):
    assert line_of(getattr(section(x=value), method), "x").startswith(line)


def test_right_values():
    table = section(t="a", w=7, n=3, f=0.5, rows=[{"y": 1}, {}], missing=None)
    assert (table.text("t"), table.whole("w", least=7, most=7), table.number("n"), table.number("f")) == (
        "a",
        7,
        3,
        0.5,
    )
    first, second = table.tables("rows")
    assert first.whole("y") == 1
    assert second.whole("y", 5) == 5
    assert line_of(second.whole, "y") == "E1210 a.toml: top.rows[1].y: is missing. Add y = a whole number."


def test_defaults_stand_in_for_absent_keys_only():
    table = section(n=0)
    assert table.number("m", None) is None
    assert table.text("t", "none") == "none"
    assert table.tables("rows", []) == []
    assert line_of(table.number, "n", None).startswith("E1212 a.toml: top.n: 0 is not")


def test_a_key_that_nobody_took_is_a_typing_slip():
    table = section(title="a", tilte="b")
    table.text("title")
    assert line_of(table.finish) == "E1213 a.toml: top.tilte: is not a key of this table. Known keys: title."
    table.text("tilte")
    assert table.finish() is None


def test_a_file_by_name_or_path():
    assert find_file("devices", "device", "t4", "E1001") == bundled("devices")["t4"]
    assert str(find_file("devices", "device", "mine/t4.toml", "E1001")) == "mine/t4.toml"  # read or refused later
    for name in ("t5", "", "t4.csv", "../devices/t4", "\x1b[31m"):
        with pytest.raises(UnknownName, match=r"^E1001 device '.*' is not known\. ") as error:
            find_file("devices", "device", name, "E1001")
        assert str(error.value).isprintable()


def test_bundled_files_by_name():
    devices = bundled("devices")
    assert list(devices) == sorted(devices)
    assert devices["t4"].name == "t4.toml"


@pytest.mark.parametrize(
    "text",
    [
        " " * 500_000 + "a = 1",
        "# " + "." * 200,
        'notes = """\n' + "." * 200 + '\n"""',
        "a." * 90 + "a = 1",
        "x = 1  # " + "a." * 200,
    ],
)
def test_dots_that_nest_nothing(tmp_path, text):
    (tmp_path / "dots.toml").write_text(text)
    read_toml(tmp_path / "dots.toml")


@pytest.mark.parametrize(
    "key",
    [
        "a." * 20_000 + "a = 1", "[" + "a." * 20_000 + "a]", '"="' + ".a" * 20_000 + " = 1",
        '"\\"".' * 20_000 + "a = 1", "x = { " + "b." * 20_000 + "b = 1 }",
    ],
)  # fmt: skip
def test_keys_of_very_many_parts(tmp_path, key):
    (tmp_path / "deep.toml").write_text("title = 'x'\n" + key)
    with pytest.raises(InputError, match=r"^E1206 .*deep\.toml:2: a key of more than 100 parts"):
        read_toml(tmp_path / "deep.toml")
