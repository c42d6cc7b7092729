"""How far a measuring session is: one line on the standard error stream, where that is a terminal."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from typing import TypeVar

WIDEST = 100  # columns
T = TypeVar("T")


def shown() -> Callable:
    """What shows a `Progress`: it rewrites the line; nothing happens where there is no terminal."""
    return _show if _is_shown() else lambda progress: None


def counted(what: str) -> Callable[[int, int], None]:
    """What shows how many of how many are done, on the same line."""

    def show(done: int, total: int) -> None:
        if _is_shown():
            width = _columns()
            print(f"\r{f'{what}: {done} of {total}':<{width}.{width}}", end="", file=sys.stderr, flush=True)

    return show


def then_cleared(call: Callable[[], T]) -> T:
    """What `call` returns; whatever is printed next, also about its error, starts on a clear line."""
    try:
        return call()
    finally:
        if _is_shown():
            print(f"\r{'':<{_columns()}}\r", end="", file=sys.stderr, flush=True)


def text(progress) -> str:
    """Phase, kernels, visits, worst interval and time, as far as the phase has them."""
    parts = [f"{progress.done} of {progress.total} kernels"] if progress.phase != "settling" else []
    parts += [f"{progress.visits} visits"] if progress.phase == "measuring" else []
    parts += [f"worst interval ±{progress.worst * 100:.1f} %"] if progress.worst is not None else []
    parts += [f"{progress.spent_s:.0f} of {progress.budget_s:.0f} s"] if progress.budget_s else []
    return f"{progress.phase}: {', '.join(parts)}"


def _show(progress) -> None:
    width = _columns()
    print(f"\r{text(progress):<{width}.{width}}", end="", file=sys.stderr, flush=True)


def _is_shown() -> bool:
    return sys.stderr is not None and sys.stderr.isatty()


def _columns() -> int:
    """Of the terminal, but for the last: a line that fills it could not be written again from its start."""
    try:
        columns = os.get_terminal_size(sys.stderr.fileno()).columns
    except (OSError, ValueError):
        columns = 0
    return min(WIDEST, (columns or 80) - 1)
