"""The rotary keys of a config.json in either spelling: `rope_parameters` of transformers 5, `rope_scaling` of 4.

What two places say of the same must agree: each reader looks at another of them, and would compute another model.
"""

from typing import Any

from ctxext.formats.huggingface.reading.keys import Keys
from ctxext.refusal import Refusal, require

NEWER, OLDER, THETA, LOCAL_THETA = "rope_parameters", "rope_scaling", "rope_theta", "rope_local_base_freq"
GLOBAL, LOCAL = "full_attention", "sliding_attention"
LENGTH, SHARE = "original_max_position_embeddings", "partial_rotary_factor"
BY_LAYER = "gemma3_text"
"""The kind whose layers turn in two ways."""
DEFAULT_LOCAL_THETA = 10000.0


def stated_rope(config: Keys, default_theta: float) -> Keys:
    """Return the rotary keys of `config`, those of the layers that see all where layers turn in two ways.

    Type and theta are always among them; what may stand beside the object is taken in.
    """
    newer, older = config.inside(NEWER), config.inside(OLDER)
    if config.content.get("model_type") == BY_LAYER:
        require_two_ways(newer, older)
        newer = newer.inside(GLOBAL)
    require_agreement(newer, older, config)
    chosen = newer if newer.content else older
    content = {"rope_type": "default"} | spelt(chosen)
    # A reader that finds the older object takes theta from it or from beside it, and nowhere else.
    beside = {THETA: default_theta} if older.content else {}
    outside = Keys(
        config.file, beside | {key: config.content[key] for key in (THETA, LENGTH, SHARE) if config.has(key)}
    )
    for key in (THETA, LENGTH, SHARE):
        if (value := agreed(*((place, key) for place in (newer, older, outside)))) is not None:
            content[key] = value
    return Keys(config.file, {THETA: default_theta} | content, chosen.path or f"{NEWER}.")


def local_theta(config: Keys) -> float:
    """Return the theta of the layers of a Gemma 3 that see a window; refuse a scaling of it."""
    local = config.inside(NEWER).inside(LOCAL)
    scaling = {key: value for key, value in spelt(local).items() if key != THETA}
    require(
        scaling in ({}, {"rope_type": "default"}),
        f"{local.where('rope_type')} must be default, without further keys, got {scaling}",
    )
    theta = agreed((local, THETA), (config, LOCAL_THETA))
    name = local if local.has(THETA) else config
    return Keys(config.file, {THETA: DEFAULT_LOCAL_THETA if theta is None else theta}, name.path).number(THETA)


def require_two_ways(newer: Keys, older: Keys) -> None:
    """Refuse what readers of Gemma 3 ignore in silence: keys of neither way to turn, the oldest name of the type."""
    seen = older.has("rope_type") or not older.has("type")
    require(seen, f"{older.where('type')} must be spelt rope_type, since transformers 5 reads no other in {BY_LAYER}")
    for key in newer.content:
        rule = f"{newer.where(key)} must stand in {GLOBAL} or {LOCAL}, since readers of {BY_LAYER} look there alone"
        require(key in (GLOBAL, LOCAL), rule)


def require_agreement(newer: Keys, older: Keys, config: Keys) -> None:
    """Refuse two spellings of which one says what the other doesn't; theta has its own place."""
    if not (newer.content and older.content):
        return
    beside = {key: config.content[key] for key in (LENGTH, SHARE) if config.has(key)}
    first, second = ({**beside, **spelt(rope)} for rope in (newer, older))
    for key in sorted((first.keys() | second.keys()) - {THETA}):
        there, here = first.get(key), second.get(key)
        require(there == here, contradiction(newer.where(key), there, f"{older.path}{key}", here))


def agreed(*places: tuple[Keys, str]) -> Any:
    """Return what all of `places`, keys and the name of one, say; None where none says anything."""
    said = [(keys, key, keys.content[key]) for keys, key in places if keys.has(key)]
    for keys, key, value in said[1:]:
        first, name, other = said[0]
        require(value == other, contradiction(first.where(name), other, f"{keys.path}{key}", value))
    return said[0][2] if said else None


def contradiction(where: str, first: object, name: str, second: object) -> str:
    """Return the sentence on two keys that differ."""
    return f"{where} is {spoken(first)}, but {name} is {spoken(second)}; readers would compute two different models"


def spoken(value: object) -> str:
    """Return `value` as a sentence says it."""
    return "absent" if value is None else repr(value)


def spelt(rope: Keys) -> dict[str, Any]:
    """Return the content of `rope` without nulls, its type under the newer name; nothing where it is empty."""
    content = {key: value for key, value in rope.content.items() if value is not None}
    for key, value in content.items():
        if isinstance(value, dict):
            raise Refusal(
                f"{rope.where(key)} must be a number, a list or a word; only {BY_LAYER} turns layers in two ways"
            )
    older = content.pop("type", None)
    newer = content.setdefault("rope_type", older or "default") if rope.content else older
    require(older in (None, newer), contradiction(rope.where("rope_type"), newer, f"{rope.path}type", older))
    return content
