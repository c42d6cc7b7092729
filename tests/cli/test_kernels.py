"""`perfmodel kernels`: the catalogue as a table, and what became of each kernel when it was compiled."""

from pathlib import Path

import pytest

from perfmodel.errors import InputError
from perfmodel.gemm import find_precision
from perfmodel.measure.cutlass.factory import Built, Failed
from perfmodel.measure.cutlass.kernels import GemmKernel

HALF, INT8 = find_precision("fp16"), find_precision("int8")


def kernel(name, precision, layout, tile, alignment, modes=()):
    return GemmKernel(name, "75", 2, "tensor", precision, layout, tile, 2, (1, 1, 1), alignment, modes, 1)


KERNELS = (
    kernel("half_large", HALF, "tn", (128, 64, 32), (8, 8, 8), ("serial",)),
    kernel("half_small", HALF, "nt", (64, 32, 32), (1, 1, 1)),
    kernel("bytes", INT8, "tn", (64, 64, 64), (16, 16, 4), ("serial", "parallel")),
)
RESOURCES = {"registers": 97, "shared_bytes": 24576, "spilled_bytes": 0}


@pytest.fixture
def world(monkeypatch):
    """A catalogue of three kernels, and what compiling gives: a function that sets it by name."""
    asked = []

    def catalogue(target, search="default", precisions=None):
        asked.append((target, search))
        return KERNELS

    monkeypatch.setattr("perfmodel.gpu.all_kernels", catalogue)
    monkeypatch.setattr("perfmodel.measure.cutlass.toolchain.find_toolchain", lambda: "toolchain")

    def compiling(**results):
        def build(toolchain, target, kernels, tell, stop):
            assert toolchain == "toolchain"
            return None, {one.name: results[one.name] for one in kernels if one.name in results}

        monkeypatch.setattr("perfmodel.gpu.build_kernels", build)

    compiling.asked = asked
    return compiling


def built(name):
    return Built(name, Path("a.so"), 0, RESOURCES, 3.0)


def test_the_list(cli, world):
    found = cli("kernels", "7.5")
    assert (found.code, found.err) == (0, "")
    assert found.out.splitlines() == [
        "CUTLASS kernels for sm_75, search default",
        "",
        "precision  pass  layout  unit    tile       stages  cluster  alignment  split-K          name",
        "---------  ----  ------  ------  ---------  ------  -------  ---------  ---------------  ----------",
        "fp16       –     tn      tensor  128x64x32       2  1x1x1    8,8,8      serial           half_large",
        "fp16       –     nt      tensor  64x32x32        2  1x1x1    1,1,1      none             half_small",
        "int8       –     tn      tensor  64x64x64        2  1x1x1    16,16,4    serial parallel  bytes",
        "",
        "3 kernels.",
        "tile and cluster: of m, n, k. alignment: elements of A, B, C. layout: as BLAS has it, C row-major; a forward "
        "pass is tn,",
        "a data gradient tt, a weight gradient nt. stages 0: CUTLASS chooses.",
        "pass: of a convolution in implicit form; where there is none, a GEMM.",
    ]


@pytest.mark.parametrize(
    ("arguments", "names"),
    [
        (("--precision", "int8"), ["bytes"]),
        (("--precision", "int8,fp16"), ["half_large", "half_small", "bytes"]),
        (("--one",), ["half_large", "bytes"]),
        (("--one", "--precision", "fp16"), ["half_large"]),
    ],
)
def test_a_choice(cli, world, arguments, names):
    rows = cli("kernels", "7.5", *arguments).out.splitlines()[4:]
    assert [line.split()[-1] for line in rows[: rows.index("")]] == names


@pytest.mark.parametrize(
    ("name", "target"),
    [
        ("7.5", "75"),
        ("rtx-2080-ti", "75"),
        ("h200", "90a"),
        ("8.6", "86"),
        ("9.0", "90a"),
        ("75", "75"),
        ("sm_80", "80"),
        ("90a", "90a"),
    ],
)
def test_targets(cli, world, name, target):
    assert cli("kernels", name, "--search", "wide").code == 0
    assert world.asked == [(target, "wide")]


@pytest.mark.parametrize(
    ("arguments", "start"),
    [
        (("6.1",), "E2302 compute capability '6.1': has no kernels in the catalogue."),
        (("sm_61",), "E2302 compute capability '6.1'"),
        (("rtx-2081",), "E1001 device 'rtx-2081'"),
        (("7.5", "--search", "all"), "E2001 --search 'all'"),
        (("7.5", "--precision", "fp23"), "E2301 precision of 7.5 'fp23'"),
        (("7.5", "-o", "a.png"), "E1904 a.png"),
    ],
)
def test_refusals(cli, world, arguments, start):
    found = cli("kernels", *arguments)
    assert found.refused(start), found


def test_what_was_compiled(cli, world):
    world(half_large=built("half_large"), half_small=built("half_small"), bytes=built("bytes"))
    found = cli("kernels", "7.5", "--build")
    assert (found.code, found.err) == (0, "")
    assert found.out.splitlines()[4].split() == [
        "fp16", "–", "tn", "tensor", "128x64x32", "2", "1x1x1", "8,8,8", "serial", "97", "24576", "0", "built",
    ]  # fmt: skip


def test_one_that_does_not_compile(cli, world):
    failed = Failed("bytes", "error: no such layout", "nvcc bytes.cu")
    world(half_large=built("half_large"), half_small=built("half_small"), bytes=failed)
    found = cli("kernels", "7.5", "--build")
    assert (found.code, found.err) == (4, "bytes does not compile: error: no such layout; nvcc bytes.cu\n")
    assert found.out.splitlines()[6].split()[-1] == "failed"


def test_an_interrupted_compilation_keeps_what_is_done(cli, world):
    world(half_large=built("half_large"))
    found = cli("kernels", "7.5", "--build")
    assert (found.code, found.err) == (130, "interrupted: what is compiled is kept; the same command goes on\n")
    assert found.out.splitlines()[5].split()[-2:] == ["not", "built"]


def test_without_a_compiler(cli, world, monkeypatch):
    def nothing():
        raise InputError.at("E2310", "nvcc:", "is not here.", "Install it.")

    monkeypatch.setattr("perfmodel.measure.cutlass.toolchain.find_toolchain", nothing)
    assert cli("kernels", "7.5", "--build").refused("E2310 nvcc: is not here. Install it.")
