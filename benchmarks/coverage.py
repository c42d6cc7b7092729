"""Whether the engine's intervals hold the truth on a simulated GPU that drifts, beside the rules of the usual tools.

    python benchmarks/coverage.py [--quick] [--seeds 8] [--kernels 100] [--sessions 5]
    python benchmarks/coverage.py --alone --seeds 40 --kernels 40
    python benchmarks/coverage.py --grid

All random numbers are seeded. Estimates and intervals are those of the profile that follows from the records. There
are two truths: a session states the time at its own reference clock, `own`; several sessions state the time that the
card shows in the long run. GPU s is how long the device was busy, wall s virtual time.
"""

from __future__ import annotations

import argparse
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from multiprocessing import get_context

import numpy as np
from rules import RULES, Metered, Target
from sessions import Estimates, Measured, in_file_order, workload

from perfmodel.measure.settings import Settings
from perfmodel.measure.simulated import Scenario, find_scenario
from perfmodel.measure.simulated.world import Environment, Span
from perfmodel.profiles.profile import Profile

PROCESSES = 2
SHORT_S = 20e-6
SLOW_RULE, EVERY = "nvbench cold, stdrel", 10  # simulating this one takes long: every tenth shape only
ENGINE, COMBINED, CLOCKLESS, IN_ORDER = (
    "engine, one session", "engine, all sessions", "– without the clock", "– in the order of the file",
)  # fmt: skip
ALLOCATION_WIDTH = 0.0015  # narrow enough for kernels to need many more than six visits
ALLOCATION_ROUNDS, ALLOCATION_SEEDS, ALLOCATION_SHOWN = 24, 4, (8, 12, 16, 24)
STATED = (
    "sessions", "intervals", "cover %", "half-width %: median", "p95", "over target %", "error %: median", "p95",
    "to the long run", "ratio p95",
)  # fmt: skip
COMPARED = (
    "method", "error %: median", "p95", "max", "< 20 µs: median", "ratio %: median", "p95", "cover %", "GPU s",
    "wall s",
)  # fmt: skip
ALLOCATED = ("equal visits", "standard error %", "GPU s, equal", "GPU s, chosen", "factor")
GRID_SD = (0.0, 0.006, 0.012, 0.018, 0.024)
GRID_SLOW_SD = (0.0, 0.005, 0.010, 0.015, 0.020)
PATTERNS = ("none", "steps", "tenants", "bimodal")


def engine(seed: int, shapes: int, sessions: int) -> dict[str, list[Estimates]]:
    """The engine on the scenario `drift`: each session by itself, all of them, and two variants."""
    scenario, load = find_scenario("drift"), workload(seed, shapes)
    measured = Measured(scenario, load, seed)
    numbers = range(1, sessions + 1)
    for number in numbers:
        measured.run(number)
    ordered = Measured(scenario, load, seed).run(1, in_file_order(2 * shapes))
    return {
        ENGINE: [measured.estimates([number]) for number in numbers],
        CLOCKLESS: [measured.estimates([number], clockless=True) for number in numbers],
        IN_ORDER: [ordered.estimates([1])],
        COMBINED: [measured.estimates(numbers)],
    }


def tool(name: str, seed: int, shapes: int) -> dict[str, list[Estimates]]:
    """A rule of another tool on the same card, cold at first, kernel after kernel in the order of the file."""
    load = workload(seed, shapes)
    card = Metered(find_scenario("drift"), 100 * seed + 1, load.truths)
    every = EVERY if name == SLOW_RULE and shapes >= EVERY else 1
    picked = [*range(0, shapes, every), *range(shapes, 2 * shapes, every)]
    found = np.array([RULES[name](Target(card, load.kernels[i])) for i in picked])
    truth = card.long_run_seconds(load.kernels)[picked]
    return {name: [Estimates(*found.T, truth, truth, card.busy_s * every, card.now_s() * every)]}


def scenarios() -> list[tuple[str, Scenario]]:
    """F8's grid: the scenario `drift` with five deviations of each drift, and four things that happen to the card."""
    drift, found = find_scenario("drift"), []
    for i, sd in enumerate(GRID_SD):
        for j, slow_sd in enumerate(GRID_SLOW_SD):
            clock = replace(drift.clock, sd=sd, slow_sd=slow_sd)
            for pattern in PATTERNS:
                happens = environment(pattern, 5 * i + j)
                found.append((pattern, replace(drift, clock=clock, environment=happens)))
    return found


def environment(pattern: str, seed: int) -> Environment:
    """What happens to the card: 60 s of it, seeded.

    Steps: every 1 s on average the clock takes another level, 0.92 to 1. Tenants: every 2 s on average another process
    comes for 0.3 s on average and lengthens all work by a fifth. Bimodal: every other 0.5 s the clock is at 0.95.
    """
    r = np.random.default_rng([seed, 2])
    if pattern == "steps":
        times = np.cumsum(r.exponential(1.0, 60))
        return Environment(clock_steps=tuple((float(t), float(r.uniform(0.92, 1.0))) for t in times))
    if pattern == "tenants":
        times = np.cumsum(r.exponential(2.0, 30))
        return Environment(tenants=tuple(Span(float(t), float(t + r.exponential(0.3)), 0.2) for t in times))
    return Environment(bimodal=(0.95, 0.5)) if pattern == "bimodal" else Environment()


def one_of_grid(index: int, shapes: int) -> dict[str, list[Estimates]]:
    """One session on one scenario of the grid."""
    pattern, scenario = scenarios()[index]
    measured = Measured(scenario, workload(index, shapes), index).run(1)
    return {pattern: [measured.estimates([1])]}


def allocation(seed: int, shapes: int, rounds: int) -> list[tuple[int, float, float, float]]:
    """Equal visits, the relative standard error of the whole step's time that they give, and device seconds for it.

    The last number is what the engine's choice of visits needs for the same error. Both run for real, with weights of
    1 to 23; how much visits scatter comes from those of the other session.
    """
    load, drift = workload(seed, shapes, weights=True), find_scenario("drift")
    order = list(range(2 * shapes))
    never = Settings(verify="off", half_width=1e-4, most_visits=rounds)
    equal = Measured(drift, load, seed, never).run(1, [{"round": n, "order": order} for n in range(1, rounds + 1)])
    chosen = Measured(drift, load, seed, Settings(verify="off", half_width=ALLOCATION_WIDTH)).run(2)
    profile = Profile.from_records(equal.header, equal.records)
    timings = [profile.timings[kernel] for kernel in load.kernels]
    shares = np.array([job.weight * one.seconds for job, one in zip(load.jobs, timings, strict=True)])
    variances = (shares / shares.sum() * [one.spread for one in timings]) ** 2
    paths = [spending(one.records, len(order)) for one in (equal, chosen)]
    errors = [np.sqrt((variances / visits).sum(axis=1)) for _, visits in paths]
    found = []
    for index, error in enumerate(errors[0]):
        if (enough := errors[1] <= error).any():
            found.append((index + 6, error, paths[0][0][index], paths[1][0][enough.argmax()]))
    return found


def spending(records: Iterable[Mapping], kernels: int) -> tuple[np.ndarray, np.ndarray]:
    """Device seconds spent and visits of each kernel, after the sixth round and after each further one."""
    spent, visits, path = 0.0, np.zeros(kernels), {}
    for row in records:
        if row["type"] in ("visit", "canary"):
            spent += row["took_s"]
        if row["type"] == "visit":
            visits[row["kernel"]] += 1
        if row["type"] in ("visit", "canary") and row["round"] >= 6:
            path[row["round"]] = spent, visits.copy()
    return np.array([one for one, _ in path.values()]), np.array([one for _, one in path.values()])


def measure(task: tuple) -> object:
    """One task of the pool: a function of this file and its arguments."""
    function, *arguments = task
    return globals()[function](*arguments)


def gather(tasks: Sequence[tuple]) -> list:
    """The results of all tasks in order, by two processes."""
    with get_context("spawn").Pool(PROCESSES) as pool:
        return pool.map(measure, tasks, chunksize=1)


def merge(results: Iterable[dict[str, list[Estimates]]]) -> dict[str, list[Estimates]]:
    """All estimates of each method."""
    found = defaultdict(list)
    for result in results:
        for name, estimates in result.items():
            found[name] += estimates
    return found


def errors_of(estimates: Sequence[Estimates], truth: str) -> tuple[np.ndarray, np.ndarray]:
    """The relative errors of the times [%], and those of the ratios of both precisions, against `own` or `long_run`."""
    times, ratios = [], []
    for one in estimates:
        error = one.seconds / getattr(one, truth)
        half = len(error) // 2
        times.append(error - 1)
        ratios.append(error[:half] / error[half:] - 1)
    return np.abs(100 * np.concatenate(times)), np.abs(100 * np.concatenate(ratios))


def share(estimates: Sequence[Estimates], truth: str) -> float:
    """How many intervals in a hundred hold `own` or `long_run`; NaN where there are none."""
    return 100 * float(np.mean(np.concatenate([one.covers(getattr(one, truth)) for one in estimates])))


def accuracy(estimates: Sequence[Estimates], target: float) -> list[str]:
    """A row on an estimand: intervals, coverage, half-widths, share of those over the target, errors."""
    width = 100 * np.concatenate([one.half_width for one in estimates])
    error, ratio = errors_of(estimates, "own")
    long_run, _ = errors_of(estimates, "long_run")
    return [
        str(len(width)), f"{share(estimates, 'own'):.1f}", f"{np.median(width):.2f}", f"{np.percentile(width, 95):.2f}",
        f"{100 * np.mean(~(width <= target)):.1f}", f"{np.median(error):.2f}", f"{np.percentile(error, 95):.2f}",
        f"{np.median(long_run):.2f}", f"{np.percentile(ratio, 95):.2f}",
    ]  # fmt: skip


def comparison(estimates: Sequence[Estimates]) -> list[str]:
    """A row against the long run: errors, those of short kernels and of ratios, coverage, cost."""
    error, ratio = errors_of(estimates, "long_run")
    short = np.concatenate([one.long_run < SHORT_S for one in estimates])
    figures = [np.median(error), np.percentile(error, 95), error.max(), np.median(error[short])]
    figures += [np.median(ratio), np.percentile(ratio, 95)]
    cost = [f"{np.mean([getattr(one, name) for one in estimates]):.1f}" for name in ("busy_s", "wall_s")]
    return [*(f"{one:.2f}" for one in figures), f"{share(estimates, 'long_run'):.1f}", *cost]


def table(title: str, head: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Print a table in Markdown, columns aligned."""
    rows = [["–" if cell == "nan" else cell for cell in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(head, *rows, strict=True)]
    print(f"\n{title}\n")
    for row in (head, ["-" * width for width in widths], *rows):
        print(f"| {' | '.join(cell.ljust(width) for cell, width in zip(row, widths, strict=True))} |")


def print_engine(found: dict[str, list[Estimates]], title: str) -> None:
    """The engine against what it states, and how the combined intervals hold on each card."""
    targets = {ENGINE: 1.0, CLOCKLESS: 1.0, IN_ORDER: 1.0, COMBINED: 2.0}
    rows = [[name, *accuracy(found[name], target)] for name, target in targets.items()]
    table(f"The engine against what it states: {title}", STATED, rows)
    by_card = " ".join(f"{share([one], 'long_run'):.0f}" for one in found[COMBINED])
    print(f"\nThe kernels of a card stray together. All sessions, cover % by card: {by_card}.")


def print_coverage(seeds: int, shapes: int, sessions: int, alone: bool) -> None:
    """The engine; unless `alone`, the usual tools beside it and what choosing the visits saves."""
    title = f"{seeds} seeds, {2 * shapes} kernels, {sessions} sessions"
    engines = [("engine", seed, shapes, sessions) for seed in range(seeds)]
    if alone:
        print_engine(merge(gather(engines)), title)
        return
    tasks = [("tool", name, seed, shapes) for name in RULES for seed in range(seeds)]
    choices = [("allocation", seed, shapes, ALLOCATION_ROUNDS) for seed in range(min(seeds, ALLOCATION_SEEDS))]
    results = gather([*engines, *tasks, *choices])
    found = merge(results[: -len(choices)])
    print_engine(found, title)
    order = [*RULES, ENGINE, CLOCKLESS, IN_ORDER, COMBINED]
    table("Against the long run", COMPARED, [[name, *comparison(found[name])] for name in order])
    print(
        f"\n{SLOW_RULE}: every {EVERY}th shape, seconds scaled up. The cost of all sessions is that of them together."
    )
    print_allocation(results[-len(choices) :])


def print_allocation(results: Sequence[list[tuple[int, float, float, float]]]) -> None:
    """Device seconds for the same standard error of a step's time; the geometric mean over the workloads."""
    rows = []
    for visits in ALLOCATION_SHOWN:
        same = [row for rows_of_one in results for row in rows_of_one if row[0] == visits]
        if len(same) == len(results):
            _, error, equal_s, chosen_s = np.exp(np.log(np.array(same, float)).mean(axis=0))
            rows.append([str(visits), f"{100 * error:.4f}", f"{equal_s:.2f}", f"{chosen_s:.2f}",
                         f"{equal_s / chosen_s:.2f}"])  # fmt: skip
    table("Device seconds for the same standard error of a step's time, weights 1 to 23", ALLOCATED, rows)


def print_grid(shapes: int) -> None:
    """The engine on a hundred scenarios, one session each."""
    found = merge(gather([("one_of_grid", index, shapes) for index in range(len(scenarios()))]))
    names = [name for name in PATTERNS if name in found]
    rows = [[name, *accuracy(found[name], 1.0)] for name in names]
    rows.append(["all", *accuracy([one for name in names for one in found[name]], 1.0)])
    table("One session on each scenario of the grid", STATED, rows)


def main() -> None:
    """Print what the options ask for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=8)
    parser.add_argument("--kernels", type=int, default=100, help="of a workload, in two precisions")
    parser.add_argument("--sessions", type=int, default=5, help="that are combined")
    parser.add_argument("--quick", action="store_true", help="2 seeds, 20 kernels, 3 sessions")
    parser.add_argument("--alone", action="store_true", help="the engine without the tools: for many seeds")
    parser.add_argument("--grid", action="store_true", help="a hundred scenarios instead, 40 kernels each")
    given = parser.parse_args()
    if given.grid:
        print_grid(20)
    elif given.quick:
        print_coverage(2, 10, 3, given.alone)
    else:
        print_coverage(given.seeds, given.kernels // 2, given.sessions, given.alone)


if __name__ == "__main__":
    main()
