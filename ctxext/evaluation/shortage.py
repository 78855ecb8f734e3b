"""Lengths for which memory is short: what is said of them, and of those beyond."""

from collections.abc import Mapping

NO_MEMORY = "out of memory"
AT_ONE_ROW = (
    f"{NO_MEMORY} at batch 1; take shorter evaluation.lengths, a device with more memory, or a mask with a window; a "
    "smaller evaluation.batch_tokens no longer helps but where a text takes several passes, as for truncated"
)


def beyond(unread: Mapping[int, str]) -> str:
    """Return why no length beyond those of `unread`, each with its reason, is tried, or nothing."""
    short = [length for length, reason in unread.items() if reason.startswith(NO_MEMORY)]
    return f"{NO_MEMORY} at {short[0]} already" if short else ""
