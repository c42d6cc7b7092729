"""What every verb that reads training logs takes: options for what logs do not say, and lines of what was corrected."""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Mapping

from perfmodel.cli import complain, options

# What --help says of a log's options; not taken from the module that reads logs, which --help need not load.
FIELDS = (
    "epoch, step, iterations, precision, fprop, dgrad, wgrad, master, lr, "
    "gd_mean, gd_max, gd_ratio, gd_threshold, gd_violations"
)
SIZES = {"": 1, "kB": 10**3, "MB": 10**6, "GB": 10**9}


def add_log_arguments(to: argparse.ArgumentParser, network: bool = True) -> None:
    """The options for raw logs, in a group of their own; `network` where the verb has no `--network` already."""
    group = to.add_argument_group("for logs of other tools (canonical traces need none of these)")
    if network:
        group.add_argument("--network", metavar="N", help="the network that was trained")
    group.add_argument("--dataset", metavar="NAME", help="the data set")
    group.add_argument("--samples", type=options.whole, metavar="N", help="training samples of an epoch")
    group.add_argument(
        "--batch", type=options.whole, dest="log_batch", metavar="N", help="samples of an iteration, over all GPUs"
    )
    group.add_argument("--scheme", metavar="S", help="the training scheme (see perfmodel schemes)")
    group.add_argument(
        "--precision", metavar="F", help="of the whole run: a format, or fprop=F,dgrad=F,wgrad=F[,master=F]"
    )
    group.add_argument(
        "--map", action="append", default=[], metavar="FIELD=KEY",
        help=f"what the log calls a field, one of {FIELDS}",
    )  # fmt: skip
    group.add_argument(
        "--bits", metavar="FAMILY", help="where precision is a number of bits: of dfx (dynamic fixed point), int or fp"
    )
    group.add_argument("--format", action="append", default=[], metavar="TEXT=FORMAT", help="what a text means")
    group.add_argument("--step-is", metavar="WHAT", help="steps count epoch or iteration, where no epoch is logged")
    group.add_argument("--epoch-is", metavar="WHAT", help="epochs are an index, or progress (0.5, 1.0 …)")
    group.add_argument(
        "--on-duplicate", default="error", metavar="WHAT", help="rows that contradict: error (default), last or first"
    )
    group.add_argument("--decimal", default="point", metavar="WHAT", help="numbers with a point (default) or comma")
    group.add_argument("--run", metavar="ID", help="one run of a store that holds several (MLflow)")
    group.add_argument("--log-format", metavar="NAME", help="read the log as this (default: by its content)")
    group.add_argument("--max-input", default="256MB", metavar="SIZE", help="largest log that is read (default 256MB)")


def given(arguments: argparse.Namespace):
    """What the user says of a log, as `perfmodel.traces.logs.Given`."""
    from perfmodel.traces.logs import Given

    return Given(
        network=arguments.network,
        dataset=arguments.dataset,
        scheme=arguments.scheme,
        samples=arguments.samples,
        batch=arguments.log_batch,
        precision=arguments.precision,
        keys=_pairs("--map", arguments.map),
        formats=_pairs("--format", arguments.format),
        bits=arguments.bits,
        step_is=arguments.step_is,
        epoch_is=arguments.epoch_is,
        on_duplicate=arguments.on_duplicate,
        decimal=arguments.decimal,
        reader=arguments.log_format,
        run=arguments.run,
        largest_bytes=_size(arguments.max_input),
    )


def _pairs(option: str, texts: list[str]) -> dict[str, str]:
    from perfmodel.errors import InputError, quote

    pairs: dict[str, str] = {}
    for text in texts:
        key, equals, value = text.partition("=")
        if not (key and equals and value) or key in pairs:
            found = f"{quote(text)} is not NAME=VALUE, or that name was given before."
            raise InputError.at("E1105", option, found, "Correct it.")
        pairs[key] = value
    return pairs


def _size(text: str) -> int:
    import re

    from perfmodel.errors import InputError, quote

    match = re.fullmatch(r"([0-9]{1,12})(kB|MB|GB)?", text)
    size = int(match[1]) * SIZES[match[2] or ""] if match else 0
    if not 1 <= size <= 10**12:
        raise InputError.at("E1105", "--max-input", f"{quote(text)} is no size.", "Write bytes, or 256MB, 1GB.")
    return size


def refuse_inputs(output: str | None, logs: Iterable[str]) -> None:
    """Raise E1105 for an output that would replace a log, or any file in the folder of one."""
    import os
    from contextlib import suppress

    from perfmodel.errors import InputError

    for log in logs if output is not None else ():
        with suppress(OSError, ValueError):  # nothing is there, so nothing is lost
            folder = os.path.dirname(output) or "."
            inside = os.path.isdir(log) and os.path.samefile(folder, log) and os.path.exists(output)
            if inside or os.path.samefile(output, log):
                raise InputError.at("E1105", "-o", "is the log, or a file of its folder.", "Choose another name.")


def find(name: str, given, alter: bool):
    """The trace of a bundled name, or of the log or trace at a path; errors as `find_trace` and `read_log`.

    Where it is a trace already, what the user says beside it counts only with `alter`: it says all of that itself.
    """
    import os
    from pathlib import Path

    from perfmodel.traces import find_trace, trace_files
    from perfmodel.traces.logs import Given, is_trace, read_log

    path = trace_files().get(name, name)
    bare = os.path.basename(name) == name and not Path(name).suffix
    if (path is not name and not alter) or (path is name and bare and not os.path.exists(name)):
        return find_trace(name)  # or what names there are
    if not alter and is_trace(path, given):
        given = Given(largest_bytes=given.largest_bytes)
    return read_log(path, given)


def warn_unused(names: Iterable[str], given, strict: bool) -> None:
    """Warn (W1312) of what is said beside a trace, which says all of that itself; with `strict` that is an error."""
    from dataclasses import fields

    from perfmodel.errors import InputError, Problem
    from perfmodel.traces import trace_files
    from perfmodel.traces.logs import Given, is_trace

    usual = Given(network=given.network, largest_bytes=given.largest_bytes)
    said = [one.name for one in fields(given) if getattr(given, one.name) != getattr(usual, one.name)]
    if not said:
        return
    named = ", ".join(f"--{name.replace('_', '-')}" for name in said)
    traces = [name for name in names if name in trace_files() or is_trace(name, given)]
    found = f"is a trace, which says all of it itself: {named} not used."
    problems = [Problem("W1312", f"{name}:", found, "Change the trace, or give a log.") for name in traces]
    if problems and strict:
        raise InputError(problems)
    for problem in problems:
        complain(problem)


def tell_corrections(log: str, trace, stored: bool) -> None:
    """One line for each thing that a reader corrected, with the path of the log where the text begins with its name.

    What was corrected when a trace was made is told again only with `stored`.
    """
    import os

    from perfmodel.errors import printable

    folder = log if os.path.isdir(log) else os.path.dirname(log)
    names = (*_file_names(trace.source), os.path.basename(log))
    is_log = os.path.isdir(log) or trace.source.get("path") == os.path.basename(log)
    for text in trace.corrections:
        if is_log or stored or text.startswith(os.path.basename(log)):
            known = text.startswith(names)
            complain(printable(f"corrected: {os.path.join(folder, text) if known else text}"))
    for text in trace.inferred if is_log else ():
        complain(printable(f"inferred: {log}: {text}"))


def _file_names(source: Mapping):
    """The files that a trace's source names, where it was written by a reader: a source may hold anything."""
    others = source.get("with")
    for file in (source, *(others if isinstance(others, list) else ())):
        if isinstance(file, Mapping) and isinstance(file.get("path"), str) and file["path"]:
            yield file["path"]


def warn(names: Iterable[str], traces, strict: bool) -> None:
    """Warn of epochs that a trace leaves out or cuts short; with `strict` that is an error."""
    from perfmodel.errors import InputError, Problem

    problems = []
    for name, trace in zip(names, traces, strict=True):
        if trace.gaps:
            found = f"{_epochs(trace.gaps)} missing: no time is counted for what is missing."
            problems.append(Problem("W1310", f"{name}:", found, "Add what is missing."))
        if trace.partial:
            problems.append(Problem("W1311", f"{name}:", *_cut_short(trace)))
    if problems and strict:
        raise InputError(problems)
    for problem in problems:
        complain(problem)


def _cut_short(trace) -> tuple[str, str]:
    """What W1311 says of epochs that are cut short, and what to do."""
    counts = trace.iterations_by_epoch()
    most = max(counts.values())
    if len(counts) > 1 and len(trace.partial) == len(counts) and sum(count < most for count in counts.values()) <= 1:
        found = f"all epochs have {most} iterations; {trace.samples} samples in batches of {trace.batch} make more."
        return found, f"Correct samples or batch; if the last batch is dropped, samples are {most * trace.batch}."
    runs: list[list[int]] = []
    for epoch in trace.partial:
        if runs and epoch == runs[-1][1] + 1:
            runs[-1][1] = epoch
        else:
            runs.append([epoch, epoch])
    return f"{_epochs(runs)} cut short: the iterations given count.", "Add what is missing."


def _epochs(gaps) -> str:
    """`epoch 3 is`, or `epochs 1, 3 to 5 are`; after twenty gaps an ellipsis."""
    runs = [str(first) if first == last else f"{first} to {last}" for first, last in gaps[:20]]
    one = len(gaps) == 1 and gaps[0][0] == gaps[0][1]
    return f"epoch {runs[0]} is" if one else f"epochs {', '.join(runs)}{' …' * (len(gaps) > 20)} are"
