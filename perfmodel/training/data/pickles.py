"""Reading the pickles of CIFAR's Python version without running any code that a pickle may name."""

from __future__ import annotations

import io
import pickle
from pathlib import Path
from typing import Any

import numpy as np

from perfmodel.errors import InputError, quote

FIX = "Unpack the published archive anew; do not open the file by other means if you do not know who made it."


class Array:
    """Stands for a NumPy array in a pickle: it keeps what it is given, and builds nothing of it."""

    state: Any = None

    def __init__(self, *_: Any):
        pass

    def __setstate__(self, state: Any) -> None:
        self.state = state

    def rows(self, width: int) -> np.ndarray | None:
        """The array, uint8 [N, width], or None if it is of another type or shape or its bytes do not fill it."""
        match self.state:
            case (int(), (int(count), int(found)), Dtype(is_bytes=True), bool() | 0 | 1 as columns_first, bytes(raw)):
                if found == width and count >= 0 and len(raw) == count * width:
                    return np.frombuffer(raw, np.uint8).reshape(count, width, order="F" if columns_first else "C")
        return None


class Dtype:
    """Stands for a NumPy type in a pickle."""

    is_bytes = False

    def __init__(self, *arguments: Any):
        self.is_bytes = arguments[:1] in (("u1",), (b"u1",))

    def __setstate__(self, _: Any) -> None:
        pass


class Refused(Exception):
    """A pickle names something that no CIFAR file needs."""


class _Reader(pickle._Unpickler):  # the one in Python: that in C takes gigabytes for a few bytes that ask for them
    NAMES = {  # noqa: RUF012
        ("numpy.core.multiarray", "_reconstruct"): Array,  # as published
        ("numpy._core.multiarray", "_reconstruct"): Array,  # as NumPy 2 writes it
        ("numpy", "ndarray"): Array,
        ("numpy", "dtype"): Dtype,
    }

    def find_class(self, module: str, name: str) -> type:
        try:
            return self.NAMES[module, name]
        except KeyError:
            raise Refused(f"{module}.{name}") from None


def read_pickle(raw: bytes, path: Path) -> dict[bytes, Any]:
    """The dictionary in a pickle of numbers, bytes, texts, lists, dictionaries and NumPy arrays (as `Array`).

    Nothing that the pickle names is imported or called. Raises E1717 where it names anything else, does not read, or
    holds no dictionary.
    """
    try:
        found = _Reader(io.BytesIO(raw), encoding="bytes").load()
    except Refused as error:
        name = quote(str(error))
        found = f"is a pickle that asks for {name}, as no CIFAR file does."
        raise InputError.at("E1717", f"{path}:", found, FIX) from None
    except Exception as error:  # bytes at will raise nearly anything in there
        why = f"is not a whole pickle ({type(error).__name__})."
        raise InputError.at("E1717", f"{path}:", why, FIX) from None
    if not isinstance(found, dict):
        raise InputError.at("E1717", f"{path}:", f"holds a {type(found).__name__}, not a dictionary.", FIX)
    return found
