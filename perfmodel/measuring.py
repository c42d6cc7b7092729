"""From a plan to a profile: opens the journal, checks the device, runs one session or what is left of it."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from perfmodel.errors import InputError, quote
from perfmodel.measure.bench import Bench
from perfmodel.measure.job import Job, Progress
from perfmodel.measure.kernels import seed_of
from perfmodel.measure.preflight import environment_of, preflight
from perfmodel.measure.recorder import free_number, open_number
from perfmodel.measure.session import Outcome, Session
from perfmodel.measure.settings import Settings
from perfmodel.measure.simulated import Truth
from perfmodel.output import own_version
from perfmodel.plan import Plan, PlannedKernel
from perfmodel.profiles.environment import environment_key, make_header
from perfmodel.profiles.journal import Journal
from perfmodel.profiles.kernel import Kernel

MODES = ("new", "resume", "append")
TRUTH_DEVIATION = 0.1  # standard deviation of log(simulated time / model), and of the elasticity about the expected
SAME = "Give the same command as before, with --resume."
STOPS = ("SIGINT", "SIGTERM", "SIGHUP")


def measure(
    path: str | os.PathLike, plan: Plan, bench: Bench, settings: Settings, mode: str = "new",
    stop: Callable[[], bool] = lambda: False, progress: Callable[[Progress], None] = lambda progress: None,
) -> Outcome:  # fmt: skip
    """One session of `plan` on `bench`, recorded in the profile at `path`.

    `mode`: new makes the file, append adds a session to it, resume finishes the latest session. Raises `InputError`
    E2109 where the file is of another environment, E2110 where the interrupted session was another one, E2111 where
    none is open; what `Journal`, `preflight` and `Session` raise.
    """
    flags, readings = preflight(bench, settings, os.environ, stop)
    environment = environment_of(bench.facts())
    with _journal(path, environment, mode) as journal:
        number = _begin(journal, Path(path), mode, settings, plan)
        return Session(jobs_of(plan), bench, journal, settings, number, stop, progress).run(flags, readings)


def jobs_of(plan: Plan) -> list[Job]:
    """The kernels of a plan as the engine takes them."""
    return [Job(row.kernel, row.weight, row.prior, row.bound_s, row.seconds, row.variants) for row in plan.kernels]


def simulated_truths(plan: Plan) -> dict[Kernel, Truth]:
    """What the simulated card takes for each kernel: the model's time and elasticity, off by a tenth or so each.

    Always the same way, by the kernel's text. So a simulated profile differs from the model that it came from, as a
    measured one does, and the engine's expectations are not the truth.
    """
    truths = {}
    for row in plan.kernels:
        for kernel in [replace(row.kernel, variant=variant) for variant in row.variants] or [row.kernel]:
            time, clock = TRUTH_DEVIATION * np.random.default_rng(seed_of("truth", kernel.text)).standard_normal(2)
            seconds = max(row.seconds * float(np.exp(time)), row.bound_s)
            elasticity = min(max(row.prior + float(clock), 0.0), 1.0)
            truths[kernel] = Truth(seconds, elasticity, 0.3 + 0.7 * elasticity)
    return truths


@contextmanager
def stopped_by_signals() -> Iterator[Callable[[], bool]]:
    """Whether Ctrl-C was pressed or the process was asked to end, as a function; a second Ctrl-C ends it at once.

    A signal that the process was started to ignore, as by nohup, stays ignored.
    """
    received: list[int] = []

    def note(number, _frame):
        if received and number == signal.SIGINT:
            raise KeyboardInterrupt
        received.append(number)

    numbers = [getattr(signal, name) for name in STOPS if hasattr(signal, name)]
    heeded = [number for number in numbers if signal.getsignal(number) is not signal.SIG_IGN]
    before = {number: signal.signal(number, note) for number in heeded}
    try:
        yield lambda: bool(received)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _journal(path, environment: Mapping, mode: str) -> Journal:
    if mode == "new":
        now = datetime.now(UTC).isoformat(timespec="seconds")
        return Journal.create(path, make_header(dict(environment), now, f"perfmodel {own_version()}"))
    journal = Journal.open(path)
    if journal.header["environment_key"] != environment_key(dict(environment)):
        journal.close()
        raise _other_environment(path, journal.header["environment"], environment)
    return journal


def _begin(journal: Journal, path: Path, mode: str, settings: Settings, plan: Plan) -> int:
    """The number of the session to run; a new one is recorded first.

    Resuming a file that ends after its header, as `kill -9` may leave it, begins its first session.
    """
    asked = {"settings": settings.to_json(), "request": {**plan.request, "kernels": len(plan.kernels)}}
    if mode == "resume" and journal.records:
        return _open_session(journal, path, asked, plan)
    # not sessions_in: the record that begins a session may be damaged, and its visits are not those of another one
    number = free_number(journal.records)
    now = datetime.now(UTC).isoformat(timespec="microseconds")  # it tells sessions apart when files are joined
    journal.append({"type": "session", "session": number, **asked, "started": now})
    return number


def _open_session(journal: Journal, path: Path, asked: Mapping[str, Mapping], plan: Plan) -> int:
    """The number of the latest session that has not ended, which must be the one that is asked for."""
    number = open_number(journal.records)
    if number is None:
        raise InputError.at("E2111", f"{path}:", "no session is open.", "--append measures once more.")
    rows = [row for row in journal.records if row.get("session") == number]
    _compare(path, next(row for row in rows if row.get("type") == "session"), asked)
    _compare_kernels(path, [row for row in rows if row.get("type") == "kernel"], plan)
    return number


def _compare(path: Path, recorded: Mapping, given: Mapping) -> None:
    for part, values in given.items():
        old = _table(recorded.get(part))
        for name in dict.fromkeys((*old, *values)):
            if old.get(name) != values.get(name):
                found = f"the session was begun with {name} {quote(old.get(name))}, not {quote(values.get(name))}."
                raise InputError.at("E2110", f"{path}:", found, SAME)


def _table(value: object) -> Mapping:
    """What should be a table, and may be anything in a file that was edited."""
    return value if isinstance(value, Mapping) else {}


def _compare_kernels(path: Path, rows: Sequence[Mapping], plan: Plan) -> None:
    """A network file may have changed, and visits name a kernel by its place in the plan."""
    for row in rows:
        index = row.get("kernel")
        planned = plan.kernels[index] if type(index) is int and 0 <= index < len(plan.kernels) else None
        if planned is None or not _is_planned(planned, row):
            now = "there is none" if planned is None else f"it is {planned.weight:g} x {planned.kernel.text}"
            found = f"kernel {quote(index)} of the session was another one; now {now}: a network has changed."
            raise InputError.at("E2110", f"{path}:", found, SAME)


def _is_planned(planned: PlannedKernel, row: Mapping) -> bool:
    """Whether a record is of this kernel: in whichever of its variants, where there is a choice."""
    what, plan = _table(row.get("what")), planned.kernel.to_json()
    if planned.variants and what.get("variant", "") in planned.variants:
        what = {name: value for name, value in what.items() if name != "variant"}
    return (plan, planned.weight) == (what, row.get("weight"))


def _other_environment(path, old: Mapping, new: Mapping) -> InputError:
    pairs = [(name, _table(old.get("device")).get(name), value) for name, value in new["device"].items()]
    pairs += [(name, old.get(name), value) for name, value in new.items() if name != "device"]
    differing = [(name, a, b) for name, a, b in pairs if a != b]
    name, was, now = differing[0] if differing else ("something", None, None)
    found = f"was measured in another environment: {name} was {quote(was)} and is {quote(now)}."
    return InputError.at("E2109", f"{path}:", found, "Write another file; profiles of two environments do not mix.")
