"""Which compiler is taken, and one line for everything that can be wrong with it; the compilers are shell scripts."""

from pathlib import Path

import pytest

from perfmodel.errors import InputError
from perfmodel.measure.cutlass.toolchain import Surroundings, Toolchain, check_target, find_toolchain, problems

SAYS = "Cuda compilation tools, release {0}.{1}, V{0}.{1}.{2}"
VERSION = """#define CUTLASS_MAJOR 4
#define CUTLASS_MINOR {}
#define CUTLASS_PATCH 0
"""


class Machine:
    """A folder with the programs and packages of a machine."""

    def __init__(self, root: Path):
        self.root, self.environ, self.on_path, self.modules = root, {}, {}, {}
        self.program("bin/g++")
        self.on_path["g++"] = str(root / "bin/g++")
        self.cutlass(VERSION.format(2))

    def program(self, name, body="exit 0", version=None):
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        said = f'if [ "$1" = --version ]; then echo "{SAYS.format(*version)}"; exit 0; fi\n' if version else ""
        path.write_text(f"#!/bin/sh\n{said}{body}\n", encoding="utf-8")
        path.chmod(0o755)
        return path

    def nvcc(self, folder="bin", version=(13, 0, 88), body="exit 0"):
        return self.program(f"{folder}/nvcc", body, version)

    def cutlass(self, text):
        header = self.root / "cutlass_library/source/include/cutlass/version.h"
        header.parent.mkdir(parents=True, exist_ok=True)
        header.write_text(text, encoding="utf-8")
        self.modules["cutlass_library"] = self.root / "cutlass_library"

    @property
    def around(self):
        return Surroundings(
            self.environ, self.where, self.modules.get, usual=self.root / "usual"
        )  # programs are run as they are

    def where(self, name):
        return name if Path(name).is_file() else self.on_path.get(name)

    def fault(self):
        """The one line that is wrong."""
        (found,) = problems(self.around)
        with pytest.raises(InputError) as raised:
            find_toolchain(self.around)
        assert raised.value.lines() == [str(found)]
        return str(found)


@pytest.fixture
def machine(tmp_path):
    return Machine(tmp_path)


def test_all_is_well(machine):
    machine.on_path["nvcc"] = str(machine.nvcc())
    assert problems(machine.around) == []
    assert find_toolchain(machine.around) == Toolchain(
        nvcc=machine.root / "bin/nvcc", nvcc_version=(13, 0, 88), host_compiler=machine.root / "bin/g++",
        cutlass_include=machine.root / "cutlass_library/source/include", cutlass_version="4.2.0",
    )  # fmt: skip
    assert find_toolchain(machine.around).compiler == "nvcc 13.0.88"


def test_the_order_in_which_compilers_are_looked_for(machine):
    machine.nvcc("usual/bin")
    assert find_toolchain(machine.around).nvcc == machine.root / "usual/bin/nvcc"
    machine.on_path["nvcc"] = str(machine.nvcc("path"))
    assert find_toolchain(machine.around).nvcc == machine.root / "path/nvcc"
    machine.environ["CUDA_PATH"] = str(machine.nvcc("cuda_path/bin").parent.parent)
    assert find_toolchain(machine.around).nvcc == machine.root / "cuda_path/bin/nvcc"
    machine.environ["CUDA_HOME"] = str(machine.nvcc("home/bin").parent.parent)
    assert find_toolchain(machine.around).nvcc == machine.root / "home/bin/nvcc"
    machine.modules["nvidia.cu13"] = machine.nvcc("cu13/bin").parent.parent
    assert find_toolchain(machine.around).nvcc == machine.root / "cu13/bin/nvcc"
    machine.environ["PERFMODEL_NVCC"] = str(machine.nvcc("named"))
    assert find_toolchain(machine.around).nvcc == machine.root / "named/nvcc"


def test_a_pip_toolkit_without_nvcc_is_passed_over(machine):
    machine.modules["nvidia.cu13"] = machine.root / "cu13"  # CuPy brings it, for NVRTC
    machine.nvcc("usual/bin")
    assert find_toolchain(machine.around).nvcc == machine.root / "usual/bin/nvcc"


def test_the_pip_toolkits_libraries_are_named(machine):
    machine.modules["nvidia.cu13"] = machine.nvcc("cu13/bin", body=f'echo "$@" > {machine.root}/said').parent.parent
    (machine.root / "cu13/lib").mkdir()
    (machine.root / "cu13/lib/libcudart_static.a").touch()
    assert find_toolchain(machine.around).library_dirs == (machine.root / "cu13/lib",)
    assert f"-L{machine.root}/cu13/lib" in (machine.root / "said").read_text(encoding="utf-8")


def test_no_compiler(machine):
    line = machine.fault()
    assert line.startswith("E2310 nvcc: there is no CUDA compiler. In perfmodel's folder: pip install '.[cuda13]'")


def test_a_named_compiler_that_is_not_there_is_not_replaced_by_another(machine):
    machine.nvcc("usual/bin")
    machine.environ["PERFMODEL_NVCC"] = "/nowhere/nvcc"
    assert machine.fault().startswith("E2310 nvcc: PERFMODEL_NVCC='/nowhere/nvcc' is not a program.")


@pytest.mark.parametrize(
    ("body", "said"),
    [("echo hello; exit 0", "'hello'"), ("echo no licence >&2; exit 3", "'no licence'"), ("exit 4", "'exit status 4'")],
)
def test_a_compiler_that_says_something_else(machine, body, said):
    machine.on_path["nvcc"] = str(machine.program("bin/nvcc", body))
    line = machine.fault()
    assert line.startswith(f"E2311 {machine.root}/bin/nvcc: does not tell its version but {said}.")


def test_a_compiler_for_another_machine(machine):
    path = machine.root / "bin/nvcc"
    path.write_bytes(b"\x7fELF no program")
    path.chmod(0o755)
    machine.on_path["nvcc"] = str(path)
    assert machine.fault().startswith(f"E2311 {path}: does not tell its version but 'error: Exec format error'.")


def test_parts_of_two_versions(machine):
    machine.on_path["nvcc"] = str(machine.nvcc())
    machine.program("bin/ptxas", version=(13, 5, 37))
    line = machine.fault()
    assert line.startswith(f"E2313 {machine.root}/bin: nvcc is 13.0.88, ptxas is 13.5.37. Install one version: pip")


def test_parts_of_one_version_may_differ_in_the_last_number(machine):
    machine.on_path["nvcc"] = str(machine.nvcc())
    machine.program("bin/ptxas", version=(13, 0, 48))
    assert problems(machine.around) == []


@pytest.mark.parametrize(
    ("error", "beginning"),
    [
        ("ptxas /tmp/x.ptx, line 9; fatal   : Unsupported .version 9.5; current version is '9.0'",
         "E2313 CUDA toolkit: its parts are of different versions (ptxas"),
        ("probe.cu:2:10: fatal error: nv/target: No such file or directory",
         "E2314 CUDA headers: some are missing (probe.cu:2:10: fatal error: nv/target"),
        ("cuda_runtime.h:82:10: fatal error: crt/host_config.h: No such file or directory",
         "E2314 CUDA headers: some are missing"),
        ("/usr/bin/ld: cannot find -lcudadevrt: No such file", "E2314 CUDA toolkit: a part is missing"),
        ("sh: 1: cicc: not found", "E2314 CUDA toolkit: a part is missing"),
        ("host_config.h:164:2: error: #error -- unsupported GNU version! gcc versions later than 15 are not supported!",
         "E2315 C++ compiler: this nvcc does not work with its version"),
        ("error: something new", "E2311 {nvcc}: does not compile an empty kernel: error: something new."),
    ],
)  # fmt: skip
def test_what_an_empty_kernel_shows(machine, error, beginning):
    quoted = error.replace("'", "'\\''")
    nvcc = machine.nvcc(body=f"echo warning: old >&2; echo '{quoted}' >&2; exit 1")
    machine.on_path["nvcc"] = str(nvcc)
    line = machine.fault()
    assert line.startswith(beginning.format(nvcc=nvcc))
    assert "\n" not in line


def test_no_host_compiler(machine):
    machine.on_path["nvcc"] = str(machine.nvcc())
    del machine.on_path["g++"]
    assert machine.fault().startswith("E2315 C++ compiler: 'g++' is not here. Install g++")
    machine.environ["PERFMODEL_CXX"] = str(machine.root / "bin/g++")
    assert problems(machine.around) == []
    machine.environ["PERFMODEL_CXX"] = "g++-99"
    assert machine.fault().startswith("E2315 C++ compiler: 'g++-99' is not here.")


def test_no_cutlass(machine):
    machine.on_path["nvcc"] = str(machine.nvcc())
    del machine.modules["cutlass_library"]
    assert machine.fault().startswith("E2316 CUTLASS: the Python module cutlass_library is not installed.")


def test_a_cutlass_without_headers(machine):
    machine.on_path["nvcc"] = str(machine.nvcc())
    machine.cutlass("")
    assert "E2317 CUTLASS in " in machine.fault()
    assert "holds no headers" in machine.fault()
    (machine.root / "cutlass_library/source/include/cutlass/version.h").unlink()
    assert "holds no headers" in machine.fault()


def test_another_cutlass(machine):
    machine.on_path["nvcc"] = str(machine.nvcc())
    machine.cutlass(VERSION.format(9))
    assert "version 4.9.0; the kernels are written for 4.2.0." in machine.fault()


def test_everything_that_is_wrong_is_said_at_once(machine):
    machine.modules.clear()
    machine.on_path.clear()
    assert [one.code for one in problems(machine.around)] == ["E2310", "E2315", "E2316"]


def toolchain(*version):
    return Toolchain(Path("/cuda/bin/nvcc"), version, Path("/usr/bin/g++"), Path("/cutlass"), "4.2.0")


@pytest.mark.parametrize(
    ("target", "enough", "old"),
    [("75", (11, 8, 0), (11, 7, 99)), ("89", (11, 8, 89), (11, 7, 64)), ("90a", (12, 0, 0), (11, 8, 89))],
)
def test_targets_need_a_compiler_that_knows_them(target, enough, old):
    check_target(toolchain(*enough), target)
    with pytest.raises(InputError) as raised:
        check_target(toolchain(*old), target)
    version, least = ".".join(map(str, old)), ".".join(map(str, enough[:2]))
    (line,) = raised.value.lines()
    assert line.startswith(f"E2312 /cuda/bin/nvcc: version {version} is too old for sm_{target}. At least {least} is")


def test_a_target_that_nobody_knows():
    with pytest.raises(InputError, match="E2312 target: '70' is not a target that kernels are built for"):
        check_target(toolchain(13, 0, 88), "70")
