"""Let the real libraries write the log fixtures again:

    python tests/traces/writers/write.py FOLDER [NAME…]

Each name is a folder made anew in FOLDER; without names, all whose library is installed (extra `writers`). FOLDER also
gets the truths, the traces that the logs say, and VERSIONS.json, which says what wrote each. The committed ones are in
`tests/data/logs/written`.
"""

from __future__ import annotations

import getpass
import importlib
import json
import platform
import shutil
import socket
import sys
import tempfile
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

# name: (truth, module, function, distributions)
FIXTURES = {
    "torch": ("truth", "event_files", "write_torch", ("torch", "tensorboard")),
    "tensorboardx": ("truth-within", "event_files", "write_tensorboardx", ("tensorboardX",)),
    "lightning": ("truth", "lightning_loggers", "write", ("lightning", "torch", "tensorboard")),
    "keras": ("truth", "keras_csv", "write", ("keras", "torch")),
    "hugging_face": ("truth-fp16", "hugging_face", "write", ("transformers", "accelerate", "torch")),
    "mlperf": ("truth-bf16", "mlperf_log", "write_lowest", ("mlperf-logging",)),
    "mlperf_bits": ("truth", "mlperf_log", "write_bits", ("mlperf-logging",)),
    "mlflow": ("truth", "mlflow_store", "write_store", ("mlflow",)),
    "mlflow_files": ("truth", "mlflow_store", "write_files", ("mlflow",)),
    "wandb": ("truth", "wandb_run", "write_export", ()),
    "wandb_offline": ("truth", "wandb_run", "write_offline", ("wandb",)),
}  # fmt: skip
HERE = Path(__file__).parent


def main(folder: str, *names: str) -> None:
    """Write the fixtures of these names, or of all libraries that are here."""
    import truth

    from perfmodel.traces import write_trace

    root = Path(folder)
    root.mkdir(parents=True, exist_ok=True)
    truths = truth.truths()
    for name, trace in truths.items():
        write_trace(trace, root / f"{name}.jsonl")
    for name in names or [name for name in FIXTURES if not missing(name)]:
        run, module, function, _ = FIXTURES[name]
        shutil.rmtree(root / name, ignore_errors=True)
        getattr(importlib.import_module(module), function)(root / name, truths[run])
        refuse_private(root / name)
        record(root / "VERSIONS.json", name)
        print(f"{name}: {sum(path.stat().st_size for path in files(root / name))} bytes")


def missing(name: str) -> list[str]:
    """The distributions that a fixture needs and that are not installed."""
    return [one for one in FIXTURES[name][3] if not _version(one)]


def _version(distribution: str) -> str | None:
    try:
        return version(distribution)
    except PackageNotFoundError:
        return None


def files(folder: Path) -> list[Path]:
    """The files below a folder."""
    return [path for path in sorted(folder.rglob("*")) if path.is_file()]


def refuse_private(folder: Path) -> None:
    """Stop where a file holds the name of this machine or its user, or a path of it."""
    secrets = [str(folder.absolute()), str(HERE), str(Path.home()) + "/", tempfile.gettempdir(), sys.prefix]
    secrets += [name for name in (socket.gethostname(), getpass.getuser()) if len(name) > 3]
    for path in files(folder):
        for secret in secrets:
            if secret.encode() in path.read_bytes() or secret in str(path.relative_to(folder)):
                raise SystemExit(f"{path} holds {secret!r}")


def record(path: Path, name: str) -> None:
    """Note what wrote a fixture, and when."""
    run, module, _, distributions = FIXTURES[name]
    known = json.loads(path.read_text()) if path.exists() else {}
    known[name] = {
        "says": f"{run}.jsonl",
        "written": datetime.now(UTC).date().isoformat(),
        "by": f"tests/traces/writers/{module}.py",
        "python": platform.python_version(),
        "libraries": {one: _version(one) for one in distributions} or "none: laid out by hand",
    }
    path.write_text(json.dumps(dict(sorted(known.items())), indent=2) + "\n")


if __name__ == "__main__":
    if len(sys.argv) < 2 or set(sys.argv[2:]) - set(FIXTURES):
        raise SystemExit(f"{__doc__}\nnames: {', '.join(FIXTURES)}")
    main(*sys.argv[1:])
