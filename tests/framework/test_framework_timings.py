"""Published iterations: read, renamed, and put beside modelled work."""

import numpy as np
import pytest

from perfmodel.cost.tiles import Tiles
from perfmodel.devices import device_names, find_device
from perfmodel.errors import InputError
from perfmodel.framework.files import Fitted, framework_text
from perfmodel.framework.fit import CONSTANTS, fit, predict
from perfmodel.framework.timings import Iteration, modelled_s, read_iterations, rows_of
from perfmodel.framework.validation import NAMES, fitted, judge, mape_percent, unseen_devices, width_percent
from perfmodel.framework.view import read_framework
from perfmodel.networks import find_network
from perfmodel.schemes import find_scheme
from perfmodel.schemes.formats import StepFormats
from perfmodel.simulate import Setting, step_cost

HEADER = "source,device,framework,network,precision,mode,batch,seconds_per_iteration,note\n"
TORCH = "ryujaehun,GeForce RTX 2080 Ti,PyTorch 1.0,vgg16_bn,fp16 (all layers),forward,12,0.0171,board 1\n"
FLOW = "lambda_tf,Quadro RTX 8000,TensorFlow 1.15.3,resnet50,fp32,train step,256,0.78,xla \n"


def read(tmp_path, *lines, **options):
    path = tmp_path / "timings.csv"
    path.write_text(HEADER + "".join(lines), encoding="utf-8")
    return read_iterations(path, **options)


def test_rows_are_renamed(tmp_path):
    torch, flow = read(tmp_path, TORCH, FLOW)
    assert torch == Iteration(
        "ryujaehun", "GeForce RTX 2080 Ti", "rtx-2080-ti", "pytorch-1.0", "vgg16-bn", "fp16 (all layers)", "forward",
        12, 0.0171,
    )  # fmt: skip
    assert (torch.format, torch.base, torch.family) == ("fp16", "vgg16-bn", "vgg")
    assert (flow.device, flow.framework, flow.network) == ("titan-rtx", "tensorflow-1.15-xla", "resnet50-v1")
    assert (flow.format, flow.base, flow.family, flow.mode) == ("fp32", "resnet50", "resnet", "step")


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("GeForce RTX 2080 Ti", "Vega 20"),
        ("vgg16_bn", "nasnet"),
        ("fp16 (all layers)", "int8"),
        ("forward", "backward"),
        ("ryujaehun", "me"),
        ("board 1", "TF32_or_FP32_unknown"),
        ("GeForce RTX 2080 Ti", "TITAN V"),  # no file of it is bundled
    ],
)
def test_what_this_package_does_not_know_is_left_out(tmp_path, old, new):
    if new == "TITAN V" and "titan-v" in device_names():
        pytest.skip("the TITAN V is bundled")
    assert read(tmp_path, TORCH.replace(old, new), FLOW) == read(tmp_path, FLOW)


def test_a_device_that_is_not_bundled_may_be_given(tmp_path):
    (one,) = read(tmp_path, TORCH.replace("GeForce RTX 2080 Ti", "TITAN V"), places={"titan-v": "titan-v.toml"})
    assert one.device == "titan-v"


@pytest.mark.parametrize("cell", ["-1", "0", "nan", "inf", "1e999", "", "twelve", "1_0", "１２", "1e-999", "1e7"])
def test_a_number_that_is_none_is_told_with_its_line(tmp_path, cell):
    with pytest.raises(InputError, match=r"E1207 .*timings.csv:3: seconds_per_iteration: .* is not a positive number"):
        read(tmp_path, FLOW, TORCH.replace("0.0171", cell))


@pytest.mark.parametrize("cell", ["-1", "0", "nan", "", "twelve", "1_0", "１２", "1.5", "123456", "1" * 5000])
def test_a_batch_is_a_whole_number_of_five_digits_at_most(tmp_path, cell):
    with pytest.raises(InputError, match=r"E1207 .*timings.csv:2: batch: .* is not a positive whole number"):
        read(tmp_path, TORCH.replace(",12,", f",{cell},"))


@pytest.mark.parametrize(("cell", "seconds"), [("0.0171", 0.0171), ("1.7e-2", 0.017), (".5", 0.5), ("3", 3.0)])
def test_numbers_as_they_are_written(tmp_path, cell, seconds):
    assert read(tmp_path, TORCH.replace("0.0171", cell))[0].seconds == seconds


def test_a_file_that_is_no_such_table_is_told(tmp_path):
    path = tmp_path / "timings.csv"
    path.write_text("source,device\nme,mine\n", encoding="utf-8")
    with pytest.raises(InputError, match=r"E1209 .*there is no column 'framework'"):
        read_iterations(path)
    with pytest.raises(InputError, match=r"E1208 .*timings.csv:2: has 2 cells; the header has 9"):
        read(tmp_path, "me,mine\n")


def vgg(mode, batch=3, seconds=0.01, network="vgg16", device="rtx-2080-ti", framework="pytorch-1.0"):
    published = {"rtx-2080-ti": "GeForce RTX 2080 Ti", "gtx-1080-ti": "GeForce GTX 1080 Ti"}[device]
    return Iteration("ryujaehun", published, device, framework, network, "fp32", mode, batch, seconds)


def test_modelled_seconds_are_those_of_the_analytical_model():
    step = step_cost(
        find_network("vgg16"), 3, find_scheme("fp32"), StepFormats.everywhere("fp32"),
        Setting(Tiles(find_device("rtx-2080-ti"))),
    )  # fmt: skip
    assert modelled_s(vgg("step")) == step.total.seconds
    assert modelled_s(vgg("gradients")) == pytest.approx(step.total.seconds - step.seconds_of(["update"]))


def test_rows_hold_the_groups_of_a_step_and_pytorchs_accumulated_gradients():
    rows = rows_of([vgg("gradients"), vgg("gradients", framework="tensorflow-1.15")], NAMES)
    torch, flow = rows.work
    assert flow[:6].sum() == pytest.approx(modelled_s(vgg("gradients")))
    assert torch[-1] == flow[-1] + 2 * 16
    assert torch[5] - flow[5] == pytest.approx(16 * 138_357_544 / (0.82 * 616e9) + 32 * 4e-6)
    assert torch[:5].tolist() == flow[:5].tolist()
    assert rows.framework.tolist() == [0, 1]
    assert flow[2] == 0  # no convolution but 3x3 ones on even planes
    assert flow[1] > 0  # the fully connected layers


def test_iterations_are_judged_without_their_network(tmp_path):
    names = ("vgg16", "resnet18", "resnet34", "alexnet", "googlenet")
    truth = np.array([0.6, 1.1, 1.2, 2.0, 1.0, 1.3, 9e-6])
    plain = [vgg(mode, 12, 1.0, name, device) for name in names for mode in ("forward", "gradients")
             for device in ("rtx-2080-ti", "gtx-1080-ti")]  # fmt: skip
    seconds = rows_of(plain, NAMES).work @ truth
    made = [vgg(one.mode, 12, float(s), one.network, one.device) for one, s in zip(plain, seconds, strict=True)]
    judged = judge(made)
    assert judged.constants[0, 0] == pytest.approx(truth[0], rel=0.05)
    assert mape_percent(judged.network, judged.measured) < 3
    assert mape_percent(judged.device, judged.measured) < 2
    assert np.isinf(judged.bound).all()  # five networks are too few for 90 %
    spoilt = [vgg(o.mode, 12, o.seconds * (2 if o.network == "vgg16" else 1), o.network, o.device) for o in made]
    mine = [o.network == "vgg16" for o in made]
    assert judge(spoilt).network[mine] == pytest.approx(judged.network[mine], rel=1e-12)
    other = [vgg("gradients", 12, 1.0, "vgg16", "gtx-1080-ti")]
    rest = fit(rows_of([o for o in made if o.network != "vgg16"], NAMES))
    assert unseen_devices(judged, other) == pytest.approx(predict(rest, rows_of(other, NAMES)))


def test_fp16_on_a_chip_without_tensor_cores_is_not_fitted():
    def half(device):
        return Iteration("ryujaehun", "x", device, "pytorch-1.0", "vgg16", "fp16 (all layers)", "forward", 12, 1.0)

    assert fitted([half("rtx-2080-ti"), half("gtx-1080-ti")], "fp16") == [half("rtx-2080-ti")]
    assert fitted([half("rtx-2080-ti")], "fp32") == []
    assert fitted([vgg("forward", device="gtx-1080-ti")], "fp32") == [vgg("forward", device="gtx-1080-ti")]


def test_errors_and_widths_in_percent():
    assert mape_percent(np.array([8.0, 11.0]), np.array([10.0, 10.0])) == pytest.approx(15)
    assert width_percent(0.0) == 0
    assert width_percent(float("inf")) == float("inf")


def test_a_frameworks_file_reads_back(tmp_path):
    constants = np.array([0.5, 2.0, 3.0, 11.0, 5.0, 7.0, 13e-6])
    table = Fitted("fp32", constants, 0.25, 'a "small" card: vgg16', 13, 2, {"unseen_network": 4.21})
    path = tmp_path / "mine.toml"
    path.write_text(framework_text("Mine", "C:\\data", "none", True, [table]), encoding="utf-8")
    framework = read_framework(path)
    view = framework.view("fp32")
    assert [*view.factors.values(), view.kernel_s] == pytest.approx(constants.tolist())
    assert (view.spread, view.accumulates, framework.source) == (0.25, True, "C:\\data")
    assert tuple(view.factors) == CONSTANTS[:-1]
