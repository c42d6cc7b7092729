"""What the verbs `networks`, `devices`, `schemes` and `traces` have in common: a list, or one entry of it."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from perfmodel.cli import common


def run(verb: str, description: str, argv: list[str], everything: Callable, one: Callable | None = None) -> int:
    """Print what `everything` builds, or what `one` builds for the name given; returns the exit code."""
    parser = common.parser(verb, description)
    if one is not None:
        parser.add_argument(
            "name", nargs="?", metavar="NAME", help="show this one in full: a name, or the path of a file"
        )
    common.add_output_argument(parser, "table (.txt .csv .json .md .tex)")
    arguments = parser.parse_args(argv)
    common.output_suffix(arguments.output, figures=False)
    name = getattr(arguments, "name", None)
    tables = everything() if name is None else one(name)
    tables = list(tables) if isinstance(tables, Sequence) else [tables]
    first_only = str(arguments.output).lower().endswith(".csv")  # a CSV file holds one table
    common.emit(tables[:1] if first_only else tables, arguments.output)
    return 0
