"""A recorder for training that writes no log: `TraceWriter`, and callbacks for Lightning, the HF Trainer and Keras.

Nothing here needs more than the standard library; the callbacks' libraries are imported when a callback is asked for.
"""

from importlib import import_module

from perfmodel.record.loop import autocast_format
from perfmodel.record.writer import TraceWriter

_HOME = {"LightningRecorder": "lightning", "TrainerRecorder": "hf", "KerasRecorder": "keras"}
__all__ = ["KerasRecorder", "LightningRecorder", "TraceWriter", "TrainerRecorder", "autocast_format"]


def __getattr__(name: str):
    if name not in _HOME:
        raise AttributeError(f"module 'perfmodel.record' has no attribute {name!r}")
    return getattr(import_module(f"perfmodel.record.{_HOME[name]}"), name)


def __dir__():
    return sorted({*globals(), *__all__})
