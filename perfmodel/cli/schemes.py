"""`perfmodel schemes`: the training schemes, and what quantising costs."""

from __future__ import annotations

from perfmodel.cli import listing

DESCRIPTION = "The training schemes with their sources, and the levels of --overhead (a .csv holds the schemes alone)."


def run(argv: list[str]) -> int:
    """The verb; returns the exit code."""
    from perfmodel.report.catalogue import schemes_tables

    return listing.run("schemes", DESCRIPTION, argv, schemes_tables)
