"""How long the engine takes for three networks x three precisions x three passes on the simulated GPU, fsync on.

    python benchmarks/simulated_profile.py

The GPU's seconds are virtual; what is measured is the engine: its statistics, its journal, its verification.
"""

from __future__ import annotations

import tempfile
import time
from pathlib import Path

from perfmodel.cost import Roofline, Tiles
from perfmodel.measure.bench import Bench
from perfmodel.measure.settings import Settings
from perfmodel.measure.simulated import Simulated, find_scenario
from perfmodel.measuring import measure, simulated_truths
from perfmodel.networks import find_network
from perfmodel.plan import make_plan
from perfmodel.profiles.journal import read_journal
from perfmodel.schemes import find_overhead

NETWORKS = ("alexnet-reference", "resnet18", "googlenet-aux")
PRECISIONS = ("fp32", "fp16", "int8")
BATCH = 256
TARGET_S = 120.0


def main() -> None:
    """Run one session and print what it took."""
    scenario, settings = find_scenario("drift"), Settings()
    networks = [find_network(name) for name in NETWORKS]
    models = Tiles(scenario.device), Roofline(scenario.device)
    plan = make_plan(networks, (BATCH,), PRECISIONS, "implicit", find_overhead("current"), *models)
    bench = Bench(lambda: Simulated(scenario, settings.seed, simulated_truths(plan)), settings)
    with tempfile.TemporaryDirectory(dir=Path.cwd()) as folder:  # on the disk that is worked on, not in memory
        path = Path(folder) / "profile.jsonl"
        start = time.perf_counter()
        outcome = measure(path, plan, bench, settings)
        taken = time.perf_counter() - start
        records, size = len(read_journal(path).records), path.stat().st_size
    kernels, visits = outcome.kernels, outcome.visits
    print(f"{kernels} kernels, {visits} visits, {records} records, {size / 1e6:.1f} MB: {outcome.status}")
    print(f"virtual seconds of the GPU: {bench.now_s():.1f}, of these {outcome.spent_s:.1f} in rounds")
    print(f"real seconds: {taken:.1f} (target {TARGET_S:g}), {taken / outcome.visits * 1e3:.2f} ms a visit")


if __name__ == "__main__":
    main()
