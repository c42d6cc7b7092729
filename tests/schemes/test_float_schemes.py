"""BF16 and TF32: one format throughout, what is cast, and what stands for them where the chip has no such unit."""

from perfmodel.devices import find_device
from perfmodel.schemes import find_scheme

PASSES = ("first fprop", "first wgrad", "middle fprop", "middle dgrad", "middle wgrad", "last fprop", "last dgrad",
          "last wgrad")  # fmt: skip


def test_tf32(units, added):
    tf32 = find_scheme("tf32")
    assert units(tf32) == dict.fromkeys(PASSES, ("tf32", "", "fp32"))
    assert units(tf32, device=find_device("a100")) == units(tf32)
    assert units(tf32, device=find_device("t4")) == dict.fromkeys(PASSES, ("fp32", "tf32 timed as fp32", "fp32"))
    assert added(tf32, kinds=("quantise", "cast", "scale", "transpose")) == []


def test_bf16(units, added):
    bf16 = find_scheme("bf16")
    assert units(bf16) == dict.fromkeys(PASSES, ("bf16", "", "bf16"))
    assert units(bf16, device=find_device("h200")) == units(bf16)
    assert units(bf16, device=find_device("v100")) == dict.fromkeys(PASSES, ("fp32", "bf16 timed as fp32", "bf16"))
    assert added(bf16) == [  # weights, 4 B read and 2 B written; no loss scale, hence no check
        ("first", "fprop", "cast", 216, 108, 1), ("middle", "fprop", "cast", 24, 12, 1),
        ("last", "fprop", "cast", 660, 330, 1),
    ]  # fmt: skip
    assert added(bf16, level="ideal") == []
    assert added(bf16, kinds=("update",)) == [  # 12 B and 8 B each
        ("first", "update", "update", 648, 432, 1), ("middle", "update", "update", 72, 48, 1),
        ("last", "update", "update", 1980, 1320, 1),
    ]  # fmt: skip
