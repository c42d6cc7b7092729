"""What the user says of a log, beside the log itself."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from perfmodel.errors import InputError, Problem, quote, unknown_name
from perfmodel.traces import values
from perfmodel.traces.logs.names import FAMILIES, PASSES, Precisions, whole_run

FIELDS = {  # what --map can point at a name of the log, and what it holds
    "epoch": "the epoch, from 0 or 1",
    "step": "the iteration of the run, from 0 or 1",
    "iterations": "how many iterations an epoch had",
    "precision": "the format of all passes",
    "fprop": "the format of the forward pass",
    "dgrad": "the format of the gradients of activations",
    "wgrad": "the format of the gradients of weights",
    "master": "the format of the master weights",
    "lr": "the learning rate",
    "gd_mean": "the gradient diversity",
    "gd_max": "its maximum",
    "gd_ratio": "maximum over present value",
    "gd_threshold": "the ratio from which on it is a violation",
    "gd_violations": "how many violations in a row",
}
CHOICES = {
    "bits": tuple(FAMILIES),
    "step_is": ("epoch", "iteration"),
    "epoch_is": ("index", "progress"),
    "on_duplicate": ("error", "last", "first"),
    "decimal": ("point", "comma"),
}
UNSAID = ("bits", "step_is", "epoch_is")  # choices that need not be made
PRECISION_FIELDS = ("precision", *PASSES, "master")
LARGEST_BYTES = 256 * 10**6
MOST = {"samples": 10**12, "batch": 10**7, "largest_bytes": 10**12}


@dataclass(frozen=True, slots=True)
class Given:
    """What the user says of a run, which wins over what its log says.

    `network`, `dataset`, `scheme`, `samples` (of an epoch) and `batch` are the header of the trace. `precision` is that
    of the whole run: a format, or `fprop=…,dgrad=…,wgrad=…[,master=…]`. `keys` maps a field of `FIELDS` to the name
    that the log has for it, `formats` a text of the log to a format; `bits` is the family of formats that a mere
    number of bits counts (`dfx`, `int` or `fp`). `step_is` says whether steps count epochs or iterations, `epoch_is`
    whether epochs are an index or how far training has come (0.5, 1.0 …). `on_duplicate` decides between rows that
    contradict each other, `decimal` is how numbers are written. `reader` is a log format by name, `run` one run of a
    store that holds several.

    Raises `InputError`: E1105 for a choice that there is not, E1306 or E1307 for a value, E1320 for an unknown field
    and for fields that contradict each other, E1322 for a precision; `UnknownName` (E1004) for a format.
    """

    network: str | None = None
    dataset: str | None = None
    scheme: str | None = None
    samples: int | None = None
    batch: int | None = None
    precision: str | None = None
    keys: Mapping[str, str] = field(default_factory=dict)
    formats: Mapping[str, str] = field(default_factory=dict)
    bits: str | None = None
    step_is: str | None = None
    epoch_is: str | None = None
    on_duplicate: str = "error"
    decimal: str = "point"
    reader: str | None = None
    run: str | None = None
    largest_bytes: int = LARGEST_BYTES

    def __post_init__(self):
        for key in ("network", "dataset", "scheme", "precision", "reader", "run"):
            if getattr(self, key) is not None:
                values.text(key, getattr(self, key))
        for key, most in MOST.items():
            if getattr(self, key) is not None:
                values.whole(key, getattr(self, key), 1, most)
        for key, known in CHOICES.items():
            _check_choice(key, getattr(self, key), known)
        for key in ("keys", "formats"):
            object.__setattr__(self, key, _texts(key, getattr(self, key)))
        _check_keys(self.keys, self.precision)
        Precisions(self.formats, self.bits)
        if self.precision is not None:
            whole_run(self.precision)

    def missing(self, key: str, why: str) -> Problem:
        """E1321: something that no trace can do without, and that neither the log nor the user says."""
        return Problem("E1321", f"{key}:", why, f"Give --{key} {EXAMPLES[key]}.")


def _texts(key: str, table: Mapping[str, str]) -> dict[str, str]:
    """A table of texts by name, copied; E1306 for anything else."""
    if not isinstance(table, Mapping):
        raise values.wrong_kind(key, table, "a table of texts")
    return {values.text(key, name): values.text(f"{key}[{quote(name)}]", text) for name, text in table.items()}


def _check_choice(key: str, given: str | None, known: tuple[str, ...]) -> None:
    if given not in known and not (given is None and key in UNSAID):
        option = key.replace("_", "-")
        raise InputError.at("E1105", f"--{option}:", f"{quote(given)} is not known.", f"Known: {', '.join(known)}.")


def _check_keys(keys: Mapping[str, str], precision: str | None) -> None:
    fields: dict[str, str] = {}
    for key, name in keys.items():
        if key not in FIELDS:
            raise unknown_name("E1320", "field", key, FIELDS)
        if fields.setdefault(name, key) != key:
            found = f"{quote(name)} cannot be both {fields[name]} and {key}."
            raise InputError.at("E1320", "--map:", found, "Give one of them.")
        if precision is not None and key in PRECISION_FIELDS:
            found = f"{key} is read from {quote(name)}, but --precision says it for the whole run."
            raise InputError.at("E1320", "--map:", found, "Give one of them.")


EXAMPLES = {"network": "NAME", "dataset": "NAME", "scheme": "NAME", "samples": "N", "batch": "N", "precision": "FORMAT"}
