"""The default choice for sm_75, sm_80 and sm_90a: all compiled, looked at in machine code, and asked what it takes.

A cold build needs about 25 minutes of CPU time; name a folder in PERFMODEL_CACHE to keep what it makes.
"""

import random
import re
import subprocess
from collections import Counter
from functools import cache

import pytest

from perfmodel.errors import InputError
from perfmodel.gemm import Gemm
from perfmodel.measure.cutlass.cabi import Library, Problem
from perfmodel.measure.cutlass.factory import Built
from perfmodel.measure.cutlass.fits import fits
from perfmodel.measure.cutlass.kernels import precision_text

pytestmark = pytest.mark.compile

# By unit and precision, what multiplies; `odd` are kernels of tensor cores that read single elements. The width of a
# warp group's instruction, after 64x, is the kernel's tile along our m.
CORES = {"simt fp32": "FFMA", "dp4a int8": "IDP.4A.S8.S8"}
TURING = {"tensor fp16": "HMMA.1688.F32", "tensor fp16->fp32": "HMMA.1688.F32", "tensor fp16+fp16": "HMMA.1688.F16"}
ODD = {f"{family} odd": opcode for family, opcode in TURING.items()}
AMPERE_ODD = ODD | {"tensor bf16 odd": "HMMA.16816.F32.BF16", "tensor tf32 odd": "HMMA.1688.F32.TF32"}
EXPECTED = {
    "75": CORES | TURING | ODD | {
        "tensor int8": "IMMA.8816.S8.S8", "tensor int8->int8": "IMMA.8816.S8.S8", "tensor int4": "IMMA.8832.S4.S4",
    },
    "80": CORES | AMPERE_ODD | {
        "tensor fp16": "HMMA.16816.F32", "tensor fp16->fp32": "HMMA.16816.F32", "tensor fp16+fp16": "HMMA.16816.F16",
        "tensor bf16": "HMMA.16816.F32.BF16", "tensor tf32": "HMMA.1688.F32.TF32",
        "tensor int8": "IMMA.16832.S8.S8", "tensor int8->int8": "IMMA.16832.S8.S8", "tensor int4": "IMMA.16864.S4.S4",
    },
    "90a": CORES | AMPERE_ODD | {
        "warpgroup fp16": "HGMMA.64x{m}x16.F32", "warpgroup fp16->fp32": "HGMMA.64x{m}x16.F32",
        "warpgroup fp16+fp16": "HGMMA.64x{m}x16.F16", "warpgroup bf16": "HGMMA.64x{m}x16.F32.BF16",
        "warpgroup tf32": "HGMMA.64x{m}x8.F32.TF32", "tensor tf32": "HMMA.1688.F32.TF32",
        "warpgroup int8": "IGMMA.64x{m}x32.S8.S8", "warpgroup int8->int8": "IGMMA.64x{m}x32.S8.S8",
        "warpgroup fp8_e4m3": "QGMMA.64x{m}x32.F32.E4M3.E4M3", "warpgroup fp8_e5m2": "QGMMA.64x{m}x32.F32.E5M2.E5M2",
    },
}  # fmt: skip
MACS = {  # of an instruction: of a thread, then of a warp
    "FFMA": 1, "IDP": 4, "1688": 16 * 8 * 8, "16816": 16 * 8 * 16, "16832": 16 * 8 * 32, "16864": 16 * 8 * 64,
    "8816": 8 * 8 * 16, "8832": 8 * 8 * 32,
}  # fmt: skip
MULTIPLIERS = ("FFMA", "HFMA2", "IDP", "HMMA", "IMMA", "QMMA", "DMMA", "BMMA", "HGMMA", "IGMMA", "QGMMA")
SLOW = ("LDL", "STL", "RET")  # local memory, functions (a CALL alone may be a jump that ends a loop)
FORMATS = {"BF16", "TF32", "F16", "F32", "S8", "U8", "S4", "U4", "E4M3", "E5M2"}
MOVES = 16  # constants that are loaded by HFMA2
SHAPES = 40  # for each kernel: 7,000 in all
INSTRUCTION = re.compile(r"^\s+/\*([0-9a-f]{4,})\*/\s+(?:@!?U?P\w+\s+)?([A-Z][\w.]*)(.*?);")
TARGET = re.compile(r"\b0x([0-9a-f]+)")
every_target = pytest.mark.parametrize("target", EXPECTED)
every_family = pytest.mark.parametrize(("target", "family"), [(t, family) for t in EXPECTED for family in EXPECTED[t]])


def family_of(kernel):
    odd = kernel.unit == "tensor" and kernel.alignment[0] == 1
    return f"{kernel.unit} {precision_text(kernel.precision)}" + (" odd" if odd else "")


@pytest.fixture(scope="module")
def made(toolchain, build_named):
    """`made(target)`: each kernel of the default choice and what became of it."""
    from perfmodel.measure.cutlass.catalogue import catalogue

    @cache
    def make(target):
        kernels = catalogue(target)
        try:
            built = build_named(target, [kernel.name for kernel in kernels])
        except InputError as error:  # a compiler that does not know the target
            pytest.skip(str(error))
        return [(kernel, built[kernel.name]) for kernel in kernels]

    return make


@pytest.fixture(scope="module")
def members(made):
    """`members(target, family)`: those of one unit and precision."""
    return lambda target, family: [(kernel, one) for kernel, one in made(target) if family_of(kernel) == family]


@pytest.fixture(scope="module")
def machine_code(sass):
    """`machine_code(built)`: address, opcode and rest of every instruction of a kernel."""
    disassembler = sass.find_disassembler() or pytest.skip("cuobjdump is not installed")
    seen = cache(lambda path: functions_of([disassembler, "-sass", str(path)]))
    return lambda built: sass.of_type(seen(built.path), built.name)


def functions_of(command):
    found, current = {}, []
    for line in subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines():
        if "Function :" in line:
            current = found.setdefault(line.split(":", 1)[1].strip(), [])
        elif match := INSTRUCTION.match(line):
            current.append((int(match[1], 16), match[2], match[3]))
    return found


def main_loop(code, opcode):
    """Opcodes, counted, of the shortest loop with such a multiplication: from the target of a jump back to the jump."""
    loops = []
    for address, jump, rest in code:
        target = TARGET.search(rest) if jump.startswith("BRA") else None
        if target and int(target[1], 16) < address:
            loop = Counter(name for at, name, _ in code if int(target[1], 16) <= at <= address)
            if total(loop, opcode):
                loops.append(loop)
    return min(loops, key=Counter.total)


def total(counts, opcode):
    """How often an opcode occurs; with more modifiers as well, unless these name other formats."""
    parts = opcode.split(".")
    split = {name: name.split(".") for name in counts}
    return sum(
        counts[name] for name, has in split.items()
        if has[: len(parts)] == parts and (parts == has[:1] or not FORMATS & set(has[len(parts) :]))
    )  # fmt: skip


def expected(target, kernel):
    return EXPECTED[target][family_of(kernel)].format(m=kernel.tile[0])


def macs_of_all(kernel, opcode, threads):
    """The multiply-adds of one such instruction in each of the warps or warp groups that share a tile."""
    unit, *rest = opcode.split(".")
    if kernel.unit == "warpgroup":
        m, n, k = map(int, rest[0].split("x"))
        return m * n * k * (2 if "_cooperative" in kernel.name else 1)
    return MACS[unit] * threads if unit in MACS else MACS[rest[0]] * threads // 32


@every_target
def test_all_of_them_compile(made, target):
    assert [one for _, one in made(target) if not isinstance(one, Built)] == []


@every_target
def test_each_unit_and_precision_is_looked_at(made, target):
    assert {family_of(kernel) for kernel, _ in made(target)} == EXPECTED[target].keys()


@every_family
def test_nothing_is_spilled_or_on_the_stack(members, target, family):
    for kernel, one in members(target, family):
        occupied = one.resources
        assert (occupied["spilled_bytes"], occupied["stack_bytes"]) == (0, 0), kernel.name
        assert 32 < occupied["registers"] <= 255
        assert occupied["registers"] * occupied["threads"] <= 65536


@every_family
def test_the_main_loop_multiplies_a_tile_by_its_instruction_and_by_no_other(members, machine_code, target, family):
    for kernel, one in members(target, family):
        opcode = expected(target, kernel)
        loop = main_loop(machine_code(one), opcode)
        m, n, k = kernel.tile
        assert total(loop, opcode) * macs_of_all(kernel, opcode, one.resources["threads"]) >= m * n * k, kernel.name
        own = opcode.split(".")[0]
        others = {unit: total(loop, unit) for unit in MULTIPLIERS if unit != own}
        assert others.pop("HFMA2") <= MOVES, kernel.name
        assert set(others.values()) == {0}, (kernel.name, others)


@every_family
def test_other_units_only_scale_the_output(members, machine_code, target, family):
    for kernel, one in members(target, family):
        counts = Counter(name for _, name, _ in machine_code(one))
        assert {slow: total(counts, slow) for slow in SLOW} == dict.fromkeys(SLOW, 0), kernel.name
        own = expected(target, kernel).split(".")[0]
        others = {unit: total(counts, unit) for unit in MULTIPLIERS if unit != own}
        scaling = others.pop("FFMA", 0) + others.pop("HFMA2", 0)
        m, n, _ = kernel.tile
        sharing = 2 if "_cooperative" in kernel.name else 1
        workers = 128 * sharing if kernel.unit == "warpgroup" else one.resources["threads"]
        assert scaling <= m * n // workers + MOVES, kernel.name
        assert set(others.values()) == {0}, (kernel.name, others)


def test_warp_groups_wait_for_no_single_product(members, machine_code):
    """A wait before a tile's first product and one in the main loop: serialised (ptxas C7510), each would have its own.

    So it has in TF32 where an operand is not contiguous in k: CUTLASS passes it through registers, step by step.
    Operands come by TMA, and the output goes by it.
    """
    families = [family for family in EXPECTED["90a"] if family.startswith("warpgroup")]
    for kernel, one in (member for family in families for member in members("90a", family)):
        counts = Counter(name for _, name, _ in machine_code(one))
        stepwise = kernel.precision.name == "tf32" and kernel.layout != "tn"
        products = total(counts, expected("90a", kernel))
        assert total(counts, "WARPGROUP.ARRIVE") <= (products if stepwise else 2), kernel.name
        assert products >= 8
        assert total(counts, "CALL") == 0
        assert total(counts, "UTMALDG") >= 2
        assert total(counts, "UTMASTG") >= 1


@every_family
def test_can_implement_agrees_with_our_rule(members, target, family):
    """`fits` says what a kernel takes without asking it: random sizes, some of them multiples, dense operands."""
    draw, agreed = random.Random(f"{target} {family}"), Counter()
    for kernel, one in members(target, family):
        compiled = Library(one.path)[one.index]
        for _ in range(SHAPES):
            m, n, k = (draw.choice((1, 2, 4, 8, 16, 32, 64)) * draw.randint(1, 64) for _ in range(3))
            gemm = Gemm(m, n, k, draw.choice((1, 1, 1, 7)), kernel.precision, layout=kernel.layout)
            taken = compiled.can_implement(problem(gemm)) == 0
            assert taken == fits(kernel, gemm), (kernel.name, gemm)
            agreed[taken] += 1
    assert agreed[True] > 5
    assert agreed[False] > 5 or kernel.alignment == (1, 1, 1)


def problem(gemm):
    """With dense operands, as the profiler lays them out."""
    m, n, k = gemm.m, gemm.n, gemm.k
    lines = {"lda": k if gemm.layout[0] == "t" else m, "ldb": k if gemm.layout[1] == "n" else n, "ldc": n}
    apart = {"stride_a": m * k, "stride_b": k * n, "stride_c": m * n}
    return Problem(m=m, n=n, k=k, batch=gemm.batch, sms=100, **lines, **apart)
