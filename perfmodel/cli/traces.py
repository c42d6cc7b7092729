"""`perfmodel traces [NAME]`: what there is, with sources."""

from __future__ import annotations

from perfmodel.cli import listing

DESCRIPTION = "The bundled traces, or one of them in full; a path works as a name does."


def run(argv: list[str]) -> int:
    """The verb; returns the exit code."""
    from perfmodel.report.catalogue import trace_table, traces_table

    return listing.run("traces", DESCRIPTION, argv, traces_table, trace_table)
