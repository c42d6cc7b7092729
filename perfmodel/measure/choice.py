"""Which implementation of a problem is measured: the fastest of its candidates that computes what it should.

Every candidate is timed for a moment; then, from the fastest on, each is verified, and the first that is right is
taken. All of it is recorded, the refused ones with the reason.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import replace

from perfmodel.measure.job import Job
from perfmodel.measure.recorder import Recorder
from perfmodel.profiles.kernel import Kernel

Attempt = Callable[..., dict | None]  # a recorded step, tried twice; None where it failed twice
STEP_KEYS = ("type", "session", "kernel", "position", "trial", "what", "took_s", "state", "crc32")
DIED = "it brought the device down, twice"


def choose(
    job: Job, index: int, bench, instrument: Mapping, seed: int, attempt: Attempt, recorder: Recorder, deadly: set[str]
) -> tuple[Job, dict]:  # fmt: skip
    """The job with the variant that was chosen, and what was found of it: the `kernel` record of `index`.

    A job none of whose variants is right stays as it is, and its record says why the fastest was refused. `deadly`
    holds the names of implementations that brought the device down twice, and gets further ones: while there are
    others, they are not tried again.
    """
    reasons = []
    job = replace(job, variants=_without(deadly, job.variants))
    for position in _fastest_first(job, index, bench, instrument, seed, attempt, deadly):
        kernel = _kernel(job, position)
        row = attempt(
            lambda kernel=kernel: {"what": kernel.to_json(), **bench.prepare(kernel, instrument, seed)},
            type="candidate", kernel=index, position=position,
        )  # fmt: skip
        if row is not None and row["status"] == "ready":
            chosen = replace(job, kernel=kernel)
            found = {name: value for name, value in row.items() if name not in STEP_KEYS}
            return chosen, recorder.note(type="kernel", kernel=index, **chosen.about(), **found)
        if row is None:
            deadly.add(_name(kernel.variant))
        reasons.append((kernel, row["status"], row.get("reason", "")) if row else (kernel, "failed", DIED))
    kernel, status, reason = reasons[0]
    return job, recorder.note(type="kernel", kernel=index, status=status, reason=reason, **job.about(kernel))


def _name(variant: str) -> str:
    """The implementation, whatever its split of k."""
    return variant.partition(" ")[0]


def _without(deadly: set[str], variants: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(variant for variant in variants if _name(variant) not in deadly) or variants


def _fastest_first(
    job: Job, index: int, bench, instrument: Mapping, seed: int, attempt: Attempt, deadly: set[str]
) -> list[int]:  # fmt: skip
    """The places of the variants by the time of a moment; those that have none come last, in their order.

    The first is timed once more at the end, which counts: the device may have idled before, at a low clock.
    """
    if len(job.variants) == 1:
        return [0]
    times: dict[int, float] = {}
    for turn in range(len(job.variants) + 1):
        position = turn % len(job.variants)
        if turn > position and times[position] == math.inf:
            break  # it does not run
        kernel = _kernel(job, position)
        row = attempt(
            lambda kernel=kernel: {"what": kernel.to_json(), **bench.pilot(kernel, instrument, seed)},
            type="pilot", kernel=index, position=turn,
        )  # fmt: skip
        if row is None:
            deadly.add(_name(kernel.variant))
        seconds = row.get("expected_s") if row else None
        times[position] = math.inf if seconds is None else seconds
    return sorted(times, key=lambda position: (times[position], position))


def _kernel(job: Job, position: int) -> Kernel:
    return replace(job.kernel, variant=job.variants[position])
