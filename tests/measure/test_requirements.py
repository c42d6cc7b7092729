"""What is missing for a GPU is named, each thing with what to do about it."""

import sys
from types import SimpleNamespace

import pytest

from perfmodel.errors import Problem
from perfmodel.measure import requirements
from perfmodel.measure.cutlass import toolchain
from perfmodel.measure.gpus import Gpu
from perfmodel.measure.requirements import cuda_of_cupy, driver_problems, import_fault, installed, missing

TURING = Gpu(0, "NVIDIA GeForce RTX 2080 Ti", (7, 5), 68, (13, 0))
OLDER = Gpu(0, "NVIDIA GeForce RTX 2080 Ti", (7, 5), 68, (12, 4))
NO_NVCC = Problem("E2310", "nvcc:", "there is no CUDA compiler.", "Install it.")
EVERYTHING = {
    "has_module": lambda name: True, "gpus": lambda: [TURING], "tools": lambda: [], "cupy_cuda": lambda: 13,
    "fault_of": lambda name: "",
}  # fmt: skip


def lines(**changes):
    return [str(problem) for problem in missing(**EVERYTHING | changes)]


def test_nothing_is_missing():
    assert missing(**EVERYTHING) == []


@pytest.mark.parametrize(
    ("changes", "start"),
    [
        ({"gpus": lambda: None}, "E2012 NVIDIA driver: is not installed. Install it, or use --simulate SCENARIO."),
        ({"gpus": lambda: []}, "E2012 GPU: the driver finds none. Check nvidia-smi and CUDA_VISIBLE_DEVICES, or use "),
        ({"has_module": lambda name: name != "cupy"}, "E2012 CuPy: the Python module cupy is not installed. In "),
        ({"fault_of": lambda name: f"no {name}"}, "E2012 CuPy: does not load: no cupy.cuda. In perfmodel's folder: "),
        ({"tools": lambda: [NO_NVCC]}, "E2310 nvcc: there is no CUDA compiler. Install it."),
        ({"gpus": lambda: [OLDER]}, "E2015 NVIDIA driver: runs CUDA 12.4, and CuPy is for CUDA 13. Update the driver, "
         "or install cupy-cuda12x instead, with an nvcc of that CUDA."),
    ],
)  # fmt: skip
def test_one_thing_is_missing(changes, start):
    (line,) = lines(**changes)
    assert line.startswith(start)
    assert line.isprintable()


def test_everything_is_missing():
    found = lines(has_module=lambda _: False, gpus=lambda: None, tools=lambda: [NO_NVCC])
    assert [line.partition(":")[0] for line in found] == ["E2012 NVIDIA driver", "E2012 CuPy", "E2310 nvcc"]


@pytest.mark.parametrize("needed", [None, 12, 11])
def test_a_driver_runs_what_is_for_older_ones(needed):
    assert lines(gpus=lambda: [OLDER], cupy_cuda=lambda: needed) == []


def test_a_driver_is_not_too_old_for_a_cupy_that_is_not_there():
    (line,) = lines(gpus=lambda: [OLDER], has_module=lambda name: False)
    assert line.startswith("E2012 CuPy:")


def test_without_a_gpu_nothing_is_said_of_its_driver():
    (line,) = lines(gpus=lambda: [])
    assert line.startswith("E2012 GPU:")


def test_by_itself_it_looks_at_this_machine(monkeypatch):
    """The defaults are the real thing, looked up when it is called."""
    monkeypatch.setattr(requirements, "installed", lambda name: name != "cupy")
    monkeypatch.setattr(requirements, "cuda_of_cupy", lambda: 13)
    found = missing(gpus=lambda: [OLDER], tools=lambda: [])
    assert [problem.place for problem in found] == ["CuPy:"]
    monkeypatch.setattr(requirements, "installed", lambda name: name == "cupy")
    assert [problem.code for problem in missing(gpus=lambda: [OLDER], tools=lambda: [])] == ["E2015"]
    assert missing.__defaults__[1:3] == (requirements.list_gpus, toolchain.problems)


@pytest.mark.parametrize(("cuda", "nvcc"), [((13, 0), (13, 0, 88)), ((13, 1), (12, 9, 41)), ((12, 2), (12, 9, 41))])
def test_a_driver_that_runs_what_this_compiler_makes(cuda, nvcc):
    """Within a major version of CUDA older drivers do: the kernels hold machine code."""
    assert driver_problems(Gpu(0, "NVIDIA L4", (8, 9), 58, cuda), nvcc) == []


def test_a_driver_older_than_the_compiler():
    (problem,) = driver_problems(OLDER, (13, 0, 88))
    assert str(problem) == (
        "E2015 NVIDIA driver: runs CUDA 12.4, and nvcc is of CUDA 13.0. Update the driver, or name an nvcc of CUDA 12 "
        "in PERFMODEL_NVCC."
    )


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (["numpy", "cupy-cuda13x"], 13), (["cupy-cuda12x", "numpy"], 12), (["cupy-cuda115"], 11), (["cupy"], None),
        (["cupy-rocm-5-0"], None), ([], None), ([None, "cupy-cuda12x"], 12), (["cupy-cudax"], None),
    ],
)  # fmt: skip
def test_the_cuda_of_the_cupy_that_is_installed(monkeypatch, names, expected):
    found = [SimpleNamespace(metadata={"Name": name}) for name in names]
    monkeypatch.setattr(requirements, "distributions", lambda: iter(found))
    assert cuda_of_cupy() == expected


def test_looking_for_a_package_whose_parent_is_missing():
    """`find_spec` of a submodule imports its parent, which may not be there."""
    assert not installed("no_such_package.module")
    assert installed("perfmodel.measure")


def test_a_package_above_that_does_not_import(tmp_path, monkeypatch):
    (tmp_path / "pm_broken_package").mkdir()
    (tmp_path / "pm_broken_package" / "__init__.py").write_text("import no_such_package_at_all\n")
    monkeypatch.syspath_prepend(tmp_path)
    assert not installed("pm_broken_package.module")
    assert installed("pm_broken_package")


def test_a_module_without_a_spec(monkeypatch):
    monkeypatch.setitem(sys.modules, "pm_without_spec", SimpleNamespace(__spec__=None))
    assert not installed("pm_without_spec")


def test_whether_a_module_loads_is_asked_in_another_process(tmp_path, monkeypatch):
    (tmp_path / "broken_module.py").write_text("import sys\nraise ValueError('what\\nelse.')\n")
    (tmp_path / "leaving_module.py").write_text("import sys\nsys.exit(7)\n")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    assert import_fault("json") == ""
    assert import_fault("no_such_module") == "ModuleNotFoundError: No module named 'no_such_module'"
    assert import_fault("broken_module") == "else"
    assert import_fault("leaving_module") == "exit code 7"
