"""One backend on the first GPU for all tests, with one compiled kernel of each precision where there is a compiler."""

from contextlib import suppress

import pytest

from perfmodel.gemm import find_precision
from perfmodel.measure.backend import DeviceFault
from perfmodel.measure.gpus import list_gpus

NAMES = ("fp32", "tf32", "bf16", "fp16", "fp16+fp16", "int8", "fp8_e4m3")


@pytest.fixture(scope="session")
def device():
    """The UUID of the first GPU; skips where there is none, or no CuPy."""
    if not list_gpus():
        pytest.skip("there is no GPU")
    pytest.importorskip("cupy", exc_type=ImportError)
    from perfmodel.measure.cuda.driver import device_uuid

    return device_uuid(0)


@pytest.fixture(scope="session")
def manifest(device, tmp_path_factory):
    """One kernel for each precision that the chip's catalogue has; without kernels where there is no toolchain."""
    from perfmodel.errors import PerfModelError
    from perfmodel.measure.cuda.cupy_runtime import CupyRuntime
    from perfmodel.measure.cutlass.catalogue import catalogue, supported, target_of
    from perfmodel.measure.cutlass.factory import Built, Factory
    from perfmodel.measure.cutlass.toolchain import find_toolchain

    try:
        tools = find_toolchain()
        target = target_of(CupyRuntime(0).properties().compute_capability)
        precisions = [one for one in map(find_precision, NAMES) if supported(target, one)]
        kernels = [_first(catalogue(target, "default", {one})) for one in precisions]
        built = Factory(tools, target).build(kernels)
    except PerfModelError as error:
        return {"kernels": {}, "missing": str(error)}
    ready = {kernel.name: (kernel, built[kernel.name]) for kernel in kernels if isinstance(built[kernel.name], Built)}
    return {"kernels": {name: _row(*pair) for name, pair in ready.items()}, "missing": ""}


def _first(kernels):
    return next(kernel for kernel in kernels if kernel.layout == "tn")


def _row(kernel, built):
    p = kernel.precision
    return {
        "path": str(built.path), "index": built.index, "operand": p.operand.name, "accumulator": p.accumulator.name,
        "output": p.output.name, "layout": kernel.layout, "split_modes": list(kernel.split_modes),
        "resources": dict(built.resources),
    }  # fmt: skip


@pytest.fixture(scope="session")
def backend(manifest):
    """The backend under test."""
    from perfmodel.measure.cuda import make_backend

    made = make_backend(0, manifest)
    yield made
    with suppress(DeviceFault):
        made.close()
