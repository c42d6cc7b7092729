"""Layers with their shapes: what each multiplies, stores and produces.

Shapes are one image's (channels, height, width).
"""

from __future__ import annotations

from dataclasses import dataclass
from math import prod

Shape = tuple[int, int, int]
Pair = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Conv2d:
    """A 2-D convolution with `groups` groups; `shares` names the layer whose weights it uses again."""

    name: str
    inputs: tuple[str, ...]
    in_shape: Shape
    out_channels: int
    kernel: Pair
    stride: Pair = (1, 1)
    padding: Pair = (0, 0)
    dilation: Pair = (1, 1)
    groups: int = 1
    bias: bool = True
    shares: str | None = None

    op = "conv"

    @property
    def out_shape(self) -> Shape:
        """(K, P, Q) with P = ⌊(H + 2·pad − dilation·(R − 1) − 1) / stride⌋ + 1."""
        (_, h, w), (r, s), (down, across) = self.in_shape, self.kernel, self.stride
        (above, beside), (tall, wide) = self.padding, self.dilation
        p = (h + 2 * above - tall * (r - 1) - 1) // down + 1
        q = (w + 2 * beside - wide * (s - 1) - 1) // across + 1
        return self.out_channels, p, q

    @property
    def macs(self) -> int:
        """Multiply-accumulates for one image: K · P · Q · (C / groups) · R · S."""
        return prod(self.out_shape) * self.in_shape[0] // self.groups * prod(self.kernel)

    @property
    def weights(self) -> int:
        """Elements of the filter tensor, whether its own or shared."""
        return self.out_channels * self.in_shape[0] // self.groups * prod(self.kernel)

    @property
    def parameters(self) -> int:
        """Trained elements of its own: none when the weights are shared."""
        return 0 if self.shares else self.weights + self.bias * self.out_channels

    @property
    def parameter_tensors(self) -> int:
        """How many tensors hold them."""
        return 0 if self.shares else 1 + self.bias


@dataclass(frozen=True, slots=True)
class Linear:
    """A fully connected layer; its input is flattened."""

    name: str
    inputs: tuple[str, ...]
    in_shape: Shape
    out_features: int
    bias: bool = True
    shares: str | None = None

    op = "linear"

    @property
    def in_features(self) -> int:
        """Elements of one image's input."""
        return prod(self.in_shape)

    @property
    def out_shape(self) -> Shape:
        """(out_features, 1, 1)."""
        return (self.out_features, 1, 1)

    @property
    def macs(self) -> int:
        """Multiply-accumulates for one image."""
        return self.in_features * self.out_features

    @property
    def weights(self) -> int:
        """Elements of the weight matrix."""
        return self.macs

    @property
    def parameters(self) -> int:
        """Trained elements of its own: none when the weights are shared."""
        return 0 if self.shares else self.weights + self.bias * self.out_features

    @property
    def parameter_tensors(self) -> int:
        """How many tensors hold them."""
        return 0 if self.shares else 1 + self.bias


# What a layer without a GEMM does; `lowering` says what each of them moves.
MEMORY_BOUND = (
    "batch_norm", "relu", "relu6", "dropout", "softmax", "max_pool", "avg_pool", "adaptive_avg_pool", "add", "concat",
)  # fmt: skip
POOLS = ("max_pool", "avg_pool", "adaptive_avg_pool")


@dataclass(frozen=True, slots=True)
class Window:
    """What a pool looks at; with `ceil`, windows at the ends may reach over the padding (PyTorch's `ceil_mode`)."""

    kernel: Pair
    stride: Pair
    padding: Pair = (0, 0)
    ceil: bool = False


@dataclass(frozen=True, slots=True)
class MemoryBound:
    """A layer that multiplies no matrices: its bytes are its cost. `window` is that of a max or average pool."""

    name: str
    inputs: tuple[str, ...]
    op: str
    in_shapes: tuple[Shape, ...]
    out_shape: Shape
    window: Window | None = None

    macs = 0
    weights = 0
    shares = None

    @property
    def in_shape(self) -> Shape:
        """The shape of the first (often only) input."""
        return self.in_shapes[0]

    @property
    def parameters(self) -> int:
        """Scale and shift of a batch norm, two for each channel; nothing else is trained."""
        return 2 * self.out_shape[0] if self.op == "batch_norm" else 0

    @property
    def parameter_tensors(self) -> int:
        """How many tensors hold them."""
        return 2 if self.op == "batch_norm" else 0


Layer = Conv2d | Linear | MemoryBound


def elements(shape: Shape) -> int:
    """Elements of one image's tensor."""
    return prod(shape)
