"""The machine code in a library of kernels."""

import os
import re
import shutil
import subprocess
from collections import Counter
from importlib.util import find_spec
from pathlib import Path

OPCODE = re.compile(r"^\s+/\*[0-9a-f]{4,}\*/\s+(?:@!?U?P\w+\s+)?([A-Z][\w.]*)")


def find_disassembler():
    """cuobjdump: where PERFMODEL_CUOBJDUMP says, on PATH, or in the pip toolkit; None where there is none."""
    named = os.environ.get("PERFMODEL_CUOBJDUMP") or shutil.which("cuobjdump")
    if named:
        return named
    try:
        spec = find_spec("nvidia.cu13")
    except ImportError:
        return None
    places = [Path(place) / "bin" / "cuobjdump" for place in spec.submodule_search_locations] if spec else []
    return next((str(place) for place in places if place.is_file()), None)


def opcodes(disassembler, library):
    """How often each opcode (with its modifiers) occurs, by mangled function name."""
    text = subprocess.run([disassembler, "-sass", str(library)], capture_output=True, text=True, check=True).stdout
    return count_opcodes(text)


def count_opcodes(text):
    """The same from what cuobjdump writes."""
    found, current = {}, Counter()
    for line in text.splitlines():
        if "Function :" in line:
            current = found.setdefault(line.split(":", 1)[1].strip(), Counter())
        elif match := OPCODE.match(line):
            current[match[1]] += 1
    return found


def of_type(functions, name):
    """The opcodes of the kernel whose C++ type has this name."""
    mark = re.compile(rf"{len(name)}{re.escape(name)}E")
    (found,) = (counts for mangled, counts in functions.items() if mark.search(mangled))
    return found


def total(counts, beginning):
    """How many opcodes begin like this."""
    return sum(count for opcode, count in counts.items() if opcode.startswith(beginning))
