"""A compiler, a cache that outlives a test, and a disassembler, or the reason why there is none."""

import importlib.util
import os
from pathlib import Path

import pytest

from perfmodel.errors import InputError
from perfmodel.gpu import compilers_for
from perfmodel.measure.cutlass.factory import Factory
from perfmodel.measure.cutlass.toolchain import find_toolchain


def _sass():
    spec = importlib.util.spec_from_file_location("perfmodel_tests_sass", Path(__file__).with_name("sass.py"))
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def toolchain():
    try:
        return find_toolchain()
    except InputError as error:
        pytest.skip(str(error))


@pytest.fixture(scope="session")
def build_named(toolchain, tmp_path_factory):
    """`build_named(target, names)`: these kernels of the wide catalogue, compiled; `Built` or `Failed` by name."""
    from perfmodel.measure.cutlass.catalogue import catalogue

    named = os.environ.get("PERFMODEL_CACHE")
    cache = Path(named) if named else tmp_path_factory.mktemp("cache")

    def build(target, names):
        kernels = {kernel.name: kernel for kernel in catalogue(target, "wide")}
        chosen = [kernels[name] for name in names]
        return Factory(toolchain, target, cache, jobs=compilers_for(chosen)).build(chosen)

    return build


@pytest.fixture(scope="session")
def sass():
    """The module `sass`."""
    return _sass()


@pytest.fixture(scope="session")
def opcodes(sass):
    """`opcodes(built)`: the opcodes of a kernel that was built, counted."""
    disassembler = sass.find_disassembler()
    if disassembler is None:
        pytest.skip("no cuobjdump: install nvidia-cuda-cuobjdump or name one in PERFMODEL_CUOBJDUMP")
    seen = {}

    def of(built):
        if built.path not in seen:
            seen[built.path] = sass.opcodes(disassembler, built.path)
        return sass.of_type(seen[built.path], built.name)

    return of
