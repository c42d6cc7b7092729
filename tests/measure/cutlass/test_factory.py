"""Compiling what is missing, keeping what is whole, and leaving nothing half done; nvcc is a function or a script."""

import errno
import json
import os
import re
import shlex
import threading
import time
from dataclasses import replace
from pathlib import Path

import pytest

from perfmodel.errors import InputError, OutputError
from perfmodel.gemm import find_precision
from perfmodel.measure.cutlass import emit, factory, shelf
from perfmodel.measure.cutlass.compiler import Outcome, Stopped, first_error, run, run_quietly
from perfmodel.measure.cutlass.factory import Built, Factory, Failed
from perfmodel.measure.cutlass.kernels import GemmKernel
from perfmodel.measure.cutlass.shelf import default_cache
from perfmodel.measure.cutlass.toolchain import Toolchain

TOOLS = Toolchain(Path("/cuda/bin/nvcc"), (13, 0, 88), Path("/usr/bin/g++"), Path("/cutlass/include"), "4.2.0",
                  library_dirs=(Path("/cuda/lib"),))  # fmt: skip


def kernel(name, generation=2):
    return GemmKernel(
        name, "75", generation, "simt", find_precision("fp32"), "tn", (128, 128, 8), 2, (1, 1, 1), (1, 1, 1), (), 8
    )


def kernels(*names):
    return [kernel(name) for name in names]


def define(kernel):
    return f"struct {kernel.name} {{}};"


def types_in(text):
    return re.findall(r"PM_ENTRY_[23]X\((\w+)\)", text)


class Nvcc:
    """Writes the names of the kernels into the library; fails where one is called bad."""

    def __init__(self, hinder=lambda names, folder, halted: None):
        self.compiled, self.hinder = [], hinder

    def __call__(self, command, folder, halted):
        names = types_in(Path(command[-1]).read_text(encoding="utf-8"))
        self.compiled.append(names)
        outcome = self.hinder(names, folder, halted)
        if outcome is not None:
            return outcome
        bad = [name for name in names if name.startswith("bad")]
        if bad:
            log = f"k.cu(3): warning: w\n{command[-1]}(4): error: {bad[0]} is bad\nk.cu(5): error: more\n"
            return Outcome(2, log, 0.25)
        Path(command[command.index("-o") + 1]).write_text("\n".join(names), encoding="utf-8")
        return Outcome(0, "".join(map(report, names)), 1.5)


def report(name):
    return (
        f"ptxas info    : Function properties for _ZN7cutlass7Kernel2I{len(name)}{name}EEvNT_6ParamsE\n"
        "    0 bytes stack frame, 4 bytes spill stores, 8 bytes spill loads\n"
        "ptxas info    : Used 99 registers, 32 bytes smem\n"
    )


def describe(path):
    return [{"name": name, "shared_bytes": 1000, "threads": 128} for name in path.read_text("utf-8").split()]


def made(cache, nvcc=None, jobs=1, tools=TOOLS, target="75", describe=describe):
    return Factory(tools, target, cache, jobs, define=define, compile=nvcc or Nvcc(), describe=describe)


def files(cache):
    return sorted(path.suffix for path in cache.rglob("*") if path.is_file())


def test_a_kernel_is_compiled_once(tmp_path):
    nvcc, told = Nvcc(), []
    first = made(tmp_path, nvcc).build(kernels("b", "a"), lambda done, total: told.append((done, total)))
    assert nvcc.compiled == [["a", "b"]]
    assert told == [(0, 2), (2, 2)]
    assert list(first) == ["a", "b"]
    assert (first["a"].index, first["b"].index, first["a"].seconds) == (0, 1, 1.5)
    assert first["a"].path.read_text("utf-8") == "a\nb"
    assert first["a"].resources == {
        "stack_bytes": 0, "spilled_bytes": 12, "registers": 99, "shared_bytes": 1032, "threads": 128
    }  # fmt: skip
    assert made(tmp_path, nvcc).build(kernels("a", "b")) == first
    assert len(nvcc.compiled) == 1
    assert files(tmp_path) == [".json", ".so"]


def test_a_kernel_more_does_not_compile_the_others_again(tmp_path):
    nvcc = Nvcc()
    made(tmp_path, nvcc).build(kernels("b", "d"))
    found = made(tmp_path, nvcc).build(kernels("a", "b", "c", "d"))
    assert nvcc.compiled == [["b", "d"], ["a", "c"]]
    assert [(name, one.path.read_text("utf-8").split()[one.index]) for name, one in found.items()] == [
        ("a", "a"), ("b", "b"), ("c", "c"), ("d", "d")
    ]  # fmt: skip


def test_generations_do_not_share_a_unit(tmp_path):
    nvcc = Nvcc()
    found = made(tmp_path, nvcc).build([kernel("a"), kernel("b", 3), kernel("c")])
    assert sorted(nvcc.compiled) == [["a", "c"], ["b"]]
    assert made(tmp_path, nvcc).build([kernel("a"), kernel("b", 3), kernel("c")]) == found
    assert len(nvcc.compiled) == 2


def test_the_command(tmp_path):
    command = made(tmp_path, target="90a").command(Path("/x/k.cu"), Path("/x/k.so"))
    assert command == [
        "/cuda/bin/nvcc", "-std=c++17", "-O3", "-DNDEBUG", "--expt-relaxed-constexpr", "-cudart", "static", "-Xptxas",
        "-v", "-gencode=arch=compute_90a,code=sm_90a", "-shared", "-Xcompiler", "-fPIC,-fvisibility=hidden,-w",
        "-ccbin", "/usr/bin/g++", f"-I{emit.INCLUDE}", "-I/cutlass/include", "-L/cuda/lib", "-o", "/x/k.so", "/x/k.cu",
    ]  # fmt: skip


def test_one_bad_kernel_does_not_take_the_others_with_it(tmp_path):
    nvcc, told = Nvcc(), []
    found = made(tmp_path, nvcc).build(kernels("a", "bad", "c"), lambda done, total: told.append(done))
    assert nvcc.compiled[0] == ["a", "bad", "c"]
    assert sorted(nvcc.compiled[1:]) == [["a"], ["bad"], ["c"]]
    assert told == [0, 1, 2, 3]
    assert [type(one) for one in found.values()] == [Built, Failed, Built]
    command = shlex.split(found["bad"].command)
    assert found["bad"].reason == f"{command[-1]}(4): error: bad is bad"
    assert command[:2] == ["/cuda/bin/nvcc", "-std=c++17"]
    assert command[-2] == os.devnull
    assert types_in(Path(command[-1]).read_text("utf-8")) == ["bad"]
    assert files(tmp_path).count(".cu") == 1


def test_a_failure_is_tried_again_next_time(tmp_path):
    nvcc = Nvcc(lambda names, folder, halted: Outcome(-9, "", 1.0) if len(nvcc.compiled) == 1 else None)
    assert made(tmp_path, nvcc).build(kernels("a"))["a"].reason == "ended by signal 9"
    assert isinstance(made(tmp_path, nvcc).build(kernels("a"))["a"], Built)


def test_a_compiler_that_writes_nothing_has_failed(tmp_path):
    nvcc = Nvcc(lambda names, folder, halted: Outcome(0, "", 1.0))
    assert isinstance(made(tmp_path, nvcc).build(kernels("a"))["a"], Failed)


def test_a_library_that_does_not_load_or_holds_something_else_has_failed(tmp_path):
    def crash(path):
        raise ValueError("exit status -11")

    assert made(tmp_path, describe=crash).build(kernels("a"))["a"].reason == (
        "the library does not load: exit status -11"
    )
    other = [{"name": "z", "shared_bytes": 0, "threads": 1}]
    found = made(tmp_path, describe=lambda path: other).build(kernels("a"))["a"]
    assert found.reason == "the library holds ['z']"
    assert files(tmp_path) == [".cu"]


@pytest.mark.parametrize(
    "damage",
    [
        lambda library, record: library.write_bytes(library.read_bytes()[:1]),
        lambda library, record: library.unlink(),
        lambda library, record: record.unlink(),
        lambda library, record: record.write_text(""),
        lambda library, record: record.write_text(record.read_text()[:-40]),
        lambda library, record: record.write_bytes(b"\xff\xfe\x00"),
        lambda library, record: record.write_text("[1, 2]"),
        lambda library, record: record.write_text('{"kernels": 3}'),
        lambda library, record: record.write_text('{"kernels": [7], "library": "x", "sha256": "x", "seconds": 1.0}'),
        lambda library, record: record.write_text(record.read_text().replace(".so", "/../x.so")),
        lambda library, record: record.write_text("[" * 100000),
    ],
)
def test_what_is_damaged_is_made_again(tmp_path, damage):
    nvcc = Nvcc()
    first = made(tmp_path, nvcc).build(kernels("a", "b"))
    (record,) = tmp_path.rglob("*.json")
    damage(first["a"].path, record)
    assert made(tmp_path, nvcc).build(kernels("a", "b")) == first
    assert len(nvcc.compiled) == 2
    made(tmp_path, nvcc).build(kernels("a", "b"))
    assert len(nvcc.compiled) == 2


def test_another_compiler_header_target_or_definition_is_compiled_anew(tmp_path, monkeypatch):
    nvcc = Nvcc()
    for tools, target in ((TOOLS, "75"), (replace(TOOLS, nvcc_version=(13, 1, 0)), "75"),
                          (replace(TOOLS, cutlass_version="4.3.0"), "75"), (TOOLS, "80")):  # fmt: skip
        made(tmp_path, nvcc, tools=tools, target=target).build(kernels("a"))
    assert len(nvcc.compiled) == 4
    monkeypatch.setattr(emit, "headers", lambda generation: f"new {generation}")
    made(tmp_path, nvcc).build(kernels("a"))
    assert len(nvcc.compiled) == 5
    changed = Factory(TOOLS, "75", tmp_path, define=lambda one: define(one) + " ", compile=nvcc, describe=describe)
    changed.build(kernels("a"))
    changed.build(kernels("a"))
    assert len(nvcc.compiled) == 6


def test_a_fingerprint_knows_the_sources_and_nothing_else(tmp_path, monkeypatch):
    first = made(tmp_path).fingerprint(kernels("a", "b"))
    assert re.fullmatch("[0-9a-f]{16}", first)
    assert made(tmp_path / "other").fingerprint(kernels("b", "a")) == first
    assert made(tmp_path, tools=replace(TOOLS, nvcc_version=(13, 1, 0))).fingerprint(kernels("a", "b")) == first
    others = [
        made(tmp_path).fingerprint(kernels("a")),
        made(tmp_path, target="80").fingerprint(kernels("a", "b")),
        made(tmp_path, tools=replace(TOOLS, cutlass_version="4.3.0")).fingerprint(kernels("a", "b")),
    ]
    monkeypatch.setattr(emit, "headers", lambda generation: "new")
    others.append(made(tmp_path).fingerprint(kernels("a", "b")))
    assert len({first, *others}) == 5


def test_an_old_compiler_is_refused_before_anything_is_compiled(tmp_path):
    with pytest.raises(InputError, match="E2312"):
        made(tmp_path, tools=replace(TOOLS, nvcc_version=(11, 8, 0)), target="90a")


def test_so_many_compilers_run_at_once(tmp_path):
    together = threading.Barrier(3)
    nvcc = Nvcc(lambda names, folder, halted: together.wait(30) > 2 or None)
    assert len(made(tmp_path, nvcc, jobs=3).build([kernel(f"k{i}", 3) for i in range(3)])) == 3


def until_halted(names, folder, halted):
    (folder / "half.so").write_text("half")
    while not halted():
        time.sleep(0.01)
    raise Stopped


def test_stop_ends_the_compilers_and_keeps_what_is_ready(tmp_path):
    nvcc = Nvcc(lambda names, *rest: until_halted(names, *rest) if "slow" in names else None)
    chosen = [kernel("fast", 3), kernel("slow")]
    found = made(tmp_path, nvcc, jobs=2).build(chosen, stop=lambda: files(tmp_path).count(".json") == 1)
    assert set(found) == {"fast"}
    assert files(tmp_path) == [".json", ".so"]
    assert not list(tmp_path.rglob("building-*"))


def test_an_interrupt_ends_the_compilers(tmp_path):
    def interrupt(done, total):
        if done:
            raise KeyboardInterrupt

    nvcc = Nvcc(lambda names, *rest: until_halted(names, *rest) if "slow" in names else None)
    with pytest.raises(KeyboardInterrupt):
        made(tmp_path, nvcc, jobs=2).build([kernel("fast", 3), kernel("slow")], tell=interrupt)
    assert files(tmp_path) == [".json", ".so"]
    assert not [one for one in threading.enumerate() if one.name.startswith("ThreadPoolExecutor")]


def test_two_that_build_the_same_at_once_do_not_disturb_each_other(tmp_path):
    together, results = threading.Barrier(2), {}

    def one(number):
        def different(names, folder, halted):
            together.wait(30)
            (folder / "kernels.so").write_text("\n".join([*names, ""][: len(names) + number]))
            return Outcome(0, "", 1.5)

        results[number] = made(tmp_path, Nvcc(different)).build(kernels("a", "b"))

    threads = [threading.Thread(target=one, args=(number,)) for number in (0, 1)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert results[0]["a"].path != results[1]["a"].path
    assert all(found["b"].path.read_text("utf-8").split() == ["a", "b"] for found in results.values())
    nvcc = Nvcc()
    assert made(tmp_path, nvcc).build(kernels("a", "b"))["a"].path in {found["a"].path for found in results.values()}
    assert nvcc.compiled == []


def test_a_cache_that_cannot_be_written_is_one_line(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError) as raised:
        made(tmp_path / "file").build(kernels("a"))
    (line,) = raised.value.lines()
    assert line == (
        f"E2318 cache {tmp_path / 'file'}: cannot be written: Not a directory. "
        "Free space, or name another folder in PERFMODEL_CACHE."
    )


@pytest.mark.parametrize("place", ["compiler", "shelf"])
def test_a_full_disk_is_one_line(tmp_path, monkeypatch, place):
    full = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    def refuse(*_):
        raise full

    if place == "shelf":
        monkeypatch.setattr(shelf.os, "replace", refuse)
    said = Outcome(1, "/tmp/x.ptx: write error: No space left on device\n", 1.0) if place == "compiler" else None
    with pytest.raises(OutputError, match=r"E2318 .* No space left on device"):
        made(tmp_path, Nvcc(lambda names, folder, halted: said)).build(kernels("a"))
    assert files(tmp_path) == []


def test_folders_that_killed_builds_left_go_after_a_day(tmp_path):
    made(tmp_path).build(kernels("a"))
    (folder,) = (path.parent for path in tmp_path.rglob("*.json"))
    for name, age_s in (("building-old", 90000), ("building-new", 60)):
        (folder / name).mkdir()
        os.utime(folder / name, (time.time() - age_s,) * 2)
    made(tmp_path).build(kernels("b"))
    assert [path.name for path in folder.glob("building-*")] == ["building-new"]


def test_the_record_says_how_it_was_made(tmp_path):
    made(tmp_path).build(kernels("a"))
    (path,) = tmp_path.rglob("*.json")
    record = json.loads(path.read_text("utf-8"))
    assert (record["nvcc"], record["cutlass"], record["target"]) == ("nvcc 13.0.88", "4.2.0", "75")
    assert record["command"].startswith("/cuda/bin/nvcc -std=c++17")
    assert record["kernels"][0]["name"] == "a"


@pytest.mark.parametrize(
    ("environ", "expected"),
    [
        ({"PERFMODEL_CACHE": "/c", "XDG_CACHE_HOME": "/x"}, Path("/c")),
        ({"XDG_CACHE_HOME": "/x"}, Path("/x/perfmodel")),
        ({"XDG_CACHE_HOME": ""}, Path.home() / ".cache/perfmodel"),
        ({}, Path.home() / ".cache/perfmodel"),
    ],
)
def test_the_default_cache(environ, expected):
    assert default_cache(environ) == expected


def test_nothing_is_asked_of_a_compiler_for_no_kernels(tmp_path):
    assert made(tmp_path).build([]) == {}
    assert files(tmp_path) == []


def script(folder, text):
    path = folder / "nvcc"
    path.write_text(f"#!/bin/sh\n{text}\n", encoding="utf-8")
    path.chmod(0o755)
    return path


def test_run_gives_the_status_and_the_log(tmp_path, monkeypatch):
    monkeypatch.setenv("NVCC_APPEND_FLAGS", "-G")
    command = [str(script(tmp_path, 'echo "$1 $LC_ALL $NVCC_APPEND_FLAGS"; echo no >&2; exit 3')), "yes"]
    outcome = run(command, tmp_path, lambda: False)
    assert (outcome.status, outcome.log) == (3, "yes C \nno\n")
    assert run_quietly(command) == (3, "yes C \nno\n")
    assert run_quietly(["/nowhere"])[0] == 127
    assert run(["/nowhere"], tmp_path, lambda: False).log == "error: cannot run /nowhere: No such file or directory"
    assert run_quietly([str(script(tmp_path, "sleep 60"))], limit_s=0.1)[0] == 124


def test_a_compiler_is_ended_with_all_that_it_started(tmp_path):
    started = tmp_path / "started"
    path = script(tmp_path, f"sleep 600 & echo $! > {started}.part; mv {started}.part {started}; wait")
    with pytest.raises(Stopped):
        run([str(path)], tmp_path, started.exists)
    child = int(started.read_text())
    for _ in range(200):
        if not alive(child):
            return
        time.sleep(0.05)
    pytest.fail("the compiler's child lives on")


def alive(number):
    try:
        return Path(f"/proc/{number}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


@pytest.mark.parametrize(
    ("log", "status", "expected"),
    [
        ("", 2, "exit status 2"),
        ("", -9, "ended by signal 9"),
        ("ptxas info    : Used 3 registers\n", 1, "exit status 1"),
        ("a.cu(1): warning #20012-D: error in a comment\nlast words\n", 1, "last words"),
        ("k.h(9): error: static assertion failed\n  detected during\n1 error detected\n", 2,
         "k.h(9): error: static assertion failed"),
        ("nvcc fatal   : Unsupported gpu architecture 'compute_75'\n", 1,
         "nvcc fatal   : Unsupported gpu architecture 'compute_75'"),
        ("collect2: error: ld returned 1 exit status\n", 1, "collect2: error: ld returned 1 exit status"),
        ("/tmp/x.o: undefined reference to `f'\ncollect2: error: ld\n", 1, "/tmp/x.o: undefined reference to `f'"),
    ],
)  # fmt: skip
def test_the_first_error_is_the_reason(log, status, expected):
    assert first_error(log, status) == expected


def test_the_default_parts_are_the_real_ones(tmp_path):
    plain = Factory(TOOLS, "75", tmp_path)
    assert (plain._define, plain._compile, plain._describe) == (None, run, factory.describe_library)


def test_a_relative_cache_is_where_the_program_was_started(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert default_cache({"PERFMODEL_CACHE": "here"}) == tmp_path / "here"
    assert default_cache({"XDG_CACHE_HOME": "there"}) == tmp_path / "there" / "perfmodel"
