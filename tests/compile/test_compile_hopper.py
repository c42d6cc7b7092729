"""Hopper's warp-group kernels behind the C ABI: compiled for sm_90a, loaded and looked at; no GPU is needed."""

import random

import pytest

from perfmodel.errors import InputError
from perfmodel.measure.backend import BuildFailed, KernelFault
from perfmodel.measure.cutlass.cabi import PARALLEL, Library, Problem
from perfmodel.measure.cutlass.factory import Built

pytestmark = pytest.mark.compile

# precision, layout and scheduler; bytes of an element of A and B, and of C; the instruction
EXPECTED = {
    ("fp16", "tn", "plain"): (2, 2, "HGMMA.64"),
    ("fp16", "nt", "stream"): (2, 2, "HGMMA.64"),
    ("int8", "tn", "plain"): (1, 4, "IGMMA.64"),
    ("fp8_e4m3", "tn", "plain"): (1, 2, "QGMMA.64"),
}
FP16, STREAM, INT8, FP8 = EXPECTED
SLOW = ("HMMA", "IMMA", "QMMA", "IDP", "LDL", "STL", "CALL")


@pytest.fixture(scope="module")
def chosen(toolchain):
    """Of the wide catalogue, a cooperative kernel of 128 x 128 with TMA at both ends for each row of EXPECTED."""
    from perfmodel.measure.cutlass.catalogue import catalogue
    from perfmodel.measure.cutlass.kernels import precision_text

    found = {}
    for kernel in sorted(catalogue("90a", "wide"), key=lambda kernel: ("_void_" not in kernel.name, kernel.name)):
        ends = kernel.name.endswith("warpspecialized_cooperative_epi_tma")
        if kernel.generation == 3 and ends and kernel.tile[:2] == (128, 128) and max(kernel.cluster) == 2:
            scheduler = "stream" if "_stream_k_" in kernel.name else "plain"
            found.setdefault((precision_text(kernel.precision), kernel.layout, scheduler), kernel)
    return {row: found[row] for row in EXPECTED}


@pytest.fixture(scope="module")
def built(chosen, build_named):
    try:
        made = build_named("90a", [kernel.name for kernel in chosen.values()])
    except InputError as error:  # a compiler older than CUDA 12.0
        pytest.skip(str(error))
    return {row: made[kernel.name] for row, kernel in chosen.items()}


@pytest.fixture(scope="module")
def loaded(built):
    libraries = {path: Library(path) for path in {one.path for one in built.values()}}
    return {row: libraries[one.path][one.index] for row, one in built.items()}


def lines(layout, m, n, k):
    """Elements in a line of A, B and C: the size along which each is contiguous."""
    return (k if layout[0] == "t" else m), (k if layout[1] == "n" else n), n


def problem(layout, m, n, k, **fields):
    lda, ldb, ldc = lines(layout, m, n, k)
    return Problem(m=m, n=n, k=k, **{"lda": lda, "ldb": ldb, "ldc": ldc, "sms": 132} | fields)


@pytest.mark.parametrize("row", EXPECTED)
def test_it_compiles_without_spills(built, row):
    one = built[row]
    assert isinstance(one, Built), one
    assert one.resources["spilled_bytes"] == one.resources["stack_bytes"] == 0
    assert one.resources["registers"] == 168  # 65,536 for 384 threads; the kernel moves them between warp groups


@pytest.mark.parametrize("row", EXPECTED)
def test_warp_groups_multiply_and_tma_loads_and_stores(built, opcodes, sass, row):
    counts = opcodes(built[row])
    instruction = EXPECTED[row][2]
    assert sass.total(counts, instruction) >= 8
    assert sass.total(counts, "UTMALDG") >= 2
    assert sass.total(counts, "UTMASTG") >= 1
    assert {opcode: counts[opcode] for opcode in counts if opcode.startswith(SLOW)} == {}
    # One wait before a tile's first product and few more: serialised, each would have its own.
    assert sass.total(counts, "WARPGROUP.ARRIVE") == 2


@pytest.mark.parametrize("row", EXPECTED)
def test_a_block_is_three_warp_groups_and_fills_a_multiprocessor(chosen, loaded, row):
    facts = loaded[row].info()
    assert (facts.name, facts.threads) == (chosen[row].name, 384)
    assert 232_448 // 2 < facts.shared_bytes <= 232_448


@pytest.mark.parametrize("row", EXPECTED)
def test_can_implement_asks_for_16_bytes(chosen, loaded, row):
    """Every line of A, B and C, and the way to the next line, is a multiple of 16 bytes; nothing else matters."""
    draw, layout, (of_ab, of_c, _) = random.Random(90), row[1], EXPECTED[row]
    grains = (16 // of_ab, 16 // of_ab, 16 // of_c)
    assert chosen[row].alignment == grains
    agreed = {True: 0, False: 0}
    for _ in range(500):
        step = draw.choice((1, 4, 8, 16, 16, 32))
        sizes = [step * draw.randint(1, 4096 // step) for _ in range(3)]
        own = lines(layout, *sizes)
        lds = [line + draw.choice((0, 0, 0, 4, 16)) for line in own]
        right = all(line % grain == ld % grain == 0 for line, ld, grain in zip(own, lds, grains, strict=True))
        asked = problem(layout, *sizes, lda=lds[0], ldb=lds[1], ldc=lds[2])
        assert loaded[row].can_implement(asked) == (0 if right else 1), (sizes, lds)
        agreed[right] += 1
    assert min(agreed.values()) > 100, agreed


@pytest.mark.parametrize(
    ("m", "n", "k", "fields", "status"),
    [
        (1, 8, 8, {}, 0),  # rows lie one after the other, however many there are
        (64, 8, 147, {}, 1),  # ResNet18's first layer as it is, and padded
        (64, 8, 152, {}, 0),
        (64, 64, 64, {"lda": 72}, 0),
        (64, 64, 64, {"lda": 56}, 1),  # lines overlap
        (64, 64, 64, {"a": 4096, "b": 4096, "c": 4096}, 0),
        (64, 64, 64, {"b": 4104}, 1),
        (64, 64, 64, {"stride_a": 4}, 0),  # a single product has no next one
        (64, 64, 64, {"batch": 2, "stride_a": 4096, "stride_b": 4096, "stride_c": 4096}, 0),
        (64, 64, 64, {"batch": 2, "stride_a": 4096, "stride_b": 4100, "stride_c": 4096}, 1),
        (64, 64, 0, {}, 4),
        (64, 64, 64, {"batch": 0}, 4),
        (64, 64, 64, {"split_mode": 2}, 4),
        (64, 64, 4096, {"split_k": 2}, 5),
        (64, 64, 64, {"alpha": 0.5}, 0),
    ],
)
def test_what_a_plain_kernel_takes(loaded, m, n, k, fields, status):
    assert loaded[FP16].can_implement(problem("tn", m, n, k, **fields)) == status


@pytest.mark.parametrize(
    ("parts", "fields", "status"),
    [(16, {}, 0), (17, {}, 4), (16, {"sms": 15}, 4), (16, {"sms": 0}, 0), (2, {"split_mode": PARALLEL}, 5),
     (4, {"batch": 2, "stride_a": 65536, "stride_b": 65536, "stride_c": 4096}, 0)],
)  # fmt: skip
def test_stream_k_cuts_k_at_its_tiles_and_adds_in_turn(loaded, parts, fields, status):
    """k of 1024 has 16 tiles of 64."""
    assert loaded[STREAM].can_implement(problem("nt", 64, 64, 1024, split_k=parts, **fields)) == status


def test_whole_numbers_are_not_scaled_by_a_fraction(loaded):
    assert loaded[INT8].can_implement(problem("tn", 64, 64, 64, alpha=2.0)) == 0
    assert loaded[INT8].can_implement(problem("tn", 64, 64, 64, alpha=0.5)) == 5
    assert loaded[FP8].can_implement(problem("tn", 64, 64, 64, alpha=0.5)) == 0


def test_workspace_holds_the_sums_and_barriers_of_shared_tiles(loaded):
    assert loaded[FP16].workspace_bytes(problem("tn", 256, 1024, 4096)) == 0
    assert loaded[FP16].workspace_bytes(problem("tn", 256, 1023, 4096)) < 0
    # 2 x 8 tiles of 128 x 128 FP32 sums; a 4-byte barrier for each tile and each of its two warp groups.
    cut = problem("nt", 256, 1024, 4096, split_k=4)
    assert loaded[STREAM].workspace_bytes(cut) == 16 * 128 * 128 * 4 + 16 * 2 * 4
    # 6 x 22 tiles, even both ways for clusters of two, for 132 multiprocessors: each has its own, none is shared.
    assert loaded[STREAM].workspace_bytes(problem("nt", 128 * 6, 128 * 22, 4096)) == 0


def test_create_refuses_what_cannot_be(loaded):
    with pytest.raises(BuildFailed, match="misaligned"):
        loaded[FP16].create(problem("tn", 64, 63, 64))
    with pytest.raises(BuildFailed, match="invalid problem"):
        loaded[FP16].create(problem("tn", 64, 64, 64))  # no operands


def test_without_a_device_create_fails_as_a_cuda_error(loaded):
    for row, kernel in loaded.items():
        if kernel.info().registers is not None:
            pytest.skip("there is a device")
        with pytest.raises(KernelFault, match="CUDA error"):
            kernel.create(problem(row[1], 256, 256, 256, a=4096, b=4096, c=4096))
