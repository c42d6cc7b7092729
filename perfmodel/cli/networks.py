"""`perfmodel networks [NAME]`: what there is, with sources."""

from __future__ import annotations

from perfmodel.cli import listing

DESCRIPTION = "The bundled networks, or one of them in full; a path works as a name does."


def run(argv: list[str]) -> int:
    """The verb; returns the exit code."""
    from perfmodel.report.catalogue import network_table, networks_table

    return listing.run("networks", DESCRIPTION, argv, networks_table, network_table)
