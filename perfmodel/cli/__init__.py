"""The command line: a verb for each question. Only here is anything printed or an error turned into an exit code.

Modules of verbs are imported when the verb is used, so that `--help` costs no more than starting Python.
"""

from __future__ import annotations

import os
import sys
from contextlib import suppress

USAGE = "usage: perfmodel VERB [ARGUMENT …]"
QUESTION = "How long a low-precision training run takes on a GPU, where the time goes, and how much faster it is."
OPTIONS = """\
perfmodel VERB --help explains a verb; --version prints the version.
With any verb, --errors json prints errors and warnings as JSON, one object a line."""
VERBS = {
    "speedup": "how long a training trace takes, and how much faster it is than FP32 and mixed precision",
    "report": "the same as one HTML file with figures, tables, sources and how to make it again",
    "trace": "training logs of any tool as traces: convert, check, show",
    "breakdown": "where the time of one training step goes: by layer, pass or kind of work",
    "compare": "training schemes side by side on one network: time of an epoch, where it goes, bit operations, traffic",
    "advise": "which layers and passes a narrow format pays off for, and the plan of least time as a scheme",
    "policy": "switching rules: replay them on a training log, ask what if",
    "train": "train with emulated low precision and switching formats (extra train), and get the trace",
    "reproduce": "a published table and ours side by side (table3 of the MuPPET paper)",
    "predict": "seconds of each GEMM of a CSV file",
    "calibrate": "fit the model to timings of a device",
    "validate": "how wrong the models are, on published measurements",
    "profile": "time the kernels of networks on a GPU, real or simulated; or the plan for it",
    "check": "whether a profile can be trusted, and what to do about it",
    "kernels": "the CUTLASS kernels for a GPU, and their compilation ahead of it",
    "networks": "the bundled networks",
    "devices": "the bundled devices",
    "schemes": "the training schemes and what quantising costs",
    "traces": "the bundled training traces",
}
OK, BAD_INPUT, INTERRUPTED = 0, 2, 130
told: list[str] = []  # what this run complained of so far; a report repeats it
_as_json = False  # whether problems are printed as JSON; set by each run of `main`


def main(argv: list[str] | None = None) -> int:
    """Run one command; returns its exit code: 0, 2 for bad input, 130 for Ctrl-C."""
    global _as_json
    arguments, _as_json = _take_error_form(sys.argv[1:] if argv is None else argv)
    told.clear()
    if hasattr(sys.stdout, "reconfigure"):  # a terminal that cannot show × or … gets an escape for it
        sys.stdout.reconfigure(errors="backslashreplace")
    try:
        code = _dispatch(arguments)
        if sys.stdout is not None:  # closed by the shell: >&-
            sys.stdout.flush()
        return code
    except MemoryError:
        complain(_problem("E1010", "memory:", "there is not enough for this input.", "Split it."))
        return BAD_INPUT
    except KeyboardInterrupt:
        complain("interrupted")
        return INTERRUPTED
    except BrokenPipeError:  # the reader (head, less) has seen enough
        _silence_stdout()
        return OK
    except OSError as error:
        if error.filename is not None:  # of a file: none gets here but by a bug
            raise
        _silence_stdout()
        complain(_problem("E1906", "standard output:", f"cannot be written: {error.strerror}.", "Check free space."))
        return BAD_INPUT


def _problem(*parts: str):
    from perfmodel.errors import Problem

    return Problem(*parts)


def complain(what) -> None:
    """Print a problem or a text to the standard error stream, if there is one that takes it."""
    told.append(str(what))
    line = what.json() if _as_json and hasattr(what, "json") else what
    if sys.stderr is not None:  # closed by the shell: 2>&-
        with suppress(OSError):
            print(line, file=sys.stderr, flush=True)


def _silence_stdout() -> None:
    """What is left unwritten goes nowhere; Python would complain once more when it exits."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _take_error_form(arguments: list[str]) -> tuple[list[str], bool]:
    """The arguments without `--errors json`, which goes with every verb, and whether it was there."""
    for i, argument in enumerate(arguments):
        if argument == "--errors=json":
            return arguments[:i] + arguments[i + 1 :], True
        if arguments[i : i + 2] == ["--errors", "json"]:
            return arguments[:i] + arguments[i + 2 :], True
    return arguments, False


def _dispatch(arguments: list[str]) -> int:
    if not arguments or arguments[0] in ("-h", "--help"):
        print(overview())
        return OK if arguments else BAD_INPUT
    if arguments[0] in ("-V", "--version"):
        from perfmodel.output import own_version

        print(f"perfmodel {own_version()}")
        return OK
    from perfmodel.errors import PerfModelError, unknown_name

    try:
        if arguments[0] not in VERBS:
            raise unknown_name("E1000", "verb", arguments[0], VERBS)
        from importlib import import_module

        return import_module(f"perfmodel.cli.{arguments[0]}").run(arguments[1:])
    except SystemExit:  # argparse, after it has printed a verb's help
        return OK
    except PerfModelError as error:
        for line in error.problems if _as_json else error.lines():
            complain(line)
        return BAD_INPUT


def overview() -> str:
    """The text of `perfmodel --help`."""
    width = max(map(len, VERBS))
    lines = [f"  {verb:<{width}}  {what}" for verb, what in VERBS.items()]
    return "\n".join((USAGE, "", QUESTION, "", *lines, "", OPTIONS))
