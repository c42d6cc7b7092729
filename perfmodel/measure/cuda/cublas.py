"""cuBLAS through ctypes. CuPy's binding sets the stream before each call, which takes the workspace away again
(cuBLAS documentation, cublasSetStream), and a captured graph must not depend on memory that the library picks."""

from __future__ import annotations

import ctypes
import os

from perfmodel.measure.backend import BuildFailed, DeviceFault
from perfmodel.measure.cuda.faults import fault_of
from perfmodel.measure.cuda.runtime import VendorGemm

MAJORS = (13, 12, 11)
WORKSPACE_BYTES = 2**25  # what NVIDIA recommends for Hopper; others want less
# cudaDataType_t, cublasComputeType_t, and the factor 1 in the type that goes with it.
TYPES = {"fp64": 1, "fp32": 0, "tf32": 0, "fp16": 2, "bf16": 14, "int8": 3, "int32": 10}
COMPUTES = {"16F": 64, "32F": 68, "64F": 70, "32I": 72, "32F_FAST_TF32": 77}
FP16_ONE = 0x3C00
FACTORS = {
    "16F": (ctypes.c_uint16, FP16_ONE), "32F": (ctypes.c_float, 1.0), "32F_FAST_TF32": (ctypes.c_float, 1.0),
    "64F": (ctypes.c_double, 1.0), "32I": (ctypes.c_int32, 1),
}  # fmt: skip
DEFAULT_ALGORITHM = -1
FULL_REDUCTION = 16  # CUBLAS_MATH_DISALLOW_REDUCED_PRECISION_REDUCTION: split sums are added in the accumulator's type
UNSUPPORTED = ("CUBLAS_STATUS_NOT_SUPPORTED", "CUBLAS_STATUS_INVALID_VALUE", "CUBLAS_STATUS_ARCH_MISMATCH")
WHOLE, SIZE, PLACE = ctypes.c_int, ctypes.c_longlong, ctypes.c_void_p


def _loaded() -> ctypes.CDLL:
    """The library that CuPy has loaded; `BuildFailed` where it has none."""
    for major in MAJORS:
        try:
            return ctypes.CDLL(f"libcublas.so.{major}", mode=os.RTLD_NOW | os.RTLD_NOLOAD)
        except OSError:
            continue
    raise BuildFailed("cuBLAS is not loaded", "Install it, or leave out the baseline.")


class Cublas:
    """One handle on one stream. `workspace` is device memory of `WORKSPACE_BYTES`."""

    def __init__(self, stream: int, workspace: int):
        self._library, self._handle = _loaded(), PLACE()
        self._library.cublasGetStatusName.restype = ctypes.c_char_p
        self._check(self._library.cublasCreate_v2(ctypes.byref(self._handle)))
        self._check(self._library.cublasSetStream_v2(self._handle, PLACE(stream)))
        self._check(self._library.cublasSetMathMode(self._handle, WHOLE(FULL_REDUCTION)))
        size = ctypes.c_size_t(WORKSPACE_BYTES)
        self._check(self._library.cublasSetWorkspace_v2(self._handle, PLACE(workspace), size))

    def run(self, call: VendorGemm) -> None:
        """Enqueue a product, or a batch of them; `BuildFailed` where there is no kernel for it."""
        kind, one = FACTORS[call.compute]
        alpha, beta = kind(one), kind(0)
        operand, output = WHOLE(TYPES[call.operand]), WHOLE(TYPES[call.output])
        head = (self._handle, *map(WHOLE, (call.transpose_a, call.transpose_b, call.m, call.n, call.k)))
        tail = (WHOLE(COMPUTES[call.compute]), WHOLE(DEFAULT_ALGORITHM))
        a, b, c = PLACE(call.a), PLACE(call.b), PLACE(call.c)
        lines = [WHOLE(line) for line in (call.lda, call.ldb, call.ldc)]
        strides = [SIZE(stride) for stride in (call.stride_a, call.stride_b, call.stride_c)]
        factors = ctypes.byref(alpha), ctypes.byref(beta)
        if call.count == 1:
            status = self._library.cublasGemmEx(
                *head, factors[0], a, operand, lines[0], b, operand, lines[1], factors[1], c, output, lines[2], *tail
            )
        else:
            status = self._library.cublasGemmStridedBatchedEx(
                *head, factors[0], a, operand, lines[0], strides[0], b, operand, lines[1], strides[1], factors[1],
                c, output, lines[2], strides[2], WHOLE(call.count), *tail,
            )  # fmt: skip
        self._check(status)

    def close(self) -> None:
        """Give the handle back."""
        self._library.cublasDestroy_v2(self._handle)

    def _check(self, status: int) -> None:
        if status:
            raise status_fault(self._library.cublasGetStatusName(WHOLE(status)).decode())


def status_fault(name: str) -> DeviceFault:
    """The fault for a status of cuBLAS.

    >>> status_fault("CUBLAS_STATUS_NOT_SUPPORTED")
    BuildFailed('cuBLAS: CUBLAS_STATUS_NOT_SUPPORTED', 'Leave out the baseline for this problem.')
    """
    if name in UNSUPPORTED:
        return BuildFailed(f"cuBLAS: {name}", "Leave out the baseline for this problem.")
    return fault_of(name)


def version() -> str:
    """`cuBLAS 13.1.0`, or `no cuBLAS`."""
    try:
        library = _loaded()
    except BuildFailed:
        return "no cuBLAS"
    number, parts = WHOLE(), []
    for part in range(3):
        library.cublasGetProperty(WHOLE(part), ctypes.byref(number))
        parts.append(str(number.value))
    return f"cuBLAS {'.'.join(parts)}"
