"""Thread blocks on SMs, event by event: a cross-check of the closed form in `cost/tiles.py`."""

from perfmodel.cost.events.model import Events

__all__ = ["Events"]
