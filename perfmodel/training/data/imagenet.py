"""Folders of images by class, as ImageNet's are laid out: train/<wnid>/*.JPEG and val/<wnid>/*.JPEG."""

from __future__ import annotations

import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image, UnidentifiedImageError

from perfmodel.errors import InputError
from perfmodel.training.data.augment import random_box
from perfmodel.training.data.images import Scale

SIDE = 224  # pixels of the images a network gets
SHORTER = 256  # pixels of the shorter side before the middle is cut out, in tests
SUFFIXES = (".jpeg", ".jpg", ".png")
FORMATS = ("JPEG", "PNG")  # one file of ILSVRC 2012 is a PNG with JPEG's suffix
# MuPPET's, and those usual: adityarajagopal/pytorch_training @ 0085937, src/input_preprocessor.py, imageNet()
SCALE = Scale(full=255.0, mean=(0.485, 0.456, 0.406), std=(0.229, 0.224, 0.225))
BY_CLASS = "Validation images belong in folders by class as the training images do: val/<wnid>/*.JPEG."


@dataclass(frozen=True, slots=True, eq=False)
class Folder:
    """Images in the folders of their classes, read whenever they are asked for; `paths` below `root`, by class."""

    title: str
    root: Path
    paths: tuple[str, ...]
    labels: np.ndarray  # int64 [N]
    classes: int
    name: str = "imagenet"
    shape: tuple[int, int, int] = (3, SIDE, SIDE)

    def __len__(self) -> int:
        return len(self.labels)

    def batch(self, indices: np.ndarray, rng: np.random.Generator | None) -> tuple[torch.Tensor, torch.Tensor]:
        """Images float32 [n, 3, 224, 224] and labels int64 [n].

        With `rng` a random part of each, mirrored half of the time (Szegedy et al., CVPR 2015, section 6); without, the
        middle 224×224 of the image scaled to a shorter side of 256. Bilinear. The result does not depend on how many
        threads read. Raises E1719 for a file that is no whole image.
        """
        paths = [self.root / self.paths[index] for index in indices]
        seeds = [None] * len(paths) if rng is None else rng.integers(0, 2**63, size=len(paths)).tolist()
        with ThreadPoolExecutor() as pool:
            pixels = np.stack(list(pool.map(_pixels, paths, seeds)))
        return SCALE.tensor(pixels), torch.from_numpy(self.labels[indices])


def read_imagenet(folder: Path) -> tuple[Folder, Folder]:
    """The images in `folder`/train and in `folder`/val; the classes are numbered in the order of their sorted names.

    Any number of classes from 2. Raises E1714 where one of the two folders is missing, E1718 where their classes
    differ or one is empty or holds something else than images.
    """
    train, val = folder / "train", folder / "val"
    for part in (train, val):
        if not os.path.isdir(part):
            raise InputError.at("E1714", f"{folder}:", f"{part.name}/ missing.", "Give the folder of train/ and val/.")
    classes = _classes(train)
    _check_same(classes, _classes(val), val)
    return _indexed(train, classes, "training"), _indexed(val, classes, "validation")


def _classes(root: Path) -> list[str]:
    names = sorted(entry.name for entry in _entries(root) if entry.is_dir())
    if len(names) < 2:
        fix = BY_CLASS if root.name == "val" else "Unpack each class's archive into a folder: train/<wnid>/*.JPEG."
        raise InputError.at("E1718", f"{root}:", f"{len(names)} folders of classes; there must be 2 or more.", fix)
    return names


def _check_same(train: list[str], val: list[str], root: Path) -> None:
    if train == val:
        return
    odd = sorted(set(train) ^ set(val))
    listed = ", ".join(odd[:3]) + (f" … ({len(odd)} in all)" if len(odd) > 3 else "")
    raise InputError.at("E1718", f"{root}:", f"not the classes of train/: {listed} in one of them only.", BY_CLASS)


def _indexed(root: Path, classes: list[str], part: str) -> Folder:
    paths: list[str] = []
    counts = []
    for name in classes:
        found = sorted(_images(root / name))
        if not found:
            raise InputError.at("E1718", f"{root / name}:", "holds no images.", "Unpack the class's archive there.")
        counts.append(len(found))
        paths += [f"{name}/{one}" for one in found]
    labels = np.repeat(np.arange(len(classes)), counts)
    return Folder(f"ImageNet, {part} part", root, tuple(paths), labels, len(classes))


def _images(root: Path) -> Iterator[str]:
    for entry in _entries(root):
        if not (entry.name.lower().endswith(SUFFIXES) and entry.is_file()):
            raise InputError.at("E1718", f"{entry.path}:", "is not an image file.", "Move it elsewhere.")
        yield entry.name


def _entries(root: Path) -> Iterator[os.DirEntry]:
    """What is in a folder, less what is hidden."""
    try:
        with os.scandir(root) as entries:
            yield from (entry for entry in entries if not entry.name.startswith("."))
    except OSError as error:
        raise InputError.at(
            "E1718", f"{root}:", f"cannot be read: {error.strerror}.", "Check the permissions."
        ) from None


def _pixels(path: Path, seed: int | None) -> np.ndarray:
    """The image as a network gets it, uint8 [3, 224, 224]: prepared for testing if there is no seed."""
    try:
        with Image.open(path, formats=FORMATS) as image:
            colours = image.convert("RGB")
    except Exception as error:  # bytes at will raise nearly anything in a decoder
        found = "is no JPEG or PNG image." if isinstance(error, UnidentifiedImageError) else f"does not read: {error}."
        raise InputError.at("E1719", f"{path}:", found, "Unpack the published archive anew.") from None
    chosen = _middle(colours) if seed is None else _part(colours, np.random.default_rng(seed))
    return np.asarray(chosen).transpose(2, 0, 1)


def _middle(image: Image.Image) -> Image.Image:
    short = min(image.size)
    width, height = (SHORTER * side // short for side in image.size)
    left, top = (width - SIDE) // 2, (height - SIDE) // 2
    return image.resize((width, height), Image.Resampling.BILINEAR).crop((left, top, left + SIDE, top + SIDE))


def _part(image: Image.Image, rng: np.random.Generator) -> Image.Image:
    part = image.resize((SIDE, SIDE), Image.Resampling.BILINEAR, box=random_box(*image.size, rng))
    return part.transpose(Image.Transpose.FLIP_LEFT_RIGHT) if rng.integers(0, 2) else part
