"""`perfmodel breakdown`: where the time of a step goes, by hand, every kind of output, and wrong input."""

import csv
import io
import json

import pytest

SLOW = ("--device", "slow.toml", "--model", "roofline", "--batch", "2")

# Seconds are bytes / 1000; the steps are those of test_speedup.py: 0.32 s, 0.656 s and 0.764 s, in kinds: GEMMs 0.16,
# 0.384, 0.256; update 0.16; casts 0.112; quantised 36 elements of 9 B, 0.324; transposed 12 of 2 B, 0.024.
BY_KIND = """\
One training step of one, batch 2: slow.toml, implicit GEMM, model roofline

kind       fp32 ms    share  fp16 ms    share  int8 ms    share
---------  -------  -------  -------  -------  -------  -------
gemm           160   50.0 %      384   58.5 %      256   33.5 %
update         160   50.0 %      160   24.4 %      160   20.9 %
cast             –        –      112   17.1 %        –        –
quantise         –        –        –        –      324   42.4 %
transpose        –        –        –        –       24    3.1 %
total          320  100.0 %      656  100.0 %      764  100.0 %

fp32: a step of FP32, 4 B between layers; fp16: a step of mixed precision, 2 B between layers; int8: a step of MuPPET in
dfx8, 4 B between layers.
GEMMs on slow at 1000 MHz: fp32 (sums in fp32) on CUDA cores, fp16 (sums in fp32) on tensor cores, int8 (sums in int32)
on tensor cores.
Quantising: current, maximum first, then quantise, 9 B/element.
Basis: roofline.
"""
# fprop: GEMM 80, 192 and 128 B; casts 48; quantised images and outputs, 8 and 4 elements, 108. wgrad: GEMM 80, 192 and
# 128 B; 8 quantised weights' gradients, 72; transposes 24. update: 160; unscaling 64; the gradients again and the
# updated weights, 16 elements, 144.
BY_PASS = """\
pass    fp32 ms    share  fp16 ms    share  int8 ms    share
------  -------  -------  -------  -------  -------  -------
fprop        80   25.0 %      240   36.6 %      236   30.9 %
wgrad        80   25.0 %      192   29.3 %      224   29.3 %
update      160   50.0 %      224   34.1 %      304   39.8 %
total       320  100.0 %      656  100.0 %      764  100.0 %
"""


def test_by_kind(cli):
    found = cli("breakdown", "one.toml", *SLOW, "--by", "kind")
    assert (found.code, found.out, found.err) == (0, BY_KIND, "")


def test_by_pass(cli):
    assert BY_PASS in cli("breakdown", "one.toml", *SLOW, "--by", "pass").out


def test_by_layer_is_the_default(cli):
    found = cli("breakdown", "one.toml", *SLOW, "--precision", "fp32,dfx12")
    assert found.out.splitlines()[2:7] == [
        "layer  fp32 ms    share  dfx12 ms    share",
        "-----  -------  -------  --------  -------",
        "input        –        –        72    7.7 %",  # 8 elements of 9 B, converted before all layers
        "fc         320  100.0 %       860   92.3 %",  # GEMMs of 128 and 320 B: FP16 in, FP32 out
        "total      320  100.0 %       932  100.0 %",
    ]
    assert found.out.splitlines()[8:] == [
        "fp32: a step of FP32, 4 B between layers; dfx12: a step of MuPPET, 4 B between layers.",
        "GEMMs on slow at 1000 MHz: fp32 (sums in fp32) on CUDA cores, fp16 (sums in fp32) on tensor cores.",
        "Proxies: dfx12 timed as fp16.",
        "Quantising: current, maximum first, then quantise, 9 B/element.",
        "Basis: roofline.",
    ]


def test_a_layer_called_total(cli, here):
    (here / "total.toml").write_text((here / "one.toml").read_text().replace('"fc"', '"total"'))
    lines = cli("breakdown", "total.toml", *SLOW, "--precision", "fp32,int8").out.splitlines()[4:7]
    assert [line.split()[:2] for line in lines] == [["input", "–"], ["total", "320"], ["total", "320"]]
    assert " 692 " in lines[1]  # 764 less the images' 72
    assert " 764 " in lines[2]


@pytest.mark.parametrize("by", ["layer", "pass", "kind"])
@pytest.mark.parametrize("precisions", ["fp32,fp16,int8", "int8,fp32", "fp16,dfx12,fp32", "dfx16,int8"])
def test_precisions_stand_in_the_order_asked_for(cli, here, by, precisions):
    arguments = ("breakdown", "one.toml", *SLOW, "--precision", precisions, "--by", by)
    header = cli(*arguments).out.splitlines()[2].split()
    assert [name for name in header[1:] if name not in ("ms", "share")] == precisions.split(",")
    cli(*arguments, "-o", "a.csv")
    rows = csv.DictReader(io.StringIO((here / "a.csv").read_text()))
    assert list(dict.fromkeys(row["precision"] for row in rows)) == precisions.split(",")


def test_the_basis_of_all_steps(cli):
    found = cli("breakdown", "one.toml", *SLOW, "--precision", "fp32,int8", "--overhead", "10", "--by", "kind")
    assert found.out.endswith("Quantising: 10 ms for each quantised iteration (given).\nBasis: roofline+given.\n")
    assert found.out.splitlines()[6].split() == ["quantise", "–", "–", "10", "2.3", "%"]  # of 256 + 160 + 10 ms


def test_one_precision_without_conversions(cli):
    found = cli("breakdown", "one.toml", *SLOW, "--precision", "fp16+fp32", "--by", "kind")
    assert found.out.splitlines()[4].split() == ["gemm", "384", "70.6", "%"]  # and the update, 160
    assert "cast" not in found.out
    assert "\nfp16+fp32: GEMMs in fp16+fp32, nothing converted, 2 B between layers.\n" in found.out


@pytest.mark.parametrize("suffix", ["csv", "json"])
def test_raw_values(cli, here, suffix):
    assert cli("breakdown", "one.toml", *SLOW, "--precision", "int8", "-o", f"a.{suffix}").code == 0
    text = (here / f"a.{suffix}").read_text()
    rows = json.loads(text)["rows"] if suffix == "json" else list(csv.DictReader(io.StringIO(text)))
    assert sum(float(row["time_s"]) for row in rows) == pytest.approx(0.764)
    assert {(row["layer"], row["pass"], row["kind"], int(row["launches"])) for row in rows} == {
        ("fc", "fprop", "gemm", 1), ("fc", "wgrad", "gemm", 1), ("input", "fprop", "quantise", 2),
        ("fc", "fprop", "quantise", 2), ("fc", "wgrad", "quantise", 2), ("fc", "update", "quantise", 4),
        ("fc", "update", "update", 1), ("fc", "wgrad", "transpose", 2),
    }  # fmt: skip
    gemm = next(row for row in rows if (row["pass"], row["kind"]) == ("fprop", "gemm"))
    # 2x4x16: 32 and 64 elements in, 8 of 4 B out
    assert (float(gemm["bytes"]), float(gemm["flop"])) == (128, 256)


@pytest.mark.parametrize(
    ("suffix", "start"),
    [
        ("txt", b"One training step"), ("csv", b"precision,layer,pass,kind,time_s"), ("json", b'{\n "title": "One'),
        ("md", b"## One training step"), ("tex", b"% One training step"),
        ("png", b"\x89PNG"), ("svg", b"<?xml"), ("pdf", b"%PDF"),
    ],
)  # fmt: skip
def test_outputs(cli, here, suffix, start):
    found = cli("breakdown", "one.toml", *SLOW, "-o", f"a.{suffix}")
    assert (found.code, found.out, found.err) == (0, "", "")
    assert (here / f"a.{suffix}").read_bytes().startswith(start)


def test_bundled_networks_by_name(cli):
    found = cli("breakdown", "resnet20", "--by", "kind", "--device", "t4")
    assert found.code == 0
    title = found.out.splitlines()[0]
    assert title == "One training step of resnet20, batch 256: t4, implicit GEMM, model tiles"
    assert "\nGEMMs on t4: fp32 (sums in fp32) on CUDA cores at 892 MHz, fp16 " in found.out


def test_a_device_that_lacks_a_format(cli):
    assert cli("breakdown", "one.toml", "--device", "p100").refused("E1103 device p100: has no unit for int8.")
    assert cli("breakdown", "one.toml", "--device", "p100", "--precision", "fp32,fp16").code == 0


def test_a_huge_batch_has_a_price(cli):
    assert cli("breakdown", "resnet20", "--batch", "10000000", "--by", "kind").code == 0


@pytest.mark.parametrize(
    ("arguments", "start"),
    [
        (("alexnot",), "E1002 network 'alexnot' is not known. Did you mean alexnet"),
        (("",), "E1002 network '' is not known."),
        (("no.toml",), "E1201 no.toml does not exist."),
        (("slow.toml",), "E1210 slow.toml: input: is missing."),
        (("one.toml", "--precision", "fp17"), "E1004 format 'fp17' is not known. Did you mean fp16?"),
        (("one.toml", "--precision", "fp16,"), "E1004 format '' is not known."),
        (("one.toml", "--precision", "mxfp8"), "E1101 precision 'mxfp8': no GEMM unit computes in it."),
        (("one.toml", "--by", "layr"), "E1008 --by 'layr' is not known. Did you mean layer?"),
        (("one.toml", "--batch", "0"), "E1105 --batch 0 is not between 1 and 10000000."),
        (("one.toml", "--batch", "-1"), "E1105 --batch -1 is not between"),
        (("one.toml", "--batch", "10000001"), "E1105 --batch 10000001 is not between"),
        (("one.toml", "--batch", "99999999999999999999"), "E1100 perfmodel breakdown: argument --batch: '9999"),
        (("one.toml", "--batch", "two"), "E1100 perfmodel breakdown: argument --batch: 'two' is not a whole number."),
        (("one.toml", "--batch", "１２"), "E1100 perfmodel breakdown: argument --batch: '１２' is not a whole number."),
        (("one.toml", "--overhead", "table3"), "E1105 --overhead table3 depends on a trace"),
        (("one.toml", "--overhead", "nan"), "E1105 --overhead 'nan' is neither"),
        (("one.toml", "--mapping", "winograd"), "E1005 mapping 'winograd' is not known. Known: implicit, im2col"),
        (("one.toml", "--tile", "64x65"), "E1106 tile '64x65' is not in the set for fp32."),
        (("one.toml", "two.toml"), "E1100 perfmodel breakdown: unrecognized arguments: two.toml."),
        ((), "E1100 perfmodel breakdown: the following arguments are required: NETWORK."),
        (("one.toml", "-o", "a.html"), "E1904 a.html: ends in '.html'."),
        (("one.toml", "-o", "no/a.svg"), "E1901 no/a.svg: there is no folder no."),
    ],
)
def test_wrong_input(cli, here, arguments, start):
    before = sorted(here.iterdir())
    found = cli("breakdown", *arguments)
    assert found.refused(start), found
    assert sorted(here.iterdir()) == before


def test_a_timeline_beside_the_table(cli, here):
    plain = cli("breakdown", "one.toml", *SLOW, "--by", "kind")
    found = cli("breakdown", "one.toml", *SLOW, "--by", "kind", "--timeline", "t.json")
    assert (found.code, found.out, found.err) == (0, plain.out, "")
    trace = json.loads((here / "t.json").read_text())
    assert trace["otherData"]["device"] == "slow"
    assert trace["otherData"]["setting"] == "batch 2, slow.toml, implicit GEMM, model roofline"
    names = [event["args"]["name"] for event in trace["traceEvents"] if event["name"] == "process_name"]
    assert names == ["fp32 step, 320 ms", "fp16 step, 656 ms", "int8 step, 764 ms"]
    kernels = [event for event in trace["traceEvents"] if event.get("cat") == "kernel" and event["pid"] == 1]
    assert [(one["name"], one["dur"]) for one in kernels] == [
        ("fprop gemm", 80000), ("wgrad gemm", 80000), ("update", 160000),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("arguments", "start"),
    [
        (("--timeline", "t.txt"), "E1904 t.txt:"), (("--timeline", "no/t.json"), "E1901 no/t.json:"),
        (("--timeline", "t.json", "-o", "./t.json"), "E1745 --timeline and -o are both './t.json'."),
        (("--timeline", "t\0.json", "-o", "x.csv"), "E1906 't\\x00.json':"),
    ],
)  # fmt: skip
def test_timelines_that_cannot_be(cli, here, arguments, start):
    assert cli("breakdown", "one.toml", *SLOW, *arguments).refused(start)
    assert not (here / "x.csv").exists()


def test_parquet_holds_what_csv_holds(cli, here):
    parquet = pytest.importorskip("pyarrow.parquet", reason="pyarrow (extra parquet) is not installed")
    for suffix in ("csv", "parquet"):
        found = cli("breakdown", "one.toml", *SLOW, "-o", f"x.{suffix}")
        assert (found.code, found.out, found.err) == (0, "", "")
    rows = list(csv.DictReader(io.StringIO((here / "x.csv").read_text())))
    table = parquet.read_table(here / "x.parquet")
    assert table.column_names == list(rows[0])
    assert table.column("time_s").to_pylist() == [float(row["time_s"]) for row in rows]
    assert table.column("kind").to_pylist() == [row["kind"] for row in rows]
    assert table.schema.metadata[b"title"].startswith(b"One training step of one, batch 2: slow.toml")


def test_rooflines(cli, here):
    found = cli("breakdown", "one.toml", *SLOW, "--roofline", "-o", "x.svg")
    assert (found.code, found.out, found.err) == (0, "", "")
    assert "GEMMs of one training step of one, batch 2, and what bounds them" in (here / "x.svg").read_text()


@pytest.mark.parametrize("arguments", [(), ("-o", "x.csv"), ("-o", "x.png", "--by", "kind")])
def test_rooflines_are_figures_of_layers(cli, arguments):
    assert cli("breakdown", "one.toml", *SLOW, "--roofline", *arguments).refused(
        "E1105 --roofline is a figure of layers"
    )


def test_names_that_are_no_utf8_beside_pyarrow(process, here):
    """pandas would keep texts with pyarrow, which refuses them."""
    pytest.importorskip("pyarrow", reason="pyarrow (extra parquet) is not installed")
    (here / "on\udce9.toml").write_text((here / "one.toml").read_text())
    found = process("breakdown", "on\udce9.toml", *SLOW, "-o", "x.csv")
    assert (found.code, found.err) == (0, "")
    assert r"on\udce9.toml" in (here / "x.csv").read_text()
