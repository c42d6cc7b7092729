"""The CUDA source of all memory-bound kernels, for NVRTC, nvcc or a C++ compiler behind a shim."""

from pathlib import Path

FOLDER = Path(__file__).with_name("cuda")
ORDER = ("common", "conversions", "stream", "quantise", "transpose", "windows", "training")


def source_text() -> str:
    """One translation unit with every kernel under its plain name (`extern "C"`); it includes nothing. C++17."""
    return "\n".join((FOLDER / f"{name}.cu").read_text(encoding="utf-8") for name in ORDER)
