"""What the verbs `networks`, `devices`, `schemes` and `traces` have in common: a list, or one entry of it."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from perfmodel.cli import options, writing


def run(verb: str, description: str, argv: list[str], everything: Callable, one: Callable | None = None) -> int:
    """Print what `everything` builds, or what `one` builds for the name given; returns the exit code."""
    parser = options.parser(verb, description)
    if one is not None:
        parser.add_argument(
            "name", nargs="?", metavar="NAME", help="show this one in full: a name, or the path of a file"
        )
    options.add_output_argument(parser, "table (.txt .csv .json .md .tex)")
    arguments = parser.parse_args(argv)
    suffix = writing.output_suffix(arguments.output, figures=False)
    name = getattr(arguments, "name", None)
    tables = everything() if name is None else one(name)
    tables = list(tables) if isinstance(tables, Sequence) else [tables]
    writing.emit(tables[:1] if suffix == ".csv" else tables, arguments.output)  # a CSV file holds one table
    return 0
