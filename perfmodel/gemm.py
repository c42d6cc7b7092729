"""The unit of dense work: C[m, n] = A[m, k] · B[k, n]."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from perfmodel.convolution import Convolution
from perfmodel.errors import InputError, Unsupported, quote, unknown_name
from perfmodel.formats import Format, find_format
from perfmodel.units import round_up

# What a GEMM accumulates in when nothing is said, and what it then writes.
ACCUMULATORS = {
    "fp64": "fp64", "fp32": "fp32", "tf32": "fp32", "bf16": "fp32", "fp16": "fp32",
    "fp8_e4m3": "fp32", "fp8_e5m2": "fp32", "int8": "int32", "int4": "int32",
}  # fmt: skip
LINE_BITS = 128  # that kernels read and write at a time
LAYOUTS = ("tn", "tt", "nt", "nn")
OUTPUTS = {"tf32": "fp32", "fp8_e4m3": "fp16", "fp8_e5m2": "fp16", "int8": "int32", "int4": "int32"}


@dataclass(frozen=True, slots=True)
class Precision:
    """What a GEMM multiplies, sums in and writes; it decides the unit of the chip that runs it."""

    operand: Format
    accumulator: Format
    output: Format

    @property
    def name(self) -> str:
        """`fp16`, or `fp16+fp16` where the accumulator is not the usual one."""
        usual = ACCUMULATORS.get(self.operand.name)
        same = self.accumulator.name == usual
        return self.operand.name if same else f"{self.operand.name}+{self.accumulator.name}"


def find_precision(name: str, accumulate: str | None = None, output: str | None = None) -> Precision:
    """The precision called `fp16`, or `fp16+fp16` with its accumulator named; `output` where it is not the usual one.

    Raises `UnknownName` for a format that does not exist, `Unsupported` for one that no GEMM unit computes in.

    >>> find_precision("int8").accumulator.name
    'int32'
    """
    whole = str(name)
    name, plus, after_plus = whole.partition("+")
    if plus and (not after_plus or accumulate not in (None, after_plus)):
        found = f"names no accumulator after +, or another than {quote(accumulate)}."
        raise InputError.at("E1110", f"precision {quote(whole)}:", found, "Name it once: fp16+fp16, or apart.")
    operand = find_format(name)
    if operand.name not in ACCUMULATORS:
        raise Unsupported.at(
            "E1101", f"precision {quote(name)}:", "no GEMM unit computes in it.",
            f"Choose one of {', '.join(ACCUMULATORS)}.",
        )  # fmt: skip
    accumulator = find_format(accumulate or after_plus or ACCUMULATORS[operand.name])
    written = find_format(output or OUTPUTS.get(operand.name, operand.name))
    return Precision(operand, accumulator, written)


@dataclass(frozen=True, slots=True)
class Gemm:
    """`batch` products C[m, n] = A[m, k] · B[k, n] in one launch.

    `a_distinct` and `b_distinct` are the elements of A and B that exist in memory (all batches together) where they
    are fewer than the GEMM's view of them: an implicit-GEMM convolution reads each input pixel r·s times but stores
    it once. None means that the whole matrix is stored.

    `layout` says how A and B lie in memory, by the letters that BLAS has for them; C is row-major. First letter: `t`
    where A is contiguous in k, `n` where in m. Second: `n` where B is contiguous in k, `t` where in n. Layer tensors
    as they are (activations [pixels, channels], weights [filters, column]) make fprop `tn`, dgrad `tt`, wgrad `nt`.
    `conv` is the convolution whose implicit form this is, if it is one.
    """

    m: int
    n: int
    k: int
    batch: int = 1
    precision: Precision = field(default_factory=lambda: find_precision("fp32"))
    a_distinct: int | None = None
    b_distinct: int | None = None
    layout: str = "tn"
    conv: Convolution | None = None

    def __post_init__(self):
        for name in ("m", "n", "k", "batch"):
            size = getattr(self, name)
            if not isinstance(size, int) or isinstance(size, bool) or size < 1:
                raise InputError.at(
                    "E1102", f"GEMM {name}:", f"{quote(size)} is not a positive whole number.",
                    "Give m, n, k and batch of at least 1.",
                )  # fmt: skip
        if self.layout not in LAYOUTS:
            raise unknown_name("E1102", "GEMM layout", self.layout, LAYOUTS)

    @property
    def macs(self) -> int:
        """Multiply-accumulates: batch · m · n · k."""
        return self.batch * self.m * self.n * self.k

    @property
    def flop(self) -> int:
        """Multiplies and adds counted separately: 2 · MACs.

        >>> Gemm(2, 3, 5).flop
        60
        """
        return 2 * self.macs

    @property
    def bytes(self) -> float:
        """Compulsory traffic: what exists of A and B read once, C written once [B]."""
        a = self.a_distinct if self.a_distinct is not None else self.batch * self.m * self.k
        b = self.b_distinct if self.b_distinct is not None else self.batch * self.k * self.n
        c = self.batch * self.m * self.n
        return (a + b) * self.precision.operand.bytes + c * self.precision.output.bytes

    def aligned(self) -> Gemm:
        """The same GEMM padded to what fast kernels need: 16 bytes along the lines of A, B and C.

        k where A or B is contiguous in it (147 → 152 in FP16, 160 in INT8), m and n where they are, and n for C, which
        is written in lines of n. SIMT kernels (FP32) need none of it. See `align`.

        >>> g = Gemm(3, 5, 7, precision=find_precision("fp16"))
        >>> (one := g.aligned()).m, one.n, one.k
        (3, 8, 8)
        >>> (one := replace(g, layout="nt").aligned()).m, one.n, one.k
        (8, 8, 7)
        """
        m, n, k = align(self.precision, self.layout, self.m, self.n, self.k, self.batch)
        return self if (m, n, k) == (self.m, self.n, self.k) else replace(self, m=m, n=n, k=k)


def align(precision: Precision, layout: str, m, n, k, batch):
    """Sizes padded as `Gemm.aligned` pads them; whole numbers, or arrays of them.

    m and n are padded in single products only: those of a batch are slices of wider tensors (grouped convolutions).
    """
    step, line = precision.operand.align_k, LINE_BITS // precision.output.bits
    if step == 1:
        return m, n, k
    a, b = layout
    wide_m = m if a == "t" else round_up(m, step)
    wide_n = round_up(n, max(line, step if b == "t" else 1))
    k = round_up(k, step) if layout != "nt" else k
    alone = batch == 1
    return m + (wide_m - m) * alone, n + (wide_n - n) * alone, k
