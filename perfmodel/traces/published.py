"""The traces of MuPPET's published runs, built from `data/published/muppet_schedules.toml`.

The files under `traces/` are what this module writes; to write them again:

    python -c "from perfmodel.traces.published import write_published; write_published('traces')"
"""

from __future__ import annotations

import os
from pathlib import Path

from perfmodel.datafiles import DATA, Section, read_toml
from perfmodel.traces.jsonl import write_trace
from perfmodel.traces.schedule import Setup, candidates_trace, schedule_trace
from perfmodel.traces.trace import Trace
from perfmodel.traces.values import within

FILE = DATA / "published" / "muppet_schedules.toml"


def published_traces(path: Path = FILE) -> dict[str, Trace]:
    """The traces of all runs of a schedule file by name, in its order; `InputError` where the file does not read."""
    top = read_toml(path)
    top.text("title")
    shared = {"repository": top.text("repository"), "paper": top.text("paper")}
    policy = {
        "ladder": tuple(top.take("ladder", list)),
        "resolution": top.whole("resolution"),
        "patience": top.whole("patience"),
        "gamma": top.number("gamma"),
        "epochs_per_lr": top.whole("epochs_per_lr"),
        "most_epochs": top.whole("most_epochs"),
        "baseline_epochs": top.whole("baseline_epochs"),
    }
    runs = top.tables("runs")
    top.finish()
    traces: dict[str, Trace] = {}
    for run in runs:
        name = run.text("name")
        if name in traces:
            raise run.fail("E1211", "name", f"{name!r} occurs twice.", "Give each run a name of its own.")
        traces[name] = _trace(run, shared, policy)
    return traces


def _trace(run: Section, shared: dict, policy: dict) -> Trace:
    facts = _facts(run, shared)
    end = run.whole("end", None, least=0)
    switches = [] if end is not None else run.take("switches", list)
    run.finish()
    with within(f"{run.at()} "):
        setup = Setup(**facts, **policy)
        return schedule_trace(setup, switches) if end is None else candidates_trace(setup, end)


def _facts(run: Section, shared: dict) -> dict:
    return {
        "network": run.text("network"),
        "dataset": run.text("dataset"),
        "samples": run.whole("samples", most=10**12),
        "batch": run.whole("batch"),
        "lr0": run.number("lr0"),
        "min_lr": run.number("min_lr"),
        "source": {"reader": "published schedule", **shared, "evidence": run.text("source")},
        "title": run.text("title"),
        "notes": run.text("notes", ""),
        "inferred": tuple(run.take("inferred", list, [])),
    }


def write_published(folder: str | os.PathLike) -> list[Path]:
    """Write every published trace to `folder`/NAME.jsonl; `OutputError` (E1901) where that fails."""
    paths = []
    for name, trace in published_traces().items():
        paths.append(Path(folder) / f"{name}.jsonl")
        write_trace(trace, paths[-1])
    return paths
