"""Right products of every precision pass, planted faults do not; what common checks miss, for comparison."""

import json
import math
from dataclasses import dataclass, field, replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from perfmodel.formats import FORMATS
from perfmodel.gemm import Gemm, Precision
from perfmodel.lowering import MemoryOp
from perfmodel.measure.verify import Verdict, adjoint_gap, verify
from perfmodel.profiles.kernel import Kernel

# --- Arithmetic of the hardware, emulated: operands, accumulation, output ---


def rounded(x, bits):
    """To nearest even, `bits` fraction bits."""
    if bits in (10, 23):  # NumPy's conversion is faster; nothing leaves FP16's range here
        return x.astype(np.float16 if bits == 10 else np.float32).astype(float)
    fraction, exponent = np.frexp(x)
    return np.ldexp(np.rint(np.ldexp(fraction, bits + 1)), exponent - bits - 1)


def cut(x, bits):
    """Towards zero, as tensor cores do."""
    return (np.ascontiguousarray(x).view(np.int64) & ~((1 << (52 - bits)) - 1)).view(np.float64)


def kept(x, bits):
    return x


ROUND = {
    "fp64": np.copy, "tf32": lambda x: rounded(x, 23), "fp32": lambda x: rounded(x, 23),
    "fp16": lambda x: rounded(x, 10), "bf16": lambda x: rounded(x, 7), "fp8_e4m3": lambda x: rounded(x, 3),
    "fp8_e5m2": lambda x: rounded(x, 2),
}  # fmt: skip


def in_chunks(a, b, chunk, store):
    """Sums of `chunk` exact products, added one after the other to an accumulator that `store` rounds."""
    c = np.zeros((len(a), b.shape[1]))
    for start in range(0, a.shape[1], chunk):
        c = store(c + a[:, start : start + chunk] @ b[start : start + chunk])
    return c


def sequential(a, b, dtype):
    c = np.zeros((len(a), b.shape[1]), dtype)
    for column, row in zip(a.T.astype(dtype), b.astype(dtype), strict=True):
        c += column[:, None] * row
    return c.astype(float)


def tensor(chunk, bits=23, prepare=kept, operand_bits=52):
    return lambda a, b: in_chunks(prepare(a, operand_bits), prepare(b, operand_bits), chunk, lambda c: cut(c, bits))


def split(a, b):
    return sum(in_chunks(a[:, i::32], b[i::32], 16, ROUND["fp32"]) for i in range(32))


def fp16_sums(a, b):
    return in_chunks(a, b, 8, ROUND["fp16"])


def dot(a, b):
    return a @ b


RIGHT = {  # precision: how it may be computed
    "fp64 fp64 fp64": [dot, lambda a, b: sequential(a, b, np.float64)],
    "fp32 fp32 fp32": [lambda a, b: sequential(a, b, np.float32), split],
    "tf32 fp32 fp32": [tensor(8, 23, rounded, 10), tensor(4, 23, cut, 10)],
    "bf16 fp32 fp32": [tensor(4), tensor(16)],
    "bf16 fp32 bf16": [tensor(8), split],
    "fp16 fp32 fp32": [tensor(4), tensor(16)],
    "fp16 fp32 fp16": [tensor(8), split],
    "fp16 fp16 fp16": [fp16_sums, lambda a, b: sequential(a, b, np.float16)],
    "fp8_e4m3 fp32 fp16": [tensor(32, 13), tensor(32)],
    "fp8_e5m2 fp32 fp32": [tensor(32, 13)],
    "fp8_e4m3 fp32 fp8_e4m3": [tensor(32, 13)],
    "int8 int32 int32": [dot],
    "int4 int32 int32": [dot],
    "int8 int32 fp32": [dot],
}
FP8_MOST = 448.0


def kernel_of(text, m, n, k):
    return Kernel(Gemm(m, n, k, precision=Precision(*(FORMATS[name] for name in text.split()))))


def operands(operand, m, n, k, data, seed):
    rng = np.random.default_rng((seed, m, n, k))
    if operand.startswith("int"):
        most = 2 ** (int(operand[3:]) - 1)
        if data == "integers":
            return [rng.integers(-most, most, size).astype(float) for size in ((m, k), (k, n))]
        return [np.clip(np.rint(rng.normal(0, most / 4, size)), -most, most - 1) for size in ((m, k), (k, n))]
    if data == "integers":
        return [rng.integers(-3, 4, size).astype(float) for size in ((m, k), (k, n))]
    return [ROUND[operand](rng.standard_normal(size)) for size in ((m, k), (k, n))]


@dataclass
class Output:
    """A whole product in memory; it shows `shown` of its rows and columns, and probes all."""

    a: np.ndarray
    b: np.ndarray
    c: np.ndarray
    unwritten: int = 0
    guards_intact: bool = True
    shown: int = 12

    def sample(self, seed):
        rng = np.random.default_rng(seed)
        rows, columns = (np.sort(rng.permutation(size)[: self.shown]) for size in self.c.shape)
        return self.a[rows], self.b[:, columns], self.c[np.ix_(rows, columns)]

    def probe(self, seed):
        x = np.random.default_rng((seed, 1)).choice([-1.0, 1.0], self.c.shape[1])
        with np.errstate(invalid="ignore", over="ignore"):
            residual = np.abs(self.c @ x - self.a @ (self.b @ x))
        return residual, np.abs(self.a) @ np.abs(self.b).sum(axis=1)


@dataclass
class Bench:
    """Launches of one kernel: right ones by `compute`, unless `spoil(output, launch)` changes them."""

    kernel: Kernel
    compute: object
    spoil: object = None
    launches: int = field(default=0)

    def __call__(self, data, seed):
        p = self.kernel.problem
        a, b = operands(p.precision.operand.name, p.m, p.n, p.k, data, seed)
        with np.errstate(over="ignore"):
            c = self.compute(a, b)
        output = p.precision.output.name
        if output.startswith("fp8"):
            c = np.clip(c, -FP8_MOST, FP8_MOST)
        product = Output(a, b, ROUND[output](c) if output in ROUND else c)
        self.launches += 1
        if self.spoil:
            self.spoil(product, self.launches)
        return product

    def verdict(self, check="strict", seed=0):
        return verify(self.kernel, self, check, seed)


# --- No false alarms ---


@pytest.mark.parametrize("text", RIGHT)
def test_right_products_pass(text):
    for k, seeds in ((1, 4), (3, 4), (64, 4), (576, 3), (4608, 1)):
        for compute in RIGHT[text]:
            for seed in range(seeds):
                bench = Bench(kernel_of(text, 12, 12, k), compute)
                verdict = bench.verdict(seed=seed)
                assert verdict.ok, (k, seed, verdict.reason)
                assert bench.launches == 4
                assert verdict.figures.get("probe_ratio", 0) <= 1


@pytest.mark.parametrize("text", RIGHT)
def test_right_products_of_great_depth_pass(text):
    for compute in RIGHT[text]:
        verdict = Bench(kernel_of(text, 12, 12, 25_088), compute).verdict("sample")
        assert verdict.ok, verdict.reason


@pytest.mark.nightly
@pytest.mark.parametrize("text", RIGHT)
def test_right_products_pass_at_many_seeds(text):
    for k in (1, 2, 5, 17, 64, 576, 4608, 25_088):
        for m, n in ((1, 1), (1, 24), (24, 1), (24, 24)):
            for compute in RIGHT[text]:
                for seed in range(2):
                    verdict = Bench(kernel_of(text, m, n, k), compute).verdict(seed=seed)
                    assert verdict.ok, (k, m, n, seed, verdict.reason)


@pytest.mark.parametrize("text", RIGHT)
@pytest.mark.parametrize(("m", "n", "k"), [(1, 1, 1), (1, 1, 7), (1, 40, 3), (24, 1, 2), (3, 5, 30)])
def test_right_small_products_pass(text, m, n, k):
    for compute in RIGHT[text]:
        for seed in range(6):
            verdict = Bench(kernel_of(text, m, n, k), compute).verdict(seed=seed)
            assert verdict.ok, (seed, verdict.reason)


def test_sums_that_cancel_pass():
    kernel, tiny = kernel_of("fp32 fp32 fp32", 1, 1, 2), 2.0**-20
    whole = Output(np.ones((1, 2)), np.ones((2, 1)), np.full((1, 1), 2.0))
    cancelling = Output(np.ones((1, 2)), np.array([[1.0], [tiny - 1]]), np.full((1, 1), tiny + tiny / 32))
    verdict = verify(kernel, lambda data, seed: whole if data == "integers" else cancelling, "strict", 0)
    assert verdict.ok, verdict.reason


def test_the_largest_of_many_rows_may_be_rounded_badly():
    """With a single column nothing averages out: an element of 5 standard deviations, almost half a step off."""
    kernel = kernel_of("bf16 fp32 bf16", 400, 1, 64)

    def product_of(data, seed):
        a, b = operands("bf16", 400, 1, 64, data, seed)
        if data == "normal":
            a[0] = np.sign(b[:, 0]) * np.abs(a[0])
            a[0] *= 40.123 / (a[0] @ b[:, 0])  # neighbours: 40 and 40.25
        return Output(a, b, rounded(a @ b, 7))

    for seed in range(6):
        verdict = verify(kernel, product_of, "sample", seed)
        assert verdict.ok, verdict.reason


def test_saturated_outputs_are_not_probed():
    kernel = kernel_of("fp8_e4m3 fp32 fp8_e4m3", 12, 12, 4608)  # 7 · 4 · √4608 = 1901 is above 448
    verdict = Bench(kernel, tensor(32, 13)).verdict()
    assert verdict.ok, verdict.reason
    assert "probe_ratio" not in verdict.figures
    assert not Bench(kernel, tensor(32, 13), scaled).verdict().ok  # the sample holds all elements


def test_a_backend_may_hold_a_smaller_problem():
    small = Bench(kernel_of("fp32 fp32 fp32", 40, 50, 64), dot)
    for seed in range(20):
        assert verify(kernel_of("fp32 fp32 fp32", 10**6, 10**6, 10**6), small, "strict", seed).ok
    small = Bench(kernel_of("fp16 fp16 fp16", 5, 5, 64), fp16_sums)
    verdict = verify(kernel_of("fp16 fp16 fp16", 5, 5, 10**6), small, "strict", 0)
    assert (verdict.ok, verdict.figures["exact_checked"]) == (True, 1)


# --- Planted faults ---


def shapes():
    """Thirty of them, with room for a tile of 32x32."""
    rng = np.random.default_rng(7)
    return [(*(int(size) for size in rng.integers(33, 50, 2)), int(rng.integers(64, 400))) for _ in range(30)]


def fast(text):
    """A quick right way to compute a precision."""
    operand, accumulator, _ = text.split()
    if operand == "tf32":
        return lambda a, b: ROUND["fp32"](rounded(a, 10) @ rounded(b, 10))
    return fp16_sums if accumulator == "fp16" else lambda a, b: a @ b


def largest_at(c):
    return np.unravel_index(np.abs(c).argmax(), c.shape)


def scaled(product, launch):
    product.c[largest_at(product.c)] *= 1.04


def zeroed(product, launch):
    product.c[largest_at(product.c)] = 0


def undefined(product, launch):
    product.c[launch, 2] = np.nan
    product.unwritten = 1


def undefined_and_not_counted(product, launch):
    product.c[launch, 2] = np.nan


def stale(product, launch):
    product.c[:32, :32] = np.roll(product.c, 3, axis=0)[:32, :32]


def rolled(product, launch):
    product.c[17] = np.roll(product.c[17], 1)


def transposed(product, launch):
    product.c[:32, :32] = product.c[:32, :32].T.copy()


def second_only(product, launch):
    if launch % 2 == 0:
        scaled(product, launch)


def unwritten(product, launch):
    product.unwritten = 3


def overwritten(product, launch):
    product.guards_intact = False


ANYWHERE = (scaled, zeroed, undefined, undefined_and_not_counted, stale, rolled, transposed, second_only, unwritten,
            overwritten)  # fmt: skip


@pytest.mark.parametrize("spoil", ANYWHERE, ids=lambda spoil: spoil.__name__)
@pytest.mark.parametrize("text", ["fp32 fp32 fp32", "tf32 fp32 fp32", "fp16 fp32 fp16", "bf16 fp32 bf16",
                                  "fp16 fp16 fp16", "fp8_e4m3 fp32 fp16", "int8 int32 int32"])  # fmt: skip
def test_wrong_elements_are_found(text, spoil):
    for m, n, k in shapes():
        bench = Bench(kernel_of(text, m, n, k), fast(text), spoil)
        verdict = bench.verdict(seed=k)
        assert not verdict.ok, (m, n, k)
        assert bench.launches == (2 if spoil is second_only else 1)


@pytest.mark.parametrize("check", ["strict", "sample"])
@pytest.mark.parametrize("last", [1, 32])
@pytest.mark.parametrize("text", RIGHT)
def test_missing_products_are_found(text, last, check):
    for m, n, k in shapes():
        bench = Bench(kernel_of(text, m, n, k), lambda a, b: a[:, :-last] @ b[:-last])
        assert not bench.verdict(check, seed=k).ok, (m, n, k)


def silent(bits):
    return lambda a, b: ROUND["fp32"](rounded(a, bits) @ rounded(b, bits))


@pytest.mark.parametrize(
    ("text", "compute"),
    [
        ("fp32 fp32 fp32", silent(10)),  # TF32
        ("fp32 fp32 fp32", silent(7)),  # BF16
        ("fp32 fp32 fp32", fp16_sums),
        ("tf32 fp32 fp32", silent(7)),
        ("tf32 fp32 fp32", silent(23)),  # FP32: slower than what was asked for
        ("fp16 fp32 fp32", fp16_sums),
        ("fp16 fp32 fp32", silent(7)),
        ("bf16 fp32 fp32", fp16_sums),
        ("fp16 fp32 fp16", silent(7)),
        ("fp64 fp64 fp64", silent(23)),
        ("fp64 fp64 fp64", lambda a, b: sequential(a, b, np.float32)),
    ],
)
def test_another_precision_is_found_by_full_mantissas(text, compute):
    for m, n, k in shapes():
        bench = Bench(kernel_of(text, m, n, k), compute)
        verdict = bench.verdict(seed=k)
        assert not verdict.ok, (m, n, k)
        assert "norm error" in verdict.reason or "component error" in verdict.reason
        if compute is not fp16_sums:
            assert bench.launches == 3  # whole numbers do not show it


def test_a_small_error_of_one_element_is_found_by_its_component_error():
    def spoil(product, launch):
        if launch > 2:  # full mantissas only
            product.c[3, 5] += 1.2e-5 * 8

    reason = Bench(kernel_of("fp32 fp32 fp32", 12, 12, 64), dot, spoil).verdict().reason
    assert "component error" in reason
    assert "row 3, column 5 of the sample" in reason


def test_a_small_error_outside_the_sample_is_found_by_the_probe():
    def spoil(product, launch):
        product.shown = 2
        if launch > 2:  # the limit is about 8 · 2e-6 · √(64 · 64) = 1.0e-3
            product.c[40, 41] += 2e-3

    reason = Bench(kernel_of("fp32 fp32 fp32", 64, 64, 64), dot, spoil).verdict().reason
    assert reason.startswith("launch 3, normal data: row 40 of the output is wrong: residual 0.002 is above ")


def test_two_errors_that_may_cancel_are_probed_twice():
    def spoil(product, launch):
        product.shown = 1
        product.c[20, 21] += 1
        product.c[20, 22] -= 1

    kernel = kernel_of("fp32 fp32 fp32", 48, 48, 8)
    missed = sum(Bench(kernel, dot, spoil).verdict("sample", seed).ok for seed in range(64))
    assert missed < 10  # one of 2^4; with single probes one of 2^2


def test_another_precision_is_found_at_great_depth():
    for text, compute in (("fp32 fp32 fp32", silent(10)), ("fp16 fp32 fp32", fp16_sums), ("tf32 fp32 fp32", silent(7))):
        assert not Bench(kernel_of(text, 12, 12, 25_088), compute).verdict().ok


# --- What other checks miss ---


def cutlass_profiler(c, exact):
    """The default of cutlass_profiler: relative difference within 5 %, below a floor of 1/256 absolute."""
    error, size = np.abs(c - exact), np.abs(c) + np.abs(exact)
    near_zero = (c == 0) | (exact == 0) | (size < 1 / 256)
    return bool(((c == exact) | np.where(near_zero, error < 0.05 / 256, error < 0.05 * size)).all())


def products(data, k=4608):
    a, b = operands("fp32", 64, 64, k, data, 5)
    return a, b, a @ b


@pytest.mark.parametrize("compute", [silent(10), silent(7), fp16_sums, lambda a, b: (a @ b) * 1.04])
def test_the_default_of_cutlass_profiler_misses(compute):
    a, b, exact = products("integers")
    assert cutlass_profiler(compute(a, b), exact)
    assert not Bench(kernel_of("fp32 fp32 fp32", 64, 64, 4608), compute).verdict().ok


def test_the_default_of_cutlass_profiler_catches():
    a, b, exact = products("integers")
    assert not cutlass_profiler(a[:, :-1] @ b[:-1], exact)
    assert not cutlass_profiler(np.where(exact == exact.max(), 0, exact), exact)


def test_allclose_depends_on_the_scale():
    a, b, exact = products("normal", k=64)
    assert np.allclose(silent(10)(a, b), exact, rtol=1e-2, atol=1e-2)  # TF32 passes
    assert np.allclose(np.zeros_like(exact), exact * 1e-4, rtol=1e-2, atol=1e-2)  # nothing passes, of small operands
    a, b, exact = products("normal")
    assert not np.allclose(sequential(a, b, np.float32), exact, rtol=1e-5, atol=1e-6)  # right FP32 does not
    assert Bench(kernel_of("fp32 fp32 fp32", 64, 64, 64), dot).verdict().ok


# --- The verdict ---


def test_reason_names_the_element():
    def spoil(product, launch):
        product.c[3, 5] = 1e6

    bench = Bench(kernel_of("fp32 fp32 fp32", 7, 9, 5), dot, spoil)
    verdict = bench.verdict()
    exact = bench("integers", 0)
    assert verdict.reason == (
        "launch 1, integers data: 1 elements are not bit-exact: row 3, column 5 of the sample is 1000000, "
        f"exactly {exact.a[3] @ exact.b[:, 5]:.9g}"
    )
    assert verdict.figures == {"launches": 1, "unwritten": 0, "exact_checked": 1, "exact_mismatches": 1}
    assert list(verdict.to_json()) == ["ok", "reason", *verdict.figures]


def test_reason_names_the_row_that_only_the_probe_sees():
    def spoil(product, launch):
        product.c[61, 7], product.shown = product.c[61, 7] + 1, 1

    bench = Bench(kernel_of("fp32 fp32 fp32", 64, 64, 5), dot, spoil)
    assert bench.verdict().reason == "launch 1, integers data: row 61 of the output is wrong: residual 1 is above 0.5"


def test_reason_names_what_is_not_finite():
    reason = Bench(kernel_of("fp32 fp32 fp32", 9, 9, 5), dot, undefined).verdict().reason
    assert reason.endswith("1 elements were not written or are not finite, such as row 1, column 2 of the sample")


def test_figures_of_a_right_kernel():
    figures = Bench(kernel_of("fp16 fp32 fp16", 12, 12, 64), dot).verdict().figures
    assert figures["launches"] == 4
    assert figures["component_bound"] == 1e-6
    assert figures["exact_mismatches"] == figures["unwritten"] == 0
    assert 1e-4 < figures["norm_error"] < figures["norm_bound"] < 6e-4


def test_exact_sums_beyond_the_accumulator_are_skipped_and_that_is_recorded():
    for k, checked in ((5349, 1), (5350, 0)):
        verdict = Bench(kernel_of("fp16 fp16 fp16", 5, 5, k), fp16_sums).verdict("sample")
        assert verdict.ok
        assert verdict.figures["exact_checked"] == checked
        assert "component_bound" not in verdict.figures


def test_int8_sums_that_might_overflow_are_marked():
    for k, marked in ((133_144, False), (133_145, True)):
        verdict = Bench(kernel_of("int8 int32 int32", 3, 3, k), dot).verdict("sample")
        assert ("int32_may_overflow" in verdict.figures, verdict.ok) == (marked, True)


def test_off_launches_nothing():
    bench = Bench(kernel_of("fp32 fp32 fp32", 3, 3, 3), None)
    assert bench.verdict("off") == Verdict(True, "not verified", {})


def test_what_has_no_rule_is_not_passed():
    bench = Bench(kernel_of("mxfp8 fp32 fp32", 3, 3, 3), None)
    assert bench.verdict() == Verdict(False, "there is no rule for how exact mxfp8+fp32->fp32 must be", {})


def test_streams_are_checked_for_what_they_write():
    kernel, nothing = Kernel(MemoryOp(3e6, 1e6)), np.zeros((0, 0))
    for unwritten_elements, guards, ok in ((0, True, True), (5, True, False), (0, False, False)):
        product = Output(nothing, nothing, nothing, unwritten_elements, guards)
        verdict = verify(kernel, lambda data, seed, product=product: product, "strict", 0)
        assert verdict.ok is ok
        assert (verdict.reason == "") is ok


def test_nothing_sampled_or_probed_is_not_passed():
    kernel = kernel_of("fp32 fp32 fp32", 3, 3, 3)
    verdict = Bench(kernel, dot, lambda product, launch: setattr(product, "shown", 0)).verdict()
    assert verdict.reason == "launch 1, integers data: no element of the output was sampled"

    class Unprobed(Output):
        def probe(self, seed):
            return np.zeros(0), np.zeros(0)

    a, b = operands("fp32", 3, 3, 3, "integers", 0)
    verdict = verify(kernel, lambda data, seed: Unprobed(a, b, a @ b), "strict", 0)
    assert verdict.reason == "launch 1, integers data: the probe covered no row of the output"


def test_zero_operands_check_nothing():
    zero = np.zeros((4, 4))
    verdict = verify(kernel_of("fp32 fp32 fp32", 4, 4, 4), lambda data, seed: Output(zero, zero, zero), "strict", 0)
    assert verdict.reason.endswith("the operands are not finite or all zero, so nothing was checked")


@given(st.sampled_from(list(RIGHT)), st.floats(), st.integers(0, 4), st.integers(0, 6), st.integers(0, 9))
@settings(max_examples=500, deadline=None, derandomize=True)
def test_any_value_gives_a_verdict_of_finite_figures(text, value, row, column, seed):
    def spoil(product, launch):
        product.c[row, column] = value

    bench = Bench(kernel_of(text, 5, 7, 9), dot, spoil)
    verdict = bench.verdict(seed=seed)
    assert all(math.isfinite(figure) for figure in verdict.figures.values())
    assert json.loads(json.dumps(verdict.to_json(), allow_nan=False))["ok"] is verdict.ok
    expected = Bench(bench.kernel, dot)("integers", seed).c[row, column]
    assert value == expected or not verdict.ok


# --- The adjoint identity of convolution triples ---


def windows(x, r, stride, padding):
    """For every filter tap the pixels it meets: a view of the padded images."""
    padded = np.pad(x, ((0, 0), (padding, padding), (padding, padding), (0, 0)))
    size = (padded.shape[1] - r) // stride + 1
    for i in range(r):
        for j in range(r):
            yield i, j, padded, (slice(None), slice(i, i + size * stride, stride), slice(j, j + size * stride, stride))


def conv(x, w, stride, padding):
    return sum(p[at] @ w[:, i, j].T for i, j, p, at in windows(x, w.shape[1], stride, padding))


def dgrad(dy, w, x, stride, padding):
    dx = np.pad(np.zeros_like(x), ((0, 0), (padding, padding), (padding, padding), (0, 0)))
    for i, j, _, at in windows(x, w.shape[1], stride, padding):
        dx[at] += dy @ w[:, i, j]
    return dx[:, padding : padding + x.shape[1], padding : padding + x.shape[2]]


def wgrad(x, dy, w, stride, padding):
    dw = np.zeros_like(w)
    for i, j, p, at in windows(x, w.shape[1], stride, padding):
        dw[:, i, j] = np.einsum("npqk,npqc->kc", dy, p[at])
    return dw


def triple(seed):
    rng = np.random.default_rng(seed)
    images, channels, filters = rng.integers(1, 4), rng.integers(1, 9), rng.integers(1, 9)
    r, stride = int(rng.choice([1, 2, 3, 5, 7])), int(rng.choice([1, 2, 3]))
    padding, size = int(rng.integers(0, r // 2 + 1)), int(rng.integers(r, 14))
    x, w = rng.standard_normal((images, size, size, channels)), rng.standard_normal((filters, r, r, channels))
    y = conv(x, w, stride, padding)
    return x, w, y, rng.standard_normal(y.shape), stride, padding


def test_convolution_triples():
    flipped_filters = 0
    for seed in range(200):
        x, w, y, dy, stride, padding = triple(seed)
        dx, dw = dgrad(dy, w, x, stride, padding), wgrad(x, dy, w, stride, padding)
        assert adjoint_gap(dy, x, w, y, dx, dw) < 1e-12
        wrong = dgrad(dy, w[:, ::-1, ::-1], x, stride, padding)
        if not np.allclose(wrong, dx):  # a filter of one tap looks the same when flipped
            flipped_filters += 1
            assert adjoint_gap(dy, x, w, y, wrong, dw) > 1e-6
            assert adjoint_gap(dy, x, w, y, dx, dw[:, ::-1, ::-1]) > 1e-6
    assert flipped_filters > 120


def test_adjoint_gap_by_hand():
    one, three = np.array([1.0]), np.array([3.0])
    assert adjoint_gap(one, one, one, three, three, three) == 0
    assert adjoint_gap(one, one, one, three, three, np.array([2.0])) == 1 / 3
    assert adjoint_gap(one, one, one, three, three, np.ones(2)) == math.inf
    assert adjoint_gap(one, one, one, three, three, np.array([math.nan])) == math.inf
    assert adjoint_gap(one, one, one, 0 * one, 0 * one, 0 * one) == math.inf


def in_parts(parts, text):
    """Serial split-K: each part is added to what is in memory, in the output's format."""
    output = text.split()[2]

    def compute(a, b):
        c, size = np.zeros((len(a), b.shape[1])), -(-a.shape[1] // parts)
        for start in range(0, a.shape[1], size):
            c = ROUND[output](c + tensor(8)(a[:, start : start + size], b[start : start + size]))
        return c

    return compute


@pytest.mark.parametrize("text", ["fp16 fp32 fp16", "bf16 fp32 bf16", "fp16 fp32 fp32"])
@pytest.mark.parametrize("parts", [2, 5, 16])
def test_parts_that_are_added_in_memory_pass(text, parts):
    for k in (64, 576, 4608, 12_544):
        for seed in range(3):
            kernel = replace(kernel_of(text, 24, 24, k), variant=f"tile split{parts}")
            verdict = Bench(kernel, in_parts(parts, text)).verdict(seed=seed)
            assert verdict.ok, (k, seed, verdict.reason)


def test_the_bounds_of_one_part_would_refuse_sixteen():
    kernel, compute = kernel_of("fp16 fp32 fp16", 24, 24, 12_544), in_parts(16, "fp16 fp32 fp16")
    assert not Bench(replace(kernel, variant="tile"), compute).verdict().ok
    assert not Bench(replace(kernel, variant="tile parallel16"), compute).verdict().ok  # added up before it is written


@pytest.mark.parametrize("parts", [2, 16])
def test_a_missing_product_is_found_among_parts(parts):
    for k in (64, 576, 1152):
        kernel = replace(kernel_of("fp16 fp32 fp16", 24, 24, k), variant=f"tile split{parts}")
        compute = in_parts(parts, "fp16 fp32 fp16")
        assert not Bench(kernel, lambda a, b, compute=compute: compute(a[:, :-1], b[:-1])).verdict(seed=k).ok
