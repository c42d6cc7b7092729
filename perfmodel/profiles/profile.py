"""A profile: what the timings of a device say, computed from the raw samples of one file or of several."""

from __future__ import annotations

import json
import os
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import replace
from functools import cached_property
from pathlib import Path

from perfmodel.errors import InputError, Problem, quote
from perfmodel.gemm import Gemm
from perfmodel.lowering import MemoryOp
from perfmodel.profiles.cutlass_csv import read_cutlass_csv
from perfmodel.profiles.environment import environment_key
from perfmodel.profiles.journal import read_journal
from perfmodel.profiles.kernel import VENDOR, Kernel
from perfmodel.profiles.records import read_sessions
from perfmodel.profiles.session import Session
from perfmodel.profiles.timing import Seen, Timing, timing

SIMULATED = "simulated"


class Profile:
    """The sessions of one environment, and the timings that follow from them.

    `environment` and `environment_key` say whose timings these are, `sources` from which files, `damage` what in
    these could not be used. `sessions` are in order of their numbers.
    """

    def __init__(
        self,
        environment: dict,
        sessions: Iterable[Session],
        damage: Iterable[Problem] = (),
        sources: Iterable[str] = (),
    ):
        self.environment = environment
        self.environment_key = environment_key(environment)
        self.sessions = tuple(sessions)
        self.damage = tuple(damage)
        self.sources = tuple(sources)

    @classmethod
    def from_records(
        cls, header: Mapping, records: Iterable[object], damage: Iterable[Problem] = (), source: str = ""
    ) -> Profile:
        """The profile of a file's header and records; `source` is its name for messages.

        Raises `InputError` (E2106) for a header without an environment.
        """
        environment = header.get("environment") if isinstance(header, Mapping) else None
        device = environment.get("device") if isinstance(environment, dict) else None
        if not isinstance(device, dict) or not all(isinstance(device.get(key), str) for key in ("kind", "name")):
            place = f"{source}: environment:" if source else "environment:"
            found = f"{quote(environment)} does not say kind and name of the device."
            raise InputError.at("E2106", place, found, "The header was not written by this version, or was edited.")
        sessions, problems = read_sessions(records, source)
        return cls(environment, sessions, (*damage, *problems), (source,) if source else ())

    @property
    def basis(self) -> str:
        """`measured`, or `simulated` where the device was."""
        return SIMULATED if self.environment["device"]["kind"] == SIMULATED else "measured"

    @property
    def kernels(self) -> tuple[Kernel, ...]:
        """The kernels that have a time."""
        return tuple(self.timings)

    @property
    def settings(self) -> tuple[dict, ...]:
        """The settings of each session."""
        return tuple(session.settings for session in self.sessions)

    @cached_property
    def seen(self) -> dict[Kernel, tuple[Seen, ...]]:
        """What each session that knows a kernel says about it; kernels in order of their text."""
        found: dict[Kernel, list[Seen]] = defaultdict(list)
        for session in self.sessions:
            visits = defaultdict(list)
            for visit in session.visits:
                if session.counts(visit):
                    visits[session.kernels[visit.number].kernel].append(visit)
            planned = defaultdict(list)
            for plan in session.kernels.values():
                planned[plan.kernel].append(plan)
            for kernel, plans in planned.items():
                found[kernel].append(Seen(session, tuple(plans), tuple(visits[kernel])))
        return {kernel: tuple(found[kernel]) for kernel in sorted(found, key=_order)}

    @cached_property
    def faults(self) -> dict[Kernel, tuple[tuple[str, str], ...]]:
        """What went wrong with a kernel after it was ready: kind (wrong, hang, lost, failed) and message."""
        found = defaultdict(list)
        for session in self.sessions:
            for fault in session.faults:
                if fault.number in session.kernels:
                    found[session.kernels[fault.number].kernel].append((fault.kind, fault.message))
        return {kernel: tuple(faults) for kernel, faults in found.items()}

    @cached_property
    def timings(self) -> dict[Kernel, Timing]:
        """The time of each kernel that has one: with a usable visit, and never found to compute wrong results."""
        timed = (
            timing(kernel, seen, (kind for kind, _ in self.faults.get(kernel, ())))
            for kernel, seen in self.seen.items()
            if self._wrong(kernel) is None
        )
        return {one.kernel: one for one in timed if one is not None}

    @cached_property
    def refused(self) -> dict[Kernel, tuple[str, str]]:
        """Why a kernel has no time: status and reason.

        The status is `wrong` (its results), `hang`, `lost` or `failed` (at run time or to build), `skipped` (no
        memory), or `open` where it was ready and no visit can be used.
        """
        return {kernel: self._refusal(kernel) for kernel in self.seen if kernel not in self.timings}

    def fastest(self, problem: Gemm | MemoryOp) -> Timing | None:
        """The least time among the variants of a problem, the vendor's library aside; None where none has a time."""
        return self._fastest.get(problem)

    def vendor(self, problem: Gemm | MemoryOp) -> Timing | None:
        """The time of the vendor's library on a problem; None where it was not timed."""
        return self.timings.get(Kernel(problem, VENDOR))

    @cached_property
    def _fastest(self) -> dict[Gemm | MemoryOp, Timing]:
        competing = (one for one in self.timings.values() if one.kernel.variant != VENDOR)
        slowest_first = sorted(competing, key=lambda one: (one.seconds, one.kernel.variant), reverse=True)
        return {one.kernel.problem: one for one in slowest_first}

    def frame(self):
        """One row a kernel as a pandas DataFrame, also for kernels without a time (their `status` says why)."""
        from perfmodel.profiles.table import frame  # pandas takes long to load

        return frame(self)

    def _wrong(self, kernel: Kernel) -> str | None:
        """Why the results of a kernel are not to be trusted; None where nothing says so."""
        for one in self.seen[kernel]:
            for plan in one.planned:
                if plan.status == "wrong":
                    return plan.reason
        return next((message for kind, message in self.faults.get(kernel, ()) if kind == "wrong"), None)

    def _refusal(self, kernel: Kernel) -> tuple[str, str]:
        if (reason := self._wrong(kernel)) is not None:
            return "wrong", reason
        if faults := self.faults.get(kernel):
            return faults[-1]
        plans = [plan for one in self.seen[kernel] for plan in one.planned]
        for status in ("failed", "skipped"):
            for plan in plans:
                if plan.status == status:
                    return status, plan.reason
        return "open", "there is no visit that can be used"


def read_profile(path: str | os.PathLike) -> Profile:
    """The profile of a journal, or of the table that cutlass_profiler writes (a path that ends in `.csv`).

    Raises `InputError`: E1201-E1205 for a file that cannot be read, what `read_journal` and `read_cutlass_csv` raise.
    """
    if Path(path).suffix.lower() == ".csv":
        header, records, damage = read_cutlass_csv(Path(path))
        return Profile.from_records(header, records, damage, str(path))
    reading = read_journal(path)
    return Profile.from_records(reading.header, reading.records, reading.damage, str(path))


def join_profiles(profiles: Iterable[Profile]) -> Profile:
    """Several profiles of one environment as one, with their sessions numbered anew, by when they started.

    A session that is in several files, as when one was copied, counts once: where it has most visits. The order of
    the profiles does not matter. Raises `InputError` (E2108) for profiles of different environments, and for none.
    """
    profiles = sorted(profiles, key=lambda one: (one.sources, one.environment_key))
    if not profiles:
        raise InputError.at("E2108", "profiles:", "there is none to join.", "Give at least one file.")
    first = profiles[0]
    for other in profiles:
        if other.environment_key != first.environment_key:
            raise _apart(first, other)
    sessions, problems = _distinct([session for profile in profiles for session in profile.sessions])
    damage = {problem for profile in profiles for problem in profile.damage} | set(problems)
    sources = sorted({source for profile in profiles for source in profile.sources})
    numbered = [replace(session, number=number) for number, session in enumerate(sessions, 1)]
    return Profile(first.environment, numbered, sorted(damage, key=str), sources)


def _distinct(sessions: Iterable[Session]) -> tuple[list[Session], list[Problem]]:
    """The sessions in order of their starts, each once; W2104 where two copies of one went on in different ways."""
    copies: dict[str, list[Session]] = defaultdict(list)
    for session in sessions:
        copies[session.identity or repr(replace(session, number=0))].append(session)
    copies = _seen_twice(copies)
    kept: list[tuple[str, int, str, Session]] = []
    problems = []
    for key, same in copies.items():
        if len(same) > 1:
            same.sort(key=lambda one: (-len(one.visits), repr(replace(one, number=0)), one.number))
        longest, *others = same
        if any(not set(longest.visits).issuperset(other.visits) for other in others):
            found = f"two files hold the session started {quote(longest.started)}, with different visits."
            problems.append(Problem("W2104", f"session {quote(longest.started)}:", found, "The longer one counts."))
        kept.append((longest.started, longest.number, key, longest))
    return [session for *_, session in sorted(kept, key=lambda one: one[:3])], problems


def _seen_twice(copies: Mapping[str, list[Session]]) -> dict[object, list[Session]]:
    """Sessions with the very same visits as one: two runs of a simulated card with one seed are no two sessions."""
    merged: dict[object, list[Session]] = defaultdict(list)
    for identity, same in copies.items():
        visits = max((one.visits for one in same), key=len)
        merged[tuple(map(repr, visits)) or identity].extend(same)
    return merged


def _apart(one: Profile, other: Profile) -> InputError:
    key, here, there = _first_difference(one.environment, other.environment, "")
    names = [", ".join(profile.sources) or "a profile" for profile in (one, other)]
    found = f"{key} is {quote(here)} in {names[0]} and {quote(there)} in {names[1]}."
    return InputError.at("E2108", "environment:", found, "Join files of one device, driver and compiler only.")


def _first_difference(one: object, other: object, key: str) -> tuple[str, object, object]:
    """The first key, in order of names, at which two tables differ, and both values; None where one has no such key."""
    if not (isinstance(one, dict) and isinstance(other, dict)):
        return key, one, other
    for name in sorted({*one, *other}):
        here, there = one.get(name), other.get(name)
        if json.dumps([here, name in one], sort_keys=True) != json.dumps([there, name in other], sort_keys=True):
            return _first_difference(here, there, f"{key}.{name}" if key else str(name))
    return key, one, other


def _order(kernel: Kernel) -> str:
    return f"{kernel.text} {json.dumps(kernel.to_json(), sort_keys=True)}"
