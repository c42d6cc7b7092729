"""CPT's affine quantiser: 2^b levels evenly spaced over a range, which begins at its zero point.

q = rint((x - z)/Δ) held within [0, 2^b - 1], Δ = width/(2^b - 1), value q·Δ + z. Weights have a range for each output
channel, activations and gradients one for the tensor; gradients are rounded stochastically, all else to nearest.
Fu et al. 2021; RICE-EIC/CPT @ eb9cdaa, modules/quantize.py.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from perfmodel.quantisers.tensors import Uniform, as_tensor, check_axes, check_bits, check_option, whole

LARGEST_BITS = 16
RULES = ("paper", "reference")


@dataclass(frozen=True, slots=True)
class Range:
    """The zero point and the width of what is quantised, of the tensor's type and with its axes (length 1 or all)."""

    zero_point: np.ndarray
    width: np.ndarray


def tensor_range(x: np.ndarray, rule: str = "paper") -> Range:
    """One range of a tensor. `paper`: from its minimum to its maximum.

    `reference`: from the minimum over the samples (first axis) of each one's minimum, to the minimum, not the maximum,
    over the samples of each one's maximum: the released code (l. 35-36) does this, which looks like a slip; larger
    values saturate. A NaN makes the range NaN; a width beyond the type is infinite. Raises `InputError`: E1525, E1526
    (`reference` needs samples of at least one axis), E1528.

    >>> batch = np.array([[0.0, 1.0], [-2.0, 5.0]])
    >>> [tensor_range(batch, rule).width.item() for rule in RULES]
    [7.0, 3.0]
    """
    tensor = as_tensor(x)
    check_option("rule", rule, RULES)
    if rule == "paper":
        return _range(*_ends(tensor, tuple(range(tensor.ndim))))
    check_axes(tensor, 2, "A range of each sample")
    ends = _ends(tensor, tuple(range(1, tensor.ndim)))
    return _range(*(_least(end) for end in ends))


def channel_range(weights: np.ndarray) -> Range:
    """A range for each output channel, the first axis, from its minimum to its maximum. Raises E1525, E1526."""
    tensor = as_tensor(weights)
    check_axes(tensor, 1, "A range of each channel")
    return _range(*_ends(tensor, tuple(range(1, tensor.ndim))))


def rounded(x: np.ndarray, bits: int, within: Range, uniform: Uniform = None) -> np.ndarray:
    """x on the 2^b levels of a range, held within it: to nearest even, or rint(y + (u - ½)) with `uniform`.

    A range of width 0 gives its zero point, so that a constant tensor stays as it is; one that is not finite gives NaN,
    and so does a NaN. Raises `InputError`: E1521 (bits: 1 to 16), E1523, E1525.

    >>> x = np.array([0.0, 0.4, 1.0, 3.0])
    >>> rounded(x, 2, tensor_range(x)).tolist()
    [0.0, 0.0, 1.0, 3.0]
    """
    tensor, top = as_tensor(x), 2 ** check_bits(bits, 1, LARGEST_BITS) - 1
    with np.errstate(over="ignore", invalid="ignore"):
        step = within.width / tensor.dtype.type(top)
        steps = (tensor - within.zero_point) / np.where(step > 0, step, 1).astype(tensor.dtype)
        return (np.clip(whole(steps, uniform), 0, top) * step + within.zero_point).astype(tensor.dtype)


def _ends(tensor: np.ndarray, axes: tuple[int, ...]) -> tuple[np.ndarray, np.ndarray]:
    if not tensor.size:
        nothing = np.zeros([1 if axis in axes else side for axis, side in enumerate(tensor.shape)], tensor.dtype)
        return nothing, nothing
    return tensor.min(axis=axes, keepdims=True), tensor.max(axis=axes, keepdims=True)


def _least(ends: np.ndarray) -> np.ndarray:
    return ends.min(axis=0, keepdims=True) if len(ends) else np.zeros((1, *ends.shape[1:]), ends.dtype)


def _range(low: np.ndarray, high: np.ndarray) -> Range:
    with np.errstate(over="ignore", invalid="ignore"):
        return Range(low, high - low)
