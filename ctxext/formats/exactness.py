"""When the logits that a reader computes are those of our model: one rule for every format.

Both bounds are shares of the largest logit, and those of logits up to 1 where all are smaller: float32 keeps seven
digits, so that what is rounded off grows with the logits.
"""

EXACT = 1e-5
"""The largest difference that is rounding."""
ANOTHER_MODEL = 1e-3
"""The largest difference that an approximation may have in what its reader holds to be the same composition."""


def is_exact(difference: float, magnitude: float) -> bool:
    """Return whether a `difference` of logits up to `magnitude` is rounding; one that is not a number is not."""
    return difference <= EXACT * max(1.0, magnitude)


def is_another_model(difference: float, magnitude: float) -> bool:
    """Return whether a `difference` of logits up to `magnitude` shows another model, as one that is no number does."""
    return not difference <= ANOTHER_MODEL * max(1.0, magnitude)
