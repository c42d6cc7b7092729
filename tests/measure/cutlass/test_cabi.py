"""The C ABI from Python, against a library of two kernels that multiply on the host."""

import ctypes
import re
import shutil
import subprocess

import pytest

from perfmodel.measure.backend import BuildFailed, KernelFault
from perfmodel.measure.cutlass import emit
from perfmodel.measure.cutlass.cabi import PARALLEL, Library, Problem, handle_array, status_text
from perfmodel.measure.cutlass.factory import describe_library

SOURCE = r"""
#include <cstdio>
#include "library.h"

static int ran[64], count;
PM_EXPORT int *test_ran() { return ran; }
PM_EXPORT int test_count() { return count; }

template <int kNumber>
struct Host {
  struct Handle { PmProblem p; void *workspace; };
  static int info(PmInfo *out) {
    std::snprintf(out->name, sizeof out->name, "host_%d", kNumber);
    out->shared_bytes = 1000 + kNumber; out->threads = 128;
    out->registers = kNumber == 1 ? -1 : 40; out->local_bytes = out->binary_version = out->blocks_per_sm = -1;
    return kNumber == 1 ? -2 : 0;
  }
  static int can_implement(PmProblem const *p) {
    if (p->batch != 1 || p->alpha != 1.f) return 4;
    return p->k % kNumber ? 1 : 0;
  }
  static int64_t workspace(PmProblem const *p) { return p->split_k > 1 ? (int64_t(1) << 33) + p->split_mode : 0; }
  static int create(PmProblem const *p, void *workspace, void *stream, void **handle) {
    *handle = nullptr;
    if (p->m == 77) return -1;
    if (p->m == 78) return -2;
    if (int status = can_implement(p)) return status;
    *handle = new Handle{*p, workspace};
    return 0;
  }
  static int run(void *handle, void *stream) {
    Handle *h = static_cast<Handle *>(handle);
    PmProblem const &p = h->p;
    if (p.m == 79) return -2;
    ran[count++ % 64] = int(p.sms) * 10 + (stream != nullptr);
    for (int i = 0; i < p.m; ++i)
      for (int j = 0; j < p.n; ++j) {
        float sum = 0;
        float const *a = static_cast<float *>(p.a) + i * p.lda, *b = static_cast<float *>(p.b) + j * p.ldb;
        for (int l = 0; l < p.k; ++l) sum += a[l] * b[l];
        static_cast<float *>(p.c)[i * p.ldc + j] = p.alpha * sum;
      }
    return 0;
  }
  static void destroy(void *handle) { delete static_cast<Handle *>(handle); count += 1000; }
};
#define ENTRY(K) PmKernel{&K::info, &K::can_implement, &K::workspace, &K::create, &K::run, &K::destroy}
PM_LIBRARY(ENTRY(Host<1>), ENTRY(Host<4>))
"""


def compiled(folder, source, name="host.so"):
    path = folder / name
    path.with_suffix(".cc").write_text(source, encoding="utf-8")
    command = ["g++", "-std=c++17", "-shared", "-fPIC", "-fvisibility=hidden", f"-I{emit.INCLUDE}", "-o", str(path)]
    subprocess.run([*command, str(path.with_suffix(".cc"))], check=True)
    return path


@pytest.fixture(scope="module")
def host(tmp_path_factory):
    if shutil.which("g++") is None:
        pytest.skip("no g++")
    return compiled(tmp_path_factory.mktemp("cabi"), SOURCE)


@pytest.fixture(scope="module")
def library(host):
    return Library(host)


def operands():
    """A [2, 3], B [3, 2] with k contiguous in both, C [2, 2] in lines of 3, poisoned."""
    a = (ctypes.c_float * 6)(1, 2, 3, 4, 5, 6)
    b = (ctypes.c_float * 6)(1, 0, 1, 0, 2, 0)
    c = (ctypes.c_float * 6)(*[-9] * 6)
    places = {name: ctypes.addressof(array) for name, array in (("a", a), ("b", b), ("c", c))}
    return (a, b, c), Problem(m=2, n=2, k=3, lda=3, ldb=3, ldc=3, **places)


def test_names_and_facts(library):
    assert [kernel.name for kernel in library.kernels] == ["host_1", "host_4"]
    assert len(library) == 2
    first, second = (kernel.info() for kernel in library.kernels)
    assert (first.shared_bytes, first.threads, first.registers, first.blocks_per_sm) == (1001, 128, None, None)
    assert (second.shared_bytes, second.registers) == (1004, 40)


def test_a_problem_is_one_product_whole_and_unscaled_unless_said_otherwise():
    problem = Problem(m=2, n=3, k=4)
    assert (problem.batch, problem.split_k, problem.split_mode, problem.alpha, problem.sms) == (1, 1, 0, 1.0, 0)
    assert (problem.a, problem.lda) == (None, 0)
    assert Problem(batch=7).batch == 7
    assert ctypes.sizeof(Problem) == 6 * 4 + 6 * 8 + 3 * 8 + 8 + 15 * 4 + 4  # 4 to fill the last word


def test_can_implement_and_workspace(library):
    first, second = library.kernels
    assert first.can_implement(Problem(m=1, n=1, k=3)) == 0
    assert second.can_implement(Problem(m=1, n=1, k=3)) == 1
    assert second.can_implement(Problem(m=1, n=1, k=4, alpha=0.5)) == 4
    assert first.workspace_bytes(Problem(m=1, n=1, k=4)) == 0
    assert first.workspace_bytes(Problem(m=1, n=1, k=4, split_k=2, split_mode=PARALLEL)) == 2**33 + 1


def test_a_launch_computes_and_leaves_gaps_alone(library):
    arrays, problem = operands()
    kernel = library[0]
    handle = kernel.create(problem)
    kernel.run(handle)
    kernel.destroy(handle)
    assert list(arrays[2]) == [4, 4, -9, 10, 10, -9]


def test_run_many_rotates_through_the_handles(host, library):
    arrays, problem = operands()
    raw = ctypes.CDLL(str(host))
    raw.test_ran.restype = ctypes.POINTER(ctypes.c_int)
    kernel, handles = library[0], []
    for number in (5, 6, 7):
        problem.sms = number
        handles.append(kernel.create(problem))
    before = raw.test_count()
    kernel.run_many(handle_array(handles), first=2, launches=5, stream=123)
    assert [raw.test_ran()[(before + i) % 64] for i in range(5)] == [71, 51, 61, 71, 51]
    kernel.run_many(handle_array(handles), first=0, launches=0)
    assert raw.test_count() == before + 5
    for handle in handles:
        kernel.destroy(handle)
    assert raw.test_count() == before + 3005
    assert list(arrays[2]) == [4, 4, -9, 10, 10, -9]


def test_create_says_why_not(library):
    with pytest.raises(BuildFailed) as refused:
        library[1].create(Problem(m=1, n=2, k=3))
    assert refused.value.args == ("host_4: misaligned operand", "m 1, n 2, k 3, batch 1, split 1")
    with pytest.raises(MemoryError, match="host_1"):
        library[0].create(Problem(m=77, n=1, k=1))
    with pytest.raises(KernelFault, match="host_1: CUDA error"):
        library[0].create(Problem(m=78, n=1, k=1))


def test_a_launch_that_fails_is_a_fault_and_the_last(library):
    handle = library[0].create(Problem(m=79, n=1, k=1))
    with pytest.raises(KernelFault, match="host_1: CUDA error"):
        library[0].run(handle)
    with pytest.raises(KernelFault):
        library[0].run_many(handle_array([handle]), 0, 3)
    library[0].destroy(handle)


def test_statuses_have_words():
    assert status_text(5) == "not supported"
    assert status_text(99) == "status 99"


def test_what_is_no_library_of_ours_fails_to_load(tmp_path, host):
    with pytest.raises(BuildFailed, match="cannot open"):
        Library(tmp_path / "none.so")
    (tmp_path / "cut.so").write_bytes(host.read_bytes()[:40])
    with pytest.raises(BuildFailed) as cut:
        Library(tmp_path / "cut.so")
    assert cut.value.args[1] == f"load {tmp_path / 'cut.so'}"
    assert "\n" not in cut.value.args[0]
    with pytest.raises(BuildFailed, match="pm_abi"):
        Library(compiled(tmp_path, 'extern "C" int other() { return 1; }', "other.so"))
    newer = 'extern "C" __attribute__((visibility("default"))) int pm_abi() { return 3; }'
    with pytest.raises(BuildFailed, match="interface 3, not 2"):
        Library(compiled(tmp_path, newer, "newer.so"))


def test_another_process_can_be_asked(host, tmp_path):
    names = [(fact["name"], fact["shared_bytes"], fact["registers"]) for fact in describe_library(host)]
    assert names == [("host_1", 1001, None), ("host_4", 1004, 40)]
    (tmp_path / "bad.so").write_bytes(b"no library")
    with pytest.raises(ValueError, match="BuildFailed"):
        describe_library(tmp_path / "bad.so")
    crash = 'extern "C" __attribute__((visibility("default"))) int pm_abi() { __builtin_trap(); }'
    with pytest.raises(ValueError, match="exit status -"):  # it would have ended this process
        describe_library(compiled(tmp_path, crash, "crash.so"))


def test_the_structure_follows_the_header():
    text = (emit.INCLUDE / "perfmodel_gemm.h").read_text(encoding="utf-8")
    declared = re.sub(r"//[^\n]*", "", text.partition("struct PmProblem {")[2].partition("};")[0])
    kinds = {"int32_t": ctypes.c_int32, "int64_t": ctypes.c_int64, "void": ctypes.c_void_p, "float": ctypes.c_float}
    expected = []
    for line in filter(str.strip, declared.split(";")):
        kind, _, names = line.strip().partition(" ")
        expected += [(name.strip(" *"), kinds[kind]) for name in names.split(",")]
    assert list(Problem._fields_) == expected
