"""`perfmodel traces [NAME]`: what there is; one of them as `perfmodel trace show` shows it."""

from __future__ import annotations

from perfmodel.cli import listing, trace

DESCRIPTION = """\
The bundled traces.
With a NAME, or the path of a trace or log, the same as perfmodel trace show NAME."""


def run(argv: list[str]) -> int:
    """The verb; returns the exit code."""
    from perfmodel.report.catalogue import traces_table

    if argv and not argv[0].startswith("-"):
        return trace.run(["show", *argv])
    return listing.run("traces", DESCRIPTION, argv, traces_table)
