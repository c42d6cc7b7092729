"""`perfmodel profile [NETWORK…]`: times every kernel of the networks' training steps, or shows the plan."""

from __future__ import annotations

import argparse

from perfmodel.cli import common, complain, measured_gpu, options, progress, writing

DESCRIPTION = """\
Times every distinct GEMM and memory-bound kernel of the training steps of some networks, and writes a profile.
Without --gpu or --simulate it prints the plan: which kernels, how often, FLOP, bytes, estimated seconds.
With --gpu, CUTLASS kernels are compiled first (kept for the next time) and compete for each GEMM; --mapping is then
im2col unless it is given.
NETWORK is a bundled network (see perfmodel networks) or a .toml file; by default the three of the MuPPET paper.
Ctrl-C at any moment: what was measured is saved, and the same command with --resume goes on.
Exit codes: 0 all intervals as narrow as asked, 2 bad input, 3 some intervals wider, 4 some kernels failed, 5 device
lost, 130 Ctrl-C."""

NETWORKS = ("alexnet-reference", "resnet18", "googlenet-aux")
UNCONVERGED, KERNELS_FAILED, DEVICE_LOST, INTERRUPTED = 3, 4, 5, 130
MODEL = ("model", "tile", "no_split_k")
NUMBERS = {  # option: setting, what it is
    "--half-width": ("half_width", "half-width of the 95 %% interval at which a kernel is done (default 0.01, 1 %%)"),
    "--budget": ("budget_s", "seconds on the device after settling (default 300)"),
    "--settle-least": ("settle_least_s", "least seconds of warming up (default 20)"),
    "--settle-most": ("settle_most_s", "most seconds of warming up (default 60)"),
    "--watchdog": ("watchdog_s", "seconds after which a silent device counts as hung (default 30)"),
    "--wait-idle": ("wait_idle_s", "seconds to wait for other processes to leave the GPU (default 60)"),
}
ALIASES = {"--settle-least": ("--settle",)}
COUNTS = {
    "--least-visits": ("least_visits", "visits of each kernel at least (default 6: fewer give no 95 %% interval)"),
    "--most-visits": ("most_visits", "visits of a kernel at most (default 40)"),
    "--samples": ("samples", "samples of one visit (default 5)"),
    "--seed": ("seed", "of operands, order and the simulated device's noise (default 0)"),
}
CHOICES = {
    "--state": ("state", "sustained (default): settle first, as training runs; burst: do not"),
    "--data": ("data", "operands: realistic (default), normal, uniform, integers, zeros"),
    "--verify": ("verify", "strict (default), sample, or off (the profile says so)"),
}


def run(argv: list[str]) -> int:
    """The verb; returns the exit code."""
    arguments = _parser().parse_intermixed_args(argv)
    _check(arguments)
    if arguments.gpu:
        return _on_gpu(arguments)
    return _plan(arguments) if arguments.simulate is None else _simulate(arguments)


def _parser() -> options.Parser:
    parser = options.parser("profile", DESCRIPTION)
    parser.add_argument("networks", nargs="*", metavar="NETWORK", help="name of a bundled network, or a .toml file")
    parser.add_argument("--precision", default="fp32,fp16,int8", metavar="P,P,…",
                        help="of the GEMMs, or schemes (default fp32,fp16,int8)")  # fmt: skip
    parser.add_argument(
        "--batch", type=options.whole, default=256, metavar="N", help="images of one step (default 256)"
    )
    where = parser.add_mutually_exclusive_group()
    where.add_argument("--gpu", action="store_true", help="measure on a GPU of this machine")
    where.add_argument("--simulate", metavar="SCENARIO", help="measure on a simulated GPU: a name or a .toml file")
    parser.add_argument("--gpu-index", type=options.whole, default=None, metavar="N", help="which GPU (default 0)")
    parser.add_argument("--search", default=None, metavar="HOW",
                        help="kernels that compete on a GPU: default, or wide (takes long to compile)")  # fmt: skip
    parser.add_argument("--baseline", default=None, metavar="LIB",
                        help="timed beside them: cublas (default), or none")  # fmt: skip
    options.add_output_argument(parser, ".jsonl for a profile; .txt .csv .json .md .tex for a plan")
    then = parser.add_mutually_exclusive_group()
    then.add_argument("--resume", action="store_true", help="finish the interrupted session of the profile")
    then.add_argument("--append", action="store_true", help="add a session to the profile")
    parser.add_argument("--isolate", default=None, metavar="HOW",
                        help="process: the device in a process of its own; none (default with --simulate)")  # fmt: skip
    for option, (name, what) in NUMBERS.items():
        parser.add_argument(option, *ALIASES.get(option, ()), dest=name, type=_number, metavar="X", help=what)
    for option, (name, what) in COUNTS.items():
        parser.add_argument(option, dest=name, type=options.whole, metavar="N", help=what)
    for option, (name, what) in CHOICES.items():
        parser.add_argument(option, dest=name, metavar="WORD", help=what)
    parser.add_argument("--allow-mig", action="store_true", default=None, help="measure on a part of a GPU")
    parser.add_argument("--allow-shared", action="store_true", default=None, help="do not wait for other processes")
    options.add_model_arguments(parser)
    parser.set_defaults(device=None, mapping=None)
    options.add_overhead_argument(parser, options.LEVELS)
    return parser


def _number(text: str) -> float:
    """A finite number in ASCII digits."""
    import re

    if not re.fullmatch(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]{1,3})?", text):
        raise argparse.ArgumentTypeError(f"{text!r} is not a number")
    return float(text)


def _check(arguments) -> None:
    """What can be told before anything is read."""
    from perfmodel.errors import InputError, quote, unknown_name
    from perfmodel.output import check_suffix

    measuring = arguments.gpu or arguments.simulate is not None
    arguments.mapping = arguments.mapping or ("im2col" if arguments.gpu else "implicit")
    measured_gpu.check(arguments)
    options.check_batch(arguments.batch)
    options.refuse_table3(arguments.overhead, "table3 is no kernel that could be timed.")
    if arguments.isolate not in (None, "none", "process"):
        raise unknown_name("E2001", "--isolate", arguments.isolate, ("none", "process"))
    if (arguments.resume or arguments.append) and not measuring:
        option = "--resume" if arguments.resume else "--append"
        raise InputError.at("E2003", option, "goes with --gpu or --simulate.", "Add one of them.")
    if arguments.simulate is not None and arguments.device is not None:
        raise InputError.at("E2003", "--device", "does not go with --simulate: the scenario names it.", "Drop it.")
    if measuring and arguments.output is None:
        raise InputError.at("E2003", "-o", "is missing: where to write the profile.", "Add -o FILE.jsonl.")
    if measuring:
        check_suffix(arguments.output, (".jsonl",))
    elif arguments.output is not None and arguments.output.lower().endswith(".jsonl"):
        found = f"{quote(arguments.output)} would be a profile, and this is only a plan."
        raise InputError.at("E2003", "-o", found, "Add --gpu or --simulate SCENARIO.")
    else:
        writing.output_suffix(arguments.output, figures=False)


def _make_plan(arguments, device):
    """The plan; its request also says which model, as a session must be resumed with the same."""
    from dataclasses import replace

    from perfmodel.cost import find_cost_model

    model = find_cost_model(arguments.model, device, arguments.tile, not arguments.no_split_k)
    roofline = find_cost_model("roofline", device)
    plan = common.find_plan(arguments, arguments.networks or NETWORKS, model, roofline)
    return replace(plan, request=plan.request | {name: getattr(arguments, name) for name in MODEL})


def _plan(arguments) -> int:
    from perfmodel.devices import find_device
    from perfmodel.report.plan import plan_table

    arguments.device = arguments.device or options.DEFAULT_DEVICE
    plan = _make_plan(arguments, find_device(arguments.device))
    names = ", ".join(plan.request["networks"])
    title = f"Kernels to time: {names}, batch {arguments.batch}, {common.describe(arguments)}"
    writing.emit([plan_table(plan, title, settings=_settings(arguments))], arguments.output)
    return 0


def _settings(arguments):
    """The settings that were given; of the two limits of settling, the one that was not given follows the other."""
    from perfmodel.errors import InputError
    from perfmodel.measure.settings import Settings

    names = [name for name, _ in (*NUMBERS.values(), *COUNTS.values(), *CHOICES.values())]
    given = {name: getattr(arguments, name) for name in (*names, "allow_mig", "allow_shared")}
    given = {name: value for name, value in given.items() if value is not None}
    settings = Settings(**given)
    least_s, most_s = settings.settle_least_s, settings.settle_most_s
    if least_s <= most_s:
        return settings
    if "settle_most_s" not in given:
        return Settings(**given, settle_most_s=least_s)
    if "settle_least_s" not in given:
        return Settings(**given, settle_least_s=most_s)
    found = f"{least_s:g} is above --settle-most {most_s:g}."
    raise InputError.at("E2002", "--settle-least", found, "Correct one of them.")


def _simulate(arguments) -> int:
    from functools import partial

    from perfmodel.measure.simulated import Simulated, find_scenario
    from perfmodel.measuring import simulated_truths, stopped_by_signals

    scenario, settings = find_scenario(arguments.simulate), _settings(arguments)
    plan = _make_plan(arguments, scenario.device)
    make = partial(Simulated, scenario, _device_seed(arguments, settings.seed), simulated_truths(plan))
    with stopped_by_signals() as stop:
        return _finish(arguments.output, lambda: _measure(arguments, make, plan, settings, stop), stop)


def _on_gpu(arguments) -> int:
    from perfmodel.devices import find_device
    from perfmodel.gpu import device_of, ready_gpu
    from perfmodel.measuring import stopped_by_signals
    from perfmodel.networks import find_network

    settings = _settings(arguments)
    common.gather(find_network, arguments.networks or NETWORKS)  # a wrong name is told before the machine is looked at
    gpu = ready_gpu(arguments.gpu_index or 0)
    device = find_device(arguments.device) if arguments.device else device_of(gpu)
    ready = measured_gpu.plan(arguments, gpu, _make_plan(arguments, device))
    with stopped_by_signals() as stop:
        make = measured_gpu.backend(arguments, ready, stop)
        if stop():
            complain("interrupted while compiling: what is compiled is kept; the same command goes on")
            return INTERRUPTED
        return _finish(arguments.output, lambda: _measure(arguments, make, ready.plan, settings, stop), stop)


def _device_seed(arguments, seed: int) -> int:
    """Of the simulated device's noise: another one for each session, or sessions would drift alike and agree."""
    from perfmodel.errors import PerfModelError
    from perfmodel.measure.kernels import seed_of
    from perfmodel.measure.recorder import free_number, open_number
    from perfmodel.profiles.reading import read_journal

    if not (arguments.resume or arguments.append):
        return seed
    try:
        records = read_journal(arguments.output).records
    except PerfModelError:  # told when the profile is opened
        return seed
    number = (open_number(records) or 1) if arguments.resume else free_number(records)
    return seed if number == 1 else seed_of("device", seed, number)


def _measure(arguments, make, plan, settings, stop):
    """Run the session on a bench of its own."""
    from perfmodel.measure.bench import Bench
    from perfmodel.measure.worker import WorkerBench
    from perfmodel.measuring import measure

    mode = "resume" if arguments.resume else "append" if arguments.append else "new"
    isolated = arguments.gpu or arguments.isolate == "process"
    bench = (WorkerBench if isolated else Bench)(make, settings)
    try:
        return measure(arguments.output, plan, bench, settings, mode, stop, progress.shown())
    except KeyboardInterrupt:  # for the second time: a worker that hangs is not waited for
        getattr(bench, "kill", bench.close)()
        raise
    finally:
        bench.close()


def _finish(path: str, call, stop) -> int:
    """Run the session, say how it ended, and turn that into an exit code."""
    from perfmodel.errors import printable
    from perfmodel.measure.backend import DeviceFault
    from perfmodel.measure.recorder import Interrupted

    try:
        outcome = progress.then_cleared(call)
    except Interrupted:
        complain(f"interrupted: {_saved(path)}")
        return INTERRUPTED
    except DeviceFault as lost:  # of any kind, where it comes before the first step
        if stop():  # the worker may have got the same signal
            complain(f"interrupted: {_saved(path)}")
            return INTERRUPTED
        why = printable("; ".join(map(str, lost.args)) or type(lost).__name__)
        complain(f"device lost: {why}; {_saved(path)}")
        return DEVICE_LOST
    print(_summary(path, outcome))
    if outcome.failed:
        return KERNELS_FAILED
    return 0 if outcome.status == "complete" else UNCONVERGED


def _saved(path: str) -> str:
    import os

    if os.path.exists(path):
        return "what was measured is saved; the same command with --resume goes on"
    return "nothing was measured yet"


def _summary(path: str, outcome) -> str:
    from shlex import quote

    from perfmodel.errors import printable

    failed = f", {outcome.failed} failed" if outcome.failed else ""
    spent = f"{outcome.spent_s:.1f} s on the device after settling"
    lines = (
        f"{printable(path)}: {outcome.kernels} kernels, {outcome.converged} with intervals as narrow as asked{failed}",
        f"{outcome.visits} visits in {spent}; session {outcome.status}",
        f"perfmodel check {printable(quote(path))} says whether to trust it",
    )
    return "\n".join(lines)
