"""Traces of runs of which only the schedule is known: the epochs at which the precision switched.

MuPPET trains in ever wider fixed point at a constant learning rate, and then in FP32 while the rate falls (Rajagopal
et al., ICML 2020, sections 3.3 and 5.1). How long the FP32 phase lasts follows from a stopping rule:

* `reference`: what the authors' code does (ICIdsl/muppet @ a5cbb13, policy.py and training.py). It compares rates
  in floating point, so that 0.1 · 0.1 · 0.1 = 0.0010000000000000002 is above a least rate of 0.001 and a fourth,
  unintended stage follows: 59 epochs from 0.1, 44 from 0.01 or 0.001.
* `paper`: what the paper says, 45 epochs in three stages of 15.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import count, pairwise
from typing import Any

from perfmodel.errors import InputError, quote
from perfmodel.traces import values
from perfmodel.traces.precision import PassPrecision
from perfmodel.traces.trace import Segment, Trace
from perfmodel.units import ceil_div

LADDER = ("dfx8", "dfx12", "dfx14", "dfx16", "fp32")
STOPPING = ("reference", "paper")


@dataclass(frozen=True, slots=True)
class Setup:
    """What the configuration of a MuPPET run says, with the reference's defaults.

    `lr0` is the learning rate of the quantised phase, `min_lr` the one at which the reference stops; `gamma` is
    what a stage multiplies the rate with, `epochs_per_lr` how many FP32 epochs a stage has. `resolution` and
    `patience` are the policy's r and γ. `inferred` lists what else about the run was inferred, and from what.

    Raises `InputError` (E1306 wrong kind, E1307 out of range) or, for the ladder, `UnknownName` (E1004).
    """

    network: str
    dataset: str
    samples: int
    batch: int
    lr0: float
    min_lr: float
    source: Mapping[str, Any]
    ladder: tuple[str, ...] = LADDER
    resolution: int = 3
    patience: int = 2
    gamma: float = 0.1
    epochs_per_lr: int = 15
    most_epochs: int = 150
    baseline_epochs: int | None = None
    title: str = ""
    notes: str = ""
    inferred: tuple[str, ...] = field(default=())

    def __post_init__(self):
        put = partial(object.__setattr__, self)
        for key in ("samples", "batch", "resolution", "patience", "epochs_per_lr", "most_epochs"):
            values.whole(key, getattr(self, key), 1, 10**12)
        for key in ("lr0", "min_lr", "gamma"):
            put(key, float(values.number(key, getattr(self, key), above=0)))
        if self.gamma >= 1:
            raise InputError.at("E1307", "gamma:", f"{self.gamma:g} never lowers the rate.", "Give one below 1.")
        put("ladder", PassPrecision.same(self.ladder).fprop)
        put("inferred", values.texts("inferred", self.inferred))

    @property
    def min_dwell(self) -> int:
        """Least epochs on each rung: one decision sets the maximum, `patience` more violate it."""
        return self.resolution * (self.patience + 1)


def schedule_trace(setup: Setup, switches: Sequence[int], stopping: str = "reference") -> Trace:
    """The trace of a run that left its rungs at the ends of the epochs `switches` (from 0).

    The learning rate of each epoch is filled in; the FP32 epochs are marked `inferred`, their number comes from the
    stopping rule. Raises `InputError`: E1316 for switches that do not fit the ladder, E1317 for an unknown rule.

    >>> setup = Setup("resnet20", "cifar10", 40_000, 128, 0.1, 0.001, {"paper": "an example"})
    >>> schedule_trace(setup, [20, 38, 50, 62]).epochs_by_precision()
    {'dfx8': 21, 'dfx12': 18, 'dfx14': 12, 'dfx16': 12, 'fp32': 59}
    """
    _check_switches(setup, switches)
    lengths = [after - before for before, after in pairwise([-1, *switches])]
    rungs = zip(setup.ladder[:-1], lengths, strict=True)
    stages = [(length, PassPrecision.same(name, "fp32"), False) for name, length in rungs]
    return _trace(setup, stages, stopping)


def candidates_trace(setup: Setup, end: int, stopping: str = "reference") -> Trace:
    """The trace of a run of which only `end` is known, the epoch (from 0) at whose end the quantised phase ended.

    Every quantised epoch holds all rungs but the last as candidates; `Trace.completions` gives the two extreme
    traces. All segments are marked `inferred`. Raises `InputError` as `schedule_trace`.
    """
    _check_switches(setup, [end], switches=1)
    quantised = PassPrecision.same(setup.ladder[:-1], "fp32")
    return _trace(setup, [(end + 1, quantised, True)], stopping)


def reference_fp32_rates(
    lr0: float, min_lr: float, gamma: float = 0.1, every: int = 15, most: int = 150
) -> list[float]:
    """The learning rate of each FP32 epoch under the reference's rule, at most `most` of them.

    The reference counts the epoch at whose end it switches as the first of its stage, so that stage has `every` - 1
    FP32 epochs; at the end of each stage it stops if the rate is not above `min_lr`, else multiplies it by `gamma`.

    >>> [len(reference_fp32_rates(lr0, lr0 / 100)) for lr0 in (0.1, 0.01, 0.001)]
    [59, 44, 44]
    """
    rates, rate = [], lr0
    for counted in count():
        if counted:
            rates.append(rate)
        if len(rates) >= most:
            break
        if (counted + 1) % every == 0:
            if rate <= min_lr:
                break
            rate *= gamma
    return rates


def paper_fp32_rates(lr0: float, gamma: float = 0.1, every: int = 15, stages: int = 3) -> list[float]:
    """The learning rate of each FP32 epoch as section 5.1 of the paper has it: 45 epochs, a tenth every 15.

    >>> len(paper_fp32_rates(0.1))
    45
    """
    rates, rate = [], lr0
    for _ in range(stages):
        rates += [rate] * every
        rate *= gamma
    return rates


def _check_switches(setup: Setup, given: Sequence[int], switches: int | None = None) -> None:
    expected = len(setup.ladder) - 1 if switches is None else switches
    if len(setup.ladder) < 2 or len(given) != expected:
        raise InputError.at(
            "E1316", "switches:", f"{len(given)} switches for the ladder {', '.join(setup.ladder)}.",
            f"Give the {expected} epochs at whose ends it was climbed.",
        )  # fmt: skip
    for before, after in pairwise([-1, *given]):
        values.whole("switches", after, 0, 10**6)
        if after <= before or after >= setup.most_epochs:
            raise InputError.at(
                "E1316", "switches:", f"{quote(after)} does not lie between {before} and {setup.most_epochs}.",
                "Give rising epochs, counted from 0, before the last.",
            )  # fmt: skip


def _fp32_rates(setup: Setup, left: int, stopping: str) -> list[float]:
    if stopping not in STOPPING:
        raise InputError.at("E1317", "stopping:", f"{quote(stopping)} is not a rule.", f"Known: {', '.join(STOPPING)}.")
    if stopping == "paper":
        return paper_fp32_rates(setup.lr0, setup.gamma, setup.epochs_per_lr)[:left]
    return reference_fp32_rates(setup.lr0, setup.min_lr, setup.gamma, setup.epochs_per_lr, left) if left else []


def _trace(setup: Setup, stages: list[tuple[int, PassPrecision, bool]], stopping: str) -> Trace:
    """The trace of quantised stages (epochs, precision, inferred) and of the FP32 phase after them."""
    epochs = [(setup.lr0, passes, inferred) for length, passes, inferred in stages for _ in range(length)]
    quantised = len(epochs)
    last = PassPrecision.same(setup.ladder[-1])
    epochs += [(rate, last, True) for rate in _fp32_rates(setup, setup.most_epochs - quantised, stopping)]
    iterations = ceil_div(setup.samples, setup.batch)
    return Trace(
        network=setup.network,
        dataset=setup.dataset,
        scheme="muppet",
        samples=setup.samples,
        batch=setup.batch,
        segments=tuple(
            Segment(i, iterations, passes, lr=rate, inferred=inferred)
            for i, (rate, passes, inferred) in enumerate(epochs)
        ),
        source=setup.source,
        scheme_params=_scheme_params(setup, stopping),
        inferred=(*setup.inferred, *_inferred(setup, quantised, len(epochs), iterations, stopping)),
        baseline_epochs=setup.baseline_epochs,
        title=setup.title,
        notes=setup.notes,
    )


def _scheme_params(setup: Setup, stopping: str) -> dict[str, Any]:
    keys = ("resolution", "patience", "lr0", "min_lr", "gamma", "epochs_per_lr", "most_epochs")
    params = {"ladder": setup.ladder, "min_dwell": setup.min_dwell}
    return params | {key: getattr(setup, key) for key in keys} | {"stopping": stopping}


def _inferred(setup: Setup, quantised: int, epochs: int, iterations: int, stopping: str) -> list[str]:
    why = {
        "reference": f"the rule of the authors' code, run from {setup.lr0:g} to {setup.min_lr:g} in floating point",
        "paper": "section 5.1 of the paper",
    }
    cut = f", cut at {setup.most_epochs} epochs" if epochs == setup.most_epochs else ""
    return [
        f"{iterations} iterations an epoch: ceil({setup.samples} / {setup.batch}), the last batch not dropped",
        f"{epochs - quantised} {setup.ladder[-1]} epochs from epoch {quantised} on and all learning rates: "
        f"{why[stopping]}{cut}; no log of the run is public",
    ]
