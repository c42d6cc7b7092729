"""Imports point one way, GPU libraries stay in `measure/`, and `--help` loads nothing heavy."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import perfmodel

PACKAGE = Path(perfmodel.__file__).parent
LAYERS = [  # lowest first; a unit imports only from layers below its own
    ("errors",),
    ("units", "output", "tomllines"),
    ("datafiles", "formats", "convolution"),
    ("csvfiles",),
    ("gemm", "quantisers"),
    ("devices", "networks"),
    ("traces", "lowering"),
    ("record",),
    ("profiles",),
    ("policies",),
    ("schemes", "cost", "measure"),  # cost and measure never import each other: they meet in a profile
    ("calibration",),
    ("simulate", "predict", "plan"),
    ("calibrate", "framework"),
    ("whatif", "sidebyside", "advise"),
    ("candidates",),
    ("measuring", "gpu"),
    ("reproduce",),
    ("validate",),
    ("training",),
    ("report",),
    ("cli",),
    ("__main__",),
]
RANK = {unit: rank for rank, units in enumerate(LAYERS) for unit in units}
FILES = sorted(PACKAGE.rglob("*.py"))
HEAVY = ("numpy", "pandas", "matplotlib", "torch", "cupy")


def unit_of(path: Path) -> str:
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def imported(path: Path):
    """The modules that a file names in its imports, also those inside functions."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path} imports relatively"
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names if node.module == "perfmodel")


def name_of(path: Path) -> str:
    return str(path.relative_to(PACKAGE))


@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_imports_point_down(path):
    here = unit_of(path)
    if here == "__init__":
        return  # the package's own names: re-exported lazily
    for name in imported(path):
        parts = name.split(".")
        if parts[0] == "perfmodel" and len(parts) > 1:
            there = parts[1]
            assert there == here or RANK[there] < RANK[here], f"imports {name}"


@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_gpu_libraries_stay_in_measure_and_torch_in_training(path):
    tops = {name.split(".")[0] for name in imported(path)}
    assert unit_of(path) == "measure" or not tops & {"cupy", "cutlass", "cutlass_library", "cutlass_cppgen", "pynvml"}
    assert unit_of(path) == "training" or "torch" not in tops


@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_only_the_command_line_prints(path):
    calls = (node.func for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))) if isinstance(node, ast.Call))
    assert unit_of(path) == "cli" or not any(isinstance(call, ast.Name) and call.id == "print" for call in calls)


def loaded_by(*arguments: str) -> set[str]:
    """The top-level modules that `python -m perfmodel …` imports."""
    code = (
        "import sys, runpy\n"
        f"sys.argv[1:] = {list(arguments)!r}\n"
        "try: runpy.run_module('perfmodel', run_name='__main__')\n"
        "except SystemExit: pass\n"
        "print('\\n' + ' '.join(m for m in sys.modules if '.' not in m))"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    return set(out.splitlines()[-1].split())


@pytest.mark.parametrize("arguments", [("--help",), ("--version",), ("speedup", "--help"), ("nonsense",)])
def test_help_imports_nothing_heavy(arguments):
    modules = loaded_by(*arguments)
    assert "perfmodel" in modules
    assert not modules & set(HEAVY)


def test_the_check_itself_can_fail():
    assert "numpy" in loaded_by("predict", "missing.csv")


@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_public_names_have_docstrings(path):
    tree = ast.parse(path.read_text(encoding="utf-8"))
    assert ast.get_docstring(tree), "the module says what it is"
    for node in tree.body:
        if isinstance(node, (ast.FunctionDef, ast.ClassDef)) and not node.name.startswith("_"):
            assert ast.get_docstring(node), node.name
