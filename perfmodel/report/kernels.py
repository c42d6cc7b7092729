"""The CUTLASS kernels of an architecture as a table, with what they occupy where they are compiled."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pandas as pd

from perfmodel.measure.cutlass.factory import Built, Failed
from perfmodel.measure.cutlass.kernels import GemmKernel, precision_text
from perfmodel.report.table import Table

HEADERS = {
    "precision": "precision", "pass_": "pass", "layout": "layout", "unit": "unit", "tile": "tile", "stages": "stages",
    "cluster": "cluster", "alignment": "alignment", "split_k": "split-K",
}  # fmt: skip
BUILT = {"registers": "registers", "shared_bytes": "shared B", "spilled_bytes": "spilled B", "status": "status"}
NOTES = (
    "tile and cluster: of m, n, k. alignment: elements of A, B, C. layout: as BLAS has it, C row-major; a forward pass "
    "is tn, a data gradient tt, a weight gradient nt. stages 0: CUTLASS chooses.",
    "pass: of a convolution in implicit form; where there is none, a GEMM.",
)


def kernels_table(
    title: str, kernels: Sequence[GemmKernel], built: Mapping[str, Built | Failed] | None = None
) -> Table:  # fmt: skip
    """One row a kernel; with `built` also registers of a thread, shared memory of a CTA, spilled bytes, and status."""
    rows = [_row(kernel) | (_occupied(built.get(kernel.name)) if built is not None else {}) for kernel in kernels]
    columns = ["name", *HEADERS, *(BUILT if built is not None else {})]
    frame = pd.DataFrame(rows, columns=columns)
    whole = [name for name in ("registers", "shared_bytes", "spilled_bytes") if name in columns]
    headers = HEADERS | (BUILT if built is not None else {"name": "name"})
    return Table(title, frame.astype(dict.fromkeys(whole, "Int64")), {}, headers, (f"{len(kernels)} kernels.", *NOTES))


def _row(kernel: GemmKernel) -> dict:
    tile, cluster = ("x".join(map(str, sizes)) for sizes in (kernel.tile, kernel.cluster))
    return {
        "name": kernel.name, "precision": precision_text(kernel.precision), "pass_": kernel.conv or None,
        "layout": kernel.layout, "unit": kernel.unit, "tile": tile, "stages": kernel.stages, "cluster": cluster,
        "alignment": ",".join(map(str, kernel.alignment)), "split_k": " ".join(kernel.split_modes) or "none",
    }  # fmt: skip


def _occupied(one: Built | Failed | None) -> dict:
    if one is None:
        return {"status": "not built"}
    if isinstance(one, Failed):
        return {"status": "failed"}
    return {name: one.resources.get(name) for name in BUILT if name != "status"} | {"status": "built"}
