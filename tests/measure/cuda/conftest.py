"""A host runtime with the device code and the kernel libraries compiled as C++, once a session."""

import importlib.util
import shutil
from pathlib import Path

import pytest

from perfmodel.measure.cuda.backend import CudaBackend
from perfmodel.measure.cuda.catalogue import Catalogue

HERE = Path(__file__).parent / "hostdevice"
PACKAGE = Path(importlib.util.find_spec("perfmodel").origin).parent / "measure"
KERNELS = {  # name: operand, accumulator, output, layout, a convolution's pass and alignment; in the order of gemms.cpp
    "host_fp32_tn": "fp32 fp32 fp32 tn", "host_fp32_tt": "fp32 fp32 fp32 tt", "host_fp32_nt": "fp32 fp32 fp32 nt",
    "host_fp32_nn": "fp32 fp32 fp32 nn", "host_tf32_tn": "tf32 fp32 fp32 tn", "host_fp16_tn": "fp16 fp32 fp16 tn",
    "host_fp16_nt": "fp16 fp32 fp16 nt", "host_bf16_tn": "bf16 fp32 bf16 tn", "host_fp8_tn": "fp8_e4m3 fp32 fp16 tn",
    "host_int8_tn": "int8 int32 int32 tn", "host_int8_int8_tn": "int8 int32 int8 tn",
    "host_short": "fp32 fp32 fp32 tn", "host_outside": "fp32 fp32 fp32 tn", "host_lost_row": "fp32 fp32 fp32 tn",
    "host_stale": "int8 int32 int8 tn",
    "host_fp32_fprop": "fp32 fp32 fp32 tn fprop 1,1,1", "host_fp32_dgrad": "fp32 fp32 fp32 tt dgrad 1,1,1",
    "host_fp32_wgrad": "fp32 fp32 fp32 nt wgrad 1,1,1", "host_fp16_fprop": "fp16 fp32 fp16 tn fprop 8,8,8",
    "host_fp16_few": "fp16 fp32 fp16 tn fprop 4,4,4", "host_fp16_dgrad": "fp16 fp32 fp16 tt dgrad 8,8,8",
    "host_fp16_wgrad": "fp16 fp32 fp16 nt wgrad 8,8,8", "host_int8_fprop": "int8 int32 int32 tn fprop 16,16,4",
    "host_flipped_fprop": "fp32 fp32 fp32 tn fprop 1,1,1", "host_flipped_dgrad": "fp32 fp32 fp32 tt dgrad 1,1,1",
    "host_flipped_wgrad": "fp32 fp32 fp32 nt wgrad 1,1,1", "host_lost_fprop": "fp32 fp32 fp32 tn fprop 1,1,1",
    "host_lost_dgrad": "fp32 fp32 fp32 tt dgrad 1,1,1", "host_lost_wgrad": "fp32 fp32 fp32 nt wgrad 1,1,1",
}  # fmt: skip


def _host_module():
    spec = importlib.util.spec_from_file_location("hostdevice_runtime", HERE / "runtime.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def host():
    """The module of the host runtime."""
    if shutil.which("g++") is None:
        pytest.skip("g++ is not installed")
    return _host_module()


@pytest.fixture(scope="session")
def folder(tmp_path_factory):
    """Where the compiled code lies."""
    return tmp_path_factory.mktemp("hostdevice")


@pytest.fixture(scope="session")
def manifest(host, folder):
    """The host's kernel library, as a factory would list it."""
    text = (HERE / "gemms.cpp").read_text(encoding="utf-8")
    library = host.build(folder, "gemms", text, PACKAGE / "cuda" / "sources", PACKAGE / "cutlass" / "include")
    keys = ("operand", "accumulator", "output", "layout", "conv", "alignment")
    kernels = {
        name: {
            "path": str(library), "index": index, **dict(zip(keys, parts.split(), strict=False)),
            "split_modes": ["serial", "parallel"], "resources": {"registers": 7, "unit": "host"},
        }
        for index, (name, parts) in enumerate(KERNELS.items())
    }  # fmt: skip
    for row in kernels.values():
        row["alignment"] = [int(size) for size in row.get("alignment", "1,1,1").split(",")]
    return {"compiler": "g++", "fingerprint": "host", "kernels": kernels}


@pytest.fixture
def runtime(host, folder):
    """A fresh device."""
    return host.HostRuntime(folder)


@pytest.fixture
def backend(runtime, manifest):
    """A backend on it."""
    return CudaBackend(runtime, Catalogue(manifest))
