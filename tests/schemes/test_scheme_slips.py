"""What is wrong with a scheme's file is one line with file, line and key, and exit code 2."""

import json
import re
import subprocess
import sys

import pytest

from perfmodel.datafiles import LARGEST_BYTES
from perfmodel.errors import InputError, UnknownName
from perfmodel.networks import find_network
from perfmodel.schemes import Overhead, find_scheme, first_step, read_scheme, training_step

HEAD = 'title = "t"\nsource = "s"\n'  # two lines: what follows begins in line 3
RESNET20 = find_network("resnet20")

# Text behind the two lines of the head; line and key; code; what the message holds.
SLIPS = [
    ('[tensors]\nweights = "int44"', "4: tensors.weights:", "E1004", "Did you mean int4"),
    ('[tensors]\nformat = "fp"', "4: tensors.format:", "E1004", "'fp' is not known"),
    ('[tensors]\nformat = ""', "4: tensors.format:", "E1004", ""),
    ('[tensors]\nformat = "int8"\nstored = "int8"', "5: tensors.stored:", "E1004", "Known: fp16, bf16, fp32."),
    ('[tensors]\nformat = "int8"\naccumulate = "fp64"', "5: tensors.accumulate:", "E1004", "fp16"),
    ('[optimizer]\nmaster = "fp61"', "4: optimizer.master:", "E1004", "fp16"),
    ("[tensors]\nformat = 8", "4: tensors.format:", "E1211", "8 is not a text"),
    ("[tensors]\nformat = true", "4: tensors.format:", "E1211", "True is not a text"),
    ('[tensors]\nformat = ["int8"]', "4: tensors.format:", "E1211", "is not a text"),
    ("[tensors]\ntile_k = 2.0", "4: tensors.tile_k:", "E1211", "2.0 is not a whole number"),
    ("[tensors]\ntile_k = -1", "4: tensors.tile_k:", "E1212", "-1 is not between 0"),
    ("[tensors]\ntile_k = true", "4: tensors.tile_k:", "E1211", "True"),
    (f"[tensors]\ntile_k = {2**70}", "4: tensors.tile_k:", "E1212", "beyond 64 bits"),
    ('[tensors]\nformat = "int8"\nwieghts = "int4"', "5: tensors.wieghts:", "E1213", "Known keys: accumulate"),
    ('[tensors]\n"a\\u001b" = 1', "4: tensors.a", "E1213", "is not a key"),
    ('tensors = "int8"', "3: tensors:", "E1211", "is not a table"),
    ("tensors.stored.x = 1", "3: tensors.stored:", "E1211", "is not a text"),
    (
        '[tensors]\nformat = "int8"\n[[conversions]]\nkind = "quantise"\nof = "inputs"\npooled = []',
        "8: conversions[0].pooled:", "E1211", "[] is not a text",
    ),
    ('formats = ["fp16"]\n[tensors]\nformat = "int8"', "3: formats:", "E1211", "lack int8"),
    ('[tensors]\nformat = "int8"\n' + "[[epochs]]\nuntil = 1\n" * 501, "5: epochs:", "E1212", "are 501; at most 500"),
    (
        'formats = ["int8"]\n[[layers]]\nmatch = [' + '"*", ' * 501 + ']\nformat = "fp16"',
        "5: layers[0].match:", "E1212", "are 501; at most 500",
    ),
    (
        'formats = ["int8"]\n' + '[[conversions]]\nkind = "quantise"\nof = "inputs"\n' * 501,
        "4: conversions:", "E1212", "are 501; at most 500",
    ),
    (
        'formats = ["int8"]\n[[conversions]]\nkind = "quantise"\nof = "weights"\nops = []',
        "7: conversions[0].ops:", "E1210", "Add some of conv, linear",
    ),
    (
        'formats = ["int8", "int3", "int5"]\n[schedule]\nkind = "cyclic"\nlow = 3\nhigh = 5\nbackward = 8\n'
        "cycles = 1000000", "3: formats:", "E1211", "lack int4",
    ),
    (
        '[tensors]\nformat = "int8"\n[[layers]]\nformat = "fp16"\nmatch = "' + "*a" * 101 + '"',
        "7: layers[0].match:", "E1212", "a pattern of 202 characters; at most 200",
    ),
    ("formats = []", "3: formats:", "E1210", "is missing"),
    ('formats = ["int8", "int8"]', "3: formats:", "E1211", "names one twice"),
    ('formats = ["int8", "int88"]', "3: formats:", "E1211", "'int88' is not one of"),
    ("formats = [1]", "3: formats:", "E1211", "1 is not a text"),
    ("formats = { a = 1 }", "3: formats:", "E1211", "is not a text or a list"),
    ("", ": tensors.format:", "E1210", "Say which formats"),
    ('[optimizer]\nmaster = "fp16"', ": tensors.format:", "E1210", ""),
    ('extends = "mix"', "3: extends:", "E1402", "Known: fp32, mixed"),
    ('extends = "mine.toml"', "3: extends:", "E1402", ""),
    ("extends = 1", "3: extends:", "E1211", "is not a text"),
    ('extends = "mixed"\ntensors = 1', "4: tensors:", "E1211", ""),
    ('extends = "mixed"\n\n[tensors]\nstord = "fp16"', "6: tensors.stord:", "E1213", ""),
    ('extends = "mixed"\nlayer = 1', "4: layer:", "E1213", ""),
    ('formats = ["int8"]\nlayers = 1', "4: layers:", "E1211", "a list of tables"),
    ('formats = ["int8"]\nlayers = [1]', "4: layers[0]:", "E1211", "1 is not a table"),
    ('formats = ["int8"]\n[[layers]]\nformat = "int8"', "4: layers[0].match:", "E1210", "roles"),
    ('formats = ["int8"]\n[[layers]]\nmatch = []', "5: layers[0].match:", "E1210", "is missing"),
    ('formats = ["int8"]\n[[layers]]\nmatch = ["a", " "]', "5: layers[0].match:", "E1211", "' ' is not a text"),
    ('formats = ["int8"]\n[[layers]]\nmatch = "a"', "4: layers[0].format:", "E1210", "Say which format"),
    (
        'formats = ["int8"]\n[[layers]]\nmatch = "a"\nformat = "int8"\n\n# c\n[[layers]]\nmatch = 2\nformat = "int8"',
        "10: layers[1].match:", "E1211", "a text or a list of texts",
    ),
    (
        'formats = ["int8"]\n[[layers]]\nmatch="a"\nformat="int8"\nleast_image=0',
        "7: layers[0].least_image:", "E1212", "",
    ),
    ('formats = ["int8"]\n[[layers]]\nmatch="a"\nformat="int8"\nof="x"', "7: layers[0].of:", "E1213", ""),
    ('formats = ["int8"]\nlayers = [\n{ match = "a" } ]', "4: layers[0].format:", "E1210", ""),
    ('formats = ["int8"]\n[[conversions]]\nof = "weights"', "4: conversions[0].kind:", "E1210", "is missing"),
    ('formats = ["int8"]\n[[conversions]]\nkind = "quantize"', "5: conversions[0].kind:", "E1211", "quantise, cast"),
    ('formats = ["int8"]\n[[conversions]]\nkind = "quantise"', "4: conversions[0].of:", "E1210", "weights"),
    ('formats = ["int8"]\n[[conversions]]\nkind = "quantise"\nof = []', "6: conversions[0].of:", "E1210", ""),
    ('formats = ["int8"]\n[[conversions]]\nkind = "quantise"\nof = "weight"', "6: conversions[0].of:", "E1211", ""),
    *[
        (
            f'formats = ["int8"]\n[[conversions]]\nkind = "cast"\nof = "weights"\nbytes = {value}',
            "7: conversions[0].bytes:", "E1211", "",
        )
        for value in ("4", "[]", "[4]", "[1, 2, 3]", "[nan, 1]", "[inf, 1]", "[-1, 2]", "[0, 0]", "[true, 1]",
                      '["4", 2]', "[1001, 0]", f"[{10**400}, 1]", "{ read = 4 }", "nan", f"[{'[' * 300}{']' * 300}, 1]")
    ],
    ('formats = ["int8"]\n[[conversions]]\nkind = "cast"\nof = "weights"', "4: conversions[0].bytes:", "E1210", ""),
    *[
        (f'formats = ["int8"]\n[[conversions]]\nkind = "quantise"\nof = "weights"\n{key} = {value}',
         f"7: conversions[0].{key}:", code, "")
        for key, value, code in (
            ("bytes", "[4, 2]", "E1213"), ("heads", "1", "E1211"), ("heads", '"false"', "E1211"),
            ("one_pass", "0", "E1211"), ("codes_only", "[]", "E1211"), ("times", "0", "E1212"),
            ("times", "1001", "E1212"), ("times", "nan", "E1211"), ("times", "true", "E1211"),
            ("every", "0", "E1212"), ("every", "1e3", "E1211"),
            ("pass", '"forward"', "E1211"),
            ("ops", '"convolution"', "E1211"), ("ops", '["conv", "conv"]', "E1211"), ("pooled", '"all"', "E1211"),
            ("what", "1979-05-27", "E1211"), ("time", "2", "E1213"),
        )
    ],
    (
        'formats = ["int8"]\n[[conversions]]\nkind = "quantise"\nof = "weights"\ntimes = 2\nevery = 2',
        "8: conversions[0].every:", "E1211", "beside times",
    ),
    ('formats = ["int8"]\n[schedule]\nkind = "cycle"', "5: schedule.kind:", "E1211", "constant, shares, cyclic"),
    ('formats = ["int8"]\n[schedule]\nformat = "int0"', "5: schedule.format:", "E1004", ""),
    ('formats = ["int8"]\n[schedule]\ncycles = 3', "5: schedule.cycles:", "E1213", ""),
    ('formats = ["int8"]\n[schedule]\nkind = "shares"\nfrom = "x"', "4: schedule.shares:", "E1210", "how many epochs"),
    ('formats = ["int8"]\nschedule.kind = "shares"\nschedule.from = "x"', "4: schedule.shares:", "E1210", ""),
    ('formats = ["int8"]\n[schedule]\nkind = "shares"\nshares = { int8 = 1 }', "4: schedule.from:", "E1210", ""),
    (
        'formats = ["int8"]\n[schedule]\nkind = "shares"\nshares = { int4 = 1 }\nfrom = "x"',
        "6: schedule.shares.int4:", "E1211", "It has int8",
    ),
    (
        'formats = ["int8"]\n[schedule]\nkind = "shares"\nfrom = "x"\n[schedule.shares]\nint8 = 0',
        "8: schedule.shares.int8:", "E1212", "",
    ),
    ('formats = ["int8"]\n[schedule]\nkind = "cyclic"\nlow = 1', "4: schedule.high:", "E1210", ""),
    (
        'formats = ["int8"]\n[schedule]\nkind = "cyclic"\nlow = 5\nhigh = 4\nbackward = 8\ncycles = 2',
        "6: schedule.low:", "E1212", "above high",
    ),
    (
        'formats = ["int8"]\n[schedule]\nkind = "cyclic"\nlow = 5\nhigh = 17\nbackward = 8\ncycles = 2',
        "7: schedule.high:", "E1212", "between 1 and 16",
    ),
    ('formats = ["int8"]\nepochs = [{ format = "int8" }, { until = 3 }]', "4: epochs[0].until:", "E1210", "last stage"),
    ('formats = ["int8"]\n[[epochs]]\nuntil = 4\n[[epochs]]\nuntil = 4', "7: epochs[1].until:", "E1212", "not after 4"),
    ('formats = ["int8"]\n[[epochs]]\nuntil = 0', "5: epochs[0].until:", "E1212", ""),
    ('formats = ["int8"]\n[[epochs]]\nuntil = "5"', "5: epochs[0].until:", "E1211", ""),
    ('formats = ["int8"]\n[[epochs]]\nformat = "int"', "5: epochs[0].format:", "E1004", "int8"),
    ('formats = ["int8"]\n[[epochs]]\nstored = "fp16"', "5: epochs[0].stored:", "E1213", ""),
    ('formats = ["int8"]\n[[epochs]]\n[[epochs.layers]]\nmatch = 1', "6: epochs[0].layers[0].match:", "E1211", ""),
    ('formats = ["int8"]\nstands_for = { int8 = "int4" }', "4: stands_for.int8:", "E1004", "int8"),
    ('formats = ["int8"]\nnotes = 1', "4: notes:", "E1211", ""),
    ('formats = ["int8"]\nleaves_out = [""]', "4: leaves_out:", "E1211", ""),
    (
        'notes = """\n[tensors]\nformat = "x"\n"""\nformats = ["int8"] # [\n[tensors]\nstored = 1',
        "9: tensors.stored:", "E1211", "",
    ),
    (
        'leaves_out = [ # ]\n"]", """\n]""",\n]\nformats = ["int8"]\n[tensors]\nstored = 1',
        "9: tensors.stored:", "E1211", "",
    ),
]  # fmt: skip


@pytest.mark.parametrize("ends", ["\n", "\r\n"])
@pytest.mark.parametrize(("text", "place", "code", "says"), SLIPS)
def test_slips_are_one_line_with_file_line_and_key(tmp_path, text, place, code, says, ends):
    path = tmp_path / "mine.toml"
    path.write_bytes((HEAD + text).replace("\n", ends).encode())
    with pytest.raises(InputError) as error:
        read_scheme(path)
    (line,) = error.value.lines()
    separator = "" if place.startswith(":") else ":"
    assert line.startswith(f"{code} {path}{separator}{place}"), line
    assert says in line
    assert line.isprintable()
    assert len(line) < 700 + len(str(path))


def test_a_byte_order_mark_moves_no_line(tmp_path):
    path = tmp_path / "mine.toml"
    path.write_bytes(b"\xef\xbb\xbf" + (HEAD + 'formats = "int9x"').encode())
    with pytest.raises(InputError, match=r"mine\.toml:3: formats: 'int9x'"):
        read_scheme(path)


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ('source = "s"\nformats = ["int8"]', "title: is missing"),
        ('title = "t"\nformats = ["int8"]', "source: is missing"),
        ('title = " "\nsource = "s"', "1: title: is blank"),
        ('title = "t"\nsource = "s"\nextends = "mixed"\ntitel = "x"', "4: titel: is not a key"),
        ('extends = "mixed"', "title: is missing"),
    ],
)
def test_title_and_source_are_required(tmp_path, text, place):
    path = tmp_path / "mine.toml"
    path.write_text(text)
    with pytest.raises(InputError, match=re.escape(f"mine.toml:{' ' * (not place[0].isdigit())}{place}")):
        read_scheme(path)


@pytest.mark.parametrize(
    ("content", "code"),
    [
        (b"\xff", "E1205"), (b"a = 1\0", "E1205"), (b"a = ", "E1206"), (b"a = 1\na = 2", "E1206"),
        (b"a = " + b"[" * 100_000, "E1206"), (b"a = " + b"9" * 5000, "E1206"), (b"x" * (LARGEST_BYTES + 1), "E1203"),
        (b"a = 1_\n", "E1206"), (b"[[a]]\n[a]", "E1206"), (b"\x1b[2J", "E1206"), (b"", "E1210"),
    ],
)  # fmt: skip
def test_files_that_do_not_parse(tmp_path, content, code):
    path = tmp_path / "mine.toml"
    path.write_bytes(content)
    with pytest.raises(InputError, match=f"^{code} ") as error:
        find_scheme(str(path))
    assert len(error.value.lines()) == 1


@pytest.mark.parametrize("name", ["no-such-file.toml", ".toml", "mixed.toml", "\0.toml", "x" * 5000 + ".toml"])
def test_files_that_are_not_there(name):
    with pytest.raises(InputError, match=r"^E120[14] "):
        find_scheme(name)


@pytest.mark.parametrize(
    ("match", "nearest"),
    [
        ("layer9.*", "layer1"),
        ("fist", "first"),
        ("fcc", "fc"),
        ("conv1 ", "conv1"),
        ("[", ""),
        ("*x", ""),
        ("\x1b", ""),
    ],
)
def test_patterns_that_match_no_layer(tmp_path, match, nearest):
    path = tmp_path / "mine.toml"
    names = json.dumps(["last", match])
    path.write_text(f'{HEAD}formats = ["int8"]\n[[layers]]\nmatch = {names}\nformat="fp32"')
    found = read_scheme(path)
    with pytest.raises(InputError) as error:
        training_step(RESNET20, 2, found, first_step(found), "implicit", Overhead())
    (line,) = error.value.lines()
    assert line.startswith(f"E1108 {path}:5: layers[0].match: layer with a GEMM in resnet20 ")
    assert nearest in line.partition(" is not known. ")[2]
    assert line.isprintable()


def test_the_command_line_prints_one_line_and_exits_with_2(tmp_path):
    path = tmp_path / "mine.toml"
    path.write_text(HEAD + 'formats = ["int8"]\n[[layers]]\nmatch = 3\nformat = "int8"')
    command = [sys.executable, "-m", "perfmodel", "breakdown", "resnet20", "--precision", str(path)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.rstrip("\n").splitlines() == [
        f"E1211 {path}:5: layers[0].match: 3 is not a text or a list of texts. Correct the value."
    ]


def test_unknown_names():
    with pytest.raises(UnknownName, match=r"^E1006 scheme 'hbfp8' is not known\. Did you mean hbfp"):
        find_scheme("hbfp8")
