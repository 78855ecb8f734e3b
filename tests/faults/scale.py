"""How often a fault is repeated: as often as `docs/reliability.md` says where FAULTS=long, else in part."""

import os

IS_LONG = os.environ.get("FAULTS") == "long"


def times(short: int, long: int) -> int:
    """Return `long` where the long form is asked for, and `short` elsewhere."""
    return long if IS_LONG else short
