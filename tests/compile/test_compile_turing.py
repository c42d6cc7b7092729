"""Kernels for sm_75 compile, load, and hold the instruction that they are for; no GPU is needed."""

import random

import pytest

from perfmodel.measure.backend import BuildFailed, KernelFault
from perfmodel.measure.cutlass.cabi import PARALLEL, SERIAL, Library, Problem
from perfmodel.measure.cutlass.factory import Built

pytestmark = pytest.mark.compile

SGEMM = "cutlass_simt_sgemm_64x64_8x2_nt_align1"
F16 = "cutlass_tensorop_f16_s1688gemm_f16_128x128_32x2_nn_align8"
H16 = "cutlass_tensorop_h1688gemm_64x64_32x2_nt_align8"
I8_S32 = "cutlass_tensorop_i8816gemm_s8_128x128_64x2_tn_align16"
I8_S8 = "cutlass_tensorop_s8_i8816gemm_s8_128x64_64x2_tn_align16"
I4 = "cutlass_tensorop_i8832gemm_s4_128x64_128x2_tn_align32"
DP4A = "cutlass_simt_igemm_s8_64x64_32x2_nt_align1"

# name, our layout, alignments of A, B, C, threads, shared bytes, outputs of a thread, the instruction of its main loop
# and how often one tile of k needs it: warp tile over the instruction's shape, or multiply-adds of a thread
EXPECTED = (
    (SGEMM, "nt", (1, 1, 1), 64, 8192, 64, "FFMA", 64 * 8),
    (F16, "tt", (8, 8, 8), 128, 32768, 128, "HMMA.1688.F32", 4 * 8 * 4),
    (H16, "nt", (8, 8, 8), 128, 16384, 32, "HMMA.1688.F16", 2 * 4 * 4),
    (I8_S32, "tn", (16, 16, 4), 128, 32768, 128, "IMMA.8816.S8.S8", 8 * 8 * 4),
    (I8_S8, "tn", (16, 16, 8), 128, 24576, 64, "IMMA.8816.S8.S8", 8 * 4 * 4),
    (I4, "tn", (32, 32, 4), 128, 24576, 64, "IMMA.8832.S4.S4", 8 * 4 * 4),
    (DP4A, "nt", (4, 4, 1), 64, 8192, 64, "IDP.4A", 64 * 8),
)
NAMES = [row[0] for row in EXPECTED]
UNITS = ("FFMA", "HFMA2", "HMMA", "IMMA", "IDP")


@pytest.fixture(scope="module")
def built(build_named):
    return build_named("75", NAMES)


@pytest.fixture(scope="module")
def loaded(built):
    libraries = {path: Library(path) for path in {one.path for one in built.values()}}
    return {name: libraries[one.path][one.index] for name, one in built.items()}


def problem(layout, m, n, k, **fields):
    lda = k if layout[0] == "t" else m
    ldb = k if layout[1] == "n" else n
    return Problem(m=m, n=n, k=k, **{"lda": lda, "ldb": ldb, "ldc": n} | fields)


@pytest.mark.parametrize("name", NAMES)
def test_it_compiles_without_spills(built, name):
    one = built[name]
    assert isinstance(one, Built), one
    assert one.resources["spilled_bytes"] == 0
    assert one.resources["stack_bytes"] == 0
    assert 32 < one.resources["registers"] <= 255


def test_kernels_share_libraries(built):
    assert len({one.path for one in built.values()}) < len(built)


@pytest.mark.parametrize(("name", "threads", "shared_bytes"), [(row[0], row[3], row[4]) for row in EXPECTED])
def test_the_library_says_what_a_kernel_occupies(built, loaded, name, threads, shared_bytes):
    facts = loaded[name].info()
    assert (facts.name, facts.threads, facts.shared_bytes) == (name, threads, shared_bytes)
    assert built[name].resources["shared_bytes"] == shared_bytes


@pytest.mark.parametrize(("name", "outputs", "instruction", "count"), [(row[0], *row[5:]) for row in EXPECTED])
def test_the_machine_code_holds_the_instruction_and_no_slow_path(
    built, opcodes, sass, name, outputs, instruction, count
):
    counts = opcodes(built[name])
    assert sass.total(counts, instruction) >= count
    others = {unit: sass.total(counts, unit) for unit in UNITS if not instruction.startswith(unit)}
    assert sum(others.values()) <= outputs, others  # once for each output, to scale it
    assert sass.total(counts, "LDL") == sass.total(counts, "STL") == 0


def test_a_slow_path_would_be_seen(built, opcodes, sass):
    assert sass.total(opcodes(built[DP4A]), "IMMA") == 0
    assert sass.total(opcodes(built[SGEMM]), "FFMA") > 64


def test_can_implement_follows_the_alignment_rules(loaded):
    """The contiguous size of each of A, B and C is a multiple of the kernel's alignment; nothing else matters."""
    draw = random.Random(75)
    agreed = {True: 0, False: 0}
    for name, layout, (a, b, c), *_ in EXPECTED:
        for _ in range(400):
            step = draw.choice((1, 2, 4, 8, 16, 32))
            m, n, k = (step * draw.randint(1, 4096 // step) for _ in range(3))
            along_a, along_b = (k if layout[0] == "t" else m), (k if layout[1] == "n" else n)
            right = along_a % a == 0 and along_b % b == 0 and n % c == 0
            assert loaded[name].can_implement(problem(layout, m, n, k)) == (0 if right else 1), (name, m, n, k)
            agreed[right] += 1
    assert agreed[True] > 1000
    assert agreed[False] > 500


def test_lines_strides_and_pointers_must_be_aligned_too(loaded):
    kernel = loaded[F16]
    whole = {"m": 64, "n": 64, "k": 64, "layout": "tt"}
    assert kernel.can_implement(problem(**whole, a=4096, b=4096, c=4096, lda=72)) == 0
    for wrong in ({"lda": 68}, {"ldb": 68}, {"ldc": 68}, {"lda": 56}, {"a": 4104}, {"b": 4098}, {"c": 4104}):
        assert kernel.can_implement(problem(**whole, **wrong)) == 1, wrong
    assert kernel.can_implement(problem(**whole, batch=3, stride_a=4096, stride_b=4096, stride_c=4096)) == 0
    assert kernel.can_implement(problem(**whole, batch=3, stride_a=4100, stride_b=4096, stride_c=4096)) == 1


@pytest.mark.parametrize("wrong", [{"m": 0}, {"n": -1}, {"k": 0}, {"batch": 0}, {"split_k": 0}, {"split_mode": 2}])
def test_sizes_without_meaning_are_invalid(loaded, wrong):
    fields = {"m": 64, "n": 64, "k": 64, "lda": 64, "ldb": 64, "ldc": 64}
    assert loaded[SGEMM].can_implement(Problem(**fields | wrong)) == 4


def test_grids_beyond_the_limits_are_invalid(loaded):
    assert loaded[SGEMM].can_implement(problem("nt", 64, 64, 64, batch=65535)) == 0
    assert loaded[SGEMM].can_implement(problem("nt", 64, 64, 64, batch=65536)) == 4


def test_whole_numbers_are_not_scaled_by_a_fraction(loaded):
    assert loaded[I8_S32].can_implement(problem("tn", 64, 64, 64, alpha=2.0)) == 0
    assert loaded[I8_S32].can_implement(problem("tn", 64, 64, 64, alpha=0.5)) == 5
    assert loaded[I8_S8].can_implement(problem("tn", 64, 64, 64, alpha=0.5)) == 0


@pytest.mark.parametrize(
    ("name", "layout", "serial", "parallel"),
    [(SGEMM, "nt", 0, 0), (F16, "tt", 0, 5), (H16, "nt", 0, 0), (I8_S32, "tn", 0, 0), (I8_S8, "tn", 5, 5),
     (I4, "tn", 0, 0), (DP4A, "nt", 0, 0)],
)  # fmt: skip
def test_k_is_only_cut_where_its_parts_can_be_added(loaded, name, layout, serial, parallel):
    status = [
        loaded[name].can_implement(problem(layout, 256, 256, 4096, split_k=4, split_mode=mode))
        for mode in (SERIAL, PARALLEL)
    ]
    assert status == [serial, parallel]
    both = problem(layout, 256, 256, 4096, split_k=4, batch=2, stride_a=1 << 20, stride_b=1 << 20, stride_c=1 << 16)
    assert loaded[name].can_implement(both) == 5  # CUTLASS has one axis for both


def test_parts_that_would_not_exist_are_refused(loaded):
    # 576 elements of 2 bytes in 16 parts: 36 rounded up to a cache line is 64, which makes 9 parts
    assert loaded[F16].can_implement(problem("tt", 64, 64, 576, split_k=9)) == 0
    assert loaded[F16].can_implement(problem("tt", 64, 64, 576, split_k=16)) == 4


def test_workspace(loaded):
    kernel = loaded[SGEMM]  # tiles of 64 x 64: 4 x 2 of them
    assert kernel.workspace_bytes(problem("nt", 256, 128, 4096)) == 0
    assert kernel.workspace_bytes(problem("nt", 256, 128, 4096, split_k=4)) == 4 * 2 * 4
    assert kernel.workspace_bytes(problem("nt", 256, 128, 4096, split_k=4, split_mode=PARALLEL)) == 4 * 4 * 256 * 128
    assert kernel.workspace_bytes(problem("nt", 256, 128, 0)) < 0
    assert loaded[I8_S8].workspace_bytes(problem("tn", 256, 128, 4096, split_k=4)) < 0


def test_create_refuses_what_cannot_be(loaded):
    with pytest.raises(BuildFailed, match="misaligned"):
        loaded[F16].create(problem("tt", 64, 63, 64))
    with pytest.raises(BuildFailed, match="no workspace"):
        loaded[SGEMM].create(problem("nt", 64, 64, 4096, split_k=4))


def test_without_a_device_create_fails_as_a_cuda_error(loaded):
    kernel = loaded[SGEMM]
    if kernel.info().registers is not None:
        pytest.skip("there is a device")
    with pytest.raises(KernelFault, match="CUDA error"):
        kernel.create(problem("nt", 64, 64, 64))


def test_a_second_build_compiles_nothing(build_named, built):
    assert build_named("75", NAMES) == built
