"""A convolution as the C ABI takes it: the last fields of a problem."""

from __future__ import annotations

from perfmodel.convolution import Convolution

PASSES = {"fprop": 1, "dgrad": 2, "wgrad": 3}


GEOMETRY = (
    "conv", "images", "height", "width", "channels", "filters", "r", "s", "pad_h", "pad_w", "stride_h", "stride_w",
    "dilation_h", "dilation_w", "groups",
)  # fmt: skip


def geometry(conv: Convolution) -> dict[str, int]:
    """The fields of a `Problem` that are a convolution's.

    >>> geometry(Convolution("wgrad", 2, 3, 15, 17, 5, (7, 6), (2, 1), (3, 0)))["pad_h"]
    3
    """
    sizes = (conv.images, conv.height, conv.width, conv.channels, conv.filters, *conv.kernel, *conv.padding)
    numbers = (PASSES[conv.pass_], *sizes, *conv.stride, *conv.dilation, conv.groups)
    return dict(zip(GEOMETRY, numbers, strict=True))
