"""The quantisers of `perfmodel.quantisers` in PyTorch: the same numbers to the bit from the same u, and fast.

Each takes a float32 tensor and `uniform` (None: to nearest even; a tensor of u in [0, 1); a `Noise`) and returns a new
tensor. Nothing is differentiated through them: `perfmodel.training.emulation` says what the backward pass does.
"""
