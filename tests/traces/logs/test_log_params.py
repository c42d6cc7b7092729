"""What the parameters of a run say of it."""

import subprocess
import sys

import pytest

from perfmodel.traces.logs.given import Given
from perfmodel.traces.logs.mlflow.params import param_facts

NOTHING = {}


def facts(params, given=None):
    found = param_facts(params, "run", given or Given())
    return {key: (fact.value, fact.place) for key, fact in found.items()}


@pytest.mark.parametrize(
    ("params", "expected"),
    [
        ({"batch_size": "1"}, {"batch": (1, "run: parameter batch_size:")}),
        ({"batch_size": " 10000000 "}, {"batch": (10**7, "run: parameter batch_size:")}),
        ({"train_samples": "1000000000000"}, {"samples": (10**12, "run: parameter train_samples:")}),
        ({"batch_size": "0", "train_batch_size": "7"}, {"batch": (7, "run: parameter train_batch_size:")}),
        ({"batch_size": "9", "train_batch_size": "7"}, {"batch": (9, "run: parameter batch_size:")}),
        ({"train_batch_size": "0"}, NOTHING),
        ({"batch_size": "10000001"}, NOTHING),
        ({"train_samples": "99999999999999"}, NOTHING),
        ({"train_samples": "1" * 5000}, NOTHING),
        ({"batch_size": "auto", "batch": "8.0", "train_samples": "٣"}, NOTHING),
    ],
)
def test_sizes(params, expected):
    assert facts(params) == expected


@pytest.mark.parametrize(
    ("params", "name"),
    [
        ({"dtype": "float32", "mixed_precision": "bf16"}, "bf16"),
        ({"mixed_precision": "fp16", "precision": "bf16-mixed"}, "bf16"),
        ({"mixed_precision": "no", "dtype": "float32"}, "fp32"),
        ({"mixed_precision": "none", "dtype": "torch.float16"}, "fp16"),
        ({"precision": "of the scales", "dtype": "bfloat16"}, "bf16"),
        ({"mixed_precision": "no"}, None),
        ({"precision": "16"}, None),
    ],
)
def test_precisions(params, name):
    found = param_facts(params, "run", Given())
    assert (found["precision"].value.label if found else None) == name
    assert param_facts(params, "run", Given(precision="int8")) == {}


def test_only_the_store_needs_sqlite():
    code = "import sys, perfmodel.traces.readers.{}; print('sqlite3' in sys.modules)"
    for name in ("mlruns", "mlflow"):
        done = subprocess.run([sys.executable, "-c", code.format(name)], check=True, capture_output=True, text=True)
        assert done.stdout == "False\n"
