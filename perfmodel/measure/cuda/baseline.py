"""The vendor's library on the same problems: cuBLAS, with row-major C as the transpose of its column-major one."""

from __future__ import annotations

from perfmodel.gemm import Gemm
from perfmodel.measure.backend import BuildFailed
from perfmodel.measure.cuda.matrices import matrices_of
from perfmodel.measure.cuda.operands import A, B, C, Operands
from perfmodel.measure.cuda.runtime import VendorGemm

# What cuBLAS computes in, by operand, accumulator and output: its table of supported combinations (cuBLAS
# documentation, cublasGemmEx). FP32 stays FP32; without `FAST_TF32` it does so whatever the math mode.
COMPUTE = {
    ("fp64", "fp64", "fp64"): "64F", ("fp32", "fp32", "fp32"): "32F", ("tf32", "fp32", "fp32"): "32F_FAST_TF32",
    ("bf16", "fp32", "bf16"): "32F", ("bf16", "fp32", "fp32"): "32F",
    ("fp16", "fp32", "fp16"): "32F", ("fp16", "fp32", "fp32"): "32F", ("fp16", "fp16", "fp16"): "16F",
    ("int8", "int32", "int32"): "32I",
}  # fmt: skip
INT8_ALIGN = 4  # of k and of the leading dimensions; the tensor cores want more, and cuBLAS then pads by itself


def vendor_gemm(gemm: Gemm, operands: Operands, number: int) -> VendorGemm:
    """The call for one operand set: C' = B'·A' in column-major terms, where X' is X transposed, at no cost."""
    a, b, c = matrices_of(gemm)
    p = gemm.precision
    names = (p.operand.name, p.accumulator.name, p.output.name)
    return VendorGemm(
        transpose_a=not b.row_major, transpose_b=not a.row_major, m=gemm.n, n=gemm.m, k=gemm.k,
        a=operands.address(number, B), lda=b.line, stride_a=b.stride,
        b=operands.address(number, A), ldb=a.line, stride_b=a.stride,
        c=operands.address(number, C), ldc=c.line, stride_c=c.stride,
        count=gemm.batch, operand=p.operand.name, output=p.output.name, compute=COMPUTE[names],
    )  # fmt: skip


def check_vendor(gemm: Gemm) -> None:
    """Raises `BuildFailed` for what cuBLAS does not compute this way."""
    p = gemm.precision
    names = (p.operand.name, p.accumulator.name, p.output.name)
    if names not in COMPUTE:
        raise BuildFailed(f"cuBLAS does not compute {p.name}->{p.output.name} here", "Leave out the baseline.")
    if p.operand.name != "int8":
        return
    if gemm.layout != "tn":
        raise BuildFailed("cuBLAS computes INT8 of layout tn alone", "Transpose the operands.")
    if gemm.k % INT8_ALIGN or gemm.n % INT8_ALIGN:
        raise BuildFailed(f"cuBLAS wants k and n of INT8 products to be multiples of {INT8_ALIGN}", "Pad them.")
