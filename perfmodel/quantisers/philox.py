"""Random numbers for stochastic rounding, the same whatever computes them and in any order: uint32 throughout."""

from __future__ import annotations

import numpy as np

DITHERS = ("philox10x16", "philox10x4")
_M0, _M1 = np.uint64(0xD2511F53), np.uint64(0xCD9E8D57)  # Philox4x32: Salmon et al., SC 2011
_W0, _W1 = 0x9E3779B9, 0xBB67AE85
_LOW = np.uint64(0xFFFFFFFF)
_HALF_WORD = np.uint64(32)


def philox4x32(counter: np.ndarray, key: tuple[int, int], rounds: int = 10) -> np.ndarray:
    """Four random 32-bit words for each counter [n, 4]: Philox4x32 (Salmon et al. 2011), as Random123 defines it.

    >>> [hex(word) for word in philox4x32(np.zeros((1, 4), np.uint32), (0, 0))[0]]
    ['0x6627e8d5', '0xe169c58d', '0xbc57ac4c', '0x9b00dbd8']
    """
    c0, c1, c2, c3 = (np.asarray(counter)[:, i].astype(np.uint64) for i in range(4))
    k0, k1 = key
    for _ in range(rounds):
        product0, product1 = _M0 * c0, _M1 * c2
        c0 = (product1 >> _HALF_WORD) ^ c1 ^ np.uint64(k0)
        c2 = (product0 >> _HALF_WORD) ^ c3 ^ np.uint64(k1)
        c1, c3 = product1 & _LOW, product0 & _LOW
        k0, k1 = (k0 + _W0) & 0xFFFFFFFF, (k1 + _W1) & 0xFFFFFFFF
    return np.stack([c0, c1, c2, c3], axis=1).astype(np.uint32)


def dither(n: int, seed: int, step: int, kind: str = "philox10x16") -> np.ndarray:
    """What stochastic rounding adds to element i of n, FP32 in [0, 1): the same whatever computes it, in any order.

    `philox10x16`: one call for 16 elements, 8 bits each, (byte + ½)/256. `philox10x4`: one call for 4, 24 bits each.
    The counter is (group, step), the key the 64-bit seed.
    """
    each = 16 if kind == "philox10x16" else 4
    group = np.arange(-(-n // each), dtype=np.uint64)
    steps = np.full(group.shape, step, np.uint64)
    counter = np.stack([group & _LOW, group >> _HALF_WORD, steps, np.zeros_like(group)], axis=1)
    words = philox4x32(counter, (seed & 0xFFFFFFFF, seed >> 32 & 0xFFFFFFFF))
    if kind == "philox10x4":
        return ((words.ravel() >> np.uint32(8)).astype(np.float32) * np.float32(2.0**-24))[:n]
    shifts = np.arange(0, 32, 8, dtype=np.uint32)
    octets = (words[:, :, None] >> shifts & np.uint32(255)).ravel()
    return (octets.astype(np.float32) * np.float32(1 / 256) + np.float32(1 / 512))[:n]
