"""What Table 3 charges for quantising, spread over the quantised epochs of a trace."""

import pytest

from perfmodel.errors import Unsupported
from perfmodel.reproduce.overhead import PUBLISHED_OVERHEAD, published_overhead
from perfmodel.traces import PassPrecision, Segment, Trace, find_trace


@pytest.mark.parametrize(
    ("trace", "network", "milliseconds"),
    [
        ("muppet-alexnet-imagenet", "alexnet-reference", 36),
        ("muppet-googlenet-imagenet", "googlenet-aux", 452),
        ("muppet-resnet20-cifar10", "resnet18", 87),  # 63 quantised epochs: 456 min / 63 / 5005
    ],
)
def test_published_overhead(trace, network, milliseconds):
    overhead = published_overhead(network, find_trace(trace))
    assert round(overhead.seconds * 1e3) == milliseconds
    assert (overhead.level, overhead.basis) == ("table3", "published")
    assert PUBLISHED_OVERHEAD == "table3"


def test_what_table_3_says_nothing_of():
    with pytest.raises(Unsupported, match=r"^E1109 --overhead table3: .* nothing of resnet20 over 63 quantised epochs"):
        published_overhead("resnet20", find_trace("muppet-resnet20-cifar10"))
    segments = (Segment(0, 1, PassPrecision.same("fp32")),)
    trace = Trace("resnet18", "none", "fp32", 1, 1, segments, {"note": "made up"})
    with pytest.raises(Unsupported, match=r"^E1109 .* nothing of resnet18 over 0 quantised epochs"):
        published_overhead("resnet18", trace)
