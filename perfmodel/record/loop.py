"""What a plain PyTorch loop needs beside `TraceWriter`: the name of the format that the forward pass runs in.

PyTorch is looked at only where the training script has imported it.
"""

from __future__ import annotations

import sys
from typing import Any

from perfmodel.errors import InputError, quote

DTYPES = {
    "torch.float64": "fp64",
    "torch.float32": "fp32",
    "torch.bfloat16": "bf16",
    "torch.float16": "fp16",
}
TF32_CAPABILITY = (8, 0)  # Ampere; older GPUs ignore the flags


def autocast_format(device: str | None = None, convolutions: bool = False) -> str:
    """The format that PyTorch multiplies FP32 tensors in at this point of the program, by name.

    Under `torch.autocast` for this kind of device that is autocast's: call it inside the `with` block. Elsewhere it is
    `tf32` where GPU and flags allow it, else `fp32`. PyTorch has a flag for matrix products (off unless set) and
    one for cuDNN's convolutions (on unless cleared); `convolutions` says which of them decides.

    Not seen: weights that are themselves in another format, quantisers, and layers that turn autocast off.
    `device` is `cuda` where there is one, else `cpu`. PyTorch 2.4 or later.

    Raises `InputError` (E1349) where torch is not imported, or autocasts to a format that is not known.
    """
    torch = sys.modules.get("torch")
    if torch is None:
        raise unknown_precision("PyTorch is not imported.")
    device = device or ("cuda" if torch.cuda.is_available() else "cpu")
    if torch.is_autocast_enabled(device):
        return dtype_format(torch.get_autocast_dtype(device))
    return "tf32" if device == "cuda" and _tf32(torch, convolutions) else "fp32"


def dtype_format(dtype: Any) -> str:
    """The format of a PyTorch dtype; `InputError` (E1349) for another than FP64, FP32, BF16 and FP16."""
    if str(dtype) not in DTYPES:
        raise unknown_precision(f"{quote(str(dtype))} is not known.")
    return DTYPES[str(dtype)]


def unknown_precision(found: str) -> InputError:
    """E1349: the precision cannot be taken from the library, so the user must say it."""
    return InputError.at("E1349", "precision:", found, 'Say it yourself: precision="fp16", or a function.')


def _tf32(torch: Any, convolutions: bool) -> bool:
    if not torch.cuda.is_available() or torch.cuda.get_device_capability() < TF32_CAPABILITY:
        return False
    cudnn = torch.backends.cudnn
    flags = getattr(cudnn, "conv", cudnn) if convolutions else torch.backends.cuda.matmul
    try:
        return flags.fp32_precision == "tf32"  # PyTorch 2.9; the old flag may then refuse to be read
    except AttributeError:
        return bool(flags.allow_tf32)
