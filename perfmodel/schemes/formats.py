"""Which format each layer and pass has in one training step."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

from perfmodel.errors import InputError
from perfmodel.formats import Format, find_format
from perfmodel.traces import PassPrecision, Segment


@dataclass(frozen=True)
class StepFormats:
    """The formats of one training step: those of all layers, and the layers that differ. Hashable."""

    precision: PassPrecision
    layers: tuple[tuple[str, PassPrecision], ...] = ()

    @classmethod
    def everywhere(cls, name: str) -> StepFormats:
        """One format in all layers and passes."""
        return cls(PassPrecision.same(name))

    @classmethod
    def of_passes(cls, precision: PassPrecision, layers: Mapping[str, PassPrecision] | None = None) -> StepFormats:
        """One precision for all layers but those named."""
        return cls(precision, tuple(sorted((layers or {}).items())))

    @classmethod
    def of_segment(cls, segment: Segment) -> StepFormats:
        """Those of a trace's segment; `InputError` (E1315) where they are not known."""
        if not segment.known:
            raise InputError.at(
                "E1315", f"epoch {segment.epoch}:", f"its precision is not known: {segment.precision.label}.",
                "Price the completions of the trace.",
            )  # fmt: skip
        return cls(segment.precision, tuple((name, segment.layer(name)) for name in sorted(segment.layers)))

    @cached_property
    def _by_layer(self) -> dict[str, PassPrecision]:
        return dict(self.layers)

    def find(self, layer: str, pass_: str) -> Format:
        """The format of one layer and pass (`fprop`, `dgrad`, `wgrad`)."""
        precision = self._by_layer.get(layer, self.precision)
        (name,) = getattr(precision, pass_)
        return find_format(name)

    @property
    def label(self) -> str:
        """How tables name it: the forward format, with the backward one where it differs, `*` where layers differ."""
        forward, backward = self.precision.fprop[0], self.precision.wgrad[0]
        text = forward if forward == backward else f"{forward}/{backward}"
        return text + "*" * bool(self.layers)
