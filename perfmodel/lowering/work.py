"""What a training step consists of: kernels, each for a layer and a pass."""

from __future__ import annotations

from dataclasses import dataclass

from perfmodel.gemm import Gemm

# Kinds of work, in the order tables and figures show them.
KINDS = (
    "gemm", "im2col", "batch norm", "activation", "pooling", "add/concat", "loss", "bias", "update", "cast",
    "quantise", "transpose", "scale",
)  # fmt: skip

# The ops of memory-bound kernels, and what their `shape` holds; n counts elements. A GPU has a kernel for each.
STREAM_OPS = {
    "stream": (),
    "fused": (),
    "absmax": ("n",),
    "quantise": ("n",),
    "quantise_nearest": ("n",),
    "quantise_delayed": ("n",),
    "quantise_transposed": ("rows", "columns"),
    "transpose": ("rows", "columns"),
    "im2col": (
        "images", "c", "h", "w", "r", "s", "stride_h", "stride_w", "pad_h", "pad_w", "dilation_h", "dilation_w",
        "groups", "line",
    ),
    "dequantise": ("n",),
    "update": ("n",),
    "update_quantise": ("n",),
    "cast": ("n",),
    "check": ("n",),
}  # fmt: skip
STREAM_OPS |= dict.fromkeys(("im2col_transposed", "col2im"), STREAM_OPS["im2col"])


@dataclass(frozen=True, slots=True)
class MemoryOp:
    """Work that is all traffic: it reads and writes so many bytes of device memory in one kernel.

    `op` and `shape` say which kernel a GPU must run for it (`STREAM_OPS`); `stream` stands for any that moves just
    these bytes, `fused` for bytes that a kernel beside it moves in passing: no kernel, and no launch.
    """

    bytes_read: float
    bytes_written: float
    op: str = "stream"
    shape: tuple[int, ...] = ()

    @property
    def bytes(self) -> float:
        """Bytes read and written."""
        return self.bytes_read + self.bytes_written


@dataclass(frozen=True, slots=True)
class Delay:
    """Work whose time is given, not modelled: by the user, by a publication, or by a bound (basis `roofline`)."""

    seconds: float
    basis: str


@dataclass(frozen=True, slots=True)
class Work:
    """One kernel of a training step: for which layer and pass, of what kind, launched `count` times.

    `count` is a mean, and no whole number, for work that is not done in every step.
    `proxy` says why the kernel stands for another that the chip does not have, empty where it does not.
    """

    layer: str
    pass_: str
    kind: str
    kernel: Gemm | MemoryOp | Delay
    count: float = 1
    proxy: str = ""

    @property
    def is_kernel(self) -> bool:
        """Whether it is a kernel of its own: not a given time, and not what another kernel does in passing."""
        return not isinstance(self.kernel, Delay) and getattr(self.kernel, "op", "") != "fused"
