"""MuPPET beside FP32 and 8 bits alone on scikit-learn's digits: `python benchmarks/digits.py FOLDER [SEEDS]`.

Trains each of them from several seeds (5 unless said otherwise) with the published rule and prints a page in Markdown;
traces, checkpoints and the picture of the first MuPPET run lie in FOLDER, and runs whose trace is there are not trained
again. Needs the extra `train`; about half a minute a run on one core.
"""

import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from perfmodel.calibration import find_calibrated_model
from perfmodel.devices import find_device
from perfmodel.networks import find_network
from perfmodel.policies.logged import switches_of
from perfmodel.policies.replay import replay, rule_of
from perfmodel.report.accuracy import accuracies
from perfmodel.report.figures import write_figure
from perfmodel.report.policy_figure import replay_figure
from perfmodel.simulate import Setting, compare
from perfmodel.traces import Trace, read_trace
from perfmodel.training.options import Options
from perfmodel.training.run import train

RUNS = {
    "FP32": {"scheme": "fp32"},
    "MuPPET, the program's rule": {"scheme": "muppet"},
    "MuPPET, the paper's rule": {"scheme": "muppet", "mode": "paper"},
    "8 bits alone": {"scheme": "muppet", "ladder": ("dfx8",)},
}
DEVICE = "rtx-2080-ti"
ABOUT = """`python benchmarks/digits.py`, PyTorch {torch} on one CPU thread: digits-cnn (24,058 \
parameters) on 1437 of scikit-learn's digits, tested on 360; batch 128, learning rate 0.1, at most 150 epochs; r = 3, \
γ = 2, α = 1, β = 1.5, λ = 0.1 as published. One test image is 0.28 points. Times are modelled, of the same runs on \
an RTX 2080 Ti: kernels of so small a network are little else than launches.
"""


def main(folder: Path, seeds: int) -> None:
    """Train what is not there yet, and print the page."""
    folder.mkdir(exist_ok=True)
    traces = {name: [trained(folder, name, seed) for seed in range(seeds)] for name in RUNS}
    page(traces)
    first = traces["MuPPET, the program's rule"][0]
    write_figure(replay_figure(replay(first, rule_of(first)), first.title), folder / "digits-policy.png")


def trained(folder: Path, name: str, seed: int) -> Trace:
    """The trace of one run."""
    path = folder / f"{name.lower().replace(' ', '-').replace(',', '').replace(chr(39), '')}-{seed}.jsonl"
    if not path.exists():
        train(Options("digits-cnn", "digits", path, seed=seed, threads=1, **RUNS[name]))
    return read_trace(path)


def page(traces: dict[str, list[Trace]]) -> None:
    """Print accuracies over seeds, each run, and where MuPPET switched."""
    rows = pd.concat([pd.DataFrame(figures(name, found)) for name, found in traces.items()])
    fp32 = rows[rows.run == "FP32"].set_index("seed")
    print("# MuPPET on digits\n")
    print(ABOUT.format(torch=torch.__version__))
    print(
        "| training | test accuracy at the end, % | least to most | against FP32, points | epochs | modelled time, s |"
    )
    print("|---|---:|---|---:|---|---|")
    for name in traces:
        part = rows[rows.run == name].set_index("seed")
        apart = part["last"].mean() - fp32["last"].mean()
        print(f"| {name} | {part['last'].mean():.2f} ± {part['last'].std():.2f} |", end="")
        print(f" {part['last'].min():.2f} … {part['last'].max():.2f} | {apart:+.2f} |", end="")
        print(f" {spread(part['epochs'], 'd')} | {spread(part['seconds'], '.2f')} |")
    print("\n± is the standard deviation over seeds. Ends of switches: epochs from 0.\n")
    print("| seed | training | at the end, % | best, % | epochs | switched at the ends of epochs | replay agrees |")
    print("|---:|---|---:|---:|---:|---|---|")
    for row in rows.itertuples():
        print(f"| {row.seed} | {row.run} | {row.last:.2f} | {row.best:.2f} | {row.epochs} |", end="")
        print(f" {row.switches} | {row.agrees} |")


def figures(name: str, traces: Sequence[Trace]) -> list[dict]:
    """What each run of one kind came to."""
    found = []
    for seed, trace in enumerate(traces):
        reached, switches = accuracies(trace), switches_of(trace)
        agrees = "yes" if switches and replay(trace, rule_of(trace)).agrees else "–" if not switches else "no"
        setting = Setting(find_calibrated_model("tiles", find_device(DEVICE)))
        seconds = compare(trace, find_network(trace.network), setting).runs[0].seconds
        found.append({
            "run": name, "seed": seed, "last": reached.last, "best": reached.best[1], "epochs": trace.epochs,
            "seconds": seconds, "agrees": agrees,
            "switches": ", ".join(f"{epoch} ({format_})" for epoch, format_ in switches.items()) or "–",
        })  # fmt: skip
    return found


def spread(values: pd.Series, show: str) -> str:
    """One number, or the least and the greatest."""
    ends = [format(kind, show) for kind in (np.min(values), np.max(values))]
    return ends[0] if ends[0] == ends[1] else " … ".join(ends)


if __name__ == "__main__":
    if len(sys.argv) not in (2, 3):
        sys.exit(__doc__)
    main(Path(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) == 3 else 5)
