"""The records of a file, put together by session.

What a session says does not depend on the order of its records: visits are sorted by round and position, and where
two records of a kernel, a clock or an end disagree, the choice is by their content. Only of two different records for
one place the first stays.
"""

from __future__ import annotations

import json
import math
from collections import defaultdict
from collections.abc import Iterable, Mapping
from statistics import median

from perfmodel.errors import PerfModelError, Problem, quote
from perfmodel.profiles.anomalies import suspect_rounds
from perfmodel.profiles.kernel import Kernel
from perfmodel.profiles.session import REGIMES, STATUSES, Canary, Fault, Planned, Session, Visit
from perfmodel.profiles.values import LARGEST_S, LEFT_OUT, Fields

MOST_PROBLEMS = 1000  # that are kept; the others are only counted
MOST_NUMBERED = 10**9  # sessions, rounds, positions, kernels
FASTEST_CLOCK_HZ, FASTEST_COPY = 1e11, 1e18
FAILURES = {"Hang": "hang", "DeviceLost": "lost"}  # what the engine calls them; any other failure is `failed`


def read_sessions(records: Iterable[object], source: str = "") -> tuple[list[Session], list[Problem]]:
    """The sessions of the records of one file, by number, and what was left out of them.

    A record with a value of the wrong kind is left out with a W2105; of two different records for the same visit the
    second is, with a W2104. Records of a type that this version does not know are passed over.
    """
    problems = Problems()
    drafts: dict[int, _Draft] = defaultdict(_Draft)
    for count, record in enumerate(records, 2):  # the header is the first
        place = f"{source}: record {count}:" if source else f"record {count}:"
        kind = record.get("type") if isinstance(record, Mapping) else None
        if not isinstance(kind, str):
            problems.add(Problem("W2105", place, f"{quote(record)} has no type.", LEFT_OUT))
        elif kind in READERS:
            fields = Fields(record, f"{place} {kind}")
            try:
                READERS[kind](drafts, fields, problems)
            except PerfModelError as error:
                for problem in error.problems:
                    problems.add(Problem("W2105", problem.place, problem.found, LEFT_OUT))
    sessions = [_session(number, draft, source, problems) for number, draft in sorted(drafts.items())]
    return sessions, problems.all()


class Problems:
    """What was wrong with a file, at most 1000 of it, and how much more there was."""

    def __init__(self):
        self._kept: list[Problem] = []
        self._count = 0

    def add(self, problem: Problem) -> None:
        """Keep one, or count it."""
        self._count += 1
        if self._count <= MOST_PROBLEMS:
            self._kept.append(problem)

    def all(self) -> list[Problem]:
        """Those kept, and one that counts the rest."""
        more = self._count - len(self._kept)
        return self._kept + ([Problem("W2105", "", f"{more} more records were left out.", LEFT_OUT)] if more else [])


class _Draft:
    """What the records of one session have said so far."""

    def __init__(self):
        self.header: tuple[str, str, dict] | None = None  # identity, started, settings
        self.ticks_s: list[float] = []
        self.copies_bytes_per_s: list[float] = []
        self.flags: set[str] = set()
        self.references_hz: list[float] = []
        self.settled: list[bool] = []
        self.rounds = 0
        self.planned: dict[int, Planned] = {}
        self.visits: dict[tuple[int, int], Visit] = {}
        self.canaries: dict[tuple[int, int], Canary] = {}
        self.faults: set[Fault] = set()
        self.ends: list[tuple[float, str]] = []


def _number(fields: Fields) -> int:
    return fields.whole("session", 1, MOST_NUMBERED)


def _header(drafts: Mapping[int, _Draft], fields: Fields, problems: Problems) -> None:
    number, started, settings = _number(fields), fields.text("started", ""), fields.table("settings")
    rest = {key: value for key, value in fields.values.items() if key not in ("session", "crc32")}
    found = (json.dumps(rest, sort_keys=True), started, settings)
    draft = drafts[number]
    if draft.header is not None and draft.header != found:
        problems.add(_conflict(fields.place, f"session {number}"))
    else:
        draft.header = found


def _instrument(drafts: Mapping[int, _Draft], fields: Fields, problems: Problems) -> None:
    tick_s, flags = fields.number("event_tick_s", 0.0, 1.0, 0.0), fields.texts("flags")
    copy = fields.number("copy_bytes_per_s", 0.0, FASTEST_COPY, 0.0)
    draft = drafts[_number(fields)]
    draft.ticks_s.append(tick_s)
    draft.copies_bytes_per_s += [copy] if copy > 0 else []
    draft.flags.update(flags)


def _kernel(drafts: Mapping[int, _Draft], fields: Fields, problems: Problems) -> None:
    session, number = _number(fields), fields.whole("kernel", 0, MOST_NUMBERED)
    status = fields.text("status")
    if status not in STATUSES:
        raise fields.wrong("status", f"one of {', '.join(STATUSES)}")
    planned = Planned(
        Kernel.from_json(fields.values.get("what"), f"{fields.place} what:"),
        fields.number("weight", 0.0, 1e18, 1.0),
        fields.number("prior", 0.0, 1.0, 0.5),
        status,
        fields.text("reason", ""),
        fields.number("bound_s", 0.0, LARGEST_S, math.nan),
    )
    earlier = drafts[session].planned.setdefault(number, planned)
    if earlier.kernel != planned.kernel:
        problems.add(_conflict(fields.place, f"kernel {number} of session {session}"))
    else:
        drafts[session].planned[number] = max(earlier, planned, key=lambda one: (STATUSES.index(one.status), repr(one)))


def _settle(drafts: Mapping[int, _Draft], fields: Fields, problems: Problems) -> None:
    reference_hz = fields.number("reference_clock_hz", 0.0, FASTEST_CLOCK_HZ, 0.0)
    settled = fields.flag("settled", False)
    draft = drafts[_number(fields)]
    draft.settled.append(settled)
    if reference_hz > 0:
        draft.references_hz.append(reference_hz)


def _round(drafts: Mapping[int, _Draft], fields: Fields, problems: Problems) -> None:
    session, number = _number(fields), fields.whole("round", 0, MOST_NUMBERED)
    drafts[session].rounds = max(drafts[session].rounds, number)


def _place(fields: Fields) -> tuple[int, int]:
    return fields.whole("round", 0, MOST_NUMBERED), fields.whole("position", 0, MOST_NUMBERED)


def _canary(drafts: Mapping[int, _Draft], fields: Fields, problems: Problems) -> None:
    cycles, copy_s = fields.number("cycles", 0.0, 1e18, math.nan), fields.number("copy_s", 0.0, LARGEST_S, math.nan)
    canaries = drafts[_number(fields)].canaries
    _put(canaries, fields, problems, Canary(*_place(fields), cycles, copy_s))


def _visit(drafts: Mapping[int, _Draft], fields: Fields, problems: Problems) -> None:
    if fields.text("regime") not in REGIMES:
        raise fields.wrong("regime", f"one of {', '.join(REGIMES)}")
    seconds = fields.samples("seconds", -LARGEST_S, LARGEST_S)
    clocks = fields.samples("clock_hz", 0.0, FASTEST_CLOCK_HZ)
    if len(clocks) != len(seconds):
        raise fields.wrong("clock_hz", f"a list of {len(seconds)} numbers, as seconds is")
    visit = Visit(
        *_place(fields), fields.whole("kernel", 0, MOST_NUMBERED), fields.text("regime"),
        fields.whole("launches", 1, 10**6), fields.number("offset_s", -1.0, 1.0, 0.0), seconds, clocks,
        tuple(sorted(set(fields.texts("flags")))), fields.number("took_s", 0.0, LARGEST_S, 0.0),
    )  # fmt: skip
    _put(drafts[_number(fields)].visits, fields, problems, visit)


def _put(known: dict, fields: Fields, problems: Problems, what: Visit | Canary) -> None:
    kept = known.setdefault((what.round, what.position), what)
    if kept is not what and repr(kept) != repr(what):  # NaN is not equal to itself
        where = f"position {what.position} of round {what.round}, session {_number(fields)}"
        problems.add(_conflict(fields.place, where))


def _fault(drafts: Mapping[int, _Draft], fields: Fields, problems: Problems) -> None:
    session, message = _number(fields), fields.text("message", "")
    kind = "wrong" if fields.text("kind") == "wrong" else FAILURES.get(fields.text("failure", ""), "failed")
    of_device = fields.values.get("kernel") is None
    drafts[session].faults.add(Fault(None if of_device else fields.whole("kernel", 0, MOST_NUMBERED), kind, message))


def _end(drafts: Mapping[int, _Draft], fields: Fields, problems: Problems) -> None:
    session, status = _number(fields), fields.text("status")
    drafts[session].ends.append((fields.number("elapsed_s", 0.0, LARGEST_S, 0.0), status))


READERS = {
    "session": _header, "instrument": _instrument, "kernel": _kernel, "settle": _settle, "round": _round,
    "canary": _canary, "visit": _visit, "fault": _fault, "end": _end,
}  # fmt: skip


def _conflict(place: str, what: str) -> Problem:
    return Problem("W2104", f"{place}:", f"differs from an earlier record for {what}.", "The first record counts.")


def _session(number: int, draft: _Draft, source: str, problems: Problems) -> Session:
    visits, canaries = ([what for _, what in sorted(known.items())] for known in (draft.visits, draft.canaries))
    for unknown in sorted({visit.number for visit in visits if visit.number not in draft.planned}):
        place = f"{source}: session {number}:" if source else f"session {number}:"
        problems.add(Problem("W2105", place, f"no record says what kernel {unknown} is.", "Its visits are left out."))
    visits = [visit for visit in visits if visit.number in draft.planned]
    elapsed_s, status = max(draft.ends, default=(sum(visit.took_s for visit in visits), "open"))
    identity, started, settings = draft.header or ("", "", {})
    return Session(
        number, identity, status, started, settings, _reference_hz(draft, visits),
        all(draft.settled) if draft.settled else None, max([draft.rounds, *(visit.round for visit in visits)]),
        suspect_rounds((one.round, one.cycles, one.copy_s) for one in canaries),
        tuple(canaries), elapsed_s, max(draft.ticks_s, default=0.0), tuple(sorted(draft.flags)),
        dict(sorted(draft.planned.items())), tuple(visits), tuple(sorted(draft.faults, key=repr)),
        max(draft.copies_bytes_per_s, default=math.nan),
    )  # fmt: skip


def _reference_hz(draft: _Draft, visits: list[Visit]) -> float:
    """The clock after settling; without it the median of the visits."""
    clocks = draft.references_hz or [clock for visit in visits if (clock := visit.clock_hz) > 0]
    return median(clocks) if clocks else math.nan
