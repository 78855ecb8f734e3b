"""What a base brings along, put into the config in place of the defaults: sizes, trained length, its own seams.

What the user typed stays, so that a contradiction is refused and never overruled in silence.
"""

import dataclasses
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from omegaconf import DictConfig, OmegaConf

from ctxext.config.building import NEUTRAL
from ctxext.config.folders import option_file
from ctxext.config.saved import touched
from ctxext.formats.bases import BaseFiles, open_base

if TYPE_CHECKING:
    from ctxext.seams import Position

DEFAULTS = {"model": "tiny", **NEUTRAL}
SLOTS = tuple(DEFAULTS)
ORIGINAL = "original_max_position_embeddings"
THETA = "rope_theta"


def adopted(config: DictConfig, overrides: Sequence[str]) -> DictConfig:
    """Return `config` with what the base in `base.path` brings, but for what `overrides` typed or an overlay chose."""
    if OmegaConf.is_missing(config.base, "path") or not config.base.path:
        return config
    base, typed = open_base(config.base.path), typed_keys(overrides)
    config = config.copy()
    OmegaConf.set_struct(config, False)
    if "base.trained_length" not in typed:
        config.base.trained_length = base.trained_length()
    fill(config, base, SLOTS, typed)
    return config


def adopted_anew(saved: DictConfig, overrides: Sequence[str]) -> DictConfig:
    """Return the config `saved` of a run with what its base brings to the seams that `overrides` chose again."""
    chosen, path = [slot for slot in NEUTRAL if [slot] in touched(overrides)], OmegaConf.select(saved, "base.path")
    if chosen and path and isinstance(path, str):
        fill(saved, open_base(path), chosen, typed_keys(overrides))
    return saved


def fill(config: DictConfig, base: BaseFiles, slots: Sequence[str], typed: Sequence[str]) -> None:
    """Put what `base` brings into those `slots` of `config` that still hold the defaults, but for what was `typed`."""
    own: dict[str, Any] = {"model": base.geometry(), **dict(zip(NEUTRAL, base.members(), strict=True))}
    for slot in slots:
        if is_default(config, slot, typed):
            written = unresolved(config[slot])
            config[slot] = node(own[slot]) | {key: written[key] for key in typed_in(slot, typed)}
    if "position" in slots:
        start_from(config, own["position"], base, typed)


def typed_keys(overrides: Sequence[str]) -> list[str]:
    """Return the config paths that `overrides` set; what an overlay chose shows by its being no default."""
    return [".".join(keys) for keys in touched([word for word in overrides if not is_overlay(word)])]


def is_overlay(word: str) -> bool:
    """Return whether the override `word` adds a method."""
    return word.lstrip("+").partition("=")[0] == "method"


def typed_in(slot: str, typed: Sequence[str]) -> list[str]:
    """Return the keys of `slot` among the paths that were `typed`."""
    return [path.removeprefix(f"{slot}.") for path in typed if path.startswith(f"{slot}.")]


def is_default(config: DictConfig, slot: str, typed: Sequence[str]) -> bool:
    """Return whether nobody chose another option of `slot` in `config`; single keys may have been typed.

    A mask or an attention that was typed is a choice; position=rope is the base's own encoding, also where it is typed.
    """
    if slot in typed and slot != "position":
        return False
    own, default = typed_in(slot, typed), OmegaConf.load(option_file(slot, DEFAULTS[slot]))
    plain, usual = (
        {key: value for key, value in unresolved(options).items() if key not in own}
        for options in (config[slot], default)
    )
    return plain == usual


def unresolved(options: Any) -> dict[str, Any]:
    """Return the config `options` as plain data, its interpolations as they are written."""
    written: Any = OmegaConf.to_container(options, resolve=False)
    return dict(written)


def node(member: Any) -> dict[str, Any]:
    """Return the config of a `member` of a slot."""
    kind = type(member)
    fields = {field.name: plain(getattr(member, field.name)) for field in dataclasses.fields(member)}
    return {"_target_": f"{kind.__module__}.{kind.__qualname__}", **fields}


def plain(value: Any) -> Any:
    """Return `value` as a config holds it."""
    return list(value) if isinstance(value, tuple) else value


def start_from(config: DictConfig, own: "Position", base: BaseFiles, typed: Sequence[str]) -> None:
    """Let a rotary method in `config` begin at the base's theta, and count from where the base's `own` scaling does."""
    position = config.position
    if THETA in position and hasattr(own, THETA) and f"position.{THETA}" not in typed:
        position[THETA] = getattr(own, THETA)
    start = original_length(own, base)
    if start == base.trained_length() or is_own(position, own):
        return
    if "factor" in position and "position.factor" not in typed:
        position.factor = f"${{quotient:${{context_length}},{start}}}"
    if ORIGINAL in position and f"position.{ORIGINAL}" not in typed:
        position[ORIGINAL] = start


def is_own(position: DictConfig, own: "Position") -> bool:
    """Return whether `position` is the config of the base's `own` encoding."""
    return bool(OmegaConf.to_container(position, resolve=False) == node(own))


def original_length(own: "Position", base: BaseFiles) -> int:
    """Return the length in tokens before the scaling that the base's `own` encoding has already."""
    known = getattr(own, ORIGINAL, None)
    trained = base.trained_length()
    return int(known) if known is not None else round(trained / getattr(own, "factor", 1.0))
