"""Calibrations on file: round trip, those that come with devices, and files that nobody should trust."""

import re
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from perfmodel.calibrate import calibrate
from perfmodel.calibration import find_calibrated_model
from perfmodel.calibration.files import calibration_text, read_calibration, shipped_calibration
from perfmodel.calibration.timings import Timings
from perfmodel.cost.estimate import Gemms
from perfmodel.cost.tiles import Tiles
from perfmodel.datafiles import bundled
from perfmodel.devices import find_device
from perfmodel.errors import InputError, PerfModelError, printable
from perfmodel.gemm import Gemm, find_precision
from perfmodel.networks import find_network
from perfmodel.schemes import find_scheme
from perfmodel.schemes.formats import StepFormats
from perfmodel.simulate import Setting, step_cost

V100 = find_device("v100")


@pytest.fixture(scope="module")
def calibration():
    random = np.random.default_rng(0)
    m, n, k = (np.round(2.0 ** random.uniform(6, 12, size=25)) for _ in range(3))
    gemms = Gemms(find_precision("fp32"), m, n, k, np.ones(25))
    seconds = Tiles(V100).gemms(gemms).seconds * np.exp(random.normal(0.1, 0.1, size=25))
    return calibrate(V100, [Timings(gemms, seconds)], title='A "test"', source="made up", date="2026-11-22")


@pytest.fixture(scope="module")
def text(calibration):
    return calibration_text(calibration)


@pytest.fixture
def saved(tmp_path):
    def write(text: str):
        path = tmp_path / "mine.toml"
        path.write_text(text, encoding="utf-8")
        return path

    return write


def test_round_trip(calibration, text, saved):
    found = read_calibration(saved(text))
    assert replace(found, groups={}) == replace(calibration, name="mine", groups={})
    assert calibration_text(found) == text
    asked = np.random.default_rng(1).normal(size=(7, 16))
    (one,), (other,) = calibration.groups.values(), found.groups.values()
    for a, b in zip(one.residual.correct(asked), other.residual.correct(asked), strict=True):
        assert a == pytest.approx(b, abs=2e-3)


def test_a_file_is_used_by_name_of_its_device(text, saved):
    model = find_calibrated_model("tiles", V100, calibration=str(saved(text)))
    assert model.gemms(Gemms.of([Gemm(256, 256, 256)])).basis == "calibrated"
    with pytest.raises(InputError, match=r"E1626 .*mine\.toml: device: is v100, not t4\."):
        find_calibrated_model("tiles", find_device("t4"), calibration=str(saved(text)))


@pytest.mark.parametrize("options", [{"tile": "128x64"}, {"split_k": False}, {"name": "roofline"}])
def test_a_calibration_is_of_the_best_tiles(text, saved, options):
    with pytest.raises(InputError, match="E1626 calibration "):
        find_calibrated_model(**{"name": "tiles", "device": V100, "calibration": str(saved(text))} | options)
    assert find_calibrated_model(**{"name": "tiles", "device": V100} | options).device is V100


@pytest.mark.parametrize("name", sorted(bundled("calibrations")))
def test_those_that_come_with_devices(name):
    device = find_device(name)
    found = read_calibration(shipped_calibration(name))
    assert found.device == name
    assert "DeepBench" in found.source or "NeuSight" in found.source
    for precision, group in found.groups.items():
        device.rate(find_precision(precision))
        assert len(group.residual.errors) <= group.timings / 3  # what was fitted, not the data
        assert 0.5 < group.body < 2
        assert 0.02 < group.mape < 0.4
    assert find_calibrated_model("tiles", device).calibration.groups.keys() == found.groups.keys()
    assert find_calibrated_model("tiles", device, calibration="none").calibration is None


BROKEN = {
    "features = [\"k\"": ("features = [\"x\"", "E1621"),
    "body = ": ("body = -", "E1212"),
    "launch_s = ": ("launch_s = -", "E1212"),
    "quantile = ": ("quantile = nan #", "E1212"),
    "constant = ": ("constant = 99", "E1212"),
    "each = [": ("each = [0.1, ", "E1622"),
    "points = [": ("points = [ [1.0, 2.0],", "E1622"),
    "precision = \"fp32\"": ("precision = \"fp33\"", "E1004"),
    "[[groups]]": ("[[groups]]\nother = 1", "E1213"),
    "title = ": ("titel = ", "E1210"),
    "date = ": ("date = 7 #", "E1211"),
}  # fmt: skip


@pytest.mark.parametrize(("old", "new", "code"), [(old, *rest) for old, rest in BROKEN.items()])
def test_broken_files_are_named(text, saved, old, new, code):
    assert old in text
    with pytest.raises(PerfModelError, match=f"^{code} .*mine.toml"):
        read_calibration(saved(text.replace(old, new, 1)))


def test_a_variance_that_cannot_be(text, saved):
    broken = re.sub(r"(points = \[.*\n  \[.*), [^,]*\],", r"\1, 0.0],", text, count=1)
    assert broken != text
    with pytest.raises(InputError, match=r"E1623 .*variance"):
        read_calibration(saved(broken))


def test_no_points(text, saved):
    broken = re.sub(r"points = \[.*\n(  \[.*\n)*\]", "points = []", text)
    with pytest.raises(InputError, match=r"E1623 .*are 0, not 1 to 1024"):
        read_calibration(saved(broken))


@given(st.data())
def test_any_numbers_read_or_are_refused(text, tmp_path_factory, data):
    numbers = list(re.finditer(r"-?\d+\.\d+(e-?\d+)?", text))
    chosen = data.draw(st.sampled_from(numbers))
    value = data.draw(st.sampled_from(["0.0", "-1.0", "1e300", "1e-300", "999.0", "-999.0", "inf", "nan", "1e9"]))
    path = tmp_path_factory.mktemp("c") / "mine.toml"
    path.write_text(text[: chosen.start()] + value + text[chosen.end() :], encoding="utf-8")
    try:
        model = find_calibrated_model("tiles", V100, calibration=str(path))
    except PerfModelError:
        return
    gemms = Gemms(find_precision("fp32"), *(np.array([1.0, 77.0, 9000.0]) for _ in range(4)))
    found = model.gemms(gemms)
    assert np.isfinite(found.seconds).all()
    assert (found.seconds > 0).all()
    assert (found.spreads.half_widths >= 0).all()


@pytest.mark.parametrize("name", sorted(bundled("calibrations")))
@pytest.mark.parametrize("network", ["alexnet-reference", "resnet20", "digits-cnn"])
def test_no_kernel_of_a_step_is_less_known_than_on_a_device_that_nobody_timed(name, network):
    """But where the timings themselves scatter more: FP32 on no bundled device."""
    device = find_device(name)
    setting = Setting(find_calibrated_model("tiles", device))
    bare = Setting(find_calibrated_model("tiles", device, calibration="none"))
    step, plain = (
        step_cost(find_network(network), 128, find_scheme("fp32"), StepFormats.everywhere("fp32"), one)
        for one in (setting, bare)
    )
    widths, most = (np.hypot(*np.array([one[:2] for one in found.prices.widths]).T) for found in (step, plain))
    assert (widths <= most + 1e-9).all()
    gemms = [place for place, work in enumerate(step.works) if work.kind == "gemm"]
    sure = network == "alexnet-reference" and name != "gtx-1080-ti"  # whose timings contradict each other
    assert (widths[gemms] < most[gemms] - 1e-9).any() or not sure


def test_a_users_own_device_of_a_bundled_name_has_no_calibration(tmp_path):
    text = bundled("devices")["t4"].read_text(encoding="utf-8").replace("sms = 40", "sms = 4")
    path = tmp_path / "t4.toml"
    path.write_text(re.sub(r", +tflop_per_s = \d+(\.\d+)?", "", text), encoding="utf-8")
    assert find_calibrated_model("tiles", find_device(str(path))).calibration is None
    assert find_calibrated_model("tiles", find_device("t4")).calibration is not None


@pytest.mark.parametrize("title", ["a\x7fb", "a\u2028b", "a\x00b", "\ud800", '"""', "\\"])
def test_any_title_reads_back(calibration, saved, title):
    text = calibration_text(replace(calibration, title=title))
    assert read_calibration(saved(text)).title == printable(title)
