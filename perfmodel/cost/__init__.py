"""What kernels cost: estimates, and the models that make them."""

from perfmodel.cost.estimate import CostModel
from perfmodel.cost.events import Events
from perfmodel.cost.roofline import Roofline
from perfmodel.cost.tiles import Tiles
from perfmodel.devices import Device
from perfmodel.errors import InputError, unknown_name

MODELS = ("tiles", "roofline", "events")


def find_cost_model(name: str, device: Device, tile: str = "best", split_k: bool = True) -> CostModel:
    """The cost model of this name for a device; `UnknownName` (E1007) with the nearest names otherwise."""
    if name == "tiles":
        return Tiles(device, tile, split_k)
    if name == "events":
        return Events(device, tile, split_k)
    if name == "roofline":
        if tile != "best" or not split_k:
            raise InputError.at("E1106", "model roofline:", "has neither tiles nor split-K.", "Use the model tiles.")
        return Roofline(device)
    raise unknown_name("E1007", "model", name, MODELS)
