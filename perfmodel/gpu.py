"""From a plan to a GPU that can carry it out: its kernels chosen, compiled, and written down for the worker process.

The compilers run before anything is timed, in the process that keeps the journal; the worker only loads libraries.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from perfmodel.candidates import kernels_of, with_candidates
from perfmodel.cost.measured import is_device
from perfmodel.devices import Device, device_names, find_device
from perfmodel.errors import InputError, unknown_name
from perfmodel.gemm import Gemm, Precision
from perfmodel.measure.cuda import sources as tools
from perfmodel.measure.cutlass.catalogue import catalogue, target_of
from perfmodel.measure.cutlass.convolutions import convolution_catalogue
from perfmodel.measure.cutlass.factory import Built, Factory, Failed
from perfmodel.measure.cutlass.kernels import GemmKernel
from perfmodel.measure.cutlass.shelf import digest
from perfmodel.measure.cutlass.toolchain import Toolchain, find_toolchain
from perfmodel.measure.gpus import Gpu, find_gpu, list_gpus
from perfmodel.measure.requirements import driver_problems, missing
from perfmodel.measure.streams import sources as streams
from perfmodel.plan import Plan
from perfmodel.units import KIB

SEARCHES = ("default", "wide")
BASELINES = ("cublas", "none")
MEMORY = Path("/proc/meminfo")
UNIT_BYTES = {2: 2.5e9, 3: 6.5e9}  # memory that compiling one unit of each generation of kernels takes, measured


@dataclass(frozen=True, slots=True)
class GpuPlan:
    """A plan with its candidates, and the kernels that these need, for one GPU."""

    gpu: Gpu
    target: str
    plan: Plan
    kernels: tuple[GemmKernel, ...]
    toolchain: Toolchain


def ready_gpu(index: int) -> Gpu:
    """The GPU of this number; `InputError` with everything that is missing here (E2012, E2015, E231x), or E2014."""
    if problems := missing():
        raise InputError(problems)
    return find_gpu(index, list_gpus())


def device_of(gpu: Gpu) -> Device:
    """The bundled device that the driver's name stands for; `InputError` (E2016) where there is none.

    A name that leaves out what tells two devices apart, as `NVIDIA H100 80GB HBM3` does, is that of the one with as
    many multiprocessors.
    """
    named = [device for device in map(find_device, device_names()) if is_device(gpu.name, device.title)]
    found = named if len(named) == 1 else [device for device in named if device.sms == gpu.sms]
    if len(found) == 1:
        return found[0]
    fix = f"Name one with --device: a file (docs/devices.md), or the nearest of {', '.join(device_names())}."
    raise InputError.at("E2016", f"GPU {gpu.index}:", f"no device file describes {gpu.name!r}.", fix)


def plan_for(gpu: Gpu, plan: Plan, search: str, baseline: str) -> GpuPlan:
    """The plan with candidates for each GEMM from the catalogue of this GPU's architecture.

    Raises `UnknownName` (E2001) for another `search` or `baseline`; `InputError` E2301 for a precision without kernels,
    E2302 for an architecture without, E2015 for a driver older than the compiler, E2310-E2317 for the toolchain.
    """
    for option, given, known in (("--search", search, SEARCHES), ("--baseline", baseline, BASELINES)):
        if given not in known:
            raise unknown_name("E2001", option, given, known)
    toolchain = find_toolchain()
    if problems := driver_problems(gpu, toolchain.nvcc_version):
        raise InputError(problems)
    target = target_of(gpu.compute_capability)
    problems = (planned.kernel.problem for planned in plan.kernels)
    precisions = {problem.precision for problem in problems if isinstance(problem, Gemm)}
    kernels = all_kernels(target, search, precisions) if precisions else ()
    found = with_candidates(plan, kernels, gpu.sms, search, baseline == "cublas")
    request = plan.request | {"search": search, "baseline": baseline}
    found = Plan(found.kernels, request)
    return GpuPlan(gpu, target, found, tuple(kernels_of(found, kernels)), toolchain)


def all_kernels(
    target: str, search: str = "default", precisions: Collection[Precision] | None = None
) -> tuple[GemmKernel, ...]:  # fmt: skip
    """GEMM kernels and convolutions; raises what `catalogue` raises."""
    return catalogue(target, search, precisions) + convolution_catalogue(target, search, precisions)


def target_named(text: str) -> str:
    """What nvcc compiles for: of a compute capability (`7.5`, or as nvcc has it, `75`, `sm_90a`), or of a device.

    Raises `UnknownName` (E1001) for a device that is none, `InputError` (E2302) for an architecture without kernels.
    """
    if match := re.fullmatch(r"(?:sm_)?([0-9]+)\.?([0-9])a?", text):
        return target_of(".".join(match.groups()))
    return target_of(find_device(text).compute_capability)


def build_kernels(
    toolchain: Toolchain, target: str, kernels: Sequence[GemmKernel],
    tell: Callable[[int, int], None] = lambda done, total: None, stop: Callable[[], bool] = lambda: False,
) -> tuple[Factory, dict[str, Built | Failed]]:  # fmt: skip
    """What compiles these kernels, and what became of each; from the cache where it holds them.

    After `stop()` those that were not ready are missing. Raises `InputError` E2312, `OutputError` E2318 where the cache
    cannot be written.
    """
    factory = Factory(toolchain, target, jobs=compilers_for(kernels))
    return factory, factory.build(kernels, tell, stop)


def compile_kernels(
    ready: GpuPlan,
    tell: Callable[[int, int], None] = lambda done, total: None,
    stop: Callable[[], bool] = lambda: False,
) -> dict:
    """What `make_backend` needs of the compiled kernels, as JSON values, and `failed`: the faults of those that do not.

    A kernel that does not compile fails to build when it is asked for. Raises what `build_kernels` raises.
    """
    factory, built = build_kernels(ready.toolchain, ready.target, ready.kernels, tell, stop)
    usual = all_kernels(ready.target)  # not only those of this plan: profiles of two networks can be joined
    rows = {kernel.name: _row(kernel, built.get(kernel.name)) for kernel in ready.kernels}
    return {
        "compiler": f"{ready.toolchain.compiler} {' '.join(factory.flags)}",
        "fingerprint": digest(factory.fingerprint(usual), streams.source_text(), tools.source_text())[:16],
        "kernels": {name: row for name, row in rows.items() if row},
        "failed": {name: f"{one.reason}; {one.command}" for name, one in built.items() if isinstance(one, Failed)},
    }


def _row(kernel: GemmKernel, built: Built | Failed | None) -> Mapping:
    if not isinstance(built, Built):
        return {}
    p = kernel.precision
    return {
        "path": str(built.path), "index": built.index, "target": kernel.target, "operand": p.operand.name,
        "accumulator": p.accumulator.name, "output": p.output.name, "layout": kernel.layout, "conv": kernel.conv,
        "tile": [*kernel.tile], "alignment": [*kernel.alignment], "split_modes": [*kernel.split_modes],
        "resources": dict(built.resources),
    }  # fmt: skip


def compilers_for(kernels: Sequence[GemmKernel]) -> int:
    """Compilers at a time: as many as PERFMODEL_JOBS says, else one for each core, as far as the memory goes."""
    if (named := os.environ.get("PERFMODEL_JOBS", "")).isdecimal() and int(named) > 0:
        return int(named)
    unit_bytes = max((UNIT_BYTES[kernel.generation] for kernel in kernels), default=1.0)
    return max(1, min(os.cpu_count() or 1, int(_free_bytes() // unit_bytes)))


def _free_bytes() -> float:
    """Memory that programs can have [B], with what only caches files; 0 where the system does not tell."""
    try:
        found = re.search(r"^MemAvailable: *(\d+) kB", MEMORY.read_text(encoding="ascii"), re.MULTILINE)
    except OSError:
        found = None
    return int(found[1]) * KIB if found else 0.0


__all__ = [
    "BASELINES",
    "SEARCHES",
    "GpuPlan",
    "all_kernels",
    "build_kernels",
    "compile_kernels",
    "device_of",
    "plan_for",
    "ready_gpu",
    "target_named",
]
