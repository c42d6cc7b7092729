"""Compiling our own device code at run time."""

from __future__ import annotations

from typing import Any

from perfmodel.measure.backend import BuildFailed

OPTIONS = ("--std=c++17", "--device-as-default-execution-space")


def compiled(nvrtc: Any, capability: tuple[int, int], source: str, name: str) -> bytes:
    """Machine code for a chip of this compute capability; for one newer than the compiler PTX, which the driver ends.

    `nvrtc` is CuPy's binding. Raises `BuildFailed` with the first error.
    """
    wanted = 10 * capability[0] + capability[1]
    known = max((arch for arch in nvrtc.getSupportedArchs() if arch <= wanted), default=wanted)
    kind = "sm" if known == wanted else "compute"
    program = nvrtc.createProgram(source, name, (), ())
    try:
        nvrtc.compileProgram(program, (*OPTIONS, f"-arch={kind}_{known}"))
        return nvrtc.getCUBIN(program) if kind == "sm" else nvrtc.getPTX(program)
    except nvrtc.NVRTCError as error:
        lines = [line for line in nvrtc.getProgramLog(program).splitlines() if "error" in line]
        raise BuildFailed((lines or [str(error)])[0], f"NVRTC -arch={kind}_{known} {name}") from None
    finally:
        nvrtc.destroyProgram(program)
