"""Random numbers by address: one for each (seed, stream, position), whoever asks and in whatever order."""

import numpy as np
from numpy.typing import NDArray

from goalward.types import FloatArray

_GOLDEN = np.uint64(0x9E3779B97F4A7C15)


def uniforms(seed: int, streams: NDArray[np.uint64], starts: NDArray[np.int64], count: int) -> FloatArray:
    """Uniform numbers in [0, 1) for `count` positions of each stream, from starts [R] on, [R, count].

    A counter-based generator: SplitMix64's finaliser (Steele, Lea and Flood 2014) over the seed, the
    stream and the position in turn. Multiples of 2^-24, which fp32 holds exactly.
    """
    key = _mix(_mix(np.array([seed % 2**64], np.uint64)) ^ streams)
    positions = (starts[:, None] + np.arange(1, count + 1)).astype(np.uint64)
    bits = _mix(key[:, None] + positions * _GOLDEN)
    return (bits >> np.uint64(40)).astype(np.float32) * np.float32(2**-24)


def _mix(x: NDArray[np.uint64]) -> NDArray[np.uint64]:
    x = x + _GOLDEN
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return x ^ (x >> np.uint64(31))
