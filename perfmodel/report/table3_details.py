"""What lies behind the reproduction of Table 3: schedules, decomposition, kernels, and the search among them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pandas as pd

from perfmodel.devices import Device
from perfmodel.report.table import Table
from perfmodel.report.text import milliseconds, percent, ratio, span
from perfmodel.reproduce import explanation
from perfmodel.reproduce.decomposition import Decomposition, decompositions
from perfmodel.reproduce.explanation import StepTimes, Tried
from perfmodel.reproduce.modes import Reproduction
from perfmodel.reproduce.published import Row, implied_gemm_share, table3
from perfmodel.reproduce.schedules import fitting, least_quantised, solutions


def schedules_table(reproduction: Reproduction) -> Table:
    """What the published limit says about each network's schedule, and what it cannot say."""
    rows = [
        _solutions(row, n32, rho)
        for row in table3().rows
        for n32 in row.known.fp32
        for rho in reproduction.rhos(row.network)
    ]
    headers = {
        "network": "network", "n32": "FP32 epochs", "known": "N inferred", "least": "least N", "rho": "t8/t16",
        "solutions": "N that reproduce the limit", "n8": "8-bit epochs", "n16": "12-16-bit epochs",
    }  # fmt: skip
    notes = (
        "N = n8 + n16: epochs before FP32. The limit gives one equation for each network, n8 t8 + n16 t16 + n32 "
        "t32: n8 and n16 cannot be told apart without t8/t16, and every N of a row fits exactly. The rule of the "
        "reference: N a multiple of 3, n8 >= 9, n16 >= 27.",
        *_contradictions(reproduction),
        *(f"{row.title}: {row.known.source}." for row in table3().rows),
    )
    return Table("Schedules that the published limit allows", pd.DataFrame(rows), {}, headers, notes)


def _solutions(row: Row, n32: int, rho: float) -> dict:
    found = solutions(row, n32, rho)
    ends = (found[0], found[-1]) if found else ()
    return {
        "network": row.title, "n32": n32, "known": " or ".join(map(str, row.known.quantised)) or None,
        "least": f"{least_quantised(row, n32):.1f}", "rho": f"{rho:.2f}",
        "solutions": span(str, *(round(end.quantised) for end in ends)) if ends else "none",
        "n8": span(lambda n: f"{n:.0f}", *(end.n8 for end in ends)) if ends else None,
        "n16": span(lambda n: f"{n:.0f}", *(end.n16 for end in ends)) if ends else None,
    }  # fmt: skip


def _contradictions(reproduction: Reproduction) -> list[str]:
    """A sentence for each inferred number of epochs at which no modelled ratio reproduces the limit."""
    sentences = []
    for row in table3().rows:
        rhos = reproduction.rhos(row.network)
        fits = {quantised for n32 in row.known.fp32 for quantised in fitting(row, n32, *rhos)}
        for quantised in row.known.quantised:
            if quantised not in fits:
                sentences.append(
                    f"{row.title}: at t8/t16 of {span('{:.2f}'.format, *rhos)} no schedule of the inferred "
                    f"{quantised} epochs gives the published limit: the inference, the ratio or the limit is off."
                )
    return sentences


def decomposition_table(reproduction: Reproduction) -> Table:
    """Where the published gain comes from: fewer epochs, or faster ones."""
    found = [d for row in table3().rows for d in decompositions(row, reproduction.rhos(row.network))]
    show = {
        "published": ratio, "epoch_factor": ratio, "equal_epoch_speedup": ratio, "quantised_epoch_s": _minutes,
        "fp32_epoch_s": _minutes, "conversions_s": lambda s: f"{s * 1e3:.0f}", "break_even": "{:.1f}".format,
    }  # fmt: skip
    headers = {
        "network": "network", "epochs": "N + FP32 epochs", "inferred": "N is", "published": "published",
        "epoch_factor": "by fewer epochs", "equal_epoch_speedup": "at equal epochs",
        "quantised_epoch_s": "min per quantised epoch", "fp32_epoch_s": "min per FP32 epoch",
        "conversions_s": "conversions, ms/iteration", "break_even": "faster from N =",
    }  # fmt: skip
    notes = (
        "published speedup = (by fewer epochs) x (at equal epochs); below 1 at equal epochs, all of the gain is fewer "
        "epochs. A quantised epoch is faster than an FP32 epoch only for N above the last column.",
        "If mixed precision made GEMMs 4 (or 2) times faster and nothing else, they would be "
        f"{_shares()} of the FP32 time.",
    )
    rows = pd.DataFrame([_decomposed(one) for one in found])
    return Table("What the published speedup consists of", rows, show, headers, notes)


def _decomposed(one: Decomposition) -> dict:
    return {
        "network": one.row.title, "epochs": f"{one.quantised} + {one.fp32_epochs}", "inferred": one.inferred,
        "published": one.row.fp32 / one.row.muppet, "epoch_factor": one.epoch_factor,
        "equal_epoch_speedup": one.equal_epoch_speedup, "quantised_epoch_s": one.quantised_epoch_s,
        "fp32_epoch_s": one.row.epoch("fp32"), "conversions_s": one.conversions_s, "break_even": one.break_even,
    }  # fmt: skip


def _minutes(seconds: float) -> str:
    return f"{seconds / 60:.1f}"


def _shares() -> str:
    def share(row: Row, speedup: float) -> str:
        return f"{implied_gemm_share(row.fp32, row.mixed, speedup) * 100:.1f}"

    return ", ".join(f"{share(row, 4)} ({share(row, 2)}) % in {row.title}" for row in table3().rows)


def method_table(reproduction: Reproduction, device: Device) -> Table:
    """The modelled iterations behind the uncalibrated times; in the notes kernels, clock, constant, variants."""
    sources = {"explanation": reproduction.explained, "good": reproduction.good}
    notes = (
        f"Explanation: {explanation.EXPLANATION.label()}.",
        f"Good: {explanation.GOOD_KERNELS.label()}.",
        f"The one constant: {reproduction.constant_s * 1e9:.2f} ns for each parameter and iteration of mixed "
        f"precision.",
        f"Clock: {device.sustained_clock_hz / 1e6:.0f} MHz on {device.title}, for all networks.",
        f"The explanation was chosen as the best of {explanation.EARLIER} variants that an earlier search "
        f"tried; --search ranks it among {explanation.count_variants(device)}. Three networks and six numbers "
        f"cannot tell variants apart: it says nothing about how well the model predicts other measurements.",
        f"Published: {table3().source}.",
    )
    return iterations_table("Modelled iterations, batch 256", "kernels", sources, notes)


def iterations_table(
    title: str, what: str, sources: Mapping[str, Mapping[str, StepTimes]], notes: tuple[str, ...]
) -> Table:
    """Milliseconds of one iteration of each network, by source; `what` heads the column that says which source."""
    rows = [
        {
            "network": row.title, what: source, "fp32_s": times[row.network].fp32,
            "mixed_s": times[row.network].mixed, "fp16_s": times[row.network].fp16, "int8_s": times[row.network].int8,
            "conversions_s": times[row.network].overhead or None,
            "transposes_s": times[row.network].transposes or None, "rho": times[row.network].rho,
        }
        for source, times in sources.items()
        for row in table3().rows
    ]  # fmt: skip
    headers = {
        "network": "network", what: what, "fp32_s": "FP32, ms", "mixed_s": "mixed precision, ms",
        "fp16_s": "MuPPET 12-16 bit, ms", "int8_s": "MuPPET 8 bit, ms", "conversions_s": "quantising, ms",
        "transposes_s": "8-bit transposes, ms", "rho": "t8/t16",
    }  # fmt: skip
    show = {name: milliseconds for name in headers if name.endswith("_s")} | {"rho": "{:.2f}".format}
    return Table(title, pd.DataFrame(rows), show, headers, notes)


def search_table(tried: Sequence[Tried]) -> Table:
    """The ten best variants without a constant, the ten best with one, and the explanation."""
    best = [t for t in tried if min(t.rank, t.rank_with_constant) <= 10 or t.variant == explanation.EXPLANATION]
    rows = [
        {
            "variant": t.variant.label() + (" *" if t.variant == explanation.EXPLANATION else ""),
            "error": t.error, "rank": t.rank, "constant_s": t.constant,
            "error_with_constant": t.error_with_constant, "rank_with_constant": t.rank_with_constant,
        }
        for t in sorted(best, key=lambda t: t.rank_with_constant)
    ]  # fmt: skip
    headers = {
        "variant": "variant", "error": "mean error", "rank": "rank", "constant_s": "constant, ns",
        "error_with_constant": "mean error with it", "rank_with_constant": "rank with it",
    }  # fmt: skip
    show = {"error": percent, "error_with_constant": percent, "constant_s": lambda s: f"{s * 1e9:.2f}"}
    notes = ("* the explanation used above. Mean error over the FP32 and mixed-precision cells of the three networks.",)
    return Table(f"Search over {len(tried)} variants: the best of both kinds", pd.DataFrame(rows), show, headers, notes)
