"""What the engine is asked to time, and what it tells while it does."""

from __future__ import annotations

from dataclasses import dataclass

from perfmodel.profiles.kernel import Kernel


@dataclass(frozen=True, slots=True)
class Job:
    """One kernel of the plan.

    `weight` is how often the plan's training steps launch it, `prior` the expected elasticity of its time to the SM
    clock (1: bound by arithmetic, 0: by memory), `bound_s` its roofline, `seconds` what a model expects.
    """

    kernel: Kernel
    weight: float = 1.0
    prior: float = 0.5
    bound_s: float | None = None
    seconds: float | None = None


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a session is. `worst` is the largest half-width among kernels with an interval (a share), or None."""

    phase: str  # calibrating, preparing, settling, measuring
    done: int  # kernels prepared, or kernels that need no further visit
    total: int
    visits: int = 0
    worst: float | None = None
    spent_s: float = 0.0  # device time of the rounds
    budget_s: float = 0.0
