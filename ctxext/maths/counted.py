"""Counted randomness: a draw is a function of what it is for, never of the draws before it."""

from hashlib import blake2b

import numpy as np


def generator(seed: int, purpose: str, *counters: int) -> np.random.Generator:
    """Return the generator of the draw named by `seed`, `purpose` and `counters` (step, row, ...)."""
    words = blake2b(f"{seed}/{purpose}/{'/'.join(map(str, counters))}".encode(), digest_size=16).digest()
    return np.random.Generator(np.random.Philox(key=np.frombuffer(words, dtype=np.uint64)))
