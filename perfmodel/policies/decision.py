"""What a policy says at the end of an epoch."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Decision:
    """Whether precision switches at the end of `epoch` (from 0), and by which numbers.

    `format` is that of the next epoch. `due` says that the policy looked at the epoch at all; `diversity` is None
    where it had none to look at. `maximum` is what it was compared with, `ratio` the maximum over it, `violations`
    how many there were by then, this one (`violated`) included. `notes` say what was out of the ordinary.
    """

    epoch: int
    format: str
    due: bool = False
    diversity: float | None = None
    maximum: float | None = None
    ratio: float | None = None
    threshold: float | None = None
    violations: int = 0
    violated: bool = False
    switch: bool = False
    notes: tuple[str, ...] = ()
