"""Settings of generation that could have no effect beside others; they stay legal, since jobs of a sweep share them."""

from collections.abc import Iterator

from ctxext.config.schema import Run


def unheeded(run: Run) -> Iterator[str]:
    """Yield a line for each setting of `run` by which no token is chosen."""
    beside = {"top_k": run.top_k > 0, "top_p": run.top_p < 1}
    if run.temperature == 0:
        for name, is_set in beside.items():
            if is_set:
                yield f"{name}={getattr(run, name)} has no effect with temperature=0, which takes the likeliest token"
    elif run.top_k == 1:
        yield f"temperature={run.temperature} has no effect with top_k=1, which takes the likeliest token"
