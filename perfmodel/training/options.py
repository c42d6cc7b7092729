"""What a training run is asked to be."""

from __future__ import annotations

import os
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from perfmodel.errors import InputError, unknown_name
from perfmodel.output import check_suffix
from perfmodel.policies.rule import MODES, MuppetRule, muppet_rule
from perfmodel.traces import values

RATES = {"alexnet": 0.01, "googlenet": 0.001}  # of the paper's networks, section 5.1; its ResNets and all others: 0.1
OTHER_RATE = 0.1
DECADES = 100  # the reference's runs stop at a hundredth of their first rate
RULE = ("resolution", "patience", "alpha", "beta", "decay")
ELSEWHERE = ("output", "folder", "checkpoints", "resume")  # where things lie: none of what the run computes
MOST = {"epochs": 10**5, "batch": 10**6, "seed": 2**63 - 1}
MOST_THREADS = 1024
SWITCHING = "muppet"
SUFFIXES = (".pt", ".pth")  # of checkpoints, as PyTorch's files usually have


@dataclass(frozen=True, slots=True)
class Options:
    """A run: `network` trained on `dataset` under `scheme`, its trace written to `output`.

    `folder` is where the data set lies. `epochs` is how many there are, or under MuPPET at most; an iteration sees
    `batch` images. `lr` is the first learning rate (None: the paper's for its networks, else 0.1), `min_lr` the one at
    which MuPPET's FP32 stage ends (None: a hundredth of `lr`). `mode` is MuPPET's, `reference` or `paper`; `ladder`,
    `resolution`, `patience`, `alpha`, `beta` and `decay` are of its rule, None as published. `device` is PyTorch's name
    for one, `threads` how many compute on a CPU (None: as many as PyTorch takes, when resumed as many as before).
    `checkpoints` is the file of the checkpoint (None: beside the trace, with the suffix .pt); with `resume` training
    goes on from it. The same options and threads give the same run on the same kind of CPU and PyTorch.

    Raises `InputError`: E1306, E1307 for a number out of range, E1702 for options of MuPPET's rule with another
    scheme, else as `MuppetRule`; `OutputError` (E1904) for an output that is no .jsonl, a checkpoint that is no .pt or
    .pth; `UnknownName` (E1504) for a mode.
    """

    network: str
    dataset: str
    output: str | os.PathLike
    scheme: str = SWITCHING
    folder: str | None = None
    epochs: int = 150
    batch: int = 128
    lr: float | None = None
    min_lr: float | None = None
    momentum: float = 0.9
    weight_decay: float = 1e-4
    seed: int = 0
    mode: str = "reference"
    ladder: tuple[str, ...] | None = None
    resolution: int | None = None
    patience: int | None = None
    alpha: float | None = None
    beta: float | None = None
    decay: float | None = None
    device: str = "cpu"
    threads: int | None = None
    checkpoints: str | os.PathLike | None = None
    resume: bool = False

    def __post_init__(self):
        check_suffix(self.output, (".jsonl",))
        if self.checkpoints is None:
            self._put("checkpoints", Path(self.output).with_suffix(SUFFIXES[0]))
        check_suffix(self.checkpoints, SUFFIXES)
        for key, most in MOST.items():
            self._put(key, values.whole(key, getattr(self, key), 0 if key == "seed" else 1, most))
        if self.threads is not None:
            self._put("threads", values.whole("threads", self.threads, 1, MOST_THREADS))
        self._put("lr", self._rate("lr", self._usual_rate()))
        self._put("min_lr", self._rate("min_lr", self.lr / DECADES))
        for key in ("momentum", "weight_decay"):
            self._put(key, float(values.number(key, getattr(self, key), above=-1e-300)))
        if self.momentum >= 1:
            raise InputError.at("E1307", "momentum:", f"{self.momentum:g} is not below 1.", "Correct it.")
        if self.mode not in MODES:
            raise unknown_name("E1504", "mode", self.mode, MODES)
        self._check_scheme()
        self._put("ladder", self.rule.ladder if self.scheme == SWITCHING else None)

    @property
    def rule(self) -> MuppetRule:
        """MuPPET's rule with what is given instead of the published."""
        given = {key: getattr(self, key) for key in (*RULE, "ladder") if getattr(self, key) is not None}
        return muppet_rule(self.mode, **given)

    @property
    def switches(self) -> bool:
        """Whether formats follow from gradients: MuPPET on a ladder of more than one rung."""
        return self.scheme == SWITCHING and len(self.ladder) > 1

    def same_run(self) -> dict[str, Any]:
        """All that the run's numbers depend on, as plain values: a checkpoint of others is another run's."""
        found = {key: value for key, value in asdict(self).items() if key not in ELSEWHERE and value is not None}
        return {key: list(value) if isinstance(value, tuple) else value for key, value in found.items()}

    def _put(self, key: str, value: Any) -> None:
        object.__setattr__(self, key, value)

    def _rate(self, key: str, otherwise: float) -> float:
        given = getattr(self, key)
        return float(values.number(key, otherwise if given is None else given, above=0))

    def _usual_rate(self) -> float:
        return next((rate for name, rate in RATES.items() if str(self.network).startswith(name)), OTHER_RATE)

    def _check_scheme(self) -> None:
        given = [key for key in (*RULE, "ladder") if getattr(self, key) is not None]
        given += ["mode"] if self.mode != MODES[0] else []
        if given and self.scheme != SWITCHING:
            found = f"is an option of the scheme {SWITCHING}, not of {self.scheme}."
            raise InputError.at("E1702", f"{given[0]}:", found, f"Leave it out, or take the scheme {SWITCHING}.")
