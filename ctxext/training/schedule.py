"""The learning rate as a function of the step."""

import math

from ctxext.training.settings import Trainer


def learning_rate(step: int, settings: Trainer) -> float:
    """Return the rate of `step`, counted from 1: a linear rise in the warm-up, then half a cosine to the last share."""
    if step <= settings.warmup_steps:
        return settings.learning_rate * step / settings.warmup_steps
    done = (step - settings.warmup_steps) / max(settings.steps - settings.warmup_steps, 1)
    share = settings.final_learning_rate_share
    return settings.learning_rate * (share + (1 - share) * 0.5 * (1 + math.cos(math.pi * min(done, 1.0))))
