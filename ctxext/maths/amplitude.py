"""By what queries and keys grow as a context is extended; plain numbers, so that composing a run needs no torch."""

import math


def yarn_attention_factor(factor: float) -> float:
    """Return 0.1 ln(factor) + 1, YaRN's factor on queries and keys (2309.00071); 1 up to factor 1."""
    return 0.1 * math.log(factor) + 1.0 if factor > 1 else 1.0


def longrope_attention_factor(factor: float, length: int) -> float:
    """Return sqrt(1 + ln(factor) / ln(length)), LongRoPE's (2402.13753) from a trained `length`; 1 up to factor 1."""
    return math.sqrt(1 + math.log(factor) / math.log(length)) if factor > 1 and length > 1 else 1.0
