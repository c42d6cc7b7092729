"""What the fixtures say: short invented runs whose every number is exact in float32 and in a few decimals."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from perfmodel.traces import PassPrecision, Segment, Trace

BATCH, SAMPLES = 8, 54
ITERATIONS = 7  # of an epoch: six of 8 samples and one of 6
EPOCHS = 5
LR = (0.5, 0.5, 0.25, 0.125, 0.0625)
LOSS = (2.25, 1.75, 1.5, 0.8125, 0.625)
VAL_ACC = (0.3125, 0.4375, 0.5625, 0.6875, 0.8125)
MEAN_GD = (1.5, 1.375, 1.25, 1.125, 1.0625)
SWITCHING = ("dfx8", "dfx8", "dfx12", "dfx16", "fp32")
SWITCH_AT = 3  # the iteration of epoch 2 from which the run that switches within an epoch uses the next format
BITS = {"dfx8": 8, "dfx12": 12, "dfx16": 16, "fp32": 32}


@dataclass(frozen=True, slots=True)
class Epoch:
    """One epoch as a log has it: `bits` for every iteration, the loss of each of them, and their mean."""

    index: int
    precision: tuple[str, ...]
    lr: float
    loss: float
    val_acc: float
    mean_gd: float

    @property
    def bits(self) -> tuple[int, ...]:
        """The width of the format of each iteration."""
        return tuple(BITS[name] for name in self.precision)

    @property
    def losses(self) -> tuple[float, ...]:
        """The loss of each iteration, falling by 1/64; their mean is `loss`."""
        return tuple(self.loss + (ITERATIONS // 2 - i) / 64 for i in range(ITERATIONS))


def epochs(trace: Trace) -> list[Epoch]:
    """The epochs of a truth, for the functions that write them."""
    precision: list[list[str]] = [[] for _ in range(EPOCHS)]
    for segment in trace.segments:
        precision[segment.epoch] += segment.iterations * segment.precision.fprop
    rows = zip(precision, LR, LOSS, VAL_ACC, MEAN_GD, strict=True)
    return [Epoch(i, tuple(names), *values) for i, (names, *values) in enumerate(rows)]


def truths() -> dict[str, Trace]:
    """The runs by name, as the committed trace files hold them."""
    runs: dict[str, tuple[str, Callable[[int], Iterator[tuple[int, str]]]]] = {
        "truth": ("muppet", _by_epoch),
        "truth-within": ("muppet", _within_an_epoch),
        "truth-fp16": ("mixed", lambda epoch: iter([(ITERATIONS, "fp16")])),
        "truth-bf16": ("bf16", lambda epoch: iter([(ITERATIONS, "bf16")])),
    }
    return {name: _trace(*run) for name, run in runs.items()}


def _by_epoch(epoch: int) -> Iterator[tuple[int, str]]:
    yield ITERATIONS, SWITCHING[epoch]


def _within_an_epoch(epoch: int) -> Iterator[tuple[int, str]]:
    if epoch != 2:
        return (yield from _by_epoch(epoch))
    yield SWITCH_AT, SWITCHING[epoch - 1]
    yield ITERATIONS - SWITCH_AT, SWITCHING[epoch]


def _trace(scheme: str, parts: Callable[[int], Iterator[tuple[int, str]]]) -> Trace:
    source = {"note": "an invented run that the log fixtures beside this file say; tests/traces/writers/truth.py"}
    segments = [segment for epoch in range(EPOCHS) for segment in _segments(epoch, list(parts(epoch)))]
    return Trace("resnet20", "cifar10", scheme, SAMPLES, BATCH, tuple(segments), source)


def _segments(epoch: int, parts: list[tuple[int, str]]) -> Iterator[Segment]:
    *first, (iterations, name) = parts
    lr = LR[epoch]
    for begun, earlier in first:
        yield Segment(epoch, begun, PassPrecision.same(earlier), lr)
    metrics = {"loss": LOSS[epoch], "val_acc": VAL_ACC[epoch]}  # known at the end of the epoch
    yield Segment(epoch, iterations, PassPrecision.same(name), lr, {"mean": MEAN_GD[epoch]}, metrics)
