"""`perfmodel devices [NAME]`: what there is, with sources."""

from __future__ import annotations

from perfmodel.cli import listing

DESCRIPTION = "The bundled devices, or one of them in full; a path works as a name does."


def run(argv: list[str]) -> int:
    """The verb; returns the exit code."""
    from perfmodel.report.catalogue import device_table, devices_table

    return listing.run("devices", DESCRIPTION, argv, devices_table, device_table)
