"""Training with emulated low precision, and the trace of it: the only home of PyTorch, behind the extra `train`.

`run.py` trains by `options.py`; `control.py` says which format comes when, `recipes.py` what a format does to tensors,
`emulation.py` and `masters.py` do it, with the quantisers in `rounding/`; `build.py` makes models, `data/` has images.
"""

from __future__ import annotations

from perfmodel.errors import InputError


def check_torch() -> None:
    """Raise `InputError` (E1701) where PyTorch cannot be imported; no other module here can be without it."""
    try:
        import torch  # noqa: F401
    except ImportError as error:
        why = "is not installed" if getattr(error, "name", None) == "torch" else f"cannot be imported: {error}"
        fix = "Install it: pip install 'perfmodel[train]'."
        raise InputError.at("E1701", "PyTorch:", f"{why}.", fix) from None
