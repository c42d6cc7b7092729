"""The memory-bound kernels in machine code: no spills, nothing on the stack, 16-byte accesses where promised."""

import re
import shutil
import subprocess
from functools import cache

import pytest

from perfmodel.measure.streams.sources import source_text

pytestmark = pytest.mark.compile
ARCHITECTURES = ("sm_75", "sm_90")
# entry: how many loads and stores of 16 bytes its main loop has, at least
WIDE = {
    "stream": (8, 8), "absmax": (4, 0), "quantise_nearest_8": (4, 1), "quantise_philox10x16_8": (4, 1),
    "quantise_philox10x16_16": (4, 2), "quantise_philox10x4_8": (4, 1), "quantise_delayed_philox10x16_8": (4, 1),
    "quantise_transposed_philox10x16": (4, 1), "transpose_1": (1, 0), "transpose_2": (1, 0), "transpose_4": (1, 0),
    "im2col_1": (1, 1), "im2col_2": (1, 1), "im2col_4": (1, 1), "im2col_transposed_1": (1, 0),
    "im2col_transposed_2": (1, 0), "im2col_transposed_4": (1, 0), "col2im_2": (1, 1), "col2im_4": (1, 1),
    "dequantise_4": (4, 4), "dequantise_1": (0, 4), "update": (3, 2), "update_quantise_philox10x16_8": (12, 9),
    "cast_fp16": (2, 1), "cast_bf16": (2, 1), "check": (4, 4),
}  # fmt: skip


@pytest.fixture(scope="module")
def compiled(tmp_path_factory):
    """`compiled(architecture)`: the cubin, and what ptxas says of it."""
    nvcc = shutil.which("nvcc") or pytest.skip("nvcc is not on the path")
    folder = tmp_path_factory.mktemp("streams")
    source = folder / "streams.cu"
    source.write_text(source_text(), encoding="utf-8")

    @cache
    def build(architecture):
        cubin = folder / f"{architecture}.cubin"
        command = [nvcc, "-std=c++17", f"-arch={architecture}", "-cubin", "-Xptxas", "-v", "-o", cubin, source]
        done = subprocess.run(command, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        return cubin, done.stdout + done.stderr

    return build


@pytest.fixture(scope="module")
def counted(compiled, sass):
    """`counted(architecture)`: how often each opcode occurs, by entry."""
    disassembler = sass.find_disassembler() or pytest.skip("cuobjdump is not installed")
    return cache(lambda architecture: sass.opcodes(disassembler, compiled(architecture)[0]))


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_nothing_spills_or_warns(compiled, architecture):
    _, log = compiled(architecture)
    assert "warning" not in log
    entries = re.findall(r"entry function '(\w+)'", log)
    assert set(entries) >= WIDE.keys()
    frames = re.findall(r"(\d+) bytes stack frame, (\d+) bytes spill stores, (\d+) bytes spill loads", log)
    assert set(frames) == {("0", "0", "0")}
    registers = [int(count) for count in re.findall(r"Used (\d+) registers", log)]
    assert len(registers) == len(entries)
    assert max(registers) <= 64  # four blocks of 256 threads, as many as kernel.py launches at once


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_accesses_are_wide(counted, sass, architecture):
    for entry, (loads, stores) in WIDE.items():
        opcodes = counted(architecture)[entry]
        assert sass.total(opcodes, "LDG.E.128") >= loads, entry
        assert sass.total(opcodes, "STG.E.128") >= stores, entry


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_nothing_goes_through_the_stack_and_no_sum_is_fused(counted, sass, architecture):
    for entry, opcodes in counted(architecture).items():
        for opcode in ("LDL", "STL", "FFMA"):
            assert not sass.total(opcodes, opcode), f"{entry}: {opcode}"
    assert sass.total(counted(architecture)["update"], "FMUL") >= 12  # four elements, three products each
