"""`perfmodel report TRACE… -o FILE.html`: training traces in, one HTML file out."""

from __future__ import annotations

import gc

from perfmodel.cli import logs, options, runs, told, writing

DESCRIPTION = """\
One HTML file on the runs of training traces: how long each takes and how much faster it is than FP32 and mixed
precision, its timeline, where a step's time goes by layer, the roofline, what the numbers rest on, sources, and how to
make it again. The file needs no network and no other file.
A TRACE is the name of a bundled trace (see perfmodel traces), the path of a trace (.jsonl), or the log of a training
run, a file or its folder (see perfmodel trace --help)."""
MOST_TRACES = 60
MOST_FILES = 20  # of a log's folder, whose hashes are told


def run(argv: list[str]) -> int:
    """The verb; returns the exit code."""
    arguments = _parser().parse_args(argv)
    _check(arguments)
    gc.set_threshold(100_000, 20, 20)  # looking for cycles among millions of objects takes seconds
    found = runs.find_runs(arguments)
    from perfmodel.output import write_text
    from perfmodel.report.html import report_text

    names = _different(found.names)
    provenance = _provenance(argv, found, arguments)
    write_text(
        arguments.output, report_text(names, found.comparisons, found.model.device, provenance, arguments.target)
    )
    return 0


def _parser() -> options.Parser:
    parser = options.parser("report", DESCRIPTION)
    runs.add_run_arguments(parser)
    parser.add_argument("-o", "--output", required=True, metavar="FILE", help="the file to write (.html)")
    logs.add_log_arguments(parser, network=False)
    return parser


def _check(arguments) -> None:
    from perfmodel.errors import InputError
    from perfmodel.output import check_suffix

    runs.check(arguments)
    if len(arguments.traces) > MOST_TRACES:
        raise InputError.at(
            "E1751", "TRACE:", f"there are {len(arguments.traces)}; a report holds {MOST_TRACES}.",
            "Make several reports, or a table: perfmodel speedup.",
        )  # fmt: skip
    check_suffix(arguments.output, (".html",))
    writing.check_output(arguments.output)


def _different(names: list[str]) -> list[str]:
    """The names, numbered where two are alike."""
    return [f"{name} ({names[: i + 1].count(name)})" if names.count(name) > 1 else name for i, name in enumerate(names)]


def _provenance(argv: list[str], found: runs.Runs, arguments):
    import platform
    import shlex

    import matplotlib
    import numpy
    import pandas

    from perfmodel.cost.estimate import merge_bases
    from perfmodel.output import own_version
    from perfmodel.report.basis import source_words
    from perfmodel.report.html import Provenance
    from perfmodel.report.speedup import speedup_notes

    basis = merge_bases(*(run.basis for one in found.comparisons for run in (one.fp32, one.mixed, *one.runs)))
    versions = (
        ("perfmodel", own_version()), ("Python", platform.python_version()), ("numpy", numpy.__version__),
        ("pandas", pandas.__version__), ("matplotlib", matplotlib.__version__),
    )  # fmt: skip
    notes = (*speedup_notes(found.comparisons, found.model.device), *runs.coverage(found.comparisons, arguments))
    return Provenance(
        shlex.join(["perfmodel", "report", *argv]), f"{source_words(basis)}: {runs.describe(arguments)}.", versions,
        tuple(_inputs(found, arguments, "calibrated" in basis)), notes, _profile(arguments), tuple(told),
    )  # fmt: skip


def _profile(arguments) -> tuple[str, ...]:
    """What the profile holds, and who made it where."""
    if arguments.profile is None:
        return ()
    from perfmodel.cli import profiled
    from perfmodel.report.profile import profile_notes

    return profile_notes(profiled.read(arguments))


def _inputs(found: runs.Runs, arguments, calibrated: bool):
    """What was read, how it was named, and the SHA-256 of the file; the calibration where it corrected anything."""
    from perfmodel.calibration import calibration_file
    from perfmodel.datafiles import find_file
    from perfmodel.traces import trace_files

    for name in dict.fromkeys(arguments.traces):
        yield from _hashed("trace", name, trace_files().get(name, name))
    networks = [arguments.network] if arguments.network else [one.trace.network for one in found.comparisons]
    for name in dict.fromkeys(networks):
        yield from _hashed("network", name, find_file("networks", "network", name, "E1002"))
    for name in dict.fromkeys(("fp32", "mixed", *(one.trace.scheme for one in found.comparisons))):
        yield from _hashed("scheme", name, find_file("schemes", "scheme", name, "E1006"))
    yield from _hashed("device", arguments.device, find_file("devices", "device", arguments.device, "E1001"))
    for path in arguments.profile or ():
        yield from _hashed("profile", path, path)
    if calibrated and (path := calibration_file(arguments.calibration, found.model.device)) is not None:
        yield from _hashed("calibration", path.name if arguments.calibration == "default" else str(path), path)
    if arguments.framework is not None:
        path = find_file("frameworks", "framework", arguments.framework, "E1014")
        yield from _hashed("framework", arguments.framework, path)


def _hashed(what: str, name: str, path):
    """A row for a file, or one for each of a folder's first files."""
    import hashlib
    from pathlib import Path

    path = Path(path)
    inside = sorted(one for one in path.rglob("*") if one.is_file())[:MOST_FILES] if path.is_dir() else [path]
    for file in inside:
        with open(file, "rb") as content:
            digest = hashlib.file_digest(content, "sha256").hexdigest()
        yield what, name if file == path else f"{name}: {file.relative_to(path)}", digest
