"""What emulating low precision costs on a CPU: `python benchmarks/emulation.py [BATCH]`. Needs the extra `train`.

Nanoseconds an element of each quantiser, beside a copy and PyTorch's own uniform numbers; then the time of one training
step of ResNet20 on CIFAR's shapes (128 images unless said otherwise) in each scheme over that in FP32, least of some
steps. Target: at most 2.5 in MuPPET's.
"""

import sys
from collections.abc import Callable
from time import perf_counter

import torch

from perfmodel.networks import find_network
from perfmodel.quantisers.floats import E5M2
from perfmodel.training.build import build, loss_of
from perfmodel.training.emulation import Emulation
from perfmodel.training.layers import Roles
from perfmodel.training.lossscale import find_scale
from perfmodel.training.masters import MasterSGD
from perfmodel.training.noise import Noise
from perfmodel.training.recipes import find_recipe
from perfmodel.training.rounding import affine, blocks, dynamic, floats, program

SHAPE = (128, 16, 32, 32)  # of ResNet20's first layers' outputs
REPEATS, STEPS = 9, 5
SCHEMES = (
    ("fp32", "fp32"), ("muppet", "dfx8"), ("muppet", "dfx16"), ("mixed", "fp16"), ("fp8", "fp8_e5m2"), ("cpt", "int4"),
    ("hbfp", "bfp8"),
)  # fmt: skip
QUANTISERS = {
    "MuPPET, paper": lambda x, u: dynamic.rounded(x, 8, u), "MuPPET, code": lambda x, u: program.rounded(x, 8, u),
    "E5M2": lambda x, u: floats.rounded(x, E5M2, u), "CPT": lambda x, u: affine.rounded(x, 8, u),
    "HBFP, tiles": lambda x, u: blocks.rounded(x, 7, 24, u),
    "HBFP, samples": lambda x, u: blocks.rounded_by_sample(x, 7, u),
}  # fmt: skip


def main(batch: int) -> None:
    """Print both tables."""
    x, noise = torch.randn(SHAPE, generator=torch.Generator().manual_seed(1)), Noise(1)
    count = x.numel() * 1e-9
    print(f"{torch.get_num_threads()} threads; ns an element of {SHAPE}")
    print(f"{'copy':<15}{least(x.clone, REPEATS) / count:8.2f}")
    print(f"{'torch.rand':<15}{least(lambda: torch.rand(SHAPE), REPEATS) / count:8.2f}")
    print(f"{'Noise.uniform':<15}{least(lambda: noise.uniform(SHAPE), REPEATS) / count:8.2f}")
    print(f"\n{'quantiser':<15}{'nearest':>8}{'stochastic':>12}")
    for name, rounded in QUANTISERS.items():
        times = (least(lambda u=u, r=rounded: r(x, u), REPEATS) / count for u in (None, noise))
        print(f"{name:<15}{next(times):8.2f}{next(times):12.2f}")
    print(f"\nresnet20, batch {batch}\n{'scheme':<10}{'format':<10}{'ms a step':>10}{'of FP32':>9}")
    fp32 = None
    for scheme, format_ in SCHEMES:
        seconds = step_s(scheme, format_, batch)
        fp32 = fp32 or seconds
        print(f"{scheme:<10}{format_:<10}{seconds * 1e3:10.0f}{seconds / fp32:9.2f}", flush=True)


def step_s(scheme: str, format_: str, batch: int) -> float:
    """Seconds of a training step: forward, backward, update."""
    network = find_network("resnet20")
    model, noise = build(network, seed=0), Noise(2)
    recipe, scale = find_recipe(scheme, format_, roles=Roles.of(network)), find_scale(scheme)
    Emulation(model, recipe, noise)
    optimizer = MasterSGD(model, lr=0.01, recipe=recipe, noise=noise)
    generator = torch.Generator().manual_seed(3)
    images = torch.randn(batch, *network.input, generator=generator)
    labels = torch.randint(0, 10, (batch,), generator=generator)

    def step() -> None:
        optimizer.zero_grad()
        loss = loss_of(model(images), labels)
        (scale.scale(loss) if scale else loss).backward()
        optimizer.step(scale)

    return least(step, STEPS)


def least(call: Callable[[], object], times: int) -> float:
    """Seconds of the fastest of some calls after a first one."""
    call()
    found = []
    for _ in range(times):
        start = perf_counter()
        call()
        found.append(perf_counter() - start)
    return min(found)


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else SHAPE[0])
