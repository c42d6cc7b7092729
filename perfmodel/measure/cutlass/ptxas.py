"""What `ptxas -v` reports of each kernel: registers, shared memory, stack and spills."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

FUNCTION = re.compile(r"Function properties for (\S+)")
STACK = re.compile(r"(\d+) bytes stack frame, (\d+) bytes spill stores, (\d+) bytes spill loads")
USED = re.compile(r"Used (\d+) registers")
SHARED = re.compile(r"(\d+) bytes smem")


def read_ptxas(log: str) -> dict[str, dict[str, int]]:
    """Per function, by its mangled name: `registers`, `shared_bytes` (static), `stack_bytes`, `spilled_bytes`.

    Spilled bytes are the stores and the loads together.
    """
    found: dict[str, dict[str, int]] = {}
    current: dict[str, int] = {}
    for line in log.splitlines():
        if match := FUNCTION.search(line):
            current = found.setdefault(match[1], {})
        elif match := STACK.search(line):
            stack, stores, loads = map(int, match.groups())
            current.update(stack_bytes=stack, spilled_bytes=stores + loads)
        elif match := USED.search(line):
            shared = SHARED.search(line)
            current.update(registers=int(match[1]), shared_bytes=int(shared[1]) if shared else 0)
    return found


def resources_of(log: str, types: Iterable[str]) -> dict[str, Mapping[str, int]]:
    """The same per C++ type name of a kernel; a type of which ptxas says nothing is left out.

    A mangled name holds a type's name behind its length, which tells `…_align1` from `…_align16`.
    """
    functions = read_ptxas(log)
    found = {}
    for name in types:
        mark = re.compile(rf"{len(name)}{re.escape(name)}E")
        matches = [each for mangled, each in functions.items() if mark.search(mangled) and "registers" in each]
        if matches:
            found[name] = matches[0]
    return found
