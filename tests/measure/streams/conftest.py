"""The kernels' sources as a shared library of the CPU: `launched(kernel, inputs)` is what one of them computes."""

import ctypes
import re
import shutil
import subprocess
from functools import cache
from pathlib import Path
from tempfile import mkdtemp

import numpy as np
import pytest

from perfmodel.measure.streams.sources import source_text

SHIM = Path(__file__).parent / "shim" / "shim.h"
GUARD, GUARDED = 64, 0xFF  # bytes after each buffer: they must stay as they are, and read as NaN
POISON = 0xA5
COMPILE = "g++ -std=c++17 -O1 -ffp-contract=off -fno-strict-aliasing -fsanitize=alignment -w -fPIC -c"
TYPES = {"u32": ctypes.c_uint32, "i32": ctypes.c_int32, "u64": ctypes.c_uint64, "f32": ctypes.c_float}


def entry_names(text):
    """The kernels of the sources, those that macros make included."""
    names = re.findall(r"^ENTRY (\w+)\(", text, re.MULTILINE)
    for macro, body in re.findall(r"^#define (\w+)\(name.*\\\n((?:.*\\\n)*.*\n)", text, re.MULTILINE):
        for name in re.findall(rf"^{macro}\((\w+)", text, re.MULTILINE):
            names += [begin + name for begin in re.findall(r"ENTRY (\w+)##name\(", body)]
    return names


@cache
def library():
    """The compiled sources; skips where there is no g++."""
    if shutil.which("g++") is None:
        pytest.skip("g++ is not installed")
    text = source_text()
    cases = "\n".join(
        f'extern "C" void launch_{name}(void **with, unsigned grid, unsigned block) '
        f"{{ run_grid([](void **all) {{ call({name}, all); }}, with, grid, block); }}"
        for name in entry_names(text)
    )
    folder = Path(mkdtemp(prefix="streams"))
    source, compiled, built = (folder / f"streams.{ending}" for ending in ("cpp", "o", "so"))
    source.write_text(f'#include "{SHIM}"\n{text}\n{cases}\n')
    try:
        for command in ([*COMPILE.split(), "-o", compiled, source], ["g++", "-shared", "-o", built, compiled]):
            subprocess.run(command, check=True, capture_output=True, text=True)
        return ctypes.CDLL(str(built))
    except subprocess.CalledProcessError as error:
        raise AssertionError(error.stderr) from error
    finally:
        shutil.rmtree(folder)


@pytest.fixture(scope="session")
def entries():
    """The names of all kernels."""
    return entry_names(source_text())


@pytest.fixture(scope="session")
def launched():
    """`run`, with the sources compiled."""
    library()
    return run


def run(kernel, inputs, sms=1, launches=1, blocks_per_sm=0):
    """What the kernel leaves in its out and inout buffers. Outputs begin poisoned; guards must survive."""
    memory = {}
    for buffer in kernel.buffers:
        room = np.full(buffer.size_bytes + GUARD + 16, GUARDED, np.uint8)
        room = room[-room.ctypes.data % 16 :]
        room[: buffer.size_bytes] = 0 if buffer.role == "workspace" else POISON
        memory[buffer.name] = room
    for _ in range(launches):
        for name, values in inputs.items():
            memory[name][: values.nbytes] = values.view(np.uint8)
        for launch in kernel.launches(sms, blocks_per_sm):
            _launch(launch, memory)
    for buffer in kernel.buffers:
        assert (memory[buffer.name][buffer.size_bytes : buffer.size_bytes + GUARD] == GUARDED).all(), buffer.name
        if buffer.role == "workspace":
            assert not memory[buffer.name][: buffer.size_bytes].any(), "the workspace is not zero again"
    return {b.name: memory[b.name][: b.size_bytes].view(b.dtype) for b in kernel.buffers if b.role in ("out", "inout")}


def _launch(launch, memory):
    values = [
        ctypes.c_void_p(memory[argument].ctypes.data) if isinstance(argument, str) else TYPES[argument[0]](argument[1])
        for argument in launch.arguments
    ]
    pointers = (ctypes.c_void_p * len(values))(*(ctypes.addressof(value) for value in values))
    assert launch.grid[1:] == launch.block[1:] == (1, 1)
    getattr(library(), f"launch_{launch.entry}")(pointers, launch.grid[0], launch.block[0])
    assert not ctypes.c_int.in_dll(library(), "misaligned").value, "an access that a GPU would refuse"
