"""Benchmarks are run by hand: here, only that what they import is there."""

import ast
import importlib
import importlib.util
from pathlib import Path

import pytest

FOLDER = Path(__file__).parent.parent / "benchmarks"
NAMES = sorted(path.stem for path in FOLDER.glob("*.py"))
OPTIONAL = ("scipy", "torch", "perfmodel.training")  # of priors.py and emulation.py, whose first lines say so


def imports_of(name):
    """The modules that a benchmark imports, with the names that it takes from them."""
    for node in ast.walk(ast.parse((FOLDER / f"{name}.py").read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from ((alias.name, ()) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.module, tuple(alias.name for alias in node.names)


def names_in(neighbour):
    """What the top level of another benchmark defines."""
    found = set()
    for node in ast.parse((FOLDER / f"{neighbour}.py").read_text(encoding="utf-8")).body:
        targets = node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", node)]
        found |= {getattr(target, "id", getattr(target, "name", None)) for target in targets}
    return found


@pytest.mark.parametrize("name", NAMES)
def test_what_a_benchmark_imports_is_there(name):
    for module, taken in imports_of(name):
        if module in NAMES:
            assert set(taken) <= names_in(module)
        elif not _is_optional(module):
            loaded = importlib.import_module(module)
            missing = [one for one in taken if not hasattr(loaded, one) and not _is_module(f"{module}.{one}")]
            assert not missing, f"{module} has no {missing}"


def _is_optional(module):
    """Whether a module may be absent, and what it stands on is."""
    if not module.startswith(OPTIONAL):
        return False
    return not _is_module("torch" if module.startswith("perfmodel") else module.partition(".")[0])


def _is_module(name):
    return importlib.util.find_spec(name) is not None
