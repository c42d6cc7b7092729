"""What can go wrong in training, as errors that say it: data that do not fit, devices, memory, divergence."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch

from perfmodel.errors import InputError
from perfmodel.networks import Network
from perfmodel.training.data import Images


def check_fit(network: Network, name: str, images: Images) -> None:
    """Raise `InputError` (E1705) where a network cannot take these images or has not as many outputs as classes."""
    if tuple(network.input) != tuple(images.shape):
        found = f"takes images of {_size(network.input)}, {name} has images of {_size(images.shape)}."
        raise InputError.at("E1705", f"network {network.name}:", found, "Take another network or data set.")
    outputs = math.prod(network.layers[-1].out_shape)
    if outputs != images.classes:
        found = f"has {outputs} outputs, {name} has {images.classes} classes."
        fix = "Take another network, or a file with base and set (docs/networks.md)."
        raise InputError.at("E1705", f"network {network.name}:", found, fix)


def check_device(name: str) -> None:
    """Raise `InputError` (E1706) for a device that PyTorch does not know or cannot use here."""
    try:
        torch.zeros(1, device=name, dtype=torch.float64)
        torch.Generator(name)
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        why = (str(error).splitlines() or [type(error).__name__])[0][:120]
        fix = "Give cpu, or cuda where PyTorch finds a GPU."
        raise InputError.at("E1706", f"--device {name}:", f"cannot be used: {why.rstrip('.')}.", fix) from None


@contextmanager
def failures() -> Iterator[None]:
    """What PyTorch says when a batch does not fit, as `InputError`: E1707 memory, E1708 a batch of one image."""
    try:
        yield
    except RuntimeError as error:
        if not isinstance(error, torch.OutOfMemoryError) and "alloc" not in str(error):
            raise
        found = "there is not enough of it for training this network."
        raise InputError.at("E1707", "memory:", found, "Take a smaller --batch, or another device.") from None
    except ValueError as error:
        if "more than 1 value per channel" not in str(error):
            raise
        found = "leaves a batch of one image, for which batch norm has no variance."
        raise InputError.at("E1708", "--batch:", found, "Take another number of images.") from None


@contextmanager
def exact(threads: int) -> Iterator[None]:
    """So many threads, on which a CPU's sums depend; FP32 convolutions that are no TF32, kernels always the same."""
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        with torch.backends.cudnn.flags(enabled=True, benchmark=False, deterministic=True, allow_tf32=False):
            yield
    finally:
        torch.set_num_threads(before)


@contextmanager
def diverging(place: str) -> Iterator[None]:
    """What a quantiser says that has no answer to an infinity or NaN (E1524) as `diverged`."""
    try:
        yield
    except InputError as error:
        if error.problems[0].code != "E1524":
            raise
        raise diverged(place, f"a {error.problems[0].place} {error.problems[0].found}".rstrip(".")) from None


def diverged(place: str, found: str) -> InputError:
    """The `InputError` (E1704) of a run whose numbers have left FP32."""
    fix = "Try a lower --lr. The trace is whole up to here, the checkpoint is of the epoch before."
    return InputError.at("E1704", place, f"{found}: training has diverged.", fix)


def _size(shape: Sequence[int]) -> str:
    return "×".join(map(str, shape))
