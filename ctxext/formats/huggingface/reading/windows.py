"""Which layers of a Hugging Face model see a window, in the words of each kind, and our mask for that."""

from typing import TYPE_CHECKING

from ctxext.formats.huggingface.reading.keys import Keys
from ctxext.refusal import require

if TYPE_CHECKING:
    from ctxext.seams import Mask

WINDOWED, WHOLE = "sliding_attention", "full_attention"
TYPES, WINDOW, SWITCH = "layer_types", "sliding_window", "use_sliding_window"
Layers = tuple[bool, ...]
"""For each layer, whether it sees a window."""


def without_windows(config: Keys) -> Layers:
    """Return the layers of a kind that has no windows; refuse a `config` that speaks of some."""
    require(not config.has(WINDOW), f"{config.where(WINDOW)} must be null, as this kind has no windows, got a number")
    return agreed(config, alike(config, False))


def all_windowed(config: Keys) -> Layers:
    """Return the layers of Mistral: all see a window if there is one."""
    return agreed(config, alike(config, config.has(WINDOW)))


def upper_windowed(config: Keys) -> Layers:
    """Return the layers of Qwen: those from `max_window_layers` on see a window, where `layer_types` don't say."""
    has_window = config.flag(SWITCH) and config.has(WINDOW)
    first = config.whole("max_window_layers", least=0)
    return stated(config) or tuple(has_window and index >= first for index in range(count(config)))


def unturned_windowed(config: Keys) -> Layers:
    """Return the layers of SmolLM3: those without positions see a window, where `layer_types` don't say."""
    has_window = config.flag(SWITCH) and config.has(WINDOW)
    return stated(config) or tuple(has_window and not is_turned for is_turned in turned(config))


def alternating(config: Keys) -> Layers:
    """Return the layers of Gemma 2: each second one sees all, where `layer_types` don't say."""
    return stated(config) or every(config, 2)


def mostly_windowed(config: Keys) -> Layers:
    """Return the layers of Gemma 3: of `sliding_window_pattern` ones the last sees all, where `layer_types` don't."""
    return stated(config) or every(config, config.whole("sliding_window_pattern"))


def count(config: Keys) -> int:
    """Return the number of layers."""
    return config.whole("num_hidden_layers", most=1024)


def alike(config: Keys, is_windowed: bool) -> Layers:
    """Return the same for all layers."""
    return (is_windowed,) * count(config)


def every(config: Keys, interval: int) -> Layers:
    """Return layers of which each one at `interval` sees all."""
    return tuple((index + 1) % interval != 0 for index in range(count(config)))


def stated(config: Keys) -> Layers:
    """Return what `layer_types` say, or nothing where they are absent."""
    if not config.has(TYPES):
        return ()
    types, wanted = config.items(TYPES), count(config)
    require(
        len(types) == wanted, f"{config.where(TYPES)} must name {wanted} layers, as num_hidden_layers, got {len(types)}"
    )
    for name in types:
        known = name in (WINDOWED, WHOLE)
        require(
            known, f"{config.where(TYPES)} must each be {WHOLE} or {WINDOWED}, the kinds that are read, got {name!r}"
        )
    return tuple(name == WINDOWED for name in types)


def agreed(config: Keys, layers: Layers) -> Layers:
    """Return `layers`; refuse `layer_types` that say otherwise, since the readers of this kind don't look at them."""
    agrees = stated(config) in ((), layers)
    rule = (
        f"must all be {WINDOWED if layers[0] else WHOLE}, as {WINDOW}={config.content.get(WINDOW)} says for this kind"
    )
    require(agrees, f"{config.where(TYPES)} {rule}")
    return layers


def turned(config: Keys) -> tuple[int, ...]:
    """Return for each layer of SmolLM3 1 if it has positions and 0 if not."""
    if not config.has("no_rope_layers"):
        interval = config.whole("no_rope_layer_interval")
        return tuple(int((index + 1) % interval != 0) for index in range(count(config)))
    layers, wanted = config.items("no_rope_layers"), count(config)
    fits = len(layers) == wanted and all(layer in (0, 1) for layer in layers)
    require(fits, f"{config.where('no_rope_layers')} must be a 0 or a 1 for each of {wanted} layers, got {layers}")
    return tuple(int(layer) for layer in layers)


def mask_of(config: Keys, layers: Layers) -> "Mask":
    """Return our mask for `layers`, of which some or all see `sliding_window` tokens, the query's own counted."""
    from ctxext.mask.document import IntraDocument
    from ctxext.mask.layered import Layered
    from ctxext.mask.sliding_window import SlidingWindow

    if not any(layers):
        return IntraDocument()
    names = f"{config.where(TYPES)} name layers with a window, but"
    require(config.content.get(SWITCH) is not False, f"{names} {SWITCH} is false")
    require(config.has(WINDOW), f"{names} {WINDOW} is null")
    window = config.whole(WINDOW)
    return SlidingWindow(window) if all(layers) else Layered(pattern(layers), window, window, "constant")


def pattern(layers: Layers) -> str:
    """Return the shortest letters which, repeated, are `layers`: S for a window, L for the whole past."""
    letters = "".join("S" if is_windowed else "L" for is_windowed in layers)
    periods = range(1, len(letters) + 1)
    return next(letters[:size] for size in periods if (letters[:size] * len(letters))[: len(letters)] == letters)
