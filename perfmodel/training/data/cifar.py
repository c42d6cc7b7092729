"""CIFAR-10 and CIFAR-100 in the two layouts in which they are published, Python's pickles and plain bytes."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from perfmodel.datafiles import read_bytes
from perfmodel.errors import InputError, quote
from perfmodel.training.data.augment import cropped_and_flipped
from perfmodel.training.data.images import Held, Scale
from perfmodel.training.data.pickles import Array, read_pickle

SHAPE = (3, 32, 32)  # red, green and blue planes, each by rows
PIXELS = 3072  # bytes of an image
LARGEST_BYTES = 2**28  # of a file; the largest published one has 155 MB
ANEW = "Unpack the published archive anew (https://www.cs.toronto.edu/~kriz/cifar.html)."
# MuPPET's, for both sets: the means of CIFAR-10's training images, and the mean of each image's own standard deviation.
# adityarajagopal/pytorch_training @ 0085937, src/input_preprocessor.py, cifar()
SCALE = Scale(full=255.0, mean=(0.4914, 0.4822, 0.4465), std=(0.2023, 0.1994, 0.2010))

Part = tuple[np.ndarray, np.ndarray]  # pixels uint8 [N, 3072], labels int64 [N]


@dataclass(frozen=True, slots=True)
class Version:
    """One published layout: what its folder, archive and files are called, and how a file is read."""

    folder: str
    archive: str
    train: tuple[str, ...]
    test: str
    read: Callable[[Path, Kind, int], Part]  # path, kind and how many images there must be

    def files(self) -> tuple[str, ...]:
        """The names of all its files."""
        return (*self.train, self.test)


@dataclass(frozen=True, slots=True)
class Kind:
    """CIFAR-10 or CIFAR-100: its labels, how many images its files hold, its layouts."""

    name: str
    title: str
    key: bytes  # of the labels in the Python version
    label_bytes: tuple[int, ...]  # labels before an image in the binary version, as how many classes each tells apart
    train_images: int  # in each training file
    test_images: int
    versions: tuple[Version, ...]

    @property
    def classes(self) -> int:
        """How many classes a network is to tell apart: the last label's."""
        return self.label_bytes[-1]


def read_cifar(kind: Kind, folder: Path) -> tuple[Held, Held]:
    """Training and test part out of `folder`, which is the unpacked one or holds it; 3×32×32, augmented in training.

    Raises E1714 where files are missing, E1715 where one has not the published size, E1716 for a label that is none,
    E1717 for a pickle that does not read.
    """
    version, base = _found(kind, folder)
    train = [version.read(base / name, kind, kind.train_images) for name in version.train]
    test = version.read(base / version.test, kind, kind.test_images)
    return _held(kind, train, "training"), _held(kind, [test], "test")


def _found(kind: Kind, folder: Path) -> tuple[Version, Path]:
    places = [(version, base) for version in kind.versions for base in (folder, folder / version.folder)]
    for version, base in places:
        missing = [name for name in version.files() if not os.path.isfile(base / name)]
        if not missing:
            return version, base
        if len(missing) < len(version.files()):
            raise InputError.at("E1714", f"{base}:", f"{', '.join(missing)} missing.", ANEW)
    for version in kind.versions:
        if os.path.isfile(folder / version.archive):
            fix = f"Unpack it: tar xzf {version.archive}"
            raise InputError.at("E1714", f"{folder}:", f"{version.archive} is packed.", fix)
    fix = f"Give {' or '.join(version.folder for version in kind.versions)}, or the folder above."
    raise InputError.at("E1714", f"{folder}:", f"no {kind.title} here.", fix)


def _held(kind: Kind, parts: list[Part], part: str) -> Held:
    pixels = np.concatenate([pixels for pixels, _ in parts]).reshape(-1, *SHAPE)
    labels = np.concatenate([labels for _, labels in parts])
    return Held(kind.name, f"{kind.title}, {part} part", pixels, labels, kind.classes, SCALE, cropped_and_flipped)


def _read_python(path: Path, kind: Kind, count: int) -> Part:
    batch = read_pickle(read_bytes(path, LARGEST_BYTES), path)
    missing = [quote(key) for key in (b"data", kind.key) if key not in batch]
    if missing:
        raise InputError.at("E1715", f"{path}:", f"key {' and '.join(missing)} missing.", ANEW)
    pixels = batch[b"data"].rows(PIXELS) if isinstance(batch[b"data"], Array) else None
    if pixels is None:
        raise InputError.at("E1715", f"{path}:", f"key b'data' is no array of bytes [N, {PIXELS}].", ANEW)
    labels = batch[kind.key]
    if not isinstance(labels, list) or len(labels) != len(pixels):
        raise InputError.at("E1715", f"{path}:", f"key {quote(kind.key)} is no list of {len(pixels)} labels.", ANEW)
    _check_count(path, len(pixels), count)
    for image, label in enumerate(labels):
        _check_label(path, image, label, kind.classes)
    return pixels, np.array(labels, np.int64)


def _read_binary(path: Path, kind: Kind, count: int) -> Part:
    raw = np.frombuffer(read_bytes(path, LARGEST_BYTES), np.uint8)
    width = len(kind.label_bytes) + PIXELS
    if len(raw) % width:
        found = f"has {len(raw)} bytes, which are no whole number of images of {width} bytes each."
        raise InputError.at("E1715", f"{path}:", found, ANEW)
    records = raw.reshape(-1, width)
    _check_count(path, len(records), count)
    for column, classes in enumerate(kind.label_bytes):
        for image in np.flatnonzero(records[:, column] >= classes)[:1]:
            _check_label(path, int(image), int(records[image, column]), classes)
    return records[:, -PIXELS:], records[:, -PIXELS - 1].astype(np.int64)


def _check_count(path: Path, found: int, count: int) -> None:
    if found != count:
        raise InputError.at("E1715", f"{path}:", f"holds {found} images; {count} were published.", ANEW)


def _check_label(path: Path, image: int, label: object, classes: int) -> None:
    if type(label) is not int or not 0 <= label < classes:
        found = f"label {quote(label)}; labels go from 0 to {classes - 1}."
        raise InputError.at("E1716", f"{path}: image {image}:", found, ANEW)


BATCHES = tuple(f"data_batch_{number}" for number in range(1, 6))
BYTES = tuple(f"{name}.bin" for name in BATCHES)
CIFAR10 = Kind(
    "cifar10", "CIFAR-10", b"labels", (10,), 10_000, 10_000,
    (
        Version("cifar-10-batches-py", "cifar-10-python.tar.gz", BATCHES, "test_batch", _read_python),
        Version("cifar-10-batches-bin", "cifar-10-binary.tar.gz", BYTES, "test_batch.bin", _read_binary),
    ),
)  # fmt: skip
CIFAR100 = Kind(
    "cifar100", "CIFAR-100", b"fine_labels", (20, 100), 50_000, 10_000,
    (
        Version("cifar-100-python", "cifar-100-python.tar.gz", ("train",), "test", _read_python),
        Version("cifar-100-binary", "cifar-100-binary.tar.gz", ("train.bin",), "test.bin", _read_binary),
    ),
)  # fmt: skip
