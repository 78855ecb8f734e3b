"""What differs between the configurations of runs, and nothing else of them."""

from collections.abc import Sequence

from ctxext.evaluation.comparison.arms import ALONE, Arm
from ctxext.evaluation.results import Row

CLASS = "._target_"


def configuration(arms: Sequence[Arm]) -> Row:
    """Return how many `keys` the configurations of `arms` have together, and those that `differ`, with their values.

    A part's class stands under the part's own key. A value is absent where an arm has no such key.
    """
    by_arm = {arm.label: leaves_of(arm) for arm in arms}
    keys = list(dict.fromkeys(key for leaves in by_arm.values() for key in leaves))
    differ = []
    for key in keys:
        values = {label: leaves[key] for label, leaves in by_arm.items() if key in leaves}
        known = [leaf for index, leaf in enumerate(values.values()) if leaf not in list(values.values())[:index]]
        if len(known) > 1 or (len(values) < len([leaves for leaves in by_arm.values() if leaves])):
            differ.append({"key": key, "values": values})
    return {"keys": len(keys), "differ": differ}


def leaves_of(arm: Arm) -> dict[str, object]:
    """Return the configuration of `arm` without paths of folders; of several seeds all."""
    found: dict[str, object] = {}
    for key, value in arm.records[0].config.items():
        if key.endswith(CLASS):
            found[key.removesuffix(CLASS)] = str(value).split(".")[-1]
        elif key not in ALONE:
            found[key] = value
    if "seed" in found and len(arm.seeds) > 1:
        found["seed"] = arm.seeds
    return found
