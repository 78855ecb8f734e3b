"""What torchrun tells the processes that it starts; read from the environment, before anything is imported."""

import os

TOGETHER = ("train", "eval")
"""The commands that several processes can carry out together."""
TOLD = ("RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT")


def launched() -> tuple[int, int]:
    """Return which process this is, and of how many: 0 of 1 where nobody started several."""
    if not all(os.environ.get(name) for name in TOLD):
        return 0, 1
    return int(os.environ["RANK"]), int(os.environ["WORLD_SIZE"])


def follows() -> bool:
    """Return whether this process is not the first of its run, so that another speaks for it."""
    return launched()[0] > 0


def local_rank() -> int:
    """Return which of the processes on this machine this is."""
    return int(os.environ.get("LOCAL_RANK", "0"))


def local_size() -> int:
    """Return how many processes torchrun started on this machine."""
    return int(os.environ.get("LOCAL_WORLD_SIZE", launched()[1]))
