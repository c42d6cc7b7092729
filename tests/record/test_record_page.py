"""The examples of the page run as they stand, in two epochs of five iterations."""

import importlib.util
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from perfmodel.traces import read_trace

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "record.md").read_text(encoding="utf-8")
EXAMPLES = re.findall(r"^```python\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
LIBRARIES = ("torch", "lightning", "transformers", "keras")


def test_there_is_one_example_for_each_library():
    assert len(EXAMPLES) == len(LIBRARIES)
    for library, example in zip(LIBRARIES, EXAMPLES, strict=True):
        assert re.search(rf"^(import|from) {library}\b", example, re.MULTILINE)
        compile(example, library, "exec")


@pytest.mark.nightly
@pytest.mark.parametrize("library", LIBRARIES)
def test_the_example_runs(library, tmp_path):
    if importlib.util.find_spec(library) is None:
        pytest.skip(f"{library} is not installed")
    example = EXAMPLES[LIBRARIES.index(library)]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    run = subprocess.run(
        [sys.executable, "-c", example], cwd=tmp_path, env=environment, capture_output=True, text=True
    )  # fmt: skip
    assert run.returncode == 0, run.stderr
    trace = read_trace(tmp_path / "run.jsonl")
    assert [(s.epoch, s.iterations, s.precision.label) for s in trace.segments] == [(0, 5, "bf16"), (1, 5, "bf16")]
    assert all("loss" in segment.metrics for segment in trace.segments[:1]) or library == "transformers"
