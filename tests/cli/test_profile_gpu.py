"""`perfmodel profile --gpu`: what is refused, what is missing, and whole runs on a card that is a simulated one."""

import ctypes
import json
import os
import re
import signal
import sys
import time
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest

from perfmodel import gpu
from perfmodel.gemm import Gemm, find_precision
from perfmodel.lowering import MemoryOp
from perfmodel.measure import cuda, instrument, requirements, worker
from perfmodel.measure.backend import DeviceLost
from perfmodel.measure.bench import Bench
from perfmodel.measure.cutlass import toolchain
from perfmodel.measure.cutlass.compiler import Outcome, Stopped
from perfmodel.measure.cutlass.factory import Factory
from perfmodel.measure.cutlass.kernels import GemmKernel
from perfmodel.measure.preflight import DISTURBING
from perfmodel.profiles.kernel import Kernel
from perfmodel.profiles.profile import read_profile

# In batches of 5: fprop of both layers is one GEMM, the wgrads and the updates are one each, one dgrad.
TWIN = """
title = "Two equal layers"
source = "made up"
input = [9, 1, 1]
layers = [{ op = "linear", name = "a", out = 9, bias = false }, { op = "linear", name = "b", out = 9, bias = false }]
"""
GEMMS = (Gemm(5, 9, 9), Gemm(5, 9, 9, layout="tt"), Gemm(9, 9, 5, layout="nt"))
UPDATE = Kernel(MemoryOp(12 * 81, 8 * 81, "update", (81,)))
PLAN = ("profile", "twin.toml", "--batch", "5", "--precision", "fp32")
GPU = (*PLAN, "--gpu", "-o", "a.jsonl")
RUN = (*GPU, "--state", "burst", "--half-width", "0.2")


@pytest.fixture
def twin(here):
    (here / "twin.toml").write_text(TWIN)
    return here


# What does not go together


@pytest.mark.parametrize(
    ("arguments", "start"),
    [
        (("--gpu-index", "1"), "E2003 --gpu-index goes with --gpu. Add it."),
        (("--gpu-index", "1", "--simulate", "calm", "-o", "a.jsonl"), "E2003 --gpu-index goes with --gpu. Add it."),
        (("--search", "wide"), "E2003 --search goes with --gpu. Add it."),
        (("--baseline", "none"), "E2003 --baseline goes with --gpu. Add it."),
        (("--gpu", "-o", "a.jsonl", "--isolate", "none"), "E2003 --isolate none would end everything with a kernel "),
        (
            ("--gpu", "-o", "a.jsonl", "--mapping", "implicit", "--precision", "fp32,int8"),
            "E2003 --mapping implicit has no kernels for the gradients of int8: ",
        ),
        (("--gpu",), "E2003 -o is missing: where to write the profile. Add -o FILE.jsonl."),
        (("--gpu", "-o", "a.csv"), "E1904 a.csv: ends in '.csv'. Choose one of .jsonl."),
        (("--gpu", "--simulate", "calm", "-o", "a.jsonl"), "E1100 perfmodel profile: argument --simulate: not allowed"),
        (("--gpu", "-o", "a.jsonl", "--search", "wild"), "E2001 --search 'wild' is not known. Did you mean wide?"),
        (("--gpu", "-o", "a.jsonl", "--baseline", "mkl"), "E2001 --baseline 'mkl' is not known. Known: cublas, none."),
        (("--gpu", "-o", "a.jsonl", "--isolate", "all"), "E2001 --isolate 'all' is not known."),
        (("--gpu", "-o", "a.jsonl", "--gpu-index", "x"), "E1100 perfmodel profile: argument --gpu-index: 'x' is not a"),
        (("--gpu", "-o", "a.jsonl", "--overhead", "table3"), "E1105 --overhead table3 is no kernel"),
        (("--gpu", "-o", "a.jsonl", "--resume", "--append"), "E1100 perfmodel profile: argument --append: not allowed"),
    ],
)  # fmt: skip
def test_what_does_not_go_together(cli, twin, arguments, start):
    before = sorted(twin.iterdir())
    found = cli(*PLAN, *arguments)
    assert found.refused(start), found
    assert sorted(twin.iterdir()) == before


# What may be missing


class Driver:
    """What libcuda does of what is asked."""

    def __init__(self, *cards, version=13000):
        self.cards, self.version = cards, version

    def cuInit(self, _):  # noqa: N802
        return 0 if self.cards else 100

    def cuDeviceGetCount(self, count):  # noqa: N802
        count._obj.value = len(self.cards)
        return 0

    def cuDeviceGet(self, device, index):  # noqa: N802
        device._obj.value = index
        return 0

    def cuDeviceGetName(self, name, _, device):  # noqa: N802
        name.value = self.cards[device.value][0].encode()
        return 0

    def cuDeviceGetAttribute(self, value, number, device):  # noqa: N802
        _, (major, minor), sms = self.cards[device.value]
        value._obj.value = {16: sms, 75: major, 76: minor}[number]
        return 0

    def cuDriverGetVersion(self, version):  # noqa: N802
        version._obj.value = self.version
        return 0


TURING = ("NVIDIA GeForce RTX 2080 Ti", (7, 5), 68)
VERSION_H = "#define CUTLASS_MAJOR 4\n#define CUTLASS_MINOR {}\n#define CUTLASS_PATCH 0\n"


class Machine:
    """A machine on which everything is there, until a test takes it away."""

    def __init__(self, root):
        self.root, self.environ, self.found, self.modules = root, {}, {}, {}
        self.driver, self.cupy, self.cupy_cuda = Driver(TURING), True, 13
        self.compiles = (0, "")
        self.versions = {"nvcc": "13.0, V13.0.88"}
        for name in ("nvcc", "g++"):
            self.found[name] = self.program(name)
        self.cutlass(2)

    def program(self, name):
        path = self.root / "bin" / name
        path.parent.mkdir(exist_ok=True)
        path.write_text("")
        path.chmod(0o755)
        return str(path)

    def cutlass(self, minor):
        header = self.root / "cutlass_library/source/include/cutlass/version.h"
        header.parent.mkdir(parents=True, exist_ok=True)
        header.write_text(VERSION_H.format(minor))
        self.modules["cutlass_library"] = self.root / "cutlass_library"

    def run(self, command):
        """What a program writes: its version, or what compiling says."""
        if command[1:] != ["--version"]:
            return self.compiles
        return (0, f"Cuda compilation tools, release {self.versions.get(Path(command[0]).name, 'of no number')}")

    def which(self, name):
        return self.found.get(name)

    def load(self, name):
        if self.driver is None or name != "libcuda.so.1":
            raise OSError(name)
        return self.driver


@pytest.fixture
def machine(twin, monkeypatch, tmp_path_factory):
    """The machine that the command line finds itself on; the kernels of the catalogue are made by hand."""
    found = Machine(tmp_path_factory.mktemp("machine"))
    load = ctypes.CDLL

    def load_cuda(name, *rest, **keywords):
        return found.load(name) if name and "cuda" in str(name) else load(name, *rest, **keywords)

    around = partial(toolchain.Surroundings, found.environ, found.which, found.modules.get, found.run,
                     found.root / "usual")  # fmt: skip
    monkeypatch.setattr(ctypes, "CDLL", load_cuda)
    monkeypatch.setattr(toolchain, "Surroundings", around)
    monkeypatch.setattr(requirements, "installed", lambda name: found.cupy)
    monkeypatch.setattr(requirements, "cuda_of_cupy", lambda: found.cupy_cuda)
    monkeypatch.setattr(requirements, "import_fault", lambda name: "")
    monkeypatch.setattr(gpu, "catalogue", catalogue)
    monkeypatch.setattr(gpu, "convolution_catalogue", lambda *arguments: ())
    monkeypatch.setenv("PERFMODEL_CACHE", str(found.root / "cache"))
    for name in DISTURBING:
        monkeypatch.delenv(name, raising=False)
    return found


FP32, INT8 = find_precision("fp32"), find_precision("int8")
SGEMM = GemmKernel("sgemm", "75", 2, "simt", FP32, "tn", (128, 128, 8), 2, (1, 1, 1), (1, 1, 1), ("serial",), 8)
SIMT = tuple(
    replace(SGEMM, name=f"sgemm_{name}_{layout}", layout=layout, tile=tile)
    for layout in ("tn", "tt", "nt")
    for name, tile in (("large", (128, 128, 8)), ("small", (64, 64, 8)))
)
IMMA = replace(SGEMM, name="imma", unit="tensor", precision=INT8, tile=(64, 64, 64), alignment=(16, 16, 4))
DP4A = tuple(
    replace(SGEMM, name=f"dp4a_{layout}", unit="dp4a", precision=INT8, layout=layout) for layout in ("tt", "nt")
)


def catalogue(target, search="default", precisions=None, kernels=(*SIMT, IMMA, *DP4A)):
    """As the real one, of these kernels."""
    return tuple(one for one in kernels if precisions is None or one.precision in precisions)


def test_nothing_is_installed(cli, twin, machine):
    machine.driver, machine.cupy = None, False
    machine.found.clear()
    machine.modules.clear()
    before = sorted(twin.iterdir())
    found = cli(*GPU)
    assert (found.code, found.out) == (2, "")
    assert [line.partition(":")[0] for line in found.err.splitlines()] == [
        "E2012 NVIDIA driver", "E2012 CuPy", "E2310 nvcc", "E2315 C++ compiler", "E2316 CUTLASS",
    ]  # fmt: skip
    assert found.err.isascii()
    assert sorted(twin.iterdir()) == before


def test_what_is_missing_as_json(cli, machine):
    machine.driver = machine.modules["cutlass_library"] = None
    found = cli(*GPU, "--errors", "json")
    assert found.code == 2
    assert [json.loads(line)["code"] for line in found.err.splitlines()] == ["E2012", "E2316"]


def test_this_machine_is_looked_at_without_a_traceback(process, twin):
    """Whatever is here: where nothing is missing, the GPU that is asked for is."""
    found = process(*GPU, "--gpu-index", "9999")
    assert (found.code, found.out) == (2, "")
    lines = found.err.splitlines()
    assert lines
    assert all(re.match(r"E(2012|2014|2015|231\d) ", line) for line in lines), lines


def without(name):
    return lambda machine: machine.found.pop(name)


def setting(**values):
    def change(machine):
        for name, value in values.items():
            setattr(machine, name, value)

    return change


def other_ptxas(machine):
    machine.program("ptxas")
    machine.versions["ptxas"] = "12.4, V12.4.131"


def no_headers(machine):
    (machine.root / "cutlass_library/source/include/cutlass/version.h").unlink()


@pytest.mark.parametrize(
    ("change", "start"),
    [
        (setting(driver=None), "E2012 NVIDIA driver: is not installed. Install it, or use --simulate SCENARIO."),
        (setting(driver=Driver()), "E2012 GPU: the driver finds none. Check nvidia-smi and CUDA_VISIBLE_DEVICES, or "),
        (setting(cupy=False), "E2012 CuPy: the Python module cupy is not installed. In perfmodel's folder: pip "),
        (setting(driver=Driver(TURING, version=12040)), "E2015 NVIDIA driver: runs CUDA 12.4, and CuPy is for CUDA 13"),
        (setting(driver=Driver(TURING, version=12040), cupy_cuda=12),
         "E2015 NVIDIA driver: runs CUDA 12.4, and nvcc is of CUDA 13.0. Update the driver, or name an nvcc of CUDA 1"),
        (without("nvcc"), "E2310 nvcc: there is no CUDA compiler. In perfmodel's folder: pip install '.[cuda13]', or "),
        (lambda machine: machine.environ.update(PERFMODEL_NVCC="/no/nvcc"),
         "E2310 nvcc: PERFMODEL_NVCC='/no/nvcc' is not a program."),
        (setting(versions={}), "E2311 "),
        (setting(compiles=(1, "error: something else\n")), "E2311 "),
        (setting(versions={"nvcc": "11.0, V11.0.221"}), "E2312 "),
        (other_ptxas, "E2313 "),
        (setting(compiles=(1, "a.cu:1: fatal error: cuda_runtime.h: No such file\n")), "E2314 CUDA headers: some are "),
        (without("g++"), "E2315 C++ compiler: 'g++' is not here. Install g++ (Debian, Ubuntu: apt install g++), or "),
        (setting(compiles=(1, "#error -- unsupported GNU version! gcc later than 15\n")), "E2315 C++ compiler: this "),
        (lambda machine: machine.modules.clear(), "E2316 CUTLASS: the Python module cutlass_library is not installed."),
        (no_headers, "E2317 CUTLASS in "),
        (lambda machine: machine.cutlass(1), "E2317 CUTLASS in "),
        (setting(driver=Driver(("NVIDIA GeForce RTX 2080 Ti Mobile", (7, 5), 68))),
         "E2016 GPU 0: no device file describes 'NVIDIA GeForce RTX 2080 Ti Mobile'. Name one with --device: "),
        (setting(driver=Driver(("Tesla P4", (6, 1), 20))), "E2302 compute capability '6.1': has no kernels in the "),
    ],
)  # fmt: skip
def test_one_thing_is_wrong(cli, twin, machine, change, start):
    change(machine)
    before = sorted(twin.iterdir())
    found = cli(*GPU)
    assert found.refused(start), found
    assert len(found.err.partition(". ")[2]) > 1  # and what to do
    assert sorted(twin.iterdir()) == before


@pytest.mark.parametrize("index", ["1", "-1"])
def test_a_gpu_that_is_not_there(cli, machine, index):
    found = cli(*GPU, "--gpu-index", index)
    assert found.refused(f"E2014 --gpu-index there is no GPU {index}. This machine has 0 (NVIDIA GeForce RTX 2080 Ti).")


# Whole runs


WORKER, REPEATS = worker.WorkerBench, instrument.REPEATS
COMPILED = []  # names of kernels, in the order in which they were compiled; emptied by each test


def compile_fake(command, folder, halted):
    """A compiler that writes the names of the kernels into the library."""
    names = re.findall(r"PM_ENTRY_[23]X\((\w+)\)", Path(command[-1]).read_text(encoding="utf-8"))
    COMPILED.extend(names)
    Path(command[command.index("-o") + 1]).write_text("\n".join(names), encoding="utf-8")
    return Outcome(0, "", 1.5)


def refusing(*bad):
    """A compiler that does not take these kernels."""

    def compile_some(command, folder, halted):
        text = Path(command[-1]).read_text(encoding="utf-8")
        named = [name for name in bad if f"({name})" in text]
        return Outcome(2, f"error: \x1b[1m{named[0]} is bad\n", 0.1) if named else compile_fake(command, folder, halted)

    return compile_some


def describe_fake(library):
    return [{"name": name, "shared_bytes": 1000, "threads": 128} for name in library.read_text("utf-8").split()]


# The card: a simulated one that says it is real, on which small tiles are fast and only compiled kernels run.
CARD = """
from dataclasses import replace

from perfmodel.gemm import Gemm
from perfmodel.measure.backend import BuildFailed
from perfmodel.measure.canary import CANARY
from perfmodel.measure.simulated import Simulated, find_scenario
from perfmodel.measure.simulated.truth import default_truth


class Card(Simulated):
    def __init__(self, index, manifest):
        super().__init__(find_scenario("drift"), seed=index)
        self.manifest = manifest

    def facts(self):
        compiled = {"compiler": self.manifest["compiler"], "kernels": self.manifest["fingerprint"]}
        return replace(super().facts(), kind="cuda", name="NVIDIA GeForce RTX 2080 Ti", uuid="GPU-0", **compiled)

    def truth(self, kernel):
        one = default_truth(kernel, self.scenario.device)
        return replace(one, seconds=one.seconds * (1.0 if "small" in kernel.variant else 1.5))

    def build(self, kernel):
        name = kernel.variant.partition(" ")[0]
        if isinstance(kernel.problem, Gemm) and kernel != CANARY and name not in ("cublas", *self.manifest["kernels"]):
            raise BuildFailed(f"the kernel {name!r} is not in the manifest", "Compile it first.")
        return super().build(kernel)


def make_backend(index, manifest):
    return Card(index, manifest)
"""


@pytest.fixture
def card(machine, monkeypatch, tmp_path_factory):
    """The machine with compiler and card in working order; the device has no process of its own."""
    folder = tmp_path_factory.mktemp("card")
    (folder / "pm_card.py").write_text(CARD)
    monkeypatch.syspath_prepend(folder)
    monkeypatch.delitem(sys.modules, "pm_card", raising=False)
    import pm_card

    COMPILED.clear()
    monkeypatch.setattr(gpu, "Factory", with_compiler(compile_fake))
    monkeypatch.setattr(cuda, "make_backend", pm_card.make_backend)
    monkeypatch.setattr(worker, "WorkerBench", Bench)
    monkeypatch.setattr(instrument, "REPEATS", 41)  # calibration is tested by itself
    yield machine
    sys.modules.pop("pm_card", None)


def with_compiler(compiler):
    return partial(
        Factory, define=lambda one: f"struct {one.name} {{}};", compile=compiler, describe=describe_fake
    )  # fmt: skip


def records(path, kind):
    rows = [json.loads(line) for line in Path(path).read_text().splitlines()][1:]
    return [row for row in rows if row["type"] == kind]


def times_of(path):
    """The samples of all visits."""
    return [(row["kernel"], row["seconds"]) for row in records(path, "visit")]


def timed(path):
    """The kernels of a profile that have a time."""
    return set(read_profile(path).timings)


def chosen(layouts=("tn", "tt", "nt")):
    """The fastest variant of each GEMM, and the vendor's library beside it."""
    own = {Kernel(gemm, f"sgemm_small_{gemm.layout}") for gemm in GEMMS if gemm.layout in layouts}
    return own | {Kernel(gemm, "cublas") for gemm in GEMMS} | {UPDATE}


def test_a_whole_run(cli, twin, card):
    found = cli(*RUN)
    assert (found.code, found.err) == (0, "")
    assert found.out.startswith("a.jsonl: 7 kernels, 7 with intervals as narrow as asked\n")
    assert sorted(COMPILED) == sorted(kernel.name for kernel in SIMT)
    profile = read_profile(twin / "a.jsonl")
    assert set(profile.timings) == chosen()
    assert profile.basis == "measured"
    assert {one.kernel: one.weight for one in profile.timings.values()} == {
        kernel: 0 if kernel.variant == "cublas" else {"tn": 2, "tt": 1, "nt": 2}[kernel.problem.layout]
        for kernel in chosen() - {UPDATE}
    } | {UPDATE: 2}
    (session,) = records("a.jsonl", "session")
    request = session["request"]
    assert (request["search"], request["baseline"], request["mapping"], request["kernels"]) == (
        "default", "cublas", "im2col", 7,
    )  # fmt: skip
    assert profile.environment["compiler"].startswith("nvcc 13.0.88 -std=c++17 ")
    assert {row["what"]["variant"] for row in records("a.jsonl", "pilot")} == {kernel.name for kernel in SIMT}


def test_in_a_process_of_its_own(cli, twin, card, monkeypatch):
    """As it is on a real card; the worker imports the simulated one by its name."""
    monkeypatch.setattr(instrument, "REPEATS", REPEATS)  # as the worker has it
    assert cli(*RUN).code == 0
    monkeypatch.setattr(worker, "WorkerBench", WORKER)
    found = cli(*PLAN, "--gpu", "-o", "b.jsonl", "--state", "burst", "--half-width", "0.2", "--isolate", "process")
    assert (found.code, found.err) == (0, "")
    assert times_of("a.jsonl") == times_of("b.jsonl")


def test_without_the_vendors_library(cli, twin, card):
    assert cli(*RUN, "--baseline", "none", "--search", "wide").code == 0
    assert timed("a.jsonl") == {kernel for kernel in chosen() if kernel.variant != "cublas"}
    request = records("a.jsonl", "session")[0]["request"]
    assert (request["search"], request["baseline"]) == ("wide", "none")


def test_int8_as_it_lies(cli, twin, card):
    wide = TWIN.replace('"a", out = 9', '"a", out = 32').replace('"b", out = 9', '"b", out = 48')
    (twin / "twin.toml").write_text(wide.replace("[9,", "[16,"))
    found = cli(*RUN, "--precision", "int8")
    assert (found.code, found.err) == (0, "")
    beside = {
        (kernel.problem.layout, kernel.variant)
        for kernel in timed("a.jsonl")
        if isinstance(kernel.problem, Gemm) and kernel.problem.precision == INT8
    }
    assert beside == {("tn", "imma"), ("tn", "cublas"), ("tt", "dp4a_tt"), ("nt", "dp4a_nt")}


def test_the_second_time_nothing_is_compiled(cli, card):
    assert cli(*RUN).code == 0
    assert len(COMPILED) == 6
    assert cli(*PLAN, "--gpu", "-o", "b.jsonl", "--state", "burst", "--half-width", "0.2").code == 0
    assert len(COMPILED) == 6


def test_check_reads_it(cli, card):
    assert cli(*RUN).code == 0
    found = cli("check", "a.jsonl")
    assert found.code in (0, 3)
    assert "NVIDIA GeForce RTX 2080 Ti" in found.out
    shown = cli("check", "a.jsonl", "--timings", "-o", "a.csv")
    assert shown.err == ""
    text = Path("a.csv").read_text()
    assert "sgemm_small_nt" in text
    assert "cublas" in text
    lacking = cli("check", "a.jsonl", "--network", "twin.toml", "--batch", "5", "--precision", "fp32", "--mapping",
                  "im2col", "--device", "rtx-2080-ti")  # fmt: skip
    assert lacking.code in (0, 3)
    assert "lacks" not in lacking.out


def test_sessions_are_added(cli, card):
    assert cli(*RUN).code == 0
    found = cli(*RUN, "--append")
    assert (found.code, found.err) == (0, "")
    profile = read_profile("a.jsonl")
    assert [session.number for session in profile.sessions] == [1, 2]
    assert set(profile.timings) == chosen()


@pytest.mark.parametrize("share", [0.05, 0.3, 0.6, 0.9])
def test_a_session_goes_on(cli, card, share):
    """After its header, among the candidates, among the visits, near its end."""
    assert cli(*RUN).code == 0
    whole = Path("a.jsonl").read_bytes().splitlines(keepends=True)
    kept = b"".join(whole[: max(1, int(share * len(whole)))])
    Path("a.jsonl").write_bytes(kept)
    found = cli(*RUN, "--resume")
    assert (found.code, found.err) == (0, "")
    assert Path("a.jsonl").read_bytes().startswith(kept)
    assert timed("a.jsonl") == chosen()
    assert len(records("a.jsonl", "kernel")) == 7


@pytest.mark.parametrize(
    ("arguments", "found"),
    [
        (("--search", "wide"), "the session was begun with search 'default', not 'wide'."),
        (("--baseline", "none"), "the session was begun with baseline 'cublas', not 'none'."),
    ],
)
def test_another_request_does_not_go_on(cli, card, arguments, found):
    assert cli(*RUN).code == 0
    lines = Path("a.jsonl").read_bytes().splitlines(keepends=True)
    Path("a.jsonl").write_bytes(b"".join(lines[:-3]))
    assert cli(*RUN, "--resume", *arguments).refused(f"E2110 a.jsonl: {found}")


def test_a_file_that_is_there_is_told_before_compiling(cli, card):
    Path("a.jsonl").write_text("something else\n")
    found = cli(*RUN)
    assert found.refused("E2101 a.jsonl: exists already. --resume finishes it, --append adds a session; or give ")
    assert COMPILED == []
    assert Path("a.jsonl").read_text() == "something else\n"


@pytest.mark.parametrize("path", ["no/a.jsonl", "folder.jsonl"])
def test_a_place_that_is_none_is_told_before_compiling(cli, card, path):
    Path("folder.jsonl").mkdir()
    found = cli(*PLAN, "--gpu", "-o", path)
    assert found.refused(f"E190{'1' if path[:2] == 'no' else '5'} {path}: ")
    assert COMPILED == []


def test_another_device_by_name(cli, card):
    card.driver = Driver(("NVIDIA Graphics Device", (7, 5), 68))
    assert cli(*RUN).refused("E2016 GPU 0: no device file describes 'NVIDIA Graphics Device'.")
    assert cli(*RUN, "--device", "rtx-2080-ti").code == 0


def test_a_kernel_without_a_variant_ends_with_4(cli, card, monkeypatch):
    monkeypatch.setattr(gpu, "catalogue", partial(catalogue, kernels=[one for one in SIMT if one.layout != "nt"]))
    monkeypatch.setattr(gpu, "convolution_catalogue", lambda *arguments: ())
    found = cli(*RUN)
    assert (found.code, found.err) == (4, "")
    assert found.out.startswith("a.jsonl: 7 kernels, 6 with intervals as narrow as asked, 1 failed\n")
    assert timed("a.jsonl") == chosen(("tn", "tt"))
    assert list(read_profile("a.jsonl").refused) == [Kernel(GEMMS[2])]


def test_a_kernel_that_does_not_compile_leaves_the_others(cli, card, monkeypatch):
    monkeypatch.setattr(gpu, "Factory", with_compiler(refusing("sgemm_small_nt")))
    found = cli(*RUN)
    assert found.code == 0
    (line,) = found.err.splitlines()
    assert line.startswith(r"sgemm_small_nt does not compile: error: \x1b[1msgemm_small_nt is bad; ")
    assert line.isprintable()
    assert timed("a.jsonl") == chosen(("tn", "tt")) | {Kernel(GEMMS[2], "sgemm_large_nt")}


def test_where_no_kernel_compiles_the_gemms_fail(cli, card, monkeypatch):
    monkeypatch.setattr(gpu, "Factory", with_compiler(refusing(*(one.name for one in SIMT))))
    found = cli(*RUN)
    assert found.code == 4
    assert len(found.err.splitlines()) == len(SIMT)
    assert timed("a.jsonl") == chosen(())


def lose(index, manifest):
    """A card that fell off the bus."""
    raise DeviceLost("there is no device 0")


def test_a_card_that_was_lost_meanwhile_ends_with_5(cli, card, monkeypatch):
    monkeypatch.setattr(cuda, "make_backend", lose)
    found = cli(*RUN)
    assert (found.code, found.out) == (5, "")
    assert found.err == "device lost: there is no device 0; nothing was measured yet\n"
    assert not Path("a.jsonl").exists()


def test_a_cache_that_cannot_be_written(cli, card, monkeypatch):
    place = card.root / "no folder"
    place.write_text("a file")
    monkeypatch.setenv("PERFMODEL_CACHE", str(place))
    assert cli(*RUN).refused(f"E2318 cache {place}: cannot be written: ")


# Ctrl-C


@pytest.mark.parametrize("times", [1, 2])
def test_ctrl_c_while_compiling(cli, card, monkeypatch, times):
    """The first ends the compilers, the second whatever is left; then the same command goes on."""

    def interrupted(command, folder, halted):
        os.kill(os.getpid(), signal.SIGINT)
        while not halted():
            time.sleep(0.01)
        if times == 2:
            os.kill(os.getpid(), signal.SIGINT)
        raise Stopped

    monkeypatch.setattr(gpu, "Factory", with_compiler(interrupted))
    monkeypatch.setattr(gpu, "compilers_for", lambda kernels: 1)
    before = signal.getsignal(signal.SIGINT)
    found = cli(*RUN)
    assert (found.code, found.out) == (130, "")
    (line,) = found.err.splitlines()
    while_compiling = "interrupted while compiling: what is compiled is kept; the same command goes on"
    assert line == (while_compiling if times == 1 else "interrupted")
    assert not Path("a.jsonl").exists()
    assert signal.getsignal(signal.SIGINT) is before
    monkeypatch.setattr(gpu, "Factory", with_compiler(compile_fake))
    assert cli(*RUN).code == 0


@pytest.mark.parametrize("option", ["--resume", "--append"])
def test_a_file_to_go_on_with_is_read_before_anything_is_compiled(cli, card, twin, monkeypatch, option):
    monkeypatch.setattr("perfmodel.gpu.compile_kernels", None)  # whoever compiles fails
    found = cli(*RUN, option)
    assert found.refused("E1201 a.jsonl does not exist.")
