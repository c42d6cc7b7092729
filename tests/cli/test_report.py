"""`perfmodel report`: what the file says of a run of known times, and what it says to wrong input."""

import json
import re
from importlib.resources import files

import pytest

SLOW = ("--device", "slow.toml", "--model", "roofline")


def text_of(path):
    """What a reader sees, blanks as one."""
    body = re.sub(r"<(script|style).*?</\1>", "", path.read_text(), flags=re.S)
    return re.sub(r"\s+", " ", re.sub(r"<[^>]*>", " ", body))


def test_a_report_says_what_speedup_says(cli, here):
    found = cli("report", "run.jsonl", *SLOW, "-o", "r.html")
    assert (found.code, found.out, found.err) == (0, "", "")
    text = text_of(here / "r.html")
    # The seconds of tests/cli/test_speedup.py: FP32 7.68, mixed 15.744, MuPPET 8.064; 7.68 / 8.064 = 0.952, 1.952.
    assert "takes 8.06 s (modelled): 0.95x as fast as FP32 (7.68 s), 1.95x as fast as mixed precision (15.7 s)." in text
    assert "roofline: the least that peak and bandwidth allow." in text
    assert "perfmodel report run.jsonl --device slow.toml --model roofline -o r.html" in text
    (data,) = re.findall(r'<script type="application/json" id="data">(.*?)</script>', (here / "r.html").read_text())
    rows = json.loads(data)["rows"]
    assert [row["time_low_s"] for row in rows] == pytest.approx([7.68, 15.744, 8.064, 5.376])


def test_the_files_that_were_read_are_told_with_their_hashes(cli, here):
    import hashlib

    cli("report", "run.jsonl", *SLOW, "-o", "r.html")
    text = text_of(here / "r.html")
    for what, name in (("trace", "run.jsonl"), ("network", "one.toml"), ("device", "slow.toml")):
        digest = hashlib.sha256((here / name).read_bytes()).hexdigest()
        assert re.search(rf"{what} +{name} +{digest}", text)


@pytest.mark.parametrize(
    ("arguments", "folder", "name"),
    [
        (("--device", "t4"), "calibrations", "calibration t4.toml"),
        (("--framework", "pytorch-1.0"), "frameworks", "framework pytorch-1.0"),
        (("--device", "t4", "--model", "roofline"), "", "calibration"),
        (("--device", "t4", "--calibration", "none"), "", "calibration"),
        ((), "", "calibration"),  # the RTX 2080 Ti comes with none
    ],
)
def test_what_corrected_the_model_is_told_with_its_hash(cli, here, arguments, folder, name):
    import hashlib

    head = {"schema": "perfmodel.trace/1", "network": "resnet20", "dataset": "made up", "scheme": "mixed",
            "samples": 64, "batch": 32, "source": {"note": "made up"}}  # fmt: skip
    row = {"epoch": 0, "iterations": 2, "precision": dict.fromkeys(("fprop", "dgrad", "wgrad"), "fp16")}
    (here / "mixed.jsonl").write_text(f"{json.dumps(head)}\n{json.dumps(row)}\n")
    cli("report", "mixed.jsonl", *arguments, "-o", "r.html")
    text = " ".join(text_of(here / "r.html").split())
    if not folder:
        assert not re.search(rf"{name} \S+ [0-9a-f]{{64}}", text)
        return
    file = files("perfmodel").joinpath("data", folder, f"{name.split()[1].removesuffix('.toml')}.toml")
    assert f"{name} {hashlib.sha256(file.read_bytes()).hexdigest()}" in text


def test_the_same_command_writes_the_same_bytes(cli, here):
    cli("report", "run.jsonl", *SLOW, "-o", "r.html")
    first = (here / "r.html").read_bytes()
    cli("report", "run.jsonl", *SLOW, "-o", "r.html")
    assert (here / "r.html").read_bytes() == first


def test_runs_of_one_name_are_numbered(cli, here):
    assert cli("report", "run.jsonl", "run.jsonl", *SLOW, "-o", "r.html").code == 0
    assert {"run.jsonl (1) :", "run.jsonl (2) :"} <= set(
        re.findall(r"run\.jsonl \([0-9]\) :", text_of(here / "r.html"))
    )


def test_warnings_stand_in_the_report_too(cli, here):
    lines = (here / "run.jsonl").read_text().splitlines()
    (here / "run.jsonl").write_text("\n".join([*lines[:2], lines[3]]) + "\n")
    found = cli("report", "run.jsonl", *SLOW, "-o", "r.html")
    assert found.code == 0
    assert found.err.startswith("W1310 run.jsonl:")
    assert f"What the command warned of {found.err.strip()}" in text_of(here / "r.html")
    cli("report", "muppet-resnet20-cifar10", *SLOW[:2], "-o", "s.html")
    assert "warned of" not in text_of(here / "s.html")


def test_markup_in_a_trace_stays_text(cli, here):
    lines = (here / "run.jsonl").read_text().replace("made up", "</script><script>alert('x')</script>&amp;<b>\\u202e")
    (here / "run.jsonl").write_text(lines.replace('"dataset":"none"', '"dataset":"<img src=x onerror=alert(1)>"'))
    assert cli("report", "run.jsonl", *SLOW, "-o", "r.html").code == 0
    markup = (here / "r.html").read_text()
    assert markup.count("<script") == 2
    assert "<img" not in markup
    assert "&lt;img src=x onerror=alert(1)&gt;" in markup
    assert "\u202e" not in markup


@pytest.mark.parametrize(
    ("arguments", "start"),
    [
        (("run.jsonl",), "E1100 perfmodel report: the following arguments are required: -o/--output."),
        (("run.jsonl", "-o", "r.htm"), "E1904 r.htm:"), (("run.jsonl", "-o", "r"), "E1904 r:"),
        (("run.jsonl", "-o", "no/r.html"), "E1901 no/r.html:"),
        (("run.jsonl",) * 61 + ("-o", "r.html"), "E1751 TRACE: there are 61; a report holds 60."),
        (("nosuch", "-o", "r.html"), "E1"), (("run.jsonl", "--device", "rtx2080", "-o", "r.html"), "E1001"),
        (("run.jsonl", "--baseline-epochs", "0", "-o", "r.html"), "E1105 --baseline-epochs"),
    ],
)  # fmt: skip
def test_what_cannot_be(cli, here, arguments, start):
    assert cli("report", *arguments).refused(start)
    assert not (here / "r.html").exists()


def test_an_input_is_not_overwritten(cli, here):
    (here / "run.html").write_bytes((here / "run.jsonl").read_bytes())
    before = (here / "run.html").read_bytes()
    assert cli("report", "run.html", *SLOW, "-o", "./run.html").refused("E1105 -o")
    assert (here / "run.html").read_bytes() == before


def test_a_timeline_of_the_run(cli, here):
    found = cli("speedup", "run.jsonl", *SLOW, "--timeline", "t.json")
    assert (found.code, found.err) == (0, "")
    assert found.out == cli("speedup", "run.jsonl", *SLOW).out
    events = json.loads((here / "t.json").read_text())["traceEvents"]
    names = [event["args"]["name"] for event in events if event["name"] == "process_name"]
    assert names == ["fp32 step, 320 ms", "mixed fp16 step, 656 ms", "dfx8 step, 764 ms", "dfx16 step, 932 ms"]


@pytest.mark.parametrize(
    ("arguments", "start"),
    [
        (("run.jsonl", "run.jsonl", "--timeline", "t.json"), "E1752 --timeline is of the steps of one run"),
        (("run.jsonl", "--timeline", "t.txt"), "E1904 t.txt:"),
        (("run.jsonl", "--timeline", "t.json", "-o", "t.json"), "E1745 --timeline and -o are both 't.json'."),
    ],
)  # fmt: skip
def test_timelines_that_cannot_be(cli, here, arguments, start):
    assert cli("speedup", *arguments).refused(start)
    assert not (here / "t.json").exists()
