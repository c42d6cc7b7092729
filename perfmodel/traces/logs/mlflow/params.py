"""Facts from the parameters that people log with a run, by the names that they commonly have."""

from __future__ import annotations

from collections.abc import Mapping

from perfmodel.errors import InputError
from perfmodel.traces.logs.given import MOST, Given
from perfmodel.traces.logs.hparams import size
from perfmodel.traces.logs.names import Precisions, passes
from perfmodel.traces.logs.run import Fact

SIZES = {"batch": ("batch_size", "train_batch_size", "global_batch_size", "batch"), "samples": ("train_samples",)}
PRECISION = ("precision", "mixed_precision", "dtype")  # with mixed precision, dtype is that of the master weights


def param_facts(params: Mapping[str, str], place: str, given: Given) -> dict[str, Fact]:
    """Batch, samples and the precision of the whole run, where parameters of these names have such values."""
    facts = {}
    for key, names in SIZES.items():
        for name in names:
            found = size(params.get(name, "").strip(), MOST[key])  # it may be "auto", too
            if found is not None and key not in facts:
                facts[key] = Fact(found, f"{place}: parameter {name}:")
    return facts | _precision(params, place, given)


def _precision(params: Mapping[str, str], place: str, given: Given) -> dict[str, Fact]:
    for name in PRECISION:
        if name in params and given.precision is None:
            where = f"{place}: parameter {name}:"
            try:
                found = Precisions(given.formats, given.bits).format(params[name], where)
            except InputError:  # `no`, or a parameter of the user's own, about something else
                continue
            return {"precision": Fact(passes(found, found, found, None), where)}
    return {}
