"""What there is: networks, devices and traces, each with its source."""

from __future__ import annotations

from collections.abc import Callable

import pandas as pd

from perfmodel.devices import Device, device_names, find_device
from perfmodel.gemm import find_precision
from perfmodel.networks import Network, find_network, network_names
from perfmodel.report.table import Table, cut
from perfmodel.traces import Trace, find_trace, trace_files
from perfmodel.units import GIB, GIGA, KIB, MEGA, TERA, grouped


def networks_table() -> Table:
    """All bundled networks: MACs and parameters for one image, layers with GEMMs, input, source."""
    rows = [_network_row(find_network(name)) for name in network_names()]
    headers = {
        "network": "network", "input": "input", "gemm_layers": "conv + FC", "macs": "MACs/image",
        "parameters": "parameters", "source": "source",
    }  # fmt: skip
    show = {"macs": grouped, "parameters": grouped, "source": short}
    notes = ("perfmodel networks NAME shows a network's layers and its whole source.",)
    return Table("Networks", pd.DataFrame(rows), show, headers, notes)


def _network_row(network: Network) -> dict:
    return {
        "network": network.name, "title": network.title, "input": "x".join(map(str, network.input)),
        "gemm_layers": len(network.gemm_layers), "macs": network.macs, "parameters": network.parameters,
        "source": network.source,
    }  # fmt: skip


def network_table(name: str) -> Table:
    """The layers of one network with their shapes."""
    network = find_network(name)
    rows = [
        {
            "layer": layer.name, "op": layer.op, "inputs": ", ".join(layer.inputs),
            "in_shape": "x".join(map(str, layer.in_shape)), "out_shape": "x".join(map(str, layer.out_shape)),
            "macs": layer.macs or None, "parameters": layer.parameters or None,
        }
        for layer in network.layers
    ]  # fmt: skip
    headers = {
        "layer": "layer", "op": "operation", "inputs": "from", "in_shape": "in", "out_shape": "out",
        "macs": "MACs/image",
        "parameters": "parameters",
    }  # fmt: skip
    notes = (
        f"{grouped(network.macs)} MACs for one image, {grouped(network.parameters)} parameters.",
        f"Source: {one_line(network.source)}.",
    )
    frame = pd.DataFrame(rows).astype({"macs": "Int64", "parameters": "Int64"})
    return Table(network.title, frame, {"macs": grouped, "parameters": grouped}, headers, notes)


def devices_table() -> Table:
    """All bundled devices: size, clocks, bandwidth and dense peaks at the vendor's clock."""
    rows = [_device_row(find_device(name)) for name in device_names()]
    peaks = [f"{op}_flop_per_s" for op in PEAKS]
    headers = {
        "device": "device", "architecture": "architecture", "sms": "SMs", "boost_hz": "boost MHz",
        "dram_bytes_per_s": "GB/s",
        "l2_bytes": "L2 KiB", **{f"{op}_flop_per_s": op for op in PEAKS}, "source": "source",
    }  # fmt: skip
    show: dict[str, Callable] = {name: lambda flop: f"{flop / TERA:.4g}" for name in peaks}
    show |= {
        "boost_hz": lambda hz: f"{hz / MEGA:.0f}", "dram_bytes_per_s": lambda b: f"{b / GIGA:.0f}",
        "l2_bytes": lambda b: f"{b / KIB:.0f}", "source": short,
    }  # fmt: skip
    notes = (
        "Dense peaks in TFLOP/s or TOP/s at the vendor's clock, fp16 with FP32 accumulation; – where there is no unit.",
        "perfmodel devices NAME shows every rate, and where each number comes from.",
    )
    return Table("Devices, peaks in TFLOP/s", pd.DataFrame(rows), show, headers, notes)


PEAKS = {
    "fp32": "fp32",
    "tf32": "fp32",
    "bf16": "fp32",
    "fp16": "fp32",
    "fp8_e4m3": "fp32",
    "int8": "int32",
    "int4": "int32",
}


def _device_row(device: Device) -> dict:
    row = {
        "device": device.name, "title": device.title, "architecture": device.architecture, "sms": device.sms,
        "boost_hz": device.boost_clock_hz, "sustained_hz": device.sustained_clock_hz,
        "dram_bytes_per_s": device.dram_bytes_per_s, "l2_bytes": device.l2_bytes, "memory_bytes": device.memory_bytes,
    }  # fmt: skip
    for operand, accumulate in PEAKS.items():
        known = (operand, accumulate) in device.rates
        peak = device.peak_flop_per_s(find_precision(operand, accumulate)) if known else None
        row[f"{operand}_flop_per_s"] = peak
    return row | {"source": device.source.strip()}


def device_table(name: str) -> Table:
    """`device_facts` of a bundled device, or of a file."""
    return device_facts(find_device(name))


def device_facts(device: Device) -> Table:
    """Every rate of one device, and in the notes its other figures and their sources."""
    rows = [
        {
            "operand": operand, "accumulate": accumulate, "unit": rate.unit, "macs_per_clock": rate.macs_per_clock,
            "flop_per_s": device.peak_flop_per_s(find_precision(operand, accumulate)),
            "published_flop_per_s": rate.published_flop_per_s,
        }
        for (operand, accumulate), rate in device.rates.items()
    ]  # fmt: skip
    headers = {
        "operand": "operand", "accumulate": "accumulate", "unit": "unit", "macs_per_clock": "MAC/clock/SM",
        "flop_per_s": "TFLOP/s", "published_flop_per_s": "as published, TFLOP/s",
    }  # fmt: skip
    show = dict.fromkeys(("flop_per_s", "published_flop_per_s"), lambda flop: f"{flop / TERA:.4g}")
    notes = (
        f"{device.sms} SMs at {device.boost_clock_hz / MEGA:.0f} MHz boost, {device.sustained_clock_hz / MEGA:.0f} MHz "
        f"sustained; {device.dram_bytes_per_s / GIGA:.0f} GB/s, {device.memory_bytes / GIB:.0f} GiB.",
        f"L2: {device.l2_bytes / KIB:.0f} KiB, {device.l2_bytes_per_clock:.0f} B/clock; shared memory: "
        f"{device.shared_bytes_per_sm / KIB:.0f} KiB on each SM, {device.shared_bytes_per_clock:.0f} B/clock.",
        f"Source: {one_line(device.source)}",
        f"Marked as stated by no source: {', '.join(device.assumed) or 'nothing'}.",
    )
    return Table(device.title, pd.DataFrame(rows), show, headers, notes)


def traces_table() -> Table:
    """All bundled traces: network, epochs by precision, what is inferred."""
    rows = [_trace_row(name, find_trace(name)) for name in trace_files()]
    headers = {
        "trace": "trace", "network": "network", "epochs": "epochs", "precisions": "epochs by precision",
        "batch": "batch",
        "iterations": "iterations", "known": "complete", "source": "source",
    }  # fmt: skip
    notes = (
        "A trace that is not complete is priced at both ends of what it may stand for; perfmodel traces NAME says why.",
    )
    return Table(
        "Traces",
        pd.DataFrame(rows),
        {"source": lambda source: short(source.rpartition("evidence: ")[2])},
        headers,
        notes,
    )


def _trace_row(name: str, trace: Trace) -> dict:
    counts = trace.epochs_by_precision()
    return {
        "trace": name, "network": trace.network, "dataset": trace.dataset, "scheme": trace.scheme,
        "epochs": trace.epochs,
        "precisions": ", ".join(f"{n} {label}" for label, n in counts.items()), "batch": trace.batch,
        "iterations": trace.iterations, "known": trace.known, "inferred": " ".join(trace.inferred),
        "source": "; ".join(f"{key}: {value}" for key, value in trace.source.items()),
    }  # fmt: skip


def short(source: str) -> str:
    """The beginning of a source, for lists; an entry's own page, CSV and JSON hold the whole."""
    return cut(one_line(source), 60)


def one_line(text: str) -> str:
    """A text of several lines as one."""
    return " ".join(text.split())
