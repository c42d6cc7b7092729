"""Images to train and test with: scikit-learn's digits, made-up images, CIFAR-10 and -100, ImageNet."""

from __future__ import annotations

import os
from pathlib import Path

from perfmodel.errors import InputError, quote, unknown_name
from perfmodel.training.data.cifar import CIFAR10, CIFAR100, read_cifar
from perfmodel.training.data.digits import read_digits
from perfmodel.training.data.imagenet import read_imagenet
from perfmodel.training.data.images import Images
from perfmodel.training.data.synthetic import NAME, make_synthetic

__all__ = ["DATASETS", "Images", "find_dataset"]

DATASETS = ("digits", "synthetic", "cifar10", "cifar100", "imagenet")


def find_dataset(name: str, folder: str | None = None) -> tuple[Images, Images]:
    """The training and the test part of the data set of this name, out of the user's `folder` where it needs one.

    `synthetic-CxHxW-K` has images of that shape and K classes. Raises E1711 for a name that is not known, E1712 without
    scikit-learn, E1713 for a folder that is missing or not needed, E1714 to E1719 for what is wrong in it.
    """
    if name == "digits" or NAME.fullmatch(name):
        _check_none(name, folder)
        return read_digits() if name == "digits" else make_synthetic(name)
    if name not in DATASETS:
        raise unknown_name("E1711", "data set", name, DATASETS)
    place = _folder(name, folder)
    if name == "imagenet":
        return read_imagenet(place)
    return read_cifar(CIFAR10 if name == "cifar10" else CIFAR100, place)


def _check_none(name: str, folder: str | None) -> None:
    if folder is not None:
        raise InputError.at("E1713", f"data set {name}", "needs no folder, but one is given.", "Leave --data away.")


def _folder(name: str, folder: str | None) -> Path:
    if folder is None:
        raise InputError.at("E1713", f"data set {name}", "needs a folder.", "Say where it is: --data DIR.")
    if not os.path.isdir(folder):  # also of "" and "\0", which `Path` takes otherwise
        raise InputError.at("E1713", f"folder {quote(str(folder))}", "is none.", "Check the path.")
    return Path(folder)
