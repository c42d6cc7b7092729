"""The GEMM kernels that were compiled for this device, as a manifest names them; loaded when first asked for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from perfmodel.gemm import Gemm
from perfmodel.measure.backend import BuildFailed
from perfmodel.measure.cutlass.cabi import Library, LoadedKernel
from perfmodel.measure.cutlass.kernels import read_variant


@dataclass(frozen=True, slots=True)
class Choice:
    """A kernel of the catalogue for one problem: k in `parts`, added up as `mode` says; `alignment` in elements."""

    loaded: LoadedKernel
    parts: int
    mode: str
    resources: Mapping[str, int]
    alignment: tuple[int, ...] = (1, 1, 1)


@dataclass(slots=True)
class Catalogue:
    """Kernels by name. `manifest` has `compiler`, `fingerprint` and `kernels`: for each name its `path`, `index`,
    `operand`, `accumulator`, `output`, `layout`, `split_modes`, `resources`; a convolution's has `conv`, the pass, and
    `alignment`."""

    manifest: Mapping
    _libraries: dict[str, Library] = field(default_factory=dict)

    @property
    def compiler(self) -> str:
        """What compiled the kernels."""
        return str(self.manifest.get("compiler", ""))

    @property
    def fingerprint(self) -> str:
        """What identifies the kernels' sources."""
        return str(self.manifest.get("fingerprint", ""))

    def choose(self, gemm: Gemm, variant: str) -> Choice:
        """The kernel that a variant names; `BuildFailed` where there is none, or it computes something else."""
        name, parts, mode = read_variant(variant)
        entry = self.manifest.get("kernels", {}).get(name)
        if entry is None:
            raise BuildFailed(f"the kernel {name} is not in the manifest", "Compile it first.")
        self._check(gemm, name, parts, mode, entry)
        loaded = self._library(entry["path"])[entry["index"]]
        resources = _whole_numbers(entry.get("resources", {}))
        return Choice(loaded, parts, mode, resources, tuple(entry.get("alignment", (1, 1, 1))))

    def _check(self, gemm: Gemm, name: str, parts: int, mode: str, entry: Mapping) -> None:
        p = gemm.precision
        wanted = {
            "operand": p.operand.name, "accumulator": p.accumulator.name, "output": p.output.name,
            "layout": gemm.layout,
        }  # fmt: skip
        for key, value in wanted.items():
            if entry[key] != value:
                raise BuildFailed(f"{name} has the {key} {entry[key]}, not {value}", "Choose another kernel.")
        does, asked = entry.get("conv", ""), gemm.conv.pass_ if gemm.conv else ""
        if does != asked:
            found = f"{name} computes {does or 'matrix products'}, not {asked or 'matrix products'}"
            raise BuildFailed(found, "Choose another kernel.")
        if parts > 1 and mode not in entry.get("split_modes", ()):
            raise BuildFailed(f"{name} does not split k in {mode} mode", "Choose another kernel.")

    def _library(self, path: str) -> Library:
        if path not in self._libraries:
            self._libraries[path] = Library(Path(path))
        return self._libraries[path]


def _whole_numbers(resources: Mapping) -> dict[str, int]:
    return {name: value for name, value in resources.items() if type(value) is int}
