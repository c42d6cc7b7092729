"""Scenarios: which card is simulated, how it drifts and what goes wrong, one TOML file each under `data/scenarios/`."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from math import isfinite
from pathlib import Path
from typing import Any

from perfmodel.datafiles import Section, bundled, find_file, read_bytes, read_toml
from perfmodel.devices import Device, find_device
from perfmodel.errors import PerfModelError, Problem, quote
from perfmodel.measure.simulated.fault_rows import read_faults
from perfmodel.measure.simulated.faults import Fault
from perfmodel.measure.simulated.fields import amount, period, positive_seconds, seconds, table, tables
from perfmodel.measure.simulated.readings import FIXED_READINGS, READING_TYPES
from perfmodel.measure.simulated.world import ClockModel, Environment, Span

MOST_FACTOR = 10.0


@dataclass(frozen=True, slots=True)
class Noise:
    """What differs from launch to launch and from sample to sample.

    `jitter`: log-normal sd of one launch (a sample of n launches has 1/√n of it). `sample_jitter`: the same of a whole
    sample. A share of the samples gets an exponential interrupt on top. `placement`: sd between allocations.
    """

    jitter: float = 0.0
    sample_jitter: float = 0.0
    interrupt_share: float = 0.0
    interrupt_s: float = 60e-6
    placement: float = 0.0


@dataclass(frozen=True, slots=True)
class Instrument:
    """What measuring itself costs: ticks, latencies and constant times, in seconds.

    `latency_s`: an idle device begins so much later. `enqueue_s`: the host spends it on every call. A captured batch
    takes `graph_offset_s` once and `graph_gap_s` a launch; an empty kernel takes `empty_s`.
    """

    event_tick_s: float = 1.024e-6
    timer_tick_s: float = 32e-9
    latency_s: float = 12e-6
    enqueue_s: float = 5e-6
    graph_gap_s: float = 0.0
    graph_offset_s: float = 3e-6
    empty_s: float = 1e-6
    copy_share: float = 0.88  # of the memory bandwidth that a copy reaches


@dataclass(frozen=True, slots=True)
class Scenario:
    """One simulated card. `digest` is the SHA-256 of the file: two files are two cards."""

    name: str
    title: str
    source: str
    device: Device
    digest: str
    clock: ClockModel = field(default_factory=ClockModel)
    noise: Noise = field(default_factory=Noise)
    instrument: Instrument = field(default_factory=Instrument)
    environment: Environment = field(default_factory=Environment)
    readings: Mapping[str, Any] = field(default_factory=dict)
    faults: tuple[Fault, ...] = ()


def scenario_names() -> list[str]:
    """The names of the bundled scenarios, sorted."""
    return list(bundled("scenarios"))


def find_scenario(name: str) -> Scenario:
    """A bundled scenario by name, or the scenario file at a path that ends in `.toml`.

    Raises `UnknownName` (E1011) with the nearest names, `InputError` for a file that does not read.
    """
    return read_scenario(find_file("scenarios", "scenario", name, "E1011"))


def read_scenario(path: Path) -> Scenario:
    """The scenario that a file describes. Only title, source and device are required; without more nothing drifts.

    Raises `InputError` (E1201-E1206 for the file, E1210-E1213 for what it holds), `UnknownName` for the device.
    """
    top = read_toml(path)
    top.require(("title", "source", "device"))
    scenario = Scenario(
        name=Path(path).name.removesuffix(".toml"),
        title=top.text("title"),
        source=top.text("source"),
        device=_device(top),
        digest=hashlib.sha256(read_bytes(path)).hexdigest(),
        clock=_clock(table(top, "clock")),
        noise=_noise(table(top, "noise")),
        instrument=_instrument(table(top, "instrument")),
        environment=_environment(top),
        readings=_readings(table(top, "readings")),
        faults=read_faults(top),
    )
    top.finish()
    return scenario


def _device(top: Section) -> Device:
    try:
        return find_device(top.text("device"))
    except PerfModelError as error:
        problems = [Problem(p.code, f"{top.at('device')} {p.place}", p.found, p.fix) for p in error.problems]
        raise type(error)(problems) from None


def _clock(row: Section) -> ClockModel:
    usual = ClockModel()
    model = ClockModel(
        sd=amount(row, "sd", usual.sd),
        tau_s=positive_seconds(row, "tau_s", usual.tau_s),
        slow_sd=amount(row, "slow_sd", usual.slow_sd),
        slow_tau_s=positive_seconds(row, "slow_tau_s", usual.slow_tau_s),
        droop=amount(row, "droop", usual.droop),
        droop_from=amount(row, "droop_from", usual.droop_from, most=0.99),
        heat_tau_s=positive_seconds(row, "heat_tau_s", usual.heat_tau_s),
        lowest=amount(row, "lowest", usual.lowest, least=0.01),
    )
    row.finish()
    return model


def _noise(row: Section) -> Noise:
    usual = Noise()
    noise = Noise(
        jitter=amount(row, "jitter", usual.jitter),
        sample_jitter=amount(row, "sample_jitter", usual.sample_jitter),
        interrupt_share=amount(row, "interrupt_share", usual.interrupt_share),
        interrupt_s=seconds(row, "interrupt_s", usual.interrupt_s),
        placement=amount(row, "placement", usual.placement, most=0.1),  # times stay positive at any draw
    )
    row.finish()
    return noise


def _instrument(row: Section) -> Instrument:
    usual = Instrument()
    times = {
        name: seconds(row, name, getattr(usual, name))
        for name in ("event_tick_s", "timer_tick_s", "latency_s", "enqueue_s", "graph_gap_s", "graph_offset_s",
                     "empty_s")
    }  # fmt: skip
    instrument = Instrument(**times, copy_share=amount(row, "copy_share", usual.copy_share, least=0.01))
    row.finish()
    return instrument


def _environment(top: Section) -> Environment:
    throttles = [_span(row, "factor", 0.01) for row in tables(top, "throttle")]
    tenants = [_span(row, "slowdown", 0.0) for row in tables(top, "tenant")]
    steps = []
    for row in tables(top, "clock_steps"):
        steps.append((seconds(row, "at_s"), amount(row, "factor", most=MOST_FACTOR, least=0.01)))
        row.finish()
    bimodal = None
    if "bimodal" in top.values:
        row = table(top, "bimodal")
        bimodal = amount(row, "factor", most=MOST_FACTOR, least=0.01), amount(row, "period_s", ..., 1e6, 1e-6)
        row.finish()
    return Environment(tuple(throttles), tuple(tenants), tuple(sorted(steps)), bimodal)


def _span(row: Section, key: str, least: float) -> Span:
    span = Span(*period(row), amount(row, key, most=1.0 if key == "factor" else 100.0, least=least))
    row.finish()
    return span


def _readings(row: Section) -> Mapping[str, Any]:
    """What the readings of this card are fixed to; each of the type that the reading has."""
    fixed = {}
    for name, kinds in READING_TYPES.items():
        value = row.take(name, kinds, None)
        if isinstance(value, float) and not isfinite(value):
            raise row.fail("E1212", name, f"{quote(value)} is not a finite number.", "Correct the value.")
        if value is not None:
            fixed[name] = value
    row.finish()
    return FIXED_READINGS | fixed
