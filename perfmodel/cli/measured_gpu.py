"""What `profile --gpu` asks for beyond a simulated measurement: which GPU, which kernels, and their compilation."""

from __future__ import annotations

from perfmodel.cli import complain, progress

TOLD = 5  # kernels that do not compile, of many
ONLY_GPU = ("gpu_index", "search", "baseline")


def check(arguments) -> None:
    """Refuse what does not go together (E2003) and words that mean nothing (E2001)."""
    from perfmodel.errors import InputError, unknown_name

    for name in ONLY_GPU:
        if getattr(arguments, name) is not None and not arguments.gpu:
            raise InputError.at("E2003", f"--{name.replace('_', '-')}", "goes with --gpu.", "Add it.")
    if arguments.gpu and arguments.isolate == "none":
        found = "none would end everything with a kernel that hangs."
        raise InputError.at("E2003", "--isolate", found, "Drop it: with --gpu the device has a process of its own.")
    if arguments.gpu and arguments.mapping == "implicit":
        _check_implicit(arguments.precision.split(","))
    if arguments.search is not None or arguments.baseline is not None:
        from perfmodel.gpu import BASELINES, SEARCHES

        for name, known in (("search", SEARCHES), ("baseline", BASELINES)):
            if getattr(arguments, name) not in (None, *known):
                raise unknown_name("E2001", f"--{name}", getattr(arguments, name), known)


def _check_implicit(precisions) -> None:
    """Refuse precisions whose gradients no convolution computes (E2003)."""
    from perfmodel.errors import InputError
    from perfmodel.schemes import find_breakdown_scheme, gemm_choice

    for name in precisions:
        scheme, formats = find_breakdown_scheme(name)
        if gemm_choice(scheme, formats, "dgrad").precision.operand.reads_along_k:
            found = f"implicit has no kernels for the gradients of {name}: CUTLASS has no such convolutions."
            fix = "Name other formats in --precision, or use im2col, the default with --gpu."
            raise InputError.at("E2003", "--mapping", found, fix)


def check_new(path: str) -> None:
    """Refuse a path at which a profile cannot be made (E2101, and what `write_text` raises)."""
    from contextlib import suppress
    from pathlib import Path
    from tempfile import TemporaryFile

    from perfmodel.errors import OutputError
    from perfmodel.output import check_target

    with suppress(OSError):  # told when the profile is opened
        if check_target(Path(path)) is not None:
            fix = "--resume finishes it, --append adds a session; or give another path."
            raise OutputError.at("E2101", f"{path}:", "exists already.", fix)
    try:
        TemporaryFile(dir=Path(path).parent).close()
    except OSError as error:
        raise OutputError.at("E1906", f"{path}:", f"{error.strerror}.", "Give another folder.") from None


def plan(arguments, gpu, wanted):
    """The plan with its candidates for this GPU; a file that cannot serve is refused before minutes of compiling."""
    from perfmodel.gpu import plan_for
    from perfmodel.profiles.reading import read_journal

    if arguments.resume or arguments.append:
        read_journal(arguments.output)
    else:
        check_new(arguments.output)
    return plan_for(gpu, wanted, arguments.search or "default", arguments.baseline or "cublas")


def backend(arguments, ready, stop):
    """What makes the backend in the worker, once all kernels are compiled; says which do not."""
    from functools import partial

    from perfmodel.errors import printable
    from perfmodel.gpu import compile_kernels
    from perfmodel.measure.cuda import make_backend

    manifest = progress.then_cleared(lambda: compile_kernels(ready, progress.counted("compiling kernels"), stop))
    failed = manifest.pop("failed")
    for name, why in list(failed.items())[:TOLD]:
        complain(printable(f"{name} does not compile: {why}"))
    if len(failed) > TOLD:
        complain(f"and {len(failed) - TOLD} more kernels do not compile")
    return partial(make_backend, ready.gpu.index, manifest)
