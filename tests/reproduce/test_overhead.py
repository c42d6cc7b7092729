"""What Table 3 charges for quantising, spread over the quantised iterations of a trace."""

from dataclasses import replace

import pytest

from perfmodel.errors import Unsupported
from perfmodel.networks import find_network, read_network
from perfmodel.reproduce.overhead import PUBLISHED_OVERHEAD, published_overhead
from perfmodel.traces import PassPrecision, Segment, Trace, find_trace

ALEXNET = "muppet-alexnet-imagenet"


@pytest.mark.parametrize(
    ("trace", "network", "milliseconds"),
    [
        (ALEXNET, "alexnet-reference", 36),  # 207 min over 69 epochs of 5005 iterations
        ("muppet-googlenet-imagenet", "googlenet-aux", 452),  # 2375 min over 63
        ("muppet-resnet20-cifar10", "resnet18", 1387),  # 456 min over 63 epochs of 313
    ],
)
def test_published_overhead(trace, network, milliseconds):
    overhead = published_overhead(find_network(network), find_trace(trace))
    assert round(overhead.seconds * 1e3) == milliseconds
    assert (overhead.level, overhead.basis) == ("table3", "published")
    assert PUBLISHED_OVERHEAD == "table3"


@pytest.mark.parametrize("batch", [128, 256, 512])
def test_the_whole_is_charged_at_any_batch(batch):
    trace = find_trace(ALEXNET)
    whole = -(-trace.samples // batch)
    segments = tuple(replace(segment, iterations=whole) for segment in trace.segments)
    other = replace(trace, batch=batch, segments=segments)
    seconds = published_overhead(find_network("alexnet-reference"), other).seconds
    assert seconds * whole * 69 == pytest.approx(207 * 60)


def test_what_table_3_says_nothing_of():
    with pytest.raises(Unsupported, match=r"^E1109 --overhead table3: .* nothing of resnet20 over 19719 quantised"):
        published_overhead(find_network("resnet20"), find_trace("muppet-resnet20-cifar10"))
    segments = (Segment(0, 1, PassPrecision.same("fp32")),)
    trace = Trace("resnet18", "none", "fp32", 1, 1, segments, {"note": "made up"})
    with pytest.raises(Unsupported, match=r"^E1109 .* nothing of resnet18 over 0 quantised iterations"):
        published_overhead(find_network("resnet18"), trace)


def test_a_file_of_the_same_name_is_another_network(tmp_path):
    path = tmp_path / "resnet18.toml"
    path.write_text(
        'title = "t"\nsource = "s"\ninput = [1, 1, 1]\nlayers = [{ op = "linear", name = "fc", out = 2 }]\n'
    )
    with pytest.raises(Unsupported, match=r"^E1109 "):
        published_overhead(read_network(path), find_trace(ALEXNET))
