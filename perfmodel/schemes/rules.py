"""Rules of a scheme: which format each tensor of a layer has, and which layers a rule is about."""

from __future__ import annotations

from dataclasses import dataclass, field, fields, replace
from fnmatch import fnmatchcase
from functools import lru_cache

from perfmodel.errors import InputError, unknown_name
from perfmodel.formats import Format, find_format
from perfmodel.lowering import PASSES
from perfmodel.networks import Conv2d, Layer, Linear, MemoryBound, Network
from perfmodel.schemes.units import narrower, wider
from perfmodel.traces import PassPrecision

TENSORS = ("weights", "activations", "errors")
OPERANDS = {"fprop": ("activations", "weights"), "dgrad": ("errors", "weights"), "wgrad": ("errors", "activations")}


@dataclass(frozen=True, slots=True)
class TensorFormats:
    """What a rule says of a layer's tensors as its GEMMs read them, and of whole passes; None where it says nothing.

    A tensor of which nothing is said has the format of the step: weights and activations that of fprop, errors (the
    gradient of the layer's output) that of the pass that reads them. A format of a pass is that of both operands.
    """

    weights: str | None = None
    activations: str | None = None
    errors: str | None = None
    fprop: str | None = None
    dgrad: str | None = None
    wgrad: str | None = None

    @classmethod
    def same(cls, name: str) -> TensorFormats:
        """All tensors in one format."""
        return cls(name, name, name)

    def over(self, base: TensorFormats) -> TensorFormats:
        """This rule, and what it does not say as `base` has it: no pass of `base` of which it names an operand."""
        own = {one.name: value for one in fields(self) if (value := getattr(self, one.name))}
        passes = {pass_: None for pass_, operands in OPERANDS.items() if any(one in own for one in operands)}
        return replace(base, **(passes | own))


@dataclass(frozen=True, slots=True)
class Operands:
    """The formats of both operands of a layer's three GEMMs: of activations or errors, then of the other."""

    fprop: tuple[Format, Format]
    dgrad: tuple[Format, Format]
    wgrad: tuple[Format, Format]

    def format(self, pass_: str) -> Format:
        """The wider one of a pass: what the pass computes in."""
        return wider(*getattr(self, pass_))

    def bits(self, pass_: str) -> int:
        """The product of both widths: the bit operations of one multiply-accumulate.

        >>> three, eight = find_format("int3"), find_format("int8")
        >>> Operands((three, three), (eight, three), (eight, three)).bits("dgrad")
        24
        """
        a, b = getattr(self, pass_)
        return a.bits * b.bits

    @property
    def passes(self) -> PassPrecision:
        """What each pass computes in, as traces name it."""
        return PassPrecision(*(self.format(pass_).name for pass_ in PASSES))


@lru_cache(4096)
def resolve(base: TensorFormats, own: TensorFormats | None, step: PassPrecision) -> Operands:
    """The operands of a layer: its own rule's where there is one, else the scheme's within the step.

    A trace has the last word on a pass: an operand is as wide as its tensor, but no wider than the pass; and where the
    pass is wider than the scheme's tensors make it, both operands are as wide as the pass. A layer's own rule is an
    exception from that, and is not bounded.
    """
    return Operands(*(_pair(base, own or TensorFormats(), step, pass_) for pass_ in PASSES))


def _pair(base: TensorFormats, own: TensorFormats, step: PassPrecision, pass_: str) -> tuple[Format, Format]:
    if whole := getattr(own, pass_):
        return (find_format(whole),) * 2
    limit = find_format(getattr(step, pass_)[0])
    if getattr(base, pass_) or _is_wider(limit, [getattr(base, tensor) for tensor in OPERANDS[pass_]]):
        base = TensorFormats.same(limit.name)
    return tuple(_operand(tensor, base, own, step, limit) for tensor in OPERANDS[pass_])


def _is_wider(limit: Format, names: list[str | None]) -> bool:
    """Whether a pass is wider than both of its tensors, of which the scheme says what they are."""
    if not all(names):
        return False
    widest = wider(*map(find_format, names))
    return limit is not widest and narrower(limit, widest) is widest


def _operand(tensor: str, base: TensorFormats, own: TensorFormats, step: PassPrecision, limit: Format) -> Format:
    if name := getattr(own, tensor):
        return find_format(name)
    name = getattr(base, tensor) or (limit.name if tensor == "errors" else step.fprop[0])
    return narrower(find_format(name), limit)


def bounds(base: TensorFormats, forward: str, backward: str) -> PassPrecision:
    """What the passes of a step compute in whose tensors have these formats where `base` does not say otherwise."""
    forward_format, backward_format = find_format(forward), find_format(backward)
    named = {
        tensor: find_format(name) if (name := getattr(base, tensor)) else default
        for tensor, default in zip(TENSORS, (forward_format, forward_format, backward_format), strict=True)
    }
    passes = (
        find_format(whole) if (whole := getattr(base, pass_)) else wider(*(named[one] for one in OPERANDS[pass_]))
        for pass_ in PASSES
    )
    return PassPrecision(*(one.name for one in passes))


@dataclass(frozen=True, slots=True)
class LayerRule:
    """Formats of some layers. `match` holds roles (`ROLES`) and patterns of names, `*` for any letters.

    `least_image` is the least width and height of a network's images for which the rule holds, `place` where it stands.
    """

    match: tuple[str, ...]
    formats: TensorFormats
    least_image: int = 1
    place: str = field(default="layers:", compare=False)


def first_layer(network: Network) -> list[str]:
    """The first layer with a GEMM."""
    return [network.gemm_layers[0].name]


def last_layers(network: Network) -> list[str]:
    """The layers with GEMMs behind which there is no other: the classifier, and those of auxiliary heads."""
    feeding: set[str] = set()
    for layer in reversed(network.layers):
        if layer.name in feeding or not isinstance(layer, MemoryBound):
            feeding.update(layer.inputs)
    return [layer.name for layer in network.gemm_layers if layer.name not in feeding]


def linear_layers(network: Network) -> list[str]:
    """The fully connected layers."""
    return [layer.name for layer in network.gemm_layers if isinstance(layer, Linear)]


def shortcuts(network: Network) -> list[str]:
    """1x1 convolutions from a block's input straight into its sum, with nothing but a batch norm between."""
    readers = network.consumers()
    after = {name: layer for layer in network.layers for name in layer.inputs}

    def joins(layer: Layer) -> bool:
        follower = after.get(layer.name)
        return follower is not None and (follower.op == "add" or (follower.op == "batch_norm" and joins(follower)))

    return [
        layer.name for layer in network.gemm_layers
        if isinstance(layer, Conv2d) and layer.kernel == (1, 1) and readers[layer.inputs[0]] > 1 and joins(layer)
    ]  # fmt: skip


# What a rule may call layers besides by their names; a network need not have any of a role.
ROLES = {"first": first_layer, "last": last_layers, "linear": linear_layers, "shortcuts": shortcuts}


def layer_formats(network: Network, rules: tuple[LayerRule, ...]) -> dict[str, TensorFormats]:
    """The formats of each layer that a rule is about; the first rule counts.

    Raises `InputError` (E1108) at the rule's place for a pattern that no layer's name fits.
    """
    found: dict[str, TensorFormats] = {}
    for rule in rules:
        if min(network.input[1:]) >= rule.least_image:
            for name in matching(network, rule.match, rule.place):
                found.setdefault(name, rule.formats)
    return found


def matching(network: Network, match: tuple[str, ...], place: str) -> list[str]:
    """The names of the layers with GEMMs that roles and patterns are about; E1108 for a pattern that none fits."""
    names = {layer.name: None for layer in network.gemm_layers}
    found: list[str] = []
    for pattern in match:
        if pattern in ROLES:
            fitting = ROLES[pattern](network)
        elif pattern in names and not any(sign in pattern for sign in "*?["):  # of thousands, each is looked up
            fitting = [pattern]
        else:
            fitting = [name for name in names if fnmatchcase(name, pattern)]
        if not fitting and pattern not in ROLES:
            what = f"{place} layer with a GEMM in {network.name}"
            raise InputError(unknown_name("E1108", what, pattern, (*ROLES, *names)).problems)
        found += fitting
    return found
