"""Where published timings lie, and reading them."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from perfmodel.errors import InputError, quote, unknown_name
from perfmodel.validate.problems import DataSet
from perfmodel.validate.readers import read_convolutions, read_gemms, read_iterations

VARIABLE = "PERFMODEL_DATA"
FILES = {
    "gemm": ("gemm_times.csv", read_gemms),
    "conv": ("conv_times.csv", read_convolutions),
    "iterations": ("training_times.csv", read_iterations),
}
SOURCES = (
    "baidu-research/DeepBench @ da81ba78", "sitar-lab/NeuSight @ 6945927d",
    "lambdal/lambda-tensorflow-benchmark @ c17619db", "ryujaehun/pytorch-gpu-benchmark @ 3f47a9e2",
)  # fmt: skip


def find_folder(given: str | None) -> Path:
    """The folder `--data` names, else that of the environment variable `PERFMODEL_DATA`.

    Raises `InputError`: E1601 where neither is given, E1602 where it is no folder.
    """
    name = given if given is not None else os.environ.get(VARIABLE, "")
    if not name:
        names = ", ".join(file for file, _ in FILES.values())
        raise InputError.at(
            "E1601", "published timings:",
            f"no folder was named; {names} are joined from the public repositories {', '.join(SOURCES)}.",
            f"Give --data DIR, or set {VARIABLE}.",
        )  # fmt: skip
    try:
        there = Path(name).is_dir()
    except (OSError, ValueError):  # ValueError: a NUL in the path
        there = False
    if not there:
        raise InputError.at("E1602", f"{name}:", "is not a folder.", f"It must hold {FILES['gemm'][0]} or its like.")
    return Path(name)


def read_folder(folder: Path, sets: Sequence[str] = ()) -> DataSet:
    """The series of all files that are there, or of those of `sets`, which then must be there.

    Raises `InputError`: E1602 where no file is there, E1604 where nothing in them can be judged; those of the readers.
    """
    for name in sets:
        if name not in FILES:
            raise unknown_name("E1605", "set", name, FILES)
    names = tuple(sets) or tuple(name for name, (file, _) in FILES.items() if (folder / file).exists())
    if not names:
        wanted = ", ".join(file for file, _ in FILES.values())
        raise InputError.at("E1602", f"{folder}:", f"holds none of {wanted}.", "Check the path.")
    found = DataSet((), ())
    for name in dict.fromkeys(names):
        file, read = FILES[name]
        found += read(folder / file)
    if not found.series:
        reasons = "; ".join(dict.fromkeys(one.reason for one in found.skipped)) or "there are no rows"
        found_none = f"nothing in it can be judged: {quote(reasons, 300)}."
        raise InputError.at("E1604", f"{folder}:", found_none, "Give other timings.")
    return found
