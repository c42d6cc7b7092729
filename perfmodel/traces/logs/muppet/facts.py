"""What the configuration of a MuPPET run says of its trace's header."""

from __future__ import annotations

from typing import Any

from perfmodel.traces.logs.given import Given
from perfmodel.traces.logs.muppet.config import Config
from perfmodel.traces.logs.run import Fact

TRAINING_IMAGES = {"cifar10": 50_000, "cifar100": 50_000, "imagenet": 1_281_167}
NETWORKS = {  # (dataset, architecture, depth where it counts): the bundled network
    ("cifar10", "alexnet", ""): "alexnet-cifar",
    ("cifar100", "alexnet", ""): "alexnet-cifar100",
    ("imagenet", "alexnet", ""): "alexnet-reference",
    ("cifar10", "resnet", "20"): "resnet20",
    ("cifar100", "resnet", "20"): "resnet20-cifar100",
    ("imagenet", "resnet", "18"): "resnet18",
    ("cifar10", "googlenet", ""): "googlenet-cifar",
    ("cifar100", "googlenet", ""): "googlenet-cifar100",
    ("imagenet", "googlenet", ""): "googlenet-aux",
    ("imagenet", "googlenet_quant", ""): "googlenet-aux",
}  # fmt: skip


def network_of(config: Config) -> str | None:
    """The bundled network, where it is one."""
    dataset, arch = (config.text("dataset") or "").lower(), (config.text("architecture") or "").lower()
    depth = (config.text("depth") or "") if arch == "resnet" else ""
    return NETWORKS.get((dataset, arch, depth))


def facts_of(config: Config, given: Given) -> tuple[dict[str, Fact], list[str]]:
    """Facts of the run's header, and what was derived for them."""
    facts, derived = {}, []
    if dataset := config.text("dataset"):
        facts["dataset"] = Fact(dataset.lower(), config.place("dataset"))
    if batch := config.whole("train_batch"):
        facts["batch"] = Fact(batch, config.place("train_batch"))
    if network := network_of(config):
        facts["network"] = Fact(network, config.place("architecture"))
    images, split = TRAINING_IMAGES.get((dataset or "").lower()), config.number("train_val_split")
    if images and split and split <= 1 and not config.text("sub_classes"):
        samples = int(split * images)
        facts["samples"] = Fact(samples, config.place("train_val_split"))
        if given.samples is None:
            found = f"samples: {samples} = {split:g} x {images}, Train_Val_Split of the training set of {dataset}"
            derived.append(found)
    return facts, derived


def scheme_params(config: Config) -> dict[str, Any]:
    """What steered the precision, by the names that the traces of published schedules use."""
    params: dict[str, Any] = {}
    if ladder := config.bits("prec_schedule"):
        params["ladder"] = [name_of(bits) for bits in ladder]
    resolution, patience = config.whole("policy_resolution"), config.whole("policy_patience")
    switches = config.epochs("prec_epoch_schedule")
    if switches is not None:
        params["switches"] = switches
    elif resolution and patience:
        params["min_dwell"] = resolution * (patience + 1)
    found = {
        "resolution": resolution,
        "patience": patience,
        "lr0": config.number("learning_rate"),
        "min_lr": config.number("min_lr"),
        "gamma": config.number("gamma"),
        "epochs_per_lr": config.whole("fp32_epochs_per_lr"),
        "most_epochs": config.whole("total_epochs"),
    }
    return params | {key: value for key, value in found.items() if value is not None} | {"stopping": "reference"}


def name_of(bits: str) -> str:
    """The format of a word length.

    >>> name_of("12"), name_of("-1")
    ('dfx12', 'fp32')
    """
    return "fp32" if bits == "-1" else f"dfx{bits}"
