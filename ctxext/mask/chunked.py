"""Chunks that don't see each other.

Shapes: B batch, Q queries, K keys.
"""

from dataclasses import dataclass, replace

from torch import Tensor

from ctxext.mask.causal import past
from ctxext.mask.document import IntraDocument
from ctxext.places import Places
from ctxext.refusal import check_types, require
from ctxext.seams import Mask, Reach, View


@dataclass(frozen=True)
class Chunked(Mask):
    """Chunked attention (Llama 4's local layers): a token sees its own chunk of `chunk` tokens, up to itself.

    The first token of a chunk sees itself alone. Chunks are counted from the document's beginning.
    """

    chunk: int

    def __post_init__(self) -> None:
        check_types(self, "mask")
        require(self.chunk >= 1, f"mask.chunk must be at least 1 token, got {self.chunk}")

    def views(self) -> tuple[View, ...]:
        return (View(self.visible, Reach("chunk", self.chunk, is_whole=True, is_full=True)),)

    def visible(self, queries: Places, keys: Places) -> Tensor:
        """Return bool [B, 1, Q, K]: the key is in the query's chunk, and not after it."""
        query_chunks, key_chunks = queries.ordinals // self.chunk, keys.ordinals // self.chunk
        return past(queries, keys) & (query_chunks[:, None, :, None] == key_chunks[:, None, None, :])

    def base(self) -> Mask:
        return IntraDocument()

    def off(self, length: int) -> Mask:
        return replace(self, chunk=length)
