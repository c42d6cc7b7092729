"""`perfmodel train -o TRACE.jsonl`: training itself, with emulated low precision, one line an epoch."""

from __future__ import annotations

import argparse

from perfmodel.cli import complain, options
from perfmodel.cli.policy import number

DESCRIPTION = """\
Trains a network with emulated low precision and writes the trace as it goes: which format each epoch had, losses,
accuracies, and what the switching policy saw. perfmodel speedup says what such a run takes on a GPU.
Numbers are rounded as the scheme says and computed in FP32, so times here say nothing. Needs the extra train.
Ctrl-C at any moment: the same command with --resume goes on, and comes to the same trace and weights.
Exit codes: 0 trained, 2 bad input or a loss that is no number, 130 Ctrl-C."""
INTERRUPTED = 130
DATA = "digits (default; scikit-learn's), synthetic or synthetic-CxHxW-K, cifar10, cifar100, imagenet"
SCHEMES = (
    "muppet (default), fp32, mixed, mixed-static, bf16, fp8, fp8-hybrid, fp8-chunked, cpt, hbfp, hbfp12, hbfp-tensor"
)
COUNTS = {
    "--epochs": ("epochs, under muppet at most (default 150)", "epochs"),
    "--batch": ("images of an iteration (default 128)", "batch"),
    "--seed": ("of weights, order, augmentation, dropout and rounding (default 0)", "seed"),
    "--resolution": ("epochs of a window of the policy (default 3)", "resolution"),
    "--patience": ("violations that it takes (default 2)", "patience"),
}
NUMBERS = {
    "--lr": ("learning rate at the beginning (default 0.1, of an AlexNet 0.01, of a GoogLeNet 0.001)", "lr"),
    "--min-lr": ("at which muppet's FP32 stage ends (default: a hundredth of --lr)", "min_lr"),
    "--momentum": ("default 0.9", "momentum"),
    "--weight-decay": ("default 0.0001", "weight_decay"),
    "--alpha": ("of the threshold T(j) = alpha + beta exp(-lambda j); default 1", "alpha"),
    "--beta": ("default 1.5", "beta"),
    "--lambda": ("default 0.1", "decay"),
}
HEAD = f"{'epoch':>5}  {'format':<10}  {'lr':<8}  {'train loss':>10}  {'%':>6}  {'test loss':>9}  {'%':>6}  policy"


def run(argv: list[str]) -> int:
    """The verb; returns the exit code."""
    arguments = _parser().parse_args(argv)
    from perfmodel.measuring import stopped_by_signals
    from perfmodel.training import check_torch
    from perfmodel.training.options import Options

    chosen = Options(**_given(arguments))
    check_torch()
    from perfmodel.training.run import train

    told = _Told()
    try:
        with stopped_by_signals() as stopped:
            train(chosen, told.epoch, stopped)
    except KeyboardInterrupt:
        complain("interrupted: the same command with --resume goes on from the last whole epoch")
        return INTERRUPTED
    print(f"{told.summary} Trace: {chosen.output}; weights and checkpoint: {chosen.checkpoints}")
    return 0


def _parser() -> options.Parser:
    parser = options.parser("train", DESCRIPTION)
    parser.add_argument("--network", default="digits-cnn", metavar="N", help="bundled name or .toml file (default "
                        "digits-cnn)")  # fmt: skip
    parser.add_argument("--dataset", default="digits", metavar="SET", help=DATA)
    parser.add_argument("--data", dest="folder", metavar="DIR", help="the folder of the data set, as it is published")
    parser.add_argument("--scheme", default="muppet", metavar="S", help=SCHEMES)
    for option, (what, name) in COUNTS.items():
        parser.add_argument(option, dest=name, type=options.whole, metavar="N", help=what)
    for option, (what, name) in NUMBERS.items():
        parser.add_argument(option, dest=name, type=number, metavar="X", help=what)
    parser.add_argument("--mode", metavar="M", help="muppet as its code, reference (default), or as its paper, paper")
    parser.add_argument("--ladder", type=_ladder, metavar="F,F…", help="muppet's formats or bits, lowest first "
                        "(default 8,12,14,16,32); one alone is kept throughout")  # fmt: skip
    parser.add_argument("--device", metavar="D", help="where PyTorch computes: cpu (default), cuda, cuda:1 …")
    parser.add_argument("--threads", type=options.whole, metavar="N", help="of a CPU; runs of other numbers differ "
                        "(default: PyTorch's own choice)")  # fmt: skip
    parser.add_argument("--checkpoints", metavar="FILE", help="the checkpoint, a .pt (default: beside the trace)")
    parser.add_argument("--resume", action="store_true", help="go on with an interrupted run")
    parser.add_argument("-o", "--output", required=True, metavar="FILE", help="the trace, a .jsonl")
    return parser


def _given(arguments: argparse.Namespace) -> dict:
    return {name: value for name, value in vars(arguments).items() if value is not None}


def _ladder(text: str) -> tuple[str, ...]:
    """The formats of `8,12,32` or `dfx8,dfx12,fp32`."""
    parts = [part.strip() for part in text.split(",")]
    return tuple({"32": "fp32"}.get(part, f"dfx{part}" if part.isdecimal() else part) for part in parts)


class _Told:
    """What has been printed."""

    def __init__(self):
        self._best: tuple[float, int] | None = None
        self._last = 0.0

    def epoch(self, done) -> None:
        """Print an epoch."""
        if self._best is None:
            print(HEAD)
        self._last = done.test.accuracy
        if self._best is None or self._last > self._best[0]:
            self._best = (self._last, done.epoch)
        print(_line(done), flush=True)
        for note in done.decision.notes if done.decision else ():
            print(f"{'':>5}  note: {note}", flush=True)

    @property
    def summary(self) -> str:
        """The best and the last accuracy."""
        if self._best is None:
            return "No epoch was left to train."
        return f"Best test accuracy {self._best[0]:.2f} % (epoch {self._best[1]}), last {self._last:.2f} %."


def _line(done) -> str:
    first, last = min(done.formats, key=_bits), max(done.formats, key=_bits)
    formats = first if first == last else f"{first}-{last.removeprefix('int')}"
    return (
        f"{done.epoch:>5}  {formats:<10}  {done.rate:<8.3g}  {done.train.loss:>10.4f}  {done.train.accuracy:>6.2f}  "
        f"{done.test.loss:>9.4f}  {done.test.accuracy:>6.2f}  {_policy(done.decision)}"
    ).rstrip()


def _bits(name: str) -> float:
    from perfmodel.formats import find_format

    return find_format(name).bits


def _policy(decision) -> str:
    """p, threshold and violations where the policy looked, and where it went."""
    if decision is None or decision.diversity is None:
        return ""
    p = "" if decision.ratio is None else f"p {decision.ratio:.3f}, "
    violations = f"{decision.violations} violation{'s' * (decision.violations != 1)}"
    switched = f": on to {decision.format}" if decision.switch else ""
    return f"diversity {decision.diversity:.3f}, {p}threshold {decision.threshold:.3f}, {violations}{switched}"
