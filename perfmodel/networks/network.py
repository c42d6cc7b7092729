"""A network as a list of layers with inferred shapes, read from a TOML file of short rows."""

from __future__ import annotations

from dataclasses import dataclass, field
from math import prod
from pathlib import Path

from perfmodel.datafiles import DATA, Section, bundled, find_file, read_toml
from perfmodel.errors import quote
from perfmodel.networks.layers import POOLS, Conv2d, Layer, Linear, MemoryBound, Pair, Shape, Window, elements
from perfmodel.networks.rows import Row, Unfolder, check_used, known, take_parameters
from perfmodel.units import ceil_div

LARGEST = 10**6  # of any dimension: more is a mistake
MOST_ELEMENTS = 10**10  # of one image's tensor
MOST_MACS = 10**13  # of one layer and image: times any batch that fits a GPU, still exact in 64 bits


@dataclass(frozen=True, slots=True)
class Network:
    """Layers in the order they run; `input` is the shape of one image (channels, height, width)."""

    name: str
    title: str
    source: str
    input: Shape
    layers: tuple[Layer, ...]
    _trained: frozenset[str] = field(init=False, repr=False, compare=False)  # outputs that depend on a parameter

    def __post_init__(self):
        object.__setattr__(self, "_trained", _below_parameters(self.layers))

    @property
    def gemm_layers(self) -> tuple[Conv2d | Linear, ...]:
        """The convolutions and fully connected layers."""
        return tuple(layer for layer in self.layers if not isinstance(layer, MemoryBound))

    @property
    def macs(self) -> int:
        """Multiply-accumulates of the forward pass for one image."""
        return sum(layer.macs for layer in self.layers)

    @property
    def parameters(self) -> int:
        """Trained elements."""
        return sum(layer.parameters for layer in self.layers)

    def trains_before(self, layer: Layer) -> bool:
        """Whether any trained layer precedes this one, so that its input needs a gradient."""
        return not self._trained.isdisjoint(layer.inputs)

    @property
    def main_path(self) -> frozenset[str]:
        """The layers on which the last one depends: all but auxiliary heads."""
        inputs = {layer.name: layer.inputs for layer in self.layers}
        reached, todo = set(), [self.layers[-1].name]
        while todo:
            name = todo.pop()
            if name in inputs and name not in reached:
                reached.add(name)
                todo.extend(inputs[name])
        return frozenset(reached)

    def consumers(self) -> dict[str, int]:
        """How many layers read each layer's output."""
        counts = dict.fromkeys(("input", *(layer.name for layer in self.layers)), 0)
        for layer in self.layers:
            for name in layer.inputs:
                counts[name] += 1
        return counts


def _below_parameters(layers: tuple[Layer, ...]) -> frozenset[str]:
    """The layers whose output depends on a trained parameter."""
    names: set[str] = set()
    for layer in layers:
        if layer.parameters or layer.shares or names.intersection(layer.inputs):
            names.add(layer.name)
    return frozenset(names)


def network_names() -> list[str]:
    """The names of the bundled networks, sorted."""
    return list(bundled("networks"))


def find_network(name: str) -> Network:
    """A bundled network by name, or the network file at a path that ends in `.toml`.

    Raises `UnknownName` (E1002) with the nearest names, `InputError` for a file that does not read.
    """
    return read_network(find_file("networks", "network", name, "E1002"))


def read_network(path: Path) -> Network:
    """The network that a file describes; the schema is in `docs/networks.md`."""
    name = path.name.removesuffix(".toml")
    top = read_toml(path)
    title, source = top.text("title"), top.text("source")
    body, changes = top, {}
    if base := top.take("base", str, None):
        changes = top.take("set", dict, {}, "a table")
        body = _base(top, base)
    shape = _input_shape(body)
    parameters = take_parameters(body)
    _check_changes(top, base, changes, parameters)
    blocks, rows = body.take("blocks", dict, {}, "a table"), body.tables("layers")
    unfolder = Unfolder(body, blocks)
    unfolder.unfold(rows, {**parameters, **changes}, "", "input", 0)
    top.finish()
    body.finish()
    check_used(body, rows, blocks, parameters)
    layers = _build(unfolder.rows, shape)
    if not any(layer.macs for layer in layers):
        raise body.fail("E1407", "layers", "hold no convolution and no fully connected layer.", "Add one.")
    return Network(name, title, source, shape, layers)


def _base(top: Section, base: str) -> Section:
    """The bundled file that another changes only in parameters."""
    path = DATA / "networks" / f"{base}.toml"
    if base not in bundled("networks"):
        raise top.fail("E1402", "base", f"{quote(base)} is no bundled network.", known(network_names()))
    body = read_toml(path)
    body.text("title"), body.text("source")
    if "base" in body.values:
        raise top.fail("E1402", "base", f"{quote(base)} has itself a base.", "Name the file that has the layers.")
    return body


def _check_changes(top: Section, base: str | None, changes: dict, parameters: dict) -> None:
    for key, value in changes.items():
        if key not in parameters:
            raise top.fail("E1406", "set", f"{quote(key)} is no parameter of {base}.", known(sorted(parameters)))
        if type(value) is not type(parameters[key]):
            found = f"{key} = {quote(value)} is of another type than {quote(parameters[key])} in {base}."
            raise top.fail("E1406", "set", found, "Give a value of that type.")


def _input_shape(body: Section) -> Shape:
    shape = body.take("input", list, expected="[channels, height, width]")
    if len(shape) != 3 or not all(type(n) is int and 1 <= n <= LARGEST for n in shape):
        raise body.fail("E1211", "input", f"{quote(shape)} is not [channels, height, width].", "Give three sizes.")
    if prod(shape) > MOST_ELEMENTS:
        raise body.fail("E1212", "input", f"{quote(shape)} is more than {MOST_ELEMENTS:.0e} elements.", "Correct it.")
    return tuple(shape)


def _build(rows: list[Row], shape: Shape) -> tuple[Layer, ...]:
    """Shape inference: each row's layer from the output shapes of its inputs."""
    shapes: dict[str, Shape] = {"input": shape}
    layers: dict[str, Layer] = {}
    for row in rows:
        layer = _layer(row, tuple(shapes[name] for name in row.inputs), layers)
        row.keys.finish()
        _check_size(row, layer)
        shapes[row.name], layers[row.name] = layer.out_shape, layer
    return tuple(layers.values())


def _check_size(row: Row, layer: Layer) -> None:
    shape = layer.out_shape
    if min(shape) < 1 or max(shape) > LARGEST or elements(shape) > MOST_ELEMENTS or layer.macs > MOST_MACS:
        raise row.keys.fail(
            "E1408", "", f"layer {row.name!r} would produce {shape} from {layer.in_shape} with {layer.macs} MACs.",
            "Check kernel, stride, padding and the layers before it.",
        )  # fmt: skip


def _layer(row: Row, ins: tuple[Shape, ...], earlier: dict[str, Layer]) -> Layer:
    keys = row.keys
    if row.op in ("add", "concat"):
        return MemoryBound(row.name, row.inputs, row.op, ins, _joined(row, ins))
    if len(ins) != 1:
        raise keys.fail("E1405", "from", f"{row.op} takes one input, not {len(ins)}.", "Name one row.")
    if row.op in ("conv", "linear"):
        layer = _conv(row, ins[0]) if row.op == "conv" else _linear(row, ins[0])
        _check_shared(row, layer, earlier)
        return layer
    out, window = _pooled(row, ins[0]) if row.op in POOLS else (ins[0], None)
    return MemoryBound(row.name, row.inputs, row.op, ins, out, window)


def _conv(row: Row, shape: Shape) -> Conv2d:
    keys = row.keys
    groups = keys.whole("groups", 1)
    out = keys.whole("out", most=LARGEST)
    if shape[0] % groups or out % groups:
        raise keys.fail("E1409", "groups", f"{groups} does not divide {shape[0]} and {out} channels.", "Correct it.")
    return Conv2d(
        row.name, row.inputs, shape, out, _pair(keys, "kernel"), _pair(keys, "stride", 1), _pair(keys, "pad", 0, 0),
        _pair(keys, "dilation", 1), groups, keys.take("bias", bool, True), keys.take("shares", str, None),
    )  # fmt: skip


def _linear(row: Row, shape: Shape) -> Linear:
    keys = row.keys
    out, bias = keys.whole("out", most=LARGEST), keys.take("bias", bool, True)
    return Linear(row.name, row.inputs, shape, out, bias, keys.take("shares", str, None))


def _check_shared(row: Row, layer: Conv2d | Linear, earlier: dict[str, Layer]) -> None:
    """A layer may share only what an earlier one owns, and only if its own filter and bias would look the same."""
    if layer.shares is None:
        return
    owner = earlier.get(layer.shares)
    if not isinstance(owner, Conv2d | Linear) or owner.shares:
        found = f"{quote(layer.shares)} is no earlier layer with weights of its own."
        raise row.keys.fail("E1405", "shares", found, "Give the full name of a convolution or fully connected layer.")
    if _weight_shape(owner) != _weight_shape(layer):
        found = f"{layer.shares!r} has weights or a bias of another shape."
        raise row.keys.fail("E1409", "shares", found, "Share between equal layers only.")


def _weight_shape(layer: Conv2d | Linear) -> tuple[int, ...]:
    if isinstance(layer, Linear):
        return (layer.out_features, layer.in_features, layer.bias)
    return (layer.out_channels, layer.in_shape[0] // layer.groups, *layer.kernel, layer.groups, layer.bias)


def _joined(row: Row, ins: tuple[Shape, ...]) -> Shape:
    sizes = {shape[1:] for shape in ins}
    if len(ins) < 2 or len(sizes) > 1 or (row.op == "add" and len(set(ins)) > 1):
        found = ", ".join(str(shape) for shape in ins)
        raise row.keys.fail("E1408", "from", f"{row.op} cannot join {found}.", "Its inputs must have matching shapes.")
    return ins[0] if row.op == "add" else (sum(shape[0] for shape in ins), *ins[0][1:])


def _pooled(row: Row, shape: Shape) -> tuple[Shape, Window | None]:
    if row.op == "adaptive_avg_pool":
        out = row.keys.whole("out", 1)
        return (shape[0], out, out), None
    kernel, pad = _pair(row.keys, "kernel"), _pair(row.keys, "pad", 0, 0)
    stride = _pair(row.keys, "stride", kernel)
    up = row.keys.take("ceil", bool, False)
    if any(2 * p > k for p, k in zip(pad, kernel, strict=True)):
        raise row.keys.fail("E1409", "pad", f"{pad} is more than half of kernel {kernel}.", "Use less padding.")
    sides = (_pool_size(*size, up) for size in zip(shape[1:], kernel, stride, pad, strict=True))
    return (shape[0], *sides), Window(kernel, stride, pad, up)


def _pool_size(n: int, kernel: int, stride: int, pad: int, up: bool) -> int:
    """Output size of a pool; rounding up, the last window must still start inside the input (PyTorch's rule)."""
    span = n + 2 * pad - kernel
    if span < 0:
        return 0
    size = (ceil_div(span, stride) if up else span // stride) + 1
    return size - 1 if up and (size - 1) * stride >= n + pad else size


def _pair(keys: Section, name: str, default: int | Pair = ..., least: int = 1) -> Pair:
    value = keys.take(name, (int, list), default, "a whole number or a pair of them")
    pair = tuple(value) if isinstance(value, (list, tuple)) else (value, value)
    if len(pair) != 2 or not all(type(n) is int and least <= n <= LARGEST for n in pair):
        expected = f"a whole number between {least} and {LARGEST}, or a pair [height, width] of them"
        raise keys.fail("E1212", name, f"{quote(value)} is not {expected}.", "Correct it.")
    return pair
