"""Whether a kernel computes what it should: looked into before it is timed, and again while it is.

Two kinds of data, because each is blind where the other sees. Whole numbers must give the very bits: one wrong element
shows, a silent TF32 does not. Full mantissas show the precision that was computed in. `docs/verification.md` says what
each check can and cannot see.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from perfmodel.gemm import Gemm, Precision
from perfmodel.measure import thresholds
from perfmodel.measure.backend import Product
from perfmodel.measure.cutlass.kernels import read_variant
from perfmodel.profiles.kernel import Kernel

LAUNCHES = {  # data, and what is added to the seed; two launches of a kind, as one may be wrong only on its second
    "strict": (("integers", 0), ("integers", 1), ("normal", 0), ("normal", 1)),
    "sample": (("integers", 0), ("normal", 0)),
    "off": (),
}
PROBES = 2  # of one product: two errors in a row cancel in half of the random vectors
SIGMAS = 8.0  # of a row's rounding errors; the largest of a million rows is at 5
BLOCK = 1 << 16  # of k: keeps the copies of deep operands small
LARGEST_FIGURE = 1e300


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether a kernel is right, what speaks against it (empty otherwise), and the largest errors of all launches."""

    ok: bool
    reason: str
    figures: dict[str, float]

    def to_json(self) -> dict:
        """`ok`, `reason` and the figures as one JSON object."""
        return {"ok": self.ok, "reason": self.reason, **self.figures}


@dataclass(frozen=True, slots=True)
class _Sampled:
    """A block of the output and what FP64 says about it: A·B, its rms √(A²·B²), and |A|·|B|."""

    computed: np.ndarray
    exact: np.ndarray
    rms: np.ndarray
    magnitude: np.ndarray
    k: int
    independent: int  # elements whose errors can differ: a shallow product repeats those of its operands

    def where(self, index: int) -> str:
        row, column = np.unravel_index(index, self.computed.shape)
        got, expected = self.computed[row, column], self.exact[row, column]
        return f"row {row}, column {column} of the sample is {got:.9g}, exactly {expected:.9g}"


def verify(kernel: Kernel, product_of: Callable[[str, int], Product], check: str, seed: int) -> Verdict:
    """What launches of the kernel on random operands say about it; `product_of(data, seed)` launches it once.

    `check` is `strict` (two launches with whole numbers, two with full mantissas), `sample` (one of each) or `off`.
    Errors of the device pass through.
    """
    problem, figures = kernel.problem, {}
    if not LAUNCHES[check]:
        return Verdict(True, "not verified", figures)
    if isinstance(problem, Gemm) and not thresholds.has_rule(problem.precision):
        name = f"{problem.precision.name}->{problem.precision.output.name}"
        return Verdict(False, f"there is no rule for how exact {name} must be", figures)
    for number, (data, step) in enumerate(LAUNCHES[check], start=1):
        figures["launches"] = float(number)
        draw = seed + 1000 * number  # no two launches share their probes
        reason = _fault(kernel, product_of(data, seed + step), data, draw, figures)
        if reason:
            return Verdict(False, f"launch {number}, {data} data: {reason}", figures)
    return Verdict(True, "", figures)


def _fault(kernel: Kernel, product: Product, data: str, draw: int, figures: dict[str, float]) -> str:
    """What is wrong with one product; nothing if it is right. Adds to the figures."""
    if not product.guards_intact:
        return "the kernel wrote outside its output"
    _note(figures, "unwritten", product.unwritten)
    if not isinstance(kernel.problem, Gemm):
        return f"{product.unwritten} elements of the output were not written" if product.unwritten else ""
    a, b, computed = product.sample(draw)
    if not computed.size:
        return "no element of the output was sampled"
    lost = np.flatnonzero(~np.isfinite(computed))
    if product.unwritten or lost.size:
        row, column = np.unravel_index(lost[0] if lost.size else 0, computed.shape)
        place = f", such as row {row}, column {column} of the sample" if lost.size else ""
        return f"{max(product.unwritten, lost.size)} elements were not written or are not finite{place}"
    # Wrong elements may be huge: they compare as infinite.
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
        sampled = _sampled(a, b, computed)
        zeros = data == "normal" and kernel.problem.precision.operand.family == "float" and not sampled.rms.any()
        if zeros or not np.isfinite(sampled.rms).all():
            return "the operands are not finite or all zero, so nothing was checked"
        return _judge(kernel, product, sampled, data, draw, figures)


def _sampled(a: np.ndarray, b: np.ndarray, computed: np.ndarray) -> _Sampled:
    exact, squares, magnitude = (np.zeros(computed.shape) for _ in range(3))
    for start in range(0, a.shape[1], BLOCK):
        x, y = a[:, start : start + BLOCK], b[start : start + BLOCK]
        exact += x @ y
        squares += x**2 @ y**2
        magnitude += np.abs(x) @ np.abs(y)
    independent = min(computed.size, a.shape[1] * min(computed.shape))
    return _Sampled(computed, exact, np.sqrt(squares), magnitude, a.shape[1], independent)


def _judge(kernel: Kernel, product: Product, sampled: _Sampled, data: str, draw: int, figures: dict[str, float]) -> str:
    gemm, k = kernel.problem, sampled.k  # a backend may hold a smaller problem than the kernel's
    precision, (_, parts, mode) = gemm.precision, read_variant(kernel.variant)
    bounds = thresholds.bounds_for(precision, k, parts if mode == "serial" else 1)
    integers = precision.accumulator.name == "int32"
    exact = bounds.exact and (integers or data == "integers")
    if data == "integers":
        _note(figures, "exact_checked", exact)
    if precision.operand.name == "int8" and gemm.k > thresholds.INT32_SAFE_K:
        figures["int32_may_overflow"] = 1.0  # random operands do not get there; extreme ones would
    fault = _bits(precision, sampled, figures) if exact else _close(precision, sampled, bounds, data, figures)
    if fault or 7 * sampled.rms.max() > thresholds.largest(precision):  # saturated elements do not add up
        return fault
    # Rounding the output is known to some percent: half of its bound is enough in sums over a row.
    norm = bounds.norm - 0.2 * thresholds.writing_error(precision)
    if exact and thresholds.writes_whole_sums(precision, k):
        norm = 0.0
    return _probe(product, sampled, norm, draw, figures)


def _bits(precision: Precision, sampled: _Sampled, figures: dict[str, float]) -> str:
    wrong = np.flatnonzero(sampled.computed != thresholds.stored(sampled.exact, precision))
    _note(figures, "exact_mismatches", wrong.size)
    return f"{wrong.size} elements are not bit-exact: {sampled.where(wrong[0])}" if wrong.size else ""


def _close(
    precision: Precision, sampled: _Sampled, bounds: thresholds.Bounds, data: str, figures: dict[str, float]
) -> str:
    expected = np.clip(sampled.exact, -thresholds.largest(precision), thresholds.largest(precision))
    error = np.abs(sampled.computed - expected)
    # A few elements may cancel to nearly nothing; by the rms of random sums, they do not look wrong then.
    scale = max(np.linalg.norm(sampled.exact), np.linalg.norm(sampled.rms))
    norm_error = np.linalg.norm(error) / scale
    norm_bound = bounds.norm * (1 + 4 / math.sqrt(sampled.independent))  # few errors scatter more
    written = thresholds.writing_error(precision) * np.abs(expected) + thresholds.smallest_step(precision)
    excess = error - written
    alone = np.where(excess > 0, LARGEST_FIGURE, 0.0)  # where |A|·|B| is zero, so must be the error
    component = np.divide(np.maximum(excess, 0), sampled.magnitude, out=alone, where=sampled.magnitude > 0)
    _note(figures, "norm_error", norm_error)
    _note(figures, "norm_bound", norm_bound)
    _note(figures, "component_error", component.max())
    if math.isfinite(bounds.component):
        _note(figures, "component_bound", bounds.component)
    if not norm_error <= norm_bound:
        return f"norm error {norm_error:.2g} is above {norm_bound:.2g}; {sampled.where(error.argmax())}"
    if not component.max() <= bounds.component:
        at = sampled.where(component.argmax())
        return f"component error {component.max():.2g} is above {bounds.component:.2g}; {at}"
    if data == "normal" and norm_error < bounds.least_norm and sampled.independent >= 16:
        found = f"norm error {norm_error:.2g} is below {bounds.least_norm:.2g}"
        return f"{found}: this was not computed in {precision.name}; {sampled.where(error.argmax())}"
    return ""


def _probe(product: Product, sampled: _Sampled, norm: float, draw: int, figures: dict[str, float]) -> str:
    """Freivalds' check of all elements: whole sums leave no residual (`norm` 0), rounded ones a random one."""
    for step in range(PROBES):
        residual, row_sum = product.probe(draw + step)
        if not residual.size:
            return "the probe covered no row of the output"
        limit = _limit(sampled, norm, row_sum) if norm else np.full(residual.shape, 0.5)
        ratio = np.where(residual == 0, 0.0, residual / limit)  # a row of zeros has no limit, and needs none
        ratio = np.nan_to_num(ratio, nan=LARGEST_FIGURE, posinf=LARGEST_FIGURE)
        _note(figures, "probe_ratio", ratio.max())
        if ratio.max() > 1:
            row = int(ratio.argmax())
            return f"row {row} of the output is wrong: residual {residual[row]:.3g} is above {limit[row]:.3g}"
    return ""


def _limit(sampled: _Sampled, norm: float, row_sum: np.ndarray) -> np.ndarray:
    """What the rounding errors of a row may add up to: they grow like √n random ones.

    A backend may hold fewer columns than the kernel has: as many as the sampled |A|·|B| goes into the rows' sums.
    """
    columns = max(np.mean(row_sum) / np.mean(sampled.magnitude), 1.0)
    share = np.linalg.norm(sampled.rms) / np.linalg.norm(sampled.magnitude)
    return SIGMAS * norm * share * row_sum / columns * math.sqrt(columns + 3)  # few elements: the largest may be alone


def _note(figures: dict[str, float], name: str, value: float) -> None:
    """Keep the largest of a figure over all launches, always a finite number."""
    value = float(value)
    value = min(value, LARGEST_FIGURE) if not math.isnan(value) else LARGEST_FIGURE
    figures[name] = max(figures.get(name, 0.0), value)


def adjoint_gap(
    dy: np.ndarray, x: np.ndarray, w: np.ndarray, conv: np.ndarray, dgrad: np.ndarray, wgrad: np.ndarray
) -> float:
    """How far ⟨dY, conv(X, W)⟩, ⟨dgrad(dY, W), X⟩ and ⟨wgrad(X, dY), W⟩ are apart, as a share of Σ|terms|, in FP64.

    The three are one number for a right triple, so no reference convolution is needed: below 1e-12 where all was
    computed in FP64; 1e-3 and more with a flipped filter. Infinite where a result has another shape than its tensor,
    is not finite, or is all zero.
    """
    pairs = [(dy, conv), (x, dgrad), (w, wgrad)]
    if any(np.shape(one) != np.shape(other) for one, other in pairs):
        return math.inf
    terms = [np.asarray(one, np.float64) * np.asarray(other, np.float64) for one, other in pairs]
    sums, scale = [term.sum() for term in terms], max(np.abs(term).sum() for term in terms)
    if not all(math.isfinite(value) for value in (*sums, scale)) or scale == 0:
        return math.inf
    return float((max(sums) - min(sums)) / scale)
