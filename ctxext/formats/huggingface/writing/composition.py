"""A composition layer by layer, as Hugging Face's configurations state one: what turns, and how far it sees.

Tables are keyed by the exact class, so that a new member has no words until somebody has written and compared them.
"""

from dataclasses import dataclass

from ctxext.formats.huggingface.writing.reasons import chosen, together, unhoused
from ctxext.mask.causal import Causal
from ctxext.mask.document import IntraDocument
from ctxext.mask.sliding_window import SlidingWindow
from ctxext.model.geometry import DecoderGeometry, VanillaGeometry
from ctxext.position.drope import Drope
from ctxext.position.nope import Nope
from ctxext.seams import Attention, Mask, Position

WHOLE = (Causal, IntraDocument)
UNTURNED = (Nope, Drope)


@dataclass(frozen=True)
class Composition:
    """The members chosen, and what they are in each layer: `encodings`, and `windows` in tokens, 0 for all the past.

    `gathering` is the mechanism that all layers share.
    """

    geometry: DecoderGeometry | VanillaGeometry
    position: Position
    mask: Mask
    attention: Attention
    encodings: tuple[Position, ...]
    windows: tuple[int, ...]
    gathering: Attention

    @property
    def turned(self) -> tuple[bool, ...]:
        """Whether each layer turns its heads."""
        return tuple(type(encoding) not in UNTURNED for encoding in self.encodings)

    @property
    def window(self) -> int:
        """The size of the windows that some layers or all have, or 0."""
        return max(self.windows)

    @property
    def is_even(self) -> bool:
        """Whether all layers see equally far."""
        return len(set(self.windows)) == 1

    @property
    def layer_types(self) -> list[str]:
        """The kind of each layer in Hugging Face's words."""
        return ["sliding_attention" if window else "full_attention" for window in self.windows]

    def rotation(self) -> Position:
        """Return the one encoding of all layers that turn, any other where none does; refuse several."""
        several = {encoding for encoding, is_turned in zip(self.encodings, self.turned, strict=True) if is_turned}
        if len(several) > 1:
            raise unhoused("position", self.position)
        return next(iter(several), self.encodings[0])


def composition(
    geometry: DecoderGeometry | VanillaGeometry, position: Position, mask: Mask, attention: Attention
) -> Composition:
    """Return the composition of the members in a body of `geometry`; raise NotExportable for a mask of no reader."""
    count = geometry.num_hidden_layers
    encodings = tuple(geometry.position_of(index, position.layer(index, count)) for index in range(count))
    windows = tuple(window_of(mask.layer(index, count), mask) for index in range(count))
    if len({window for window in windows if window}) > 1:
        raise unhoused("mask", mask)
    gathering = {attention.layer(index, count) for index in range(count)}
    if len(gathering) > 1:
        raise unhoused("attention", attention)
    return Composition(geometry, position, mask, attention, encodings, windows, gathering.pop())


def window_of(layer: Mask, mask: Mask) -> int:
    """Return how many tokens the `layer` of `mask` sees, 0 for all the past; raise NotExportable for other masks."""
    if type(layer) in WHOLE:
        return 0
    if type(layer) is SlidingWindow:
        return layer.window
    raise unhoused("mask", mask)


def geometry_of(made: Composition) -> DecoderGeometry:
    """Return the sizes of a composition that is known to have a Llama body."""
    assert isinstance(made.geometry, DecoderGeometry)
    return made.geometry


def require_attention(made: Composition, *known: type[Attention]) -> None:
    """Refuse a mechanism that is not `known` in this body."""
    if type(made.gathering) not in known:
        raise unhoused("attention", made.attention)


def require_unbiased(made: Composition, option: str, why: str) -> None:
    """Refuse biases beside `option`, and say `why`."""
    if geometry_of(made).attention_bias:
        raise together(why, option, "model.attention_bias=true")


def require_even(made: Composition, why: str, option: str) -> None:
    """Refuse windows on some layers beside `option`, and say `why`."""
    if not made.is_even:
        raise together(why, option, chosen("mask", made.mask))


def require_no_window(made: Composition, why: str, option: str) -> None:
    """Refuse windows beside `option`, and say `why`."""
    if made.window:
        raise together(why, chosen("mask", made.mask), option)


def require_turned(made: Composition, why: str, option: str) -> None:
    """Refuse layers without rotation beside `option`, and say `why`."""
    if not all(made.turned):
        raise together(why, chosen("position", made.position), option)
