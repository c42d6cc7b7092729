"""What INT8 saves on mixed precision, and which layers it is not worth: the table of docs/advise.md.

    python benchmarks/advice.py

Prints Markdown: networks x devices at batch 256, conversions `current`, each tensor converted once. Modelled, nothing
measured; a second table has the same with conversions in the kernels that make the tensors (`epilogue`).
"""

from perfmodel.advise import advise
from perfmodel.advise.sweep import sweep
from perfmodel.calibration import find_calibrated_model
from perfmodel.devices import find_device
from perfmodel.networks import find_network
from perfmodel.schemes import find_scheme
from perfmodel.schemes.overhead import Overhead
from perfmodel.simulate import Setting

NETWORKS = ("alexnet-reference", "resnet18", "googlenet-aux")
DEVICES = ("rtx-2080-ti", "t4", "a100", "h200")
BATCH, BATCHES = 256, tuple(2**i for i in range(11))
HEAD = ("network", "device", "FP16, ms", "INT8, ms", "plan, ms", "plan over FP16 (90 %)", "plan over INT8",
        "passes in INT8", "layers not worth INT8", "INT8 throughout faster")  # fmt: skip


def row(network_name: str, device_name: str, overhead: Overhead) -> list[str]:
    """One network on one device."""
    network, base = find_network(network_name), find_scheme("mixed")
    setting = Setting(
        find_calibrated_model("tiles", find_device(device_name), "best", True, "default"), overhead=overhead
    )
    found = advise(network, BATCH, base, ["int8"], setting)
    fp16, int8, plan = (one.step.total.seconds * 1e3 for one in (found.base, found.narrow[0], found.best))
    _, low, high = found.best.faster_than(found.base)
    passes, gains = sum(map(len, found.tariff.passes.values())), found.layer_gains("int8")
    slower = [at.batch for at in sweep(network, BATCHES, base, ["int8"], setting) if at.narrow_s["int8"] >= at.base_s]
    since = "always" if not slower else "never" if slower[-1] == BATCHES[-1] else f"from batch {2 * slower[-1]}"
    return [
        network_name, device_name, f"{fp16:.3g}", f"{int8:.3g}", f"{plan:.3g}",
        f"{fp16 / plan:.2f}x ({low:.2f} to {high:.2f})", f"{int8 / plan:.2f}x",
        f"{len(found.best.plan.narrow)} of {passes}",
        f"{sum(gain < 0 for gain in gains.values())} of {len(gains)}", since,
    ]  # fmt: skip


def main() -> None:
    """Print both tables."""
    for level in ("current", "epilogue"):
        print(f"\nConversions {level}:\n\n| {' | '.join(HEAD)} |\n|{'---|' * len(HEAD)}")
        for network in NETWORKS:
            for device in DEVICES:
                print(f"| {' | '.join(row(network, device, Overhead(level)))} |")


if __name__ == "__main__":
    main()
