"""From layers to kernels: the GEMMs of each pass, the copies they need, and the memory-bound work around them."""

from perfmodel.lowering.copies import im2col_elements, lower_gemms
from perfmodel.lowering.gemms import MAPPINGS, PASSES, layer_gemm
from perfmodel.lowering.memory import KIND_OF, TRAFFIC, lower_joins, lower_memory
from perfmodel.lowering.work import KINDS, STREAM_OPS, Delay, MemoryOp, Work

__all__ = [
    "KINDS",
    "KIND_OF",
    "MAPPINGS",
    "PASSES",
    "STREAM_OPS",
    "TRAFFIC",
    "Delay",
    "MemoryOp",
    "Work",
    "im2col_elements",
    "layer_gemm",
    "lower_gemms",
    "lower_joins",
    "lower_memory",
]
