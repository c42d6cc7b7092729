"""What the engine is asked to time, and what it tells while it does."""

from __future__ import annotations

from dataclasses import dataclass

from perfmodel.profiles.kernel import Kernel


@dataclass(frozen=True, slots=True)
class Job:
    """One kernel of the plan.

    `weight` is how often the plan's training steps launch it, `prior` the expected elasticity of its time to the SM
    clock (1: bound by arithmetic, 0: by memory), `bound_s` its roofline, `seconds` what a model expects. `variants` are
    implementations to choose from, the most promising first; without any the kernel is taken as it is.
    """

    kernel: Kernel
    weight: float = 1.0
    prior: float = 0.5
    bound_s: float | None = None
    seconds: float | None = None
    variants: tuple[str, ...] = ()

    def about(self, kernel: Kernel | None = None) -> dict:
        """What the kernel's record says of the plan; `kernel` where another variant stands for the job."""
        bound = {"bound_s": self.bound_s} if self.bound_s is not None else {}
        return {"what": (kernel or self.kernel).to_json(), "weight": self.weight, "prior": self.prior, **bound}


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
