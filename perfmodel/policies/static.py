"""A schedule given as a list: precision switches at the ends of these epochs and at no others."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from perfmodel.errors import InputError
from perfmodel.policies.decision import Decision
from perfmodel.traces import PassPrecision, values
from perfmodel.traces.schedule import LADDER


@dataclass(frozen=True, slots=True)
class StaticSchedule:
    """Epochs (from 0) at whose ends the ladder is climbed, as `Prec_Epoch_Schedule` of MuPPET's configurations.

    It has no state: the format of any epoch follows from the list. Raises `InputError`: E1306, E1307 for an epoch
    that is none, E1501 where epochs do not rise or are more than the rungs above the first; `UnknownName` (E1004).
    """

    switches: Sequence[int]
    ladder: tuple[str, ...] = LADDER

    def __post_init__(self):
        object.__setattr__(self, "ladder", PassPrecision.same(self.ladder).fprop)
        found = tuple(values.whole("switches", epoch, 0, 10**6) for epoch in self.switches)
        object.__setattr__(self, "switches", found)
        if any(after <= before for before, after in pairwise(found)) or len(found) >= len(self.ladder):
            what = f"{list(found[:20])} do not rise, or are more than the {len(self.ladder) - 1} rungs to climb."
            raise InputError.at("E1501", "switches:", what, "Give rising epochs, one for each rung but the first.")

    def format(self, epoch: int) -> str:
        """The format of an epoch.

        >>> schedule = StaticSchedule([2, 5], ("dfx8", "dfx12", "fp32"))
        >>> [schedule.format(epoch) for epoch in (2, 3, 6)]
        ['dfx8', 'dfx12', 'fp32']
        """
        return self.ladder[sum(switch < epoch for switch in self.switches)]

    def decide(self, epoch: int) -> Decision:
        """What is done at the end of an epoch."""
        switch = epoch in self.switches
        return Decision(epoch, self.format(epoch + 1), due=switch, switch=switch)
