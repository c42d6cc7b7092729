"""The file of `docs/schemes.md`, read as that page explains it: formats by layer, pass and epoch."""

from pathlib import Path

import pytest

from perfmodel.errors import InputError
from perfmodel.networks import find_network
from perfmodel.schemes import Overhead, read_scheme, run_stretches, training_step
from perfmodel.schemes.formats import StepFormats
from perfmodel.schemes.schedule import Constant

FOLDER = Path(__file__).parents[1] / "data" / "schemes"
BITS = read_scheme(FOLDER / "bits.toml")
RESNET20 = find_network("resnet20")
FP16 = [("fp16", "fp16")] * 3


def operands(scheme, formats, network=RESNET20):
    """The formats of both operands of fprop, dgrad and wgrad, by layer."""
    return {
        name: [tuple(one.name for one in getattr(found, pass_)) for pass_ in ("fprop", "dgrad", "wgrad")]
        for name, found in scheme.operands(network, formats).items()
    }


def test_what_it_says():
    assert (BITS.name, BITS.title, BITS.stored, BITS.accumulate) == ("bits", "Bits by layer", "fp32", "fp32")
    assert BITS.formats == ("int4", "int8", "fp16")  # all that the file names
    assert BITS.schedule == Constant("int4")
    assert [(stage.until, len(stage.layers)) for stage in BITS.stages] == [(5, 0), (None, 1)]


def test_the_first_five_epochs_are_in_fp16():
    begin, rest = run_stretches(BITS, 12, 390)
    assert (begin.iterations, rest.iterations) == (5 * 390, 7 * 390)
    assert (begin.formats.label, rest.formats.label) == ("fp16", "int8")
    assert operands(begin.scheme, begin.formats) == dict.fromkeys((one.name for one in RESNET20.gemm_layers), FP16)


def test_the_rest_is_by_layer():
    _, rest = run_stretches(BITS, 12, 390)
    found = operands(rest.scheme, rest.formats)
    usual = [("int8", "int4"), ("int8", "int4"), ("int8", "int8")]
    expected = dict.fromkeys(found, usual)
    expected |= {name: [*usual[:2], ("fp16", "fp16")] for name in found if name.startswith("layer3.")}
    expected |= {"conv1": FP16, "fc": FP16, "layer1.0.conv1": [("int8", "int8")] * 3}
    assert found == expected
    assert sum(name.startswith("layer3.") for name in found) == 7  # six convolutions and a shortcut


def test_a_trace_narrows_all_but_the_exceptions():
    found = operands(BITS, StepFormats.everywhere("int4"))
    assert found["layer2.0.conv1"] == [("int4", "int4")] * 3
    assert found["layer3.0.conv1"] == [("int4", "int4"), ("int4", "int4"), ("fp16", "fp16")]
    assert found["conv1"] == FP16


def test_codes_are_quantised_and_nothing_else():
    begin, rest = run_stretches(BITS, 12, 390)
    assert begin.scheme.quantised_elements(RESNET20, 2, begin.formats) == 0
    # 16 channels of 32x32: what layer1.0.conv2 reads and its errors, 16·16·9 weights.
    rows = [row[1:] for row in rest.scheme.converted(RESNET20, 2, rest.formats) if row[1] == "layer1.0.conv2"]
    assert rows == [
        ("layer1.0.conv2", "fprop", 32_768), ("layer1.0.conv2", "fprop", 2304), ("layer1.0.conv2", "dgrad", 32_768),
    ]  # fmt: skip
    named = {row[1] for row in rest.scheme.converted(RESNET20, 2, rest.formats)}
    assert named == {layer.name for layer in RESNET20.gemm_layers} - {"conv1", "fc"}


def test_on_a_network_without_its_layers():
    network = find_network("alexnet-cifar")
    begin, _ = run_stretches(BITS, 12, 390)
    with pytest.raises(InputError, match=r"^E1108 .*bits\.toml:14: layers\[1\]\.match: .* 'layer3\.\*' is not known\."):
        training_step(network, 2, begin.scheme, begin.formats, "implicit", Overhead())


def test_its_slip():
    with pytest.raises(InputError, match=r"slip\.toml:6: tensors\.activations: .* 'itn8' is not .* mean int8\?$"):
        read_scheme(FOLDER / "slip.toml")
