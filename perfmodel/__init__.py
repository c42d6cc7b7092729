"""How long a low-precision training run takes on a GPU, where the time goes, and how much faster it is.

    >>> import perfmodel as pm
    >>> setting = pm.Setting(pm.Tiles(pm.find_device("rtx-2080-ti")))
    >>> trace = pm.find_trace("muppet-resnet20-cifar10")
    >>> result = pm.compare(trace, pm.find_network(trace.network), setting)
    >>> result.fp32.seconds > result.runs[0].seconds > result.limits[0].seconds
    True

The names below are the public ones; each is loaded from its module when it is first used.
"""

from importlib import import_module

_HOME = {
    "PerfModelError": "errors",
    "Gemm": "gemm",
    "find_precision": "gemm",
    "find_device": "devices",
    "find_network": "networks",
    "PassPrecision": "traces",
    "Segment": "traces",
    "Trace": "traces",
    "find_trace": "traces",
    "read_trace": "traces",
    "write_trace": "traces",
    "Given": "traces.logs",
    "read_log": "traces.logs",
    "TraceWriter": "record",
    "find_scheme": "schemes",
    "find_overhead": "schemes",
    "Tiles": "cost.tiles",
    "Roofline": "cost.roofline",
    "find_calibrated_model": "calibration",
    "Measured": "cost.measured",
    "read_profile": "profiles.profile",
    "Setting": "simulate",
    "compare": "simulate",
    "step_cost": "simulate",
}
__all__ = sorted(_HOME)


def __getattr__(name: str):
    if name not in _HOME:
        raise AttributeError(f"module 'perfmodel' has no attribute {name!r}")
    value = getattr(import_module(f"perfmodel.{_HOME[name]}"), name)
    globals()[name] = value
    return value


def __dir__():
    return sorted({*globals(), *__all__})
