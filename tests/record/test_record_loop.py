"""The format that PyTorch multiplies in, read from a stand-in for it; and what importing the recorder loads."""

import subprocess
import sys
from types import SimpleNamespace

import pytest

from perfmodel.errors import InputError
from perfmodel.record import autocast_format


def fake_torch(autocast=None, capability=(8, 0), matmul=None, conv=None, old=False):
    """A stand-in for torch: autocast's dtype by device, and the flags, as in PyTorch 2.9 or before it (`old`)."""
    autocast = autocast or {}

    def flag(value):
        return SimpleNamespace(allow_tf32=value == "tf32") if old else SimpleNamespace(fp32_precision=value)

    cudnn = flag(conv) if old else SimpleNamespace(conv=flag(conv))
    return SimpleNamespace(
        cuda=SimpleNamespace(is_available=lambda: bool(capability), get_device_capability=lambda: capability),
        is_autocast_enabled=lambda device: device in autocast,
        get_autocast_dtype=lambda device: autocast[device],
        backends=SimpleNamespace(cuda=SimpleNamespace(matmul=flag(matmul)), cudnn=cudnn),
    )


@pytest.mark.parametrize(
    ("torch", "arguments", "name"),
    [
        (fake_torch({"cuda": "torch.float16"}), {}, "fp16"),
        (fake_torch({"cuda": "torch.bfloat16"}, matmul="tf32"), {}, "bf16"),
        (fake_torch({"cpu": "torch.bfloat16"}, capability=None), {}, "bf16"),
        (fake_torch({"cpu": "torch.bfloat16"}), {}, "fp32"),  # that is not where training runs
        (fake_torch({"cpu": "torch.bfloat16"}), {"device": "cpu"}, "bf16"),
        (fake_torch(matmul="none", conv="tf32"), {}, "fp32"),
        (fake_torch(matmul="none", conv="tf32"), {"convolutions": True}, "tf32"),
        (fake_torch(matmul="tf32", conv="none"), {}, "tf32"),
        (fake_torch(matmul="tf32", conv="ieee"), {"convolutions": True}, "fp32"),
        (fake_torch(matmul="tf32", conv="none", old=True), {}, "tf32"),
        (fake_torch(matmul="tf32", conv="none", old=True), {"convolutions": True}, "fp32"),
        (fake_torch(matmul="none", conv="tf32", old=True), {"convolutions": True}, "tf32"),
        (fake_torch(matmul="tf32", capability=(7, 5)), {}, "fp32"),
        (fake_torch(matmul="tf32", capability=None), {}, "fp32"),
        (fake_torch(matmul="tf32"), {"device": "cpu"}, "fp32"),
    ],
)
def test_the_format(monkeypatch, torch, arguments, name):
    monkeypatch.setitem(sys.modules, "torch", torch)
    assert autocast_format(**arguments) == name


def test_what_is_not_known(monkeypatch):
    monkeypatch.setitem(sys.modules, "torch", fake_torch({"cuda": "torch.float8_e4m3fn"}))
    with pytest.raises(InputError, match=r"E1349 precision: 'torch.float8_e4m3fn' is not known"):
        autocast_format()
    monkeypatch.delitem(sys.modules, "torch")
    with pytest.raises(InputError, match=r"E1349 precision: PyTorch is not imported"):
        autocast_format()
    assert "torch" not in sys.modules


def test_the_recorder_loads_nothing_but_the_standard_library():
    code = (
        "import sys; before = set(sys.modules); import perfmodel.record\n"
        "print(*sorted({m.partition('.')[0] for m in set(sys.modules) - before} - sys.stdlib_module_names))"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert out.split() == ["perfmodel"]
