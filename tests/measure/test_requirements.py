"""What is missing for a GPU is named, each thing with what to do about it."""

import ctypes

import pytest

from perfmodel.errors import InputError
from perfmodel.measure import requirements
from perfmodel.measure.requirements import device_count, installed, missing, refuse_gpu

EVERYTHING = {"has_module": lambda name: True, "devices": lambda: 1, "which": lambda name: f"/usr/bin/{name}"}


def places(**changes):
    return [problem.place for problem in missing(**EVERYTHING | changes)]


def test_nothing_is_missing():
    assert missing(**EVERYTHING) == []


@pytest.mark.parametrize(
    ("changes", "place", "found"),
    [
        ({"devices": lambda: None}, "NVIDIA driver:", "is not installed."),
        ({"devices": lambda: 0}, "GPU:", "the driver finds none."),
        ({"has_module": lambda name: name != "cupy"}, "CuPy:", "the Python module cupy is not installed."),
        ({"has_module": lambda name: name != "cutlass_library"}, "CUTLASS:", "the Python module cutlass_library is "),
        ({"which": lambda _: None, "has_module": lambda name: "nvidia" not in name}, "nvcc:", "there is no CUDA"),
    ],
)
def test_one_thing_is_missing(changes, place, found):
    (problem,) = missing(**EVERYTHING | changes)
    assert (problem.code, problem.place) == ("E2012", place)
    assert problem.found.startswith(found)
    assert problem.fix
    assert str(problem).isprintable()


@pytest.mark.parametrize("module", ["nvidia.cu13", "nvidia.cuda_nvcc"])
def test_a_compiler_from_a_package_will_do(module):
    assert places(which=lambda _: None, has_module=lambda name: name in (module, "cupy", "cutlass_library")) == []


def test_everything_is_missing():
    found = places(has_module=lambda _: False, devices=lambda: None, which=lambda _: None)
    assert found == ["NVIDIA driver:", "CuPy:", "CUTLASS:", "nvcc:"]


def test_without_a_driver_there_is_no_count(monkeypatch):
    def no_library(name):
        raise OSError(name)

    monkeypatch.setattr(ctypes, "CDLL", no_library)
    assert device_count() is None


@pytest.mark.parametrize(
    ("initialised", "counted", "expected"), [(0, 0, 3), (100, 0, 0), (0, 1, 0)], ids=["works", "no device", "error"]
)
def test_what_the_driver_says(monkeypatch, initialised, counted, expected):
    class Driver:
        def cuInit(self, flags):  # noqa: N802
            return initialised

        def cuDeviceGetCount(self, count):  # noqa: N802
            count._obj.value = 3
            return counted

    monkeypatch.setattr(ctypes, "CDLL", lambda name: Driver())
    assert device_count() == expected


def test_what_is_missing_is_refused(monkeypatch):
    monkeypatch.setattr(requirements, "device_count", lambda: None)
    error = refuse_gpu()
    assert isinstance(error, InputError)
    assert (error.problems[0].code, error.problems[0].place) == ("E2012", "NVIDIA driver:")


def test_where_nothing_is_missing_this_version_has_no_kernels(monkeypatch):
    monkeypatch.setattr(requirements, "missing", lambda: [])
    (problem,) = refuse_gpu().problems  # it is also said behind what is missing
    assert problem.code == "E2013"
    assert "no kernels" in problem.found


def test_looking_for_a_package_whose_parent_is_missing():
    """`find_spec` of a submodule imports its parent, which may not be there."""
    assert not installed("no_such_package.module")
    assert installed("perfmodel.measure")
    assert all(problem.code == "E2012" for problem in missing(devices=lambda: 1, which=lambda _: None))
