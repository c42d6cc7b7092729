"""The tile model as timings of the device have corrected it, with intervals; where there were none, only intervals."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from perfmodel.cost.calibration import Calibration, Group
from perfmodel.cost.doubt import Doubt
from perfmodel.cost.estimate import CostModel, Estimates, Gemms, Streams
from perfmodel.cost.features import gemm_features
from perfmodel.cost.spread import Spreads
from perfmodel.cost.tiles import Tiles
from perfmodel.devices import Device
from perfmodel.gemm import Precision


@dataclass(frozen=True)
class Calibrated:
    """A model, what timings of its device have taught about it, and what to doubt where there were none.

    `timed` adds to each GEMM what the timings' method added (the gap between two events, say): what a timing of it
    would show, not what it costs among others. In the intervals, the correction's doubt moves all GEMMs of a precision
    together; the scatter of single timings is each kernel's own.
    """

    model: CostModel
    calibration: Calibration | None
    doubts: Mapping[str, Doubt]
    timed: bool = False

    @property
    def device(self) -> Device:
        """The device priced."""
        return self.model.device

    def gemms(self, gemms: Gemms) -> Estimates:
        """Seconds of each GEMM, `calibrated` where its precision was timed."""
        group = self.calibration and self.calibration.groups.get(gemms.precision.name)
        if group is None:
            return self._doubted(self.model.gemms(gemms), gemms.precision.operand.name)
        return self._corrected(self._corrects.gemms(gemms), gemms, group)

    @cached_property
    def _corrects(self) -> Tiles:
        """The model that calibrations are fitted to."""
        return self.model.unlimited()

    def memory(self, streams: Streams) -> Estimates:
        """Seconds of each memory-bound kernel, as the model has it."""
        return self._doubted(self.model.memory(streams), "memory")

    def _corrected(self, plain: Estimates, gemms: Gemms, group: Group) -> Estimates:
        kernel_s = group.body * (plain.seconds - self.model.constants.launch_s) + group.launch_s
        timing_s = kernel_s + group.timing_s  # the correction was learned on timings: it is asked for as one
        correction, variance = group.residual.correct(gemm_features(gemms, self.device, timing_s))
        seconds = (timing_s if self.timed else kernel_s) * np.exp(correction)
        spreads = self._spreads(gemms.precision, group, variance, timing_s)
        return Estimates(seconds, "calibrated", plain.detail, spreads)

    def _spreads(self, precision: Precision, group: Group, variance: np.ndarray, timing_s: np.ndarray) -> Spreads:
        """The whole half-width is what the timings ask for. Away from them it grows to that of a device that nobody
        timed, and beyond the longest and shortest it is that, but where the timings scatter more than that themselves;
        no more of it is shared than there."""
        doubt = self.doubts.get(precision.operand.name)
        prior = group.residual.prior
        whole = group.quantile**2 * (variance + prior.scatter(timing_s))
        shared = group.quantile * np.sqrt(variance)
        if doubt is not None:
            most = max(doubt.shared**2 + doubt.own**2, (group.quantile * prior.noise) ** 2)
            beyond = (timing_s < group.least_seconds) | (timing_s > group.most_seconds)
            whole = np.where(beyond, most, np.minimum(whole, most))
            shared = np.minimum(shared, doubt.shared)
        own = np.sqrt(np.maximum(whole - shared**2, 0.0))
        return Spreads(shared, own, f"gemm {precision.name}")

    def _doubted(self, plain: Estimates, what: str) -> Estimates:
        doubt = self.doubts.get(what)
        if doubt is None:
            return plain
        each = np.ones(len(plain.seconds))
        source = what if what == "memory" else f"gemm {what}"
        spreads = Spreads(doubt.shared * each, doubt.own * each, source)
        return Estimates(plain.seconds, plain.basis, plain.detail, spreads)
