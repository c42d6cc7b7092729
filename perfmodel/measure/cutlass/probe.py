"""Whether the parts of a CUDA toolkit fit together: only a compilation shows it."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from perfmodel.errors import Problem
from perfmodel.measure.cutlass.compiler import first_error

TOOLKIT = (
    "In perfmodel's folder: pip install '.[cuda13]', "
    "or install the CUDA toolkit and name its compiler in PERFMODEL_NVCC."
)
PINNED = "cuda-toolkit[nvcc,nvvm,crt,cudart,cccl]==13.0.2"
PROBE = "#include <cuda_runtime.h>\n#include <nv/target>\n__global__ void probe(int *x) { *x = 1; }\n"
# What the empty kernel's compilation says where a part is missing: pattern, code, place, found, fix.
SYMPTOMS = (
    (r"Unsupported \.version|Unsupported PTX", "E2313", "CUDA toolkit:", "its parts are of different versions",
     f"Install all of one version: pip install '{PINNED}'."),
    (r"unsupported GNU version|unsupported clang version|unsupported Microsoft", "E2315", "C++ compiler:",
     "this nvcc does not work with its version", "Name an older one in PERFMODEL_CXX, or use a newer nvcc."),
    (r"nv/target|cuda/std|crt/|cuda_runtime\.h|device_launch_parameters", "E2314", "CUDA headers:",
     "some are missing", f"Install them all: pip install '{PINNED}'."),
    (r"cudart|cudadevrt|cicc|nvvm|libdevice|ptxas|cudafe|fatbinary", "E2314", "CUDA toolkit:", "a part is missing",
     f"Install them all: pip install '{PINNED}'."),
)  # fmt: skip


def probe(run: Callable[[Sequence[str]], tuple[int, str]], nvcc: Path, host: Path,
          libraries: Sequence[Path]) -> list[Problem]:  # fmt: skip
    """What goes wrong when a nearly empty kernel is compiled and linked: one problem (E2311 to E2315), or none."""
    with TemporaryDirectory(prefix="perfmodel-") as folder:
        source = Path(folder) / "probe.cu"
        source.write_text(PROBE, encoding="ascii")
        options = ["-std=c++17", "-shared", "-Xcompiler", "-fPIC", "-cudart", "static", "-ccbin", str(host)]
        places = [f"-L{place}" for place in libraries]
        status, text = run([str(nvcc), *options, *places, "-o", str(source.with_suffix(".so")), str(source)])
    if not status:
        return []
    line = first_error(text, status)
    for pattern, code, place, found, fix in SYMPTOMS:
        if re.search(pattern, line):
            return [Problem(code, place, f"{found} ({line}).", fix)]
    return [Problem("E2311", f"{nvcc}:", f"does not compile an empty kernel: {line}.", TOOLKIT)]
