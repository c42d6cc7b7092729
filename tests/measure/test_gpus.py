"""The GPUs of a machine as a driver tells them; the driver is a made-up one."""

import ctypes
import os

import pytest

from perfmodel.errors import InputError
from perfmodel.measure import gpus
from perfmodel.measure.gpus import Gpu, find_gpu, list_gpus, load_driver

TURING = ("NVIDIA GeForce RTX 2080 Ti", (7, 5), 68)
HOPPER = ("NVIDIA H200", (9, 0), 132)
NO_DEVICE, OUT_OF_RANGE = 100, 101  # of CUresult


class Driver:
    """What libcuda does of what is asked here: values are written where `byref` and buffers point."""

    def __init__(self, *cards, version=13000, initialised=0, counted=0):
        self.cards, self.version, self.initialised, self.counted = cards, version, initialised, counted
        self.started = False

    def cuInit(self, flags):  # noqa: N802
        assert flags == 0
        self.started = self.initialised == 0
        return self.initialised

    def cuDeviceGetCount(self, count):  # noqa: N802
        assert self.started
        count._obj.value = len(self.cards)
        return self.counted

    def cuDeviceGet(self, device, index):  # noqa: N802
        device._obj.value = 40 + index  # a handle is not always the number
        return 0 if index < len(self.cards) else OUT_OF_RANGE

    def cuDeviceGetName(self, name, size, device):  # noqa: N802
        assert size == ctypes.sizeof(name)
        name.value = self.card(device)[0].encode("latin-1")
        return 0

    def cuDeviceGetAttribute(self, value, number, device):  # noqa: N802
        _, (major, minor), sms = self.card(device)
        value._obj.value = {16: sms, 75: major, 76: minor}[number]
        return 0

    def cuDriverGetVersion(self, version):  # noqa: N802
        version._obj.value = self.version
        return 0

    def card(self, device):
        return self.cards[device.value - 40]


class VisibleDriver(Driver):
    """A driver that heeds CUDA_VISIBLE_DEVICES, as the real one does when it is initialised."""

    def cuInit(self, flags):  # noqa: N802
        asked = os.environ.get("CUDA_VISIBLE_DEVICES")
        if asked is not None:
            self.cards = tuple(self.cards[int(part)] for part in asked.split(",") if part)
        self.initialised = 0 if self.cards else NO_DEVICE
        return super().cuInit(flags)


def test_the_gpus_in_the_drivers_order():
    assert list_gpus(lambda: Driver(TURING, HOPPER)) == [
        Gpu(0, "NVIDIA GeForce RTX 2080 Ti", (7, 5), 68, (13, 0)), Gpu(1, "NVIDIA H200", (9, 0), 132, (13, 0)),
    ]  # fmt: skip


@pytest.mark.parametrize(("version", "cuda"), [(13000, (13, 0)), (12040, (12, 4)), (11080, (11, 8)), (13010, (13, 1))])
def test_the_newest_cuda_of_the_driver(version, cuda):
    (gpu,) = list_gpus(lambda: Driver(TURING, version=version))
    assert gpu.cuda == cuda


@pytest.mark.parametrize(
    "driver",
    [Driver(TURING, initialised=NO_DEVICE), Driver(TURING, initialised=999), Driver(TURING, counted=3), Driver()],
    ids=["no device", "broken", "uncounted", "none"],
)
def test_a_driver_that_finds_nothing(driver):
    assert list_gpus(lambda: driver) == []


def test_no_driver():
    assert list_gpus(lambda: None) is None


def test_a_name_in_another_encoding():
    (gpu,) = list_gpus(lambda: Driver(("Carte \xe9trange", (7, 5), 10)))
    assert gpu.name == "Carte \ufffdtrange"


def test_the_libraries_that_are_tried(monkeypatch):
    asked, found = [], object()

    def load(name):
        asked.append(name)
        if name != "found by the linker":
            raise OSError(name)
        return found

    monkeypatch.setattr(ctypes, "CDLL", load)
    monkeypatch.setattr(gpus, "find_library", lambda name: {"cuda": "found by the linker"}[name])
    assert load_driver() is found
    assert asked == ["libcuda.so.1", "nvcuda.dll", "found by the linker"]


def test_no_library_at_all(monkeypatch):
    def load(name):
        raise OSError(name)

    monkeypatch.setattr(ctypes, "CDLL", load)
    monkeypatch.setattr(gpus, "find_library", lambda name: None)
    assert load_driver() is None
    monkeypatch.setattr(gpus, "find_library", lambda name: "libcuda.so")
    assert load_driver() is None


def test_finding_one_by_its_number():
    listed = list_gpus(lambda: Driver(TURING, HOPPER))
    assert [find_gpu(index, listed).name for index in (0, 1)] == ["NVIDIA GeForce RTX 2080 Ti", "NVIDIA H200"]


@pytest.mark.parametrize("index", [2, 7, -1])
def test_a_number_that_none_has(index):
    with pytest.raises(InputError) as raised:
        find_gpu(index, list_gpus(lambda: Driver(TURING, HOPPER)))
    assert raised.value.lines() == [
        f"E2014 --gpu-index there is no GPU {index}. "
        "This machine has 0 (NVIDIA GeForce RTX 2080 Ti), 1 (NVIDIA H200)."
    ]  # fmt: skip


@pytest.mark.parametrize("listed", [None, []])
def test_where_there_is_no_gpu_none_has_a_number(listed):
    with pytest.raises(InputError) as raised:
        find_gpu(0, listed)
    assert raised.value.lines() == ["E2014 --gpu-index there is no GPU 0. This machine has none."]


@pytest.mark.parametrize(
    ("visible", "names"),
    [
        (None, [(0, TURING[0]), (1, HOPPER[0])]), ("1", [(0, HOPPER[0])]), ("1,0", [(0, HOPPER[0]), (1, TURING[0])]),
        ("", []),
    ],
)  # fmt: skip
def test_numbers_count_what_is_visible(monkeypatch, visible, names):
    if visible is None:
        monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    else:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    assert [(gpu.index, gpu.name) for gpu in list_gpus(lambda: VisibleDriver(TURING, HOPPER))] == names


def test_a_library_that_is_no_driver_has_no_gpus():
    class Stub:
        def cuInit(self, flags):  # noqa: N802
            return 0

    assert list_gpus(Stub) == []
