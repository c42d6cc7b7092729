"""A plan: the format of each layer and pass; and the scheme that trains by it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from glob import escape

from perfmodel.formats import find_format
from perfmodel.lowering import PASSES
from perfmodel.networks import Network
from perfmodel.schemes import Scheme
from perfmodel.schemes.conversions import Conversion
from perfmodel.schemes.rules import ROLES, LayerRule, TensorFormats

MOST_NAMES = 500  # of one rule, as scheme files have them
CONVERTED = Conversion(
    "quantise", ("inputs", "weights", "output_gradients"), once=True,
    what="what narrow GEMMs read, once for all of them",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Plan:
    """The format of each pass of each layer that is not in `base`; passes that a layer lacks are not there."""

    base: str
    narrow: Mapping[tuple[str, str], str]

    def find(self, layer: str, pass_: str) -> str:
        """The format of one layer and pass."""
        return self.narrow.get((layer, pass_), self.base)

    @classmethod
    def everywhere(cls, network: Network, base: str, name: str) -> Plan:
        """Every pass of every layer in one format."""
        every = ((layer.name, one) for layer in network.gemm_layers for one in passes_of(network, layer))
        return cls(base, {} if name == base else dict.fromkeys(every, name))


def passes_of(network: Network, layer) -> tuple[str, ...]:
    """The passes of a layer: the first has no data gradient."""
    return PASSES if network.trains_before(layer) else ("fprop", "wgrad")


def plan_scheme(network: Network, plan: Plan, base: Scheme, name: str, title: str, source: str) -> Scheme:
    """The scheme `base` but for the layers and passes that the plan has in narrow formats, converted once."""
    rules: dict[TensorFormats, list[str]] = {}
    for layer in network.gemm_layers:
        formats = {pass_: plan.narrow.get((layer.name, pass_)) for pass_ in PASSES}
        if any(formats.values()):
            rules.setdefault(TensorFormats(**formats), []).append(pattern(layer.name))
    layers = (
        LayerRule(tuple(names[start : start + MOST_NAMES]), formats)
        for formats, names in rules.items()
        for start in range(0, len(names), MOST_NAMES)
    )
    trained = tuple(dict.fromkeys((*base.formats, *plan.narrow.values())))
    return replace(
        base, name=name, title=title, source=source, formats=trained, layers=tuple(layers),
        conversions=(*base.conversions, CONVERTED), stands_for={}, stages=(),
    )  # fmt: skip


def pattern(name: str) -> str:
    """A pattern that fits this name alone, and is no role.

    >>> pattern("layer1.0.conv1"), pattern("a*"), pattern("first")
    ('layer1.0.conv1', 'a[*]', '[f]irst')
    """
    return f"[{name[0]}]{name[1:]}" if name in ROLES else escape(name)


def is_narrow(name: str) -> bool:
    """Whether tensors must be converted into a format before a GEMM reads them."""
    return find_format(name).is_code
