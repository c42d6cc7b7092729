"""`perfmodel calibrate` and `--calibration`."""

import pytest

from perfmodel.cost.estimate import Gemms
from perfmodel.cost.tiles import Tiles
from perfmodel.devices import find_device
from perfmodel.gemm import Gemm


@pytest.fixture
def timed(here):
    """Timings on the V100 that are 1.5 times the model's, and one GEMM to predict."""
    gemms = [Gemm(64 * (1 + i % 7), 96 * (1 + i % 5), 128 * (1 + i)) for i in range(24)]
    seconds = Tiles(find_device("v100")).gemms(Gemms.of(gemms)).seconds * 1.5
    rows = "".join(f"{g.m},{g.n},{g.k},{s}\n" for g, s in zip(gemms, seconds, strict=True))
    (here / "times.csv").write_text("m,n,k,seconds\n" + rows)
    (here / "one.csv").write_text("m,n,k\n400,400,1500\n")  # within what was timed
    return here


def test_timings_in_corrected_predictions_out(cli, timed):
    found = cli("calibrate", "--device", "v100", "times.csv", "-o", "c.toml", "--date", "2026-11-22")
    assert (found.code, found.err) == (0, "")
    assert found.out.splitlines()[0] == "Calibration of v100: times.csv, 2026-11-22"
    row = found.out.splitlines()[4].split()
    assert row[:2] == ["fp32", "24"]
    assert (timed / "c.toml").read_text().startswith('title = "times.csv"\nsource = "times.csv"\ndevice = "v100"\n')
    plain, corrected = (
        cli("predict", "one.csv", "--device", "v100", "--calibration", name).out.splitlines()[1].split(",")
        for name in ("none", "c.toml")
    )
    assert (plain[4], corrected[4]) == ("analytical", "calibrated")
    assert 1.3 < float(corrected[3]) / float(plain[3]) < 1.6
    low, high = map(float, corrected[6:])
    assert low < float(corrected[3]) < high
    assert high / low < 0.5 * float(plain[7]) / float(plain[6])


def test_timings_that_contradict_each_other_are_doubted(cli, timed):
    rows = "".join(f"{64 * (1 + i % 12)},64,64,{1e-5 * 100 ** (i % 3)}\n" for i in range(36))
    (timed / "odd.csv").write_text("m,n,k,seconds\n" + rows)
    found = cli("calibrate", "--device", "v100", "odd.csv")
    assert found.code == 0
    assert found.err.startswith("W1621 odd.csv: predicted from each other, timings in fp32 are ")


def test_the_device_has_one_of_its_own(cli, timed):
    default = cli("predict", "one.csv", "--device", "v100").out
    assert default.splitlines()[1].split(",")[4] == "calibrated"
    assert cli("predict", "one.csv", "--device", "v100", "--tile", "128x128").out.splitlines()[1].endswith(",,")


def test_titles_name_it(cli, timed):
    cli("calibrate", "--device", "v100", "times.csv", "-o", "c.toml", "--date", "2026-11-22")
    found = cli("breakdown", "resnet20", "--device", "v100", "--precision", "fp32", "--calibration", "c.toml")
    assert "model tiles, calibration c.toml" in found.out.splitlines()[0]
    assert "calibrated" in found.out.splitlines()[-1]


@pytest.mark.parametrize(
    ("arguments", "start"),
    [
        (("calibrate", "times.csv"), "E1100 perfmodel calibrate: the following arguments are required: --device."),
        (("calibrate", "--device", "t5", "times.csv"), "E1001 device 't5' is not known."),
        (("calibrate", "--device", "v100", "no.csv"), "E1201 no.csv does not exist."),
        (("calibrate", "--device", "v100", "one.csv"), "E1209 one.csv:1: there is no column 'seconds'"),
        (("calibrate", "--device", "v100", "times.csv", "-o", "c.csv"), "E1904 c.csv: ends in '.csv'."),
        (("calibrate", "--device", "v100", "times.csv", "--date", "2026-13-01"), "E1100 perfmodel calibrate: argument"),
        (("predict", "one.csv", "--calibration", "no.toml"), "E1201 no.toml does not exist."),
        (("predict", "one.csv", "--calibration", "one.csv"), "E1206 one.csv:"),
        (
            ("predict", "one.csv", "--model", "roofline", "--calibration", "c.toml"),
            "E1626 calibration c.toml: is of the model tiles",
        ),
    ],
)  # fmt: skip
def test_what_goes_wrong_is_said(cli, timed, arguments, start):
    found = cli(*arguments)
    assert (found.code, found.out) == (2, "")
    assert found.err.startswith(start)


def test_it_does_not_go_with_a_profile_alone(cli, timed):
    found = cli("speedup", "muppet-resnet20-cifar10", "--profile", "p.jsonl", "--calibration", "none")
    assert found.err.startswith("E1105 --calibration corrects a model, and --profile asks for none.")
