"""Networks as data: layers, shapes and how they connect."""

from perfmodel.networks.layers import Conv2d, Layer, Linear, MemoryBound
from perfmodel.networks.network import Network, find_network, network_names, read_network

__all__ = ["Conv2d", "Layer", "Linear", "MemoryBound", "Network", "find_network", "network_names", "read_network"]
