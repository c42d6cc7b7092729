"""The memory-bound work of a layer: its own, and the sums of gradients where its output feeds several."""

from __future__ import annotations

from collections.abc import Iterator

from perfmodel.lowering.work import MemoryOp, Work
from perfmodel.networks import Layer, MemoryBound, Network
from perfmodel.networks.layers import elements

KIND_OF = {
    "batch_norm": "batch norm", "relu": "activation", "relu6": "activation", "dropout": "activation",
    "max_pool": "pooling", "avg_pool": "pooling", "adaptive_avg_pool": "pooling",
    "add": "add/concat", "concat": "add/concat", "softmax": "loss",
}  # fmt: skip

# Elements that a layer moves, in units of its input i (all inputs together) and output o:
# forward read, forward write, backward read, backward write. Batch norm reads its input twice each way (statistics,
# then values); a max pool's backward pass finds the maxima again; an add passes its gradient on untouched.
TRAFFIC = {
    "batch_norm": ("2i", "o", "4i", "i"),
    "relu": ("i", "o", "2o", "i"),
    "relu6": ("i", "o", "2o", "i"),
    "dropout": ("i", "o", "o", "i"),
    "softmax": ("i", "o", "o", "i"),
    "max_pool": ("i", "o", "i+2o", "i"),
    "avg_pool": ("i", "o", "o", "i"),
    "adaptive_avg_pool": ("i", "o", "o", "i"),
    "add": ("i", "o", "", ""),
    "concat": ("i", "o", "o", "i"),
}


def lower_memory(layer: Layer, batch: int, element_bytes: float, trains: bool) -> Iterator[Work]:
    """What a layer moves besides its GEMMs: all of a `MemoryBound` layer, the bias gradient of the others.

    `element_bytes` is the size of an activation or gradient element; `trains` whether its input needs a gradient.
    """
    out = batch * elements(layer.out_shape)
    if not isinstance(layer, MemoryBound):
        if layer.bias:
            yield Work(layer.name, "wgrad", "bias", MemoryOp(out * element_bytes, 0.0))
        return
    counts = {"i": batch * sum(elements(shape) for shape in layer.in_shapes), "o": out}
    read, write, back_read, back_write = (_amount(text, counts) * element_bytes for text in TRAFFIC[layer.op])
    yield Work(layer.name, "fprop", KIND_OF[layer.op], MemoryOp(read, write))
    if trains and back_read:
        yield Work(layer.name, "dgrad", KIND_OF[layer.op], MemoryOp(back_read, back_write))
    elif layer.parameters:  # a batch norm whose input needs no gradient: its scale and shift do
        yield Work(layer.name, "wgrad", KIND_OF[layer.op], MemoryOp(back_read, 0.0))


def _amount(text: str, counts: dict[str, int]) -> int:
    """`i+2o` as a number of elements."""
    terms = (term for term in text.split("+") if term)
    return sum(int(term[:-1] or 1) * counts[term[-1]] for term in terms)


def lower_joins(network: Network, batch: int, element_bytes: float) -> Iterator[Work]:
    """Sums of gradients where a trained output feeds several layers: read two, write one, for each but the first."""
    consumers = network.consumers()
    for layer in network.layers:
        readers = consumers[layer.name]
        trained = layer.parameters or layer.shares or network.trains_before(layer)
        if readers > 1 and trained:
            size = batch * elements(layer.out_shape) * element_bytes
            yield Work(layer.name, "dgrad", "add/concat", MemoryOp(2 * size, size), readers - 1)
