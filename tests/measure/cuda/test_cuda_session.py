"""A whole session on the host device: kernels compete on real memory, are verified, and make a profile."""

import json
from functools import partial

import pytest

from perfmodel.gemm import Gemm, find_precision
from perfmodel.lowering import MemoryOp
from perfmodel.measure import canary, instrument
from perfmodel.measure.bench import Bench
from perfmodel.measure.cuda.backend import CudaBackend
from perfmodel.measure.cuda.catalogue import Catalogue
from perfmodel.measure.job import Job
from perfmodel.measure.session import Session
from perfmodel.measure.settings import Settings
from perfmodel.profiles.journal import MemoryJournal
from perfmodel.profiles.kernel import VENDOR, Kernel
from perfmodel.profiles.profile import Profile

HALF, INT8 = find_precision("fp16"), find_precision("int8")
DEEP, SMALL = Gemm(24, 16, 64), Gemm(8, 16, 32, precision=HALF)
JOBS = [
    Job(Kernel(DEEP), 2.0, variants=("host_fp32_tn", "host_fp32_tn split2", "host_fp32_tn parallel4", "host_short")),
    Job(Kernel(DEEP, VENDOR), 0.0),
    Job(Kernel(SMALL), variants=("host_fp16_tn",)),
    Job(Kernel(Gemm(8, 16, 32, precision=INT8)), variants=("host_int8_tn", "no_such_kernel")),
    Job(Kernel(Gemm(8, 8, 8)), variants=("host_short", "host_lost_row")),
    Job(Kernel(MemoryOp(4096.0, 0.0, "absmax", (1024,)))),
    Job(Kernel(MemoryOp(600.0, 600.0, "transpose", (20, 30)))),
]
QUICK = Settings(
    settle_least_s=0.01, settle_most_s=0.01, budget_s=100.0, samples=2, least_visits=6, most_visits=6, condition_s=0.0,
    sample_s=1e-4, half_width=1.0,
)  # fmt: skip


@pytest.fixture(scope="module")
def records(host, folder, manifest):
    """The records of one session of these jobs."""
    with pytest.MonkeyPatch.context() as patch:
        tiny = Kernel(Gemm(16, 16, 16))
        for module in ("canary", "bench", "worker"):  # the real one takes the host minutes
            patch.setattr(f"perfmodel.measure.{module}.CANARY", tiny)
        patch.setattr("perfmodel.measure.cuda.building.CANARY", tiny, raising=False)
        patch.setattr(canary, "COPY_BYTES", 2**12)
        patch.setattr(instrument, "REPEATS", 11)
        make = partial(lambda: CudaBackend(host.HostRuntime(folder), Catalogue(manifest)))
        journal = MemoryJournal()
        journal.outcome = Session(JOBS, Bench(make, QUICK), journal, QUICK, 1).run()
    return journal


def test_all_but_the_wrong_ones_are_measured(records):
    assert (records.outcome.kernels, records.outcome.failed) == (7, 1)
    kernels = {row["kernel"]: row for row in records.records if row["type"] == "kernel"}
    assert [kernels[i]["status"] for i in range(7)] == ["ready"] * 4 + ["wrong"] + ["ready"] * 2
    assert kernels[0]["what"]["variant"] in ("host_fp32_tn", "host_fp32_tn split2", "host_fp32_tn parallel4")
    assert kernels[3]["what"]["variant"] == "host_int8_tn"
    assert kernels[0]["verification"]["ok"]
    assert kernels[0]["verification"]["norm_error"] < 1e-6
    assert kernels[3]["verification"]["exact_mismatches"] == 0
    assert kernels[0]["resources"] == {"registers": 7}
    assert all(
        len([r for r in records.records if r["type"] == "visit" and r["kernel"] == i]) == 6 for i in (0, 1, 2, 3)
    )


def test_the_journal_is_json_and_makes_a_profile(records):
    rows = json.loads(json.dumps(records.records))
    environment = {"device": {"kind": "cuda", "name": "host"}}
    rows.insert(0, {"type": "session", "session": 1, "settings": {}, "request": {}, "started": ""})
    profile = Profile.from_records({"environment": environment}, rows)
    assert profile.basis == "measured"
    assert profile.fastest(DEEP).kernel.variant.startswith("host_fp32_tn")
    assert profile.vendor(DEEP).seconds > 0
    assert profile.fastest(Gemm(8, 8, 8)) is None
    ((status, reason),) = [why for kernel, why in profile.refused.items() if kernel.problem == Gemm(8, 8, 8)]
    assert status == "wrong"
    assert reason.startswith("launch 1")
