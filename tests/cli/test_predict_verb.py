"""`perfmodel predict`: CSV in, CSV out."""

import pytest

SLOW = ("--device", "slow.toml", "--model", "roofline")


def test_seconds_by_hand(cli, here):
    (here / "gemms.csv").write_text("name,m,n,k,batch,precision\nfc,2,2,4,,\nhalf,2,2,4,3,fp16\n")
    found = cli("predict", "gemms.csv", *SLOW)
    # (8 + 8 + 4)·4 B = 80 B; in FP16, k padded to 8: (16 + 16 + 4)·2 B, three times.
    assert (found.code, found.err) == (0, "")
    assert found.out == (
        "name,m,n,k,batch,precision,seconds,basis,tile,low_s,high_s\n"
        "fc,2,2,4,,,0.08,roofline,,,\nhalf,2,2,4,3,fp16,0.216,roofline,,,\n"
    )


def test_the_tile_is_named(cli):
    found = cli("predict", "gemms.csv", "--tile", "32x32", "--no-split-k")
    assert found.out.splitlines()[1].endswith(",analytical,32x32x8,,")


def test_output_to_a_file(cli, here):
    printed = cli("predict", "gemms.csv", *SLOW).out
    found = cli("predict", "gemms.csv", *SLOW, "-o", "out.csv")
    assert (found.code, found.out, found.err) == (0, "", "")
    assert (here / "out.csv").read_text() == printed


def test_a_file_may_replace_its_source(cli, here):
    assert cli("predict", "gemms.csv", *SLOW, "-o", "gemms.csv").code == 0
    assert (here / "gemms.csv").read_text() == "m,n,k,seconds,basis,tile,low_s,high_s\n2,2,4,0.08,roofline,,,\n"
    again = cli("predict", "gemms.csv")  # five columns that stand there already: five lines
    assert again.code == 2
    assert [line.split()[3] for line in again.err.splitlines()] == [
        "'seconds'", "'basis'", "'tile'", "'low_s'", "'high_s'",
    ]  # fmt: skip


def test_hostile_cells_do_not_reach_the_terminal(cli, here):
    (here / "gemms.csv").write_text('note,m,n,k\n"\x1b[31m\x07\nsecond \u202eline",2,2,4\n')
    found = cli("predict", "gemms.csv", *SLOW)
    assert found.out.splitlines()[1:] == ["\\x1b[31m\\x07\\nsecond \\u202eline,2,2,4,0.08,roofline,,,"]


@pytest.mark.parametrize(
    ("arguments", "start"),
    [
        (("no.csv",), "E1201 no.csv does not exist."),
        (("one.toml",), "E1209 one.toml:2: there is no column 'm'"),
        (("gemms.csv", "-o", "out.txt"), "E1904 out.txt: ends in '.txt'. Choose one of .csv."),
        (("gemms.csv", "-o", "no/out.csv"), "E1901 no/out.csv: there is no folder no."),
        (("gemms.csv", "--device", "t5"), "E1001 device 't5' is not known. Known: a100,"),
        (("gemms.csv", "--model", "tyles"), "E1007 model 'tyles' is not known. Did you mean tiles?"),
        (
            ("gemms.csv", "--mapping", "implicit"),
            "E1100 perfmodel predict: unrecognized arguments: --mapping",
        ),
        (("int8.csv", "--device", "p100"), "E1103 int8.csv:2: device p100: has no unit for int8."),
        (("word.csv",), "E1207 word.csv:2:1 column m: 'x' is not a positive whole number."),
        ((), "E1100 perfmodel predict: the following arguments are required: GEMMS.csv."),
    ],
)
def test_wrong_input(cli, here, arguments, start):
    (here / "int8.csv").write_text("m,n,k,precision\n1,2,3,int8\n")
    (here / "word.csv").write_text("m,n,k\nx,2,3\n")
    before = sorted(here.iterdir())
    found = cli("predict", *arguments)
    assert found.code == 2
    assert found.out == ""
    assert found.err.startswith(start), found.err
    assert all(line.isprintable() for line in found.err.splitlines())
    assert sorted(here.iterdir()) == before
