"""What runs of a training step: all of it, its gradients, or an inference."""

import pytest

from perfmodel.cost.roofline import Roofline
from perfmodel.devices import find_device
from perfmodel.errors import UnknownName
from perfmodel.framework.modes import MODES, accumulation, mode_with_accumulation, step_of_mode
from perfmodel.networks import find_network
from perfmodel.schemes import find_scheme
from perfmodel.schemes.formats import StepFormats
from perfmodel.simulate import Setting, step_cost

MODEL = Roofline(find_device("rtx-2080-ti"))


def step_of(network, scheme="fp32", format_="fp32", batch=3):
    return step_cost(find_network(network), batch, find_scheme(scheme), StepFormats.everywhere(format_), Setting(MODEL))


def kinds(step):
    return {work.kind for work in step.works}


def test_a_step_is_whole():
    step = step_of("resnet18")
    assert step_of_mode(step, "step", MODEL) is step
    assert MODES == ("forward", "gradients", "step")


@pytest.mark.parametrize(("scheme", "format_"), [("fp32", "fp32"), ("mixed", "fp16")])
def test_gradients_come_without_an_optimizer_and_its_casts(scheme, format_):
    step = step_of("resnet18", scheme, format_)
    assert "update" in kinds(step)
    kept = step_of_mode(step, "gradients", MODEL)
    assert kinds(kept) == kinds(step) - {"update", "cast"}
    assert kept.total.seconds + step.seconds_of(("update", "cast")) == pytest.approx(step.total.seconds)


def test_an_inference_has_the_forward_pass_alone_and_reads_a_batch_norm_once():
    step = step_of("resnet18")
    forward = step_of_mode(step, "forward", MODEL)
    assert {work.pass_ for work in forward.works} == {"fprop"}
    assert "loss" not in kinds(forward)
    size = 3 * 64 * 112 * 112 * 4  # bytes of the stem's output at batch 3
    trained = next(work.kernel for work in step.works if work.kind == "batch norm")
    at_rest = next(work.kernel for work in forward.works if work.kind == "batch norm")
    assert (trained.bytes_read, trained.bytes_written) == (2 * size, size)
    assert (at_rest.bytes_read, at_rest.bytes_written) == (size, size)
    assert forward.total.seconds < step_of_mode(step, "gradients", MODEL).total.seconds / 2
    assert len(forward.prices.detail) == len(forward.works)


def test_gradients_are_set_to_zero_and_added_up_layer_by_layer():
    works = accumulation(step_of("alexnet"), 2.0)
    assert len(works) == 2 * 8  # layers with weights
    zero, added = (work.kernel for work in works[:2])
    elements = 64 * 3 * 11 * 11 + 64
    assert (zero.bytes_read, zero.bytes_written) == (0, 2 * elements)
    assert (added.bytes_read, added.bytes_written) == (4 * elements, 2 * elements)
    assert sum(work.kernel.bytes for work in works) == 4 * 2 * 61_100_840


def test_accumulation_belongs_to_modes_with_gradients():
    step = step_of("alexnet")
    for mode, more in (("forward", 0), ("gradients", 16), ("step", 16)):
        plain, full = step_of_mode(step, mode, MODEL), mode_with_accumulation(step, MODEL, mode, 4.0)
        assert len(full.works) == len(plain.works) + more
        assert len(full.prices.seconds) == len(full.works)
    assert mode_with_accumulation(step, MODEL, "step", 0.0) is step


def test_a_mode_that_is_none_is_told_with_the_known_ones():
    with pytest.raises(UnknownName, match=r"E1013 mode 'stepp' is not known. Did you mean step\?"):
        step_of_mode(step_of("alexnet"), "stepp", MODEL)
