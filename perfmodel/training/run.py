"""A run from options to trace: epochs until the control says stop, each recorded, then kept in the checkpoint."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any

import torch

from perfmodel.errors import InputError
from perfmodel.networks import Network, find_network
from perfmodel.output import own_version
from perfmodel.policies.decision import Decision
from perfmodel.policies.logged import norm_values
from perfmodel.record import TraceWriter
from perfmodel.schemes import Scheme, find_scheme
from perfmodel.schemes.rules import bounds
from perfmodel.schemes.schedule import Cyclic
from perfmodel.traces import PassPrecision, values
from perfmodel.training.checkpoint import with_arrays, write_checkpoint
from perfmodel.training.checks import check_device, check_fit, exact, failures
from perfmodel.training.control import Control, Evaluated, find_control
from perfmodel.training.data import Images, find_dataset
from perfmodel.training.files import check_new, find_start
from perfmodel.training.header import header
from perfmodel.training.loop import Loop, Score
from perfmodel.training.options import MOST_THREADS, Options
from perfmodel.training.recipes import find_recipe
from perfmodel.units import ceil_div

FORWARD_ALONE = 8  # bits of errors that recipes are asked for where the scheme has none of its own


@dataclass(frozen=True, slots=True)
class Progress:
    """An epoch that is over: its number from 0, formats of its iterations, scores, and what the policy decided."""

    epoch: int
    formats: tuple[str, ...]
    rate: float
    train: Score
    test: Score
    decision: Decision | None


def train(
    options: Options,
    progress: Callable[[Progress], None] = lambda done: None,
    stopped: Callable[[], bool] = lambda: False,
) -> None:
    """Train, write the trace to `options.output` as it goes, and the checkpoint at the end of each epoch.

    `progress` is told each epoch; where `stopped` says so after an iteration, training ends with `KeyboardInterrupt`,
    both files whole. Under MuPPET each evaluated epoch holds the norms that it was decided by, so that
    `perfmodel policy replay` decides the same.

    Raises `InputError`: E1703 for a checkpoint of another run, E1704 where the loss is no number, E1705 for a network
    that does not fit the data, E1706 no such device, E1707 out of memory, E1708 a batch of one image, E1709 where
    trace and checkpoint do not belong together, E1721 for a scheme that is not emulated; `OutputError` (E1345 for files
    that exist, E19xx); `UnknownName` and others as `find_network`, `find_dataset`, `find_scheme`, `TraceWriter`.
    """
    scheme, network = find_scheme(options.scheme), find_network(options.network)
    for format_ in options.ladder or ():
        find_recipe(options.scheme, format_)  # checks
    check_new(options)
    check_device(options.device)
    images, tests = find_dataset(options.dataset, options.folder)
    check_fit(network, options.dataset, images)
    with failures():
        _Run(options, scheme, network, images, tests).go(progress, stopped)


class _Run:
    def __init__(self, options: Options, scheme: Scheme, network: Network, images: Images, tests: Images):
        self._options, self._scheme, self._samples = options, scheme, len(images)
        self._iterations = ceil_div(len(images), options.batch)
        self._control: Control = find_control(options, scheme, self._iterations)
        cyclic = isinstance(scheme.schedule, Cyclic)
        self._backward = f"int{scheme.schedule.backward}" if cyclic else None
        bits = scheme.schedule.backward if cyclic else FORWARD_ALONE
        self._loop = Loop(options, network, images, tests, self._control.formats(0)[0], bits)
        self._source: dict[str, Any] = {
            "reader": "perfmodel train", "version": own_version(), "torch": str(torch.__version__),
            "device": options.device, "threads": options.threads or torch.get_num_threads(),
        }  # fmt: skip
        self._passes = cache(self._pass_precision)

    def go(self, progress: Callable[[Progress], None], stopped: Callable[[], bool]) -> None:
        epoch = self._restore()
        with exact(self._source["threads"]), self._writer() as writer:
            writer.resume_at(epoch)
            while (rate := self._control.rate(epoch)) is not None:
                progress(self._epoch(epoch, rate, writer, stopped))
                epoch += 1

    def _epoch(self, epoch: int, rate: float, writer: TraceWriter, stopped: Callable[[], bool]) -> Progress:
        def done(format_: str) -> None:
            writer.iteration(epoch, self._passes(format_), rate)
            if stopped():
                raise KeyboardInterrupt

        formats = self._control.formats(epoch)
        trained = self._loop.train_epoch(epoch, formats, rate, done)
        tested = self._loop.test(epoch)
        found = self._control.end(epoch, self._loop.optimizer.gradients)
        writer.end_epoch(_metrics(trained, tested), gradient_diversity=_diversity(found))
        self._save(epoch)
        return Progress(epoch, tuple(dict.fromkeys(formats)), rate, trained, tested, found and found.decision)

    def _writer(self) -> TraceWriter:
        given = header(self._options, self._scheme, self._samples, self._source)
        return TraceWriter(self._options.output, **given, resume=self._options.resume)

    def _save(self, epoch: int) -> None:
        content = {
            "epoch": epoch, "same_run": self._options.same_run(), "source": self._source,
            "control": self._control.state(), "loop": self._loop.state(),
        }  # fmt: skip
        write_checkpoint(self._options.checkpoints, content)

    def _restore(self) -> int:
        """The epoch to begin with, everything being as it was at the end of the one before."""
        found = find_start(self._options, self._iterations)
        if found is None:
            return 0
        try:
            self._source = {**self._source, **found["source"]}
            values.whole("threads", self._source["threads"], 1, MOST_THREADS)
            self._control.restore(with_arrays(found["control"]))
            self._loop.restore(found["loop"])
        except (KeyError, TypeError, ValueError, AttributeError, RuntimeError) as error:
            why = (str(error).splitlines() or [""])[0][:100]
            fix = "Give the checkpoint that belongs to this run."
            place = f"{self._options.checkpoints}:"
            raise InputError.at("E1703", place, f"does not hold the state of such a run: {why}.", fix) from None
        return found["epoch"] + 1

    def _pass_precision(self, format_: str) -> PassPrecision:
        passes = bounds(self._scheme.tensors, format_, self._backward or format_)
        master = None if format_ == "fp32" else self._scheme.master
        return PassPrecision(passes.fprop, passes.dgrad, passes.wgrad, master)


def _metrics(trained: Score, tested: Score) -> dict[str, float]:
    return {
        "train_loss": trained.loss, "train_accuracy": trained.accuracy,
        "test_loss": tested.loss, "test_accuracy": tested.accuracy,
    }  # fmt: skip


def _diversity(found: Evaluated | None) -> dict[str, float]:
    """What of a decision goes into the trace: what `perfmodel policy replay` needs, and can be checked by."""
    if found is None or not found.norms:
        return {}
    decision = found.decision
    numbers = {"mean": decision.diversity, "ratio": decision.ratio, "threshold": decision.threshold}
    return {key: value for key, value in numbers.items() if value is not None} | norm_values(found.norms)
