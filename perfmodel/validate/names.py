"""How sources call devices, and which of their rows measure something else than they say."""

from __future__ import annotations

from perfmodel.framework.timings import DEVICES as OF_ITERATIONS

DEVICES = OF_ITERATIONS | {
    "T4": "t4", "Tesla T4": "t4", "V100": "v100-sxm2", "Tesla V100-PCIE-32GB": "v100", "P100": "p100",
    "Tesla P100-PCIE-16GB": "p100", "Tesla P4": "p4", "NVIDIA A100-PCIE-40GB": "a100",
    "NVIDIA A100 80GB PCIe": "a100-80gb", "NVIDIA H100 80GB HBM3": "h100-sxm", "NVIDIA L4": "l4",
    "1080Ti": "gtx-1080-ti",
}  # fmt: skip

# (kind, source, device as the source names it, precision): why its rows are not judged
LEFT_OUT = {
    ("gemm", "deepbench", "T4", "int8"): "they run on DP4A units (at most 24 TOPS), not on the tensor cores of INT8",
    **dict.fromkeys(
        ((kind, "deepbench", "P100", "fp16_storage") for kind in ("gemm", "conv")),
        "FP16 is stored and FP32 computed: no precision here does that",
    ),
}
