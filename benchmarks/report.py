"""How long `perfmodel report` takes for 10,000 layers, and for a run of 100,000 segments, and how large it is."""

import json
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter

LAYERS, SEGMENTS = 10_000, 100_000
FORMATS = ("dfx8", "dfx12", "dfx14", "dfx16", "fp32")
TARGET_S, TARGET_BYTES = 10, 5_000_000


def write_network(path: Path) -> None:
    """A chain of equal convolutions."""
    row = '{{ op = "conv", name = "layer{}", out = 8, kernel = 3, pad = 1 }}'
    rows = ",\n".join(row.format(i) for i in range(LAYERS))
    path.write_text(f'title = "many"\nsource = "made up"\ninput = [8, 8, 8]\nlayers = [\n{rows}\n]\n')


def write_trace(path: Path, network: str, formats) -> None:
    """A segment of each format, an epoch each."""
    head = {"schema": "perfmodel.trace/1", "network": network, "dataset": "made up", "scheme": "muppet", "samples": 64,
            "batch": 8, "source": {"note": "made up"}}  # fmt: skip
    rows = (
        {"epoch": i, "iterations": 8, "precision": dict.fromkeys(("fprop", "dgrad", "wgrad"), name),
         "metrics": {"val_acc": 50 + i % 40, "loss": 1.5}}
        for i, name in enumerate(formats)
    )  # fmt: skip
    path.write_text("".join(json.dumps(row) + "\n" for row in (head, *rows)))


def main() -> None:
    """Print seconds and sizes."""
    with TemporaryDirectory() as folder:
        write_network(Path(folder, "many.toml"))
        write_trace(Path(folder, "many.jsonl"), str(Path(folder, "many.toml")), ("dfx8", "dfx12", "fp32"))
        write_trace(Path(folder, "long.jsonl"), "resnet20", (FORMATS[(7 * i + i // 3) % 5] for i in range(SEGMENTS)))
        for name, what in (("many", f"{LAYERS:,} layers"), ("long", f"{SEGMENTS:,} segments")):
            out = Path(folder, f"{name}.html")
            command = [sys.executable, "-m", "perfmodel", "report", str(Path(folder, f"{name}.jsonl")), "-o", str(out)]
            times = []
            for _ in range(3):
                start = perf_counter()
                subprocess.run(command, check=True)
                times.append(perf_counter() - start)
            print(
                f"{what:<18} least {min(times):.1f} s, most {max(times):.1f} s (target {TARGET_S} s), "
                f"{out.stat().st_size / 1e6:.2f} MB (target {TARGET_BYTES / 1e6:.0f} MB)"
            )


if __name__ == "__main__":
    main()
