"""CPT's `log_train.txt`, of its code for CIFAR and of that for ImageNet: cyclic precision, iteration by iteration."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator
from math import isnan

from perfmodel.errors import InputError
from perfmodel.traces.logs.cpt.bits import bits_of
from perfmodel.traces.logs.cpt.cyclic import Part
from perfmodel.traces.logs.cpt.log import CptLog, is_cpt
from perfmodel.traces.logs.epochs import spans
from perfmodel.traces.logs.given import Given
from perfmodel.traces.logs.logfile import LogFile
from perfmodel.traces.logs.names import Precisions
from perfmodel.traces.logs.run import Fact, Run, Stretch
from perfmodel.traces.logs.table import MOST_PROBLEMS
from perfmodel.traces.precision import PassPrecision
from perfmodel.units import ceil_div

NAME = "cpt"
TITLE = "CPT's log_train.txt"
FOLDER = ("log_train.txt",)
HEAD_LINES = 200
MOST_EPOCHS = 200_000
NETWORKS = ("resnet18", "resnet34", "resnet50")  # of the code for ImageNet, by the names that they have here too
RUNNING = "train_loss and train_top1 are means since the start of the run: the code never begins them anew"


def recognises(log: LogFile) -> bool:
    """Lines with the bits of both passes, or those that begin a training and tell of its iterations."""
    return is_cpt(log.first_lines(HEAD_LINES))


def read(log: LogFile, given: Given) -> Run:
    """One stretch for each run of equal bits within an epoch.

    Bits are printed for some iterations only and the arguments not at all: the cycle is searched that has all printed
    bits (`logs/cptbits.py`), and its formula gives the other iterations. Integers of b bits in the forward pass, of g
    bits in the backward passes; 0 bits, or 32 and more, are FP32, and so are the weights that are kept. A learning rate
    is the one printed last. The code for CIFAR counts no epochs: samples and batch make them.

    Raises `InputError`: E1207, E1322, E1328, E1339 as `CptLog`, E1321 for what makes epochs, E1338 where no cycle has
    the printed bits or many have.
    """
    found = _lines(log, given)
    if not found.trained:
        return Run(NAME, (log,), ())
    facts = _facts(log, found)
    per_epoch = found.per_epoch or _per_epoch(log, given, facts)
    corrections, inferred = list(found.corrections), []
    parts, params = [Part(0, found.trained, ((-1, -1),))], {}
    if given.precision is None:
        parts, params = bits_of(found, inferred)
    stretches = tuple(_stretches(log, given, found, parts, per_epoch))
    corrections += _corrections(log, found, per_epoch)
    return Run(NAME, (log,), stretches, facts, params, tuple(corrections), tuple(inferred))


def _lines(log: LogFile, given: Given) -> CptLog:
    """What the lines say; a last line without its end is left out, as its last number may be cut short."""
    if given.keys:
        fix = "Drop --map."
        raise InputError.at("E1320", f"{log.place}:", "what this format says has fixed names.", fix)
    found, problems, held = CptLog(log.place), [], None
    for line in log.lines():
        if held is not None:
            _take(found, held, problems)
        held = line
    if held is not None and not log.torn:
        _take(found, held, problems)
    elif held is not None and held[1].strip():
        found.corrections.append(f"{log.place}:{held[0]} the last line was not written to its end and is left out")
    if problems:
        raise InputError(problems)
    return found


def _take(found: CptLog, line: tuple[int, str], problems: list) -> None:
    try:
        found.take(*line)
    except InputError as error:
        problems += error.problems
        if len(problems) >= MOST_PROBLEMS or error.problems[0].code == "E1328":
            raise InputError(problems) from None


# The header


def _facts(log: LogFile, found: CptLog) -> dict[str, Fact]:
    facts = {"scheme": Fact("cpt", f"{log.place}:{found.line_of_bits}")}
    if found.arch is not None:
        name, line = found.arch
        dataset = name.partition("_")[0]
        if dataset in ("cifar10", "cifar100"):
            facts["dataset"] = Fact(dataset, f"{log.place}:{line}")
        if found.per_epoch is not None and name in NETWORKS:
            facts["network"] = Fact(name, f"{log.place}:{line}")
    return facts


def _per_epoch(log: LogFile, given: Given, facts: dict[str, Fact]) -> int:
    """Iterations of an epoch, ceil(samples / batch)."""
    why = f"{log.place}: the log does not say it ({NAME})."
    if given.samples is None or given.batch is None:
        needed = ("network", "dataset", "samples", "batch")
        missing = [key for key in needed if getattr(given, key) is None and key not in facts]
        raise InputError([given.missing(key, why) for key in missing])
    return ceil_div(given.samples, given.batch)


def _corrections(log: LogFile, found: CptLog, per_epoch: int) -> Iterator[str]:
    if found.first:
        yield f"{log.place} the log begins with iteration {found.first}: what was trained before is not in it"
    if found.total is not None and found.trained < found.total:
        yield f"{log.place} iteration {found.trained} of {found.total} is the last: the run was stopped, or goes on"
    if left := found.trained % per_epoch:
        epoch = found.trained // per_epoch
        yield f"{log.place} partial epoch: {left} of {per_epoch} iterations of epoch {epoch}, the last"
    if found.train["iteration"]:
        yield f"{log.place} {RUNNING}"
    for name, iterations in found.not_finite.items():
        epochs = sorted({iteration // per_epoch for iteration in iterations})
        end = ": the run diverged" if "loss" in name else ""
        yield f"{log.place} {name} is not a finite number in {spans(epochs)} and left out there{end}"


# Stretches


def _stretches(log: LogFile, given: Given, found: CptLog, parts: list[Part], per_epoch: int) -> Iterator[Stretch]:
    if found.trained // per_epoch > MOST_EPOCHS:
        raise InputError.at("E1328", f"{log.place}:", f"more than {MOST_EPOCHS} epochs.", "Correct samples or batch.")
    precision = _Precision(given, f"{log.place}:{found.line_of_bits}:")
    metrics, rates = _metrics(found, per_epoch), list(found.rates)
    for part in parts:
        start = max(part.start, found.first or 0)
        while start < part.end:
            epoch = start // per_epoch
            end = min(part.end, (epoch + 1) * per_epoch)
            rate = bisect_right(rates, start)
            last = end == min((epoch + 1) * per_epoch, found.trained)
            yield Stretch(
                epoch, precision(part.bits), end - start, found.rates[rates[rate - 1]] if rate else None,
                metrics=metrics.get(epoch, {}) if last else {}, inferred=part.guessed,
            )  # fmt: skip
            start = end


def _metrics(found: CptLog, per_epoch: int) -> dict[int, dict[str, float]]:
    """By epoch: what was printed last of its training, and its test where one came in it."""
    metrics: dict[int, dict[str, float]] = {}
    train = found.train
    for iteration, loss, top1 in zip(*train.values(), strict=True):
        values = {"train_loss": loss, "train_top1": top1}
        metrics[iteration // per_epoch] = {name: value for name, value in values.items() if not isnan(value)}
    for iteration, top1 in found.tests.items():
        metrics.setdefault(iteration // per_epoch, {})["test_top1"] = top1
    return metrics


class _Precision:
    """The formats of bits: each pair is made once."""

    def __init__(self, given: Given, place: str):
        self._formats = Precisions(given.formats, given.bits or "int")
        self._place, self._given = place, given
        self._known: dict[tuple[tuple[int, int], ...], PassPrecision | None] = {}

    def __call__(self, bits: tuple[tuple[int, int], ...]) -> PassPrecision | None:
        if bits not in self._known:
            self._known[bits] = self._make(bits) if self._given.precision is None else None
        return self._known[bits]

    def _make(self, bits: tuple[tuple[int, int], ...]) -> PassPrecision:
        fprop = tuple(dict.fromkeys(self._format(forward) for forward, _ in bits))
        others = tuple(dict.fromkeys(self._format(backward) for _, backward in bits))
        quantised = {*fprop, *others} != {"fp32"}
        return PassPrecision(fprop, others, others, "fp32" if quantised else None)

    def _format(self, bits: int) -> str:
        if str(bits) not in self._given.formats and (bits == 0 or bits >= 32):
            return "fp32"
        return self._formats.format(str(bits), self._place)
