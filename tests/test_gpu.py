"""From a plan to a GPU: which device file describes it, which kernels it needs, what compiling them leaves behind."""

import json
import re
import time
from dataclasses import replace
from functools import partial
from importlib.util import find_spec
from pathlib import Path

import pytest

from perfmodel import gpu as subject
from perfmodel.cost import find_cost_model
from perfmodel.devices import device_names, find_device
from perfmodel.errors import InputError, Problem, UnknownName
from perfmodel.gemm import Gemm, find_precision
from perfmodel.gpu import GpuPlan, compile_kernels, device_of, plan_for, ready_gpu, target_named
from perfmodel.lowering import MemoryOp
from perfmodel.measure.cutlass.compiler import Outcome, Stopped
from perfmodel.measure.cutlass.factory import Factory
from perfmodel.measure.cutlass.kernels import GemmKernel
from perfmodel.measure.cutlass.toolchain import Toolchain
from perfmodel.measure.gpus import Gpu
from perfmodel.networks import find_network
from perfmodel.plan import Plan, PlannedKernel, make_plan
from perfmodel.profiles.kernel import Kernel
from perfmodel.schemes import find_overhead

TOOLS = Toolchain(Path("/cuda/bin/nvcc"), (13, 0, 88), Path("/usr/bin/g++"), Path("/cutlass/include"), "4.2.0")
TURING = Gpu(0, "NVIDIA GeForce RTX 2080 Ti", (7, 5), 68, (13, 0))
FP32, FP16 = find_precision("fp32"), find_precision("fp16")
SGEMM = GemmKernel("sgemm", "75", 2, "simt", FP32, "tn", (128, 128, 8), 2, (1, 1, 1), (1, 1, 1), ("serial",), 8)
SMALL = replace(SGEMM, name="sgemm_small", tile=(64, 64, 8))
HALF = replace(SGEMM, name="hgemm", unit="tensor", precision=FP16, tile=(128, 128, 32), alignment=(8, 8, 8))
KERNELS = (SGEMM, SMALL, HALF)


def planned(problem):
    return PlannedKernel(Kernel(problem), 2.0, ("net conv1 fprop",), 0.5, 0.25, 1.0)


PLAN = Plan((planned(Gemm(640, 256, 512)), planned(MemoryOp(64.0, 32.0))), {"networks": ["net"], "mapping": "im2col"})


# The device that a GPU is


@pytest.mark.parametrize(
    ("name", "sms", "device"),
    [
        ("Tesla P4", 20, "p4"), ("Tesla P100-PCIE-16GB", 56, "p100"), ("GeForce GTX 1080 Ti", 28, "gtx-1080-ti"),
        ("NVIDIA GeForce GTX 1080 Ti", 28, "gtx-1080-ti"), ("Tesla V100-PCIE-16GB", 80, "v100"),
        ("Tesla V100-SXM2-16GB", 80, "v100-sxm2"), ("Tesla T4", 40, "t4"), ("TITAN RTX", 72, "titan-rtx"),
        ("NVIDIA TITAN RTX", 72, "titan-rtx"), ("GeForce RTX 2080 Ti", 68, "rtx-2080-ti"),
        ("NVIDIA GeForce RTX 2080 Ti", 68, "rtx-2080-ti"), ("NVIDIA GeForce RTX 2080 SUPER", 48, "rtx-2080-super"),
        ("NVIDIA GeForce RTX 2080", 46, "rtx-2080"), ("NVIDIA GeForce RTX 2070", 36, "rtx-2070"),
        ("NVIDIA GeForce RTX 3090", 82, "rtx-3090"), ("NVIDIA GeForce RTX 4090", 128, "rtx-4090"),
        ("NVIDIA L4", 58, "l4"), ("A100-SXM4-40GB", 108, "a100"), ("NVIDIA A100-SXM4-80GB", 108, "a100-80gb"),
        ("NVIDIA H100 PCIe", 114, "h100-pcie"), ("NVIDIA H100 80GB HBM3", 132, "h100-sxm"),
        ("NVIDIA H100 80GB HBM3", 114, "h100-pcie"), ("NVIDIA H200", 132, "h200"),
    ],
)  # fmt: skip
def test_the_device_of_a_name_that_drivers_report(name, sms, device):
    assert device_of(Gpu(0, name, (7, 5), sms, (13, 0))).name == device


@pytest.mark.parametrize("name", device_names())
def test_every_device_is_found_by_its_title(name):
    device = find_device(name)
    assert device_of(Gpu(0, device.title, device.compute_capability, device.sms, (13, 0))) == device


@pytest.mark.parametrize(
    ("name", "sms"),
    [
        ("NVIDIA GeForce RTX 2080 Super with Max-Q Design", 48), ("NVIDIA GeForce RTX 4090 Laptop GPU", 76),
        ("NVIDIA GeForce RTX 3090 Ti", 84), ("Tesla V100-SXM2-32GB", 80), ("NVIDIA H200 NVL", 132), ("Quadro K600", 1),
        ("NVIDIA A100-SXM4-40GB MIG 1g.5gb", 14), ("NVIDIA H100 80GB HBM3", 100), ("", 68),
    ],
)  # fmt: skip
def test_a_gpu_that_no_file_describes(name, sms):
    """Nor is one guessed where a name is that of two devices, and neither has so many multiprocessors."""
    with pytest.raises(InputError) as raised:
        device_of(Gpu(3, name, (7, 5), sms, (13, 0)))
    (line,) = raised.value.lines()
    assert line.startswith(f"E2016 GPU 3: no device file describes {name!r}. Name one with --device: a file (docs/")
    assert "rtx-2080-ti" in line


def test_what_is_missing_comes_before_the_gpu(monkeypatch):
    monkeypatch.setattr(subject, "missing", lambda: [Problem("E2012", "CuPy:", "is away.", "Get it.")])
    with pytest.raises(InputError, match=r"^E2012 CuPy: is away\. Get it\.$"):
        ready_gpu(0)
    monkeypatch.setattr(subject, "missing", lambda: [])
    monkeypatch.setattr(subject, "list_gpus", lambda: [TURING])
    assert ready_gpu(0) is TURING
    with pytest.raises(InputError, match=r"^E2014 --gpu-index there is no GPU 1\."):
        ready_gpu(1)


# The plan for it


@pytest.fixture
def world(monkeypatch):
    """A toolchain that is there, and a catalogue of three kernels; what was asked of it."""
    asked = []

    def catalogue(target, search="default", precisions=None):
        asked.append((target, search, precisions))
        return tuple(one for one in KERNELS if precisions is None or one.precision in precisions)

    monkeypatch.setattr(subject, "find_toolchain", lambda: TOOLS)
    monkeypatch.setattr(subject, "catalogue", catalogue)
    monkeypatch.setattr(subject, "convolution_catalogue", lambda *arguments: ())
    return asked


def test_the_plan_for_a_gpu(world):
    ready = plan_for(TURING, PLAN, "wide", "none")
    assert world == [("75", "wide", {FP32})]
    assert (ready.gpu, ready.target, ready.toolchain) == (TURING, "75", TOOLS)
    gemm, stream = ready.plan.kernels
    assert {text.split()[0] for text in gemm.variants} == {"sgemm", "sgemm_small"}
    assert stream == PLAN.kernels[1]
    assert ready.kernels == (SGEMM, SMALL)
    assert ready.plan.request == {"networks": ["net"], "mapping": "im2col", "search": "wide", "baseline": "none"}
    assert PLAN.request == {"networks": ["net"], "mapping": "im2col"}


def test_the_baseline_is_a_row_beside(world):
    ready = plan_for(TURING, PLAN, "default", "cublas")
    assert [row.kernel.variant for row in ready.plan.kernels] == ["", "cublas", ""]
    assert (ready.plan.request["search"], ready.plan.request["baseline"]) == ("default", "cublas")
    assert ready.plan.step_s == PLAN.step_s == 2.0


def test_a_plan_without_gemms_needs_no_kernels(world):
    ready = plan_for(TURING, Plan((planned(MemoryOp(64.0, 32.0)),), {}), "default", "cublas")
    assert world == []
    assert (ready.kernels, len(ready.plan.kernels)) == ((), 1)


@pytest.mark.parametrize(
    ("search", "baseline", "line"),
    [
        ("wild", "cublas", "E2001 --search 'wild' is not known. Did you mean wide?"),
        ("default", "cudnn", "E2001 --baseline 'cudnn' is not known. Known: cublas, none."),
    ],
)
def test_words_that_mean_nothing(world, search, baseline, line):
    with pytest.raises(UnknownName) as raised:
        plan_for(TURING, PLAN, search, baseline)
    assert raised.value.lines() == [line]


@pytest.mark.parametrize(
    ("capability", "start"),
    [((6, 1), "E2302 compute capability '6.1': has no kernels"), ((7, 0), "E2302 compute capability '7.0': has no "),
     ((12, 0), "E2302 compute capability '12.0': is newer than the kernels")],
)  # fmt: skip
def test_an_architecture_without_kernels(world, capability, start):
    with pytest.raises(InputError) as raised:
        plan_for(replace(TURING, compute_capability=capability), PLAN, "default", "cublas")
    (line,) = raised.value.lines()
    assert line.startswith(start)
    assert world == []


def test_a_driver_older_than_the_compiler(world):
    with pytest.raises(InputError) as raised:
        plan_for(replace(TURING, cuda=(12, 4)), PLAN, "default", "cublas")
    (line,) = raised.value.lines()
    assert line.startswith("E2015 NVIDIA driver: runs CUDA 12.4, and nvcc is of CUDA 13.0.")
    assert world == []


@pytest.mark.parametrize(
    ("text", "target"), [("7.5", "75"), ("9.0", "90a"), ("rtx-2080-ti", "75"), ("h200", "90a"), ("a100", "80")]
)
def test_the_target_of_a_name(text, target):
    assert target_named(text) == target


@pytest.mark.parametrize(
    ("text", "code"), [("6.1", "E2302"), ("p4", "E2302"), ("rtx-2080ti", "E1001"), ("75x", "E1001"), ("61", "E2302")]
)
def test_a_target_that_is_none(text, code):
    with pytest.raises((InputError, UnknownName)) as raised:
        target_named(text)
    assert raised.value.problems[0].code == code


# Compiling


def compile_fake(command, folder, halted):
    """A compiler that writes the names of the kernels into the library, and refuses those called small."""
    names = re.findall(r"PM_ENTRY_[23]X\((\w+)\)", Path(command[-1]).read_text(encoding="utf-8"))
    if any("small" in name for name in names):
        return Outcome(2, f"{command[-1]}(4): error: {names[0]} is too small\n", 0.25)
    Path(command[command.index("-o") + 1]).write_text("\n".join(names), encoding="utf-8")
    return Outcome(0, "", 1.5)


def describe_fake(library):
    return [{"name": name, "shared_bytes": 1000, "threads": 128} for name in library.read_text("utf-8").split()]


@pytest.fixture
def factory(world, monkeypatch, tmp_path):
    """Factories in a folder of their own, with a compiler that is a function."""
    make = partial(
        Factory, cache=tmp_path, define=lambda one: f"struct {one.name} {{}};", compile=compile_fake,
        describe=describe_fake,
    )  # fmt: skip
    monkeypatch.setattr(subject, "Factory", make)
    return make


def ready_with(*kernels):
    return GpuPlan(TURING, "75", PLAN, kernels, TOOLS)


def test_what_a_worker_gets_to_know(factory, tmp_path):
    told = []
    manifest = compile_kernels(ready_with(SGEMM, HALF), lambda done, total: told.append((done, total)))
    assert json.loads(json.dumps(manifest)) == manifest
    assert told[0] == (0, 2)
    assert told[-1] == (2, 2)
    assert set(manifest) == {"compiler", "fingerprint", "kernels", "failed"}
    assert manifest["failed"] == {}
    assert manifest["compiler"].startswith("nvcc 13.0.88 -std=c++17 ")
    assert manifest["compiler"].endswith(" -gencode=arch=compute_75,code=sm_75")
    row = manifest["kernels"]["hgemm"]
    names = Path(row["path"]).read_text().split()
    assert (Path(row["path"]).is_relative_to(tmp_path), names[row["index"]]) == (True, "hgemm")
    assert {name: row[name] for name in row if name not in ("path", "index", "resources")} == {
        "target": "75", "operand": "fp16", "accumulator": "fp32", "output": "fp16", "layout": "tn", "conv": "",
        "tile": [128, 128, 32], "alignment": [8, 8, 8], "split_modes": ["serial"],
    }  # fmt: skip
    assert row["resources"]["shared_bytes"] == 1000


def test_kernels_that_do_not_compile_are_told_apart(factory):
    manifest = compile_kernels(ready_with(SGEMM, SMALL))
    assert list(manifest["kernels"]) == ["sgemm"]
    assert list(manifest["failed"]) == ["sgemm_small"]
    why = manifest["failed"]["sgemm_small"]
    assert re.search(r"\.cu\(4\): error: sgemm_small is too small; /cuda/bin/nvcc -std=c\+\+17 ", why)


def test_profiles_of_two_networks_are_of_one_environment(factory):
    """The fingerprint is of the sources, whichever of the kernels a plan needs: such profiles can be joined."""
    first, second = (compile_kernels(ready_with(*some)) for some in ((SGEMM,), (SGEMM, HALF)))
    assert first["fingerprint"] == second["fingerprint"]
    assert first["compiler"] == second["compiler"]


def test_other_sources_are_another_environment(factory, monkeypatch):
    first = compile_kernels(ready_with(SGEMM))["fingerprint"]
    monkeypatch.setattr(subject, "Factory", partial(factory, define=lambda one: f"struct {one.name} {{ int x; }};"))
    assert compile_kernels(ready_with(SGEMM))["fingerprint"] != first


def test_a_build_that_is_stopped_leaves_kernels_out(factory, monkeypatch):
    def compile_for_ever(command, folder, halted):
        while not halted():
            time.sleep(0.01)
        raise Stopped

    monkeypatch.setattr(subject, "Factory", partial(factory, compile=compile_for_ever))
    manifest = compile_kernels(ready_with(SGEMM), stop=lambda: True)
    assert (manifest["kernels"], manifest["failed"]) == ({}, {})


@pytest.mark.parametrize(
    ("kernels", "memory_kib", "cores", "jobs"),
    [
        ((SGEMM,), 10_000_000, 8, 4), ((SGEMM,), 10_000_000, 2, 2), ((SGEMM,), 1_000_000, 8, 1), ((SGEMM,), 0, 8, 1),
        ((replace(SGEMM, generation=3), SGEMM), 20_000_000, 8, 3), ((), 1_000_000, 8, 8),
        ((SGEMM,), 10_000_000, None, 1), ((SGEMM,), None, 8, 1),
    ],
)  # fmt: skip
def test_as_many_compilers_as_memory_and_cores_allow(monkeypatch, tmp_path, kernels, memory_kib, cores, jobs):
    """2.5 GB for a unit of 2.x, 6.5 GB for one of 3.x; memory that only caches files counts as free."""
    memory = tmp_path / "meminfo"
    if memory_kib is not None:
        memory.write_text(f"MemTotal: 99000000 kB\nMemFree: 1000 kB\nMemAvailable:   {memory_kib} kB\nBuffers: 9 kB\n")
    monkeypatch.setattr(subject, "MEMORY", memory)
    monkeypatch.setattr(subject.os, "cpu_count", lambda: cores)
    assert subject.compilers_for(kernels) == jobs


# The real catalogue


@pytest.mark.skipif(find_spec("cutlass_library") is None, reason="cutlass_library is not installed")
@pytest.mark.parametrize(("capability", "sms", "device"), [((7, 5), 68, "rtx-2080-ti"), ((9, 0), 132, "h200")])
def test_every_gemm_of_the_papers_networks_has_kernels(monkeypatch, capability, sms, device):
    monkeypatch.setattr(subject, "find_toolchain", lambda: TOOLS)
    found = find_device(device)
    networks = [find_network(name) for name in ("alexnet-reference", "resnet18", "googlenet-aux")]
    models = (find_cost_model(name, found, "best", True) for name in ("tiles", "roofline"))
    plan = make_plan(networks, (256,), ["fp32", "fp16", "int8"], "im2col", find_overhead("current"), *models)
    ready = plan_for(Gpu(0, found.title, capability, sms, (13, 0)), plan, "default", "cublas")
    gemms = [row for row in ready.plan.kernels if isinstance(row.kernel.problem, Gemm)]
    assert [row.kernel.text for row in gemms if not row.variants and not row.kernel.variant] == []
    assert all(1 <= len(row.variants) <= 4 for row in gemms if not row.kernel.variant)
    own = [row for row in gemms if row.weight]
    assert [row.kernel for row in own] == [row.kernel for row in plan.kernels if isinstance(row.kernel.problem, Gemm)]
    lying = [row.kernel.problem.layout for row in gemms if not row.weight and not row.kernel.variant]
    assert set(lying) == {"tt", "nt"}
    named = {text.split()[0] for row in gemms for text in row.variants}
    assert named == {kernel.name for kernel in ready.kernels}
    assert ready.plan.step_s == pytest.approx(plan.step_s, rel=1e-12)


@pytest.mark.parametrize(("named", "jobs"), [("3", 3), ("0", None), ("many", None), ("", None)])
def test_how_many_compilers_can_be_said(monkeypatch, named, jobs):
    monkeypatch.setattr(subject, "_free_bytes", lambda: 0.0)
    monkeypatch.setenv("PERFMODEL_JOBS", named)
    assert subject.compilers_for([SGEMM]) == (jobs or 1)
