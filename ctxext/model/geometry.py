"""The sizes of a network, in Hugging Face's words; each knows the parts that it is made of."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from ctxext.refusal import check_types, require

if TYPE_CHECKING:
    from torch import Tensor, nn

    from ctxext.model.block import GatedMlp, SelfAttention
    from ctxext.seams import Attention, Mask, Position, Sizes


def check_positive(geometry: object, *names: str) -> None:
    """Refuse a size of `geometry` among `names` that isn't above 0."""
    check_types(geometry, "model")
    for name in names:
        require(getattr(geometry, name) > 0, f"model.{name} must be above 0, got {getattr(geometry, name)}")


@dataclass(frozen=True)
class DecoderGeometry:
    """A decoder of the Llama family; with `attention_bias`, queries, keys and values have biases, as in Qwen2."""

    vocab_size: int
    hidden_size: int
    intermediate_size: int
    num_hidden_layers: int
    num_attention_heads: int
    num_key_value_heads: int
    head_dim: int
    tie_word_embeddings: bool
    rms_norm_eps: float
    attention_bias: bool = False

    model_type: ClassVar[str] = "llama"

    def __post_init__(self) -> None:
        check_positive(
            self,
            "vocab_size",
            "hidden_size",
            "intermediate_size",
            "num_hidden_layers",
            "num_attention_heads",
            "num_key_value_heads",
            "head_dim",
        )
        heads, groups = self.num_attention_heads, self.num_key_value_heads
        require(
            heads % groups == 0,
            f"model.num_attention_heads must be a multiple of model.num_key_value_heads, got {heads} and {groups}",
        )
        require(
            self.head_dim % 2 == 0, f"model.head_dim must be even, since rotary pairs halve it, got {self.head_dim}"
        )
        biased = self.attention_bias and self.model_type != DecoderGeometry.model_type
        require(not biased, f"model.attention_bias must be false, since {self.model_type} has no biases, got true")

    def build(self, position: Position, mask: Mask, attention: Attention) -> nn.Module:
        """Return the decoder of this geometry with the three seams filled; weights are drawn from torch's generator."""
        from ctxext.model.decoder import Decoder

        return Decoder(self, position, mask, attention)

    def block(self) -> nn.Module:
        """Return one block."""
        from ctxext.model.block import LlamaBlock

        return LlamaBlock(self.self_attention(), self.mlp(), self.norm)

    def self_attention(self) -> SelfAttention:
        """Return the projections of one block's heads."""
        from ctxext.model.block import SelfAttention

        return SelfAttention(
            self.hidden_size,
            self.num_attention_heads,
            self.num_key_value_heads,
            self.head_dim,
            bias=self.attention_bias,
            output_bias=False,
        )

    def mlp(self) -> GatedMlp:
        """Return the second half of one block."""
        from torch.nn.functional import silu

        from ctxext.model.block import GatedMlp

        return GatedMlp(self.hidden_size, self.intermediate_size, silu)

    @property
    def sizes(self) -> Sizes:
        """The sizes that learned parts of the three seams depend on."""
        from ctxext.seams import Sizes

        heads, groups = self.num_attention_heads, self.num_key_value_heads
        return Sizes(self.hidden_size, self.num_hidden_layers, heads, groups, self.head_dim)

    def position_of(self, index: int, position: Position) -> Position:
        """Return the encoding of layer `index`, where the chosen one is `position`."""
        return position

    def embed(self, x: Tensor) -> Tensor:
        """Return the embeddings `x` [B, S, W] as the first block takes them."""
        return x

    @property
    def logit_cap(self) -> float:
        """The bound c of the last logits, c tanh(z / c), or 0 for none."""
        return 0.0

    def norm(self) -> nn.Module:
        """Return a norm of the stream, the last one among them."""
        from ctxext.kernels.norm import RmsNorm

        return RmsNorm(self.hidden_size, self.rms_norm_eps)


@dataclass(frozen=True)
class VanillaGeometry:
    """The Transformer of 1706.03762, decoder only, with tied embeddings."""

    vocab_size: int
    hidden_size: int
    intermediate_size: int
    num_hidden_layers: int
    num_attention_heads: int
    layer_norm_eps: float

    def __post_init__(self) -> None:
        check_positive(
            self, "vocab_size", "hidden_size", "intermediate_size", "num_hidden_layers", "num_attention_heads"
        )
        width, heads = self.hidden_size, self.num_attention_heads
        require(
            width % (2 * heads) == 0,
            f"model.hidden_size must be a multiple of twice model.num_attention_heads, got {width} and {heads}",
        )

    @property
    def tie_word_embeddings(self) -> bool:
        """Whether the embedding is the unembedding too."""
        return True

    def build(self, position: Position, mask: Mask, attention: Attention) -> nn.Module:
        """Return the decoder of this geometry with the three seams filled; weights are drawn from torch's generator."""
        from ctxext.model.decoder import Decoder

        return Decoder(self, position, mask, attention)

    def block(self) -> nn.Module:
        """Return one block."""
        from ctxext.model.block import SelfAttention, VanillaBlock

        heads, width = self.num_attention_heads, self.hidden_size
        attention = SelfAttention(width, heads, heads, width // heads, bias=True, output_bias=True)
        return VanillaBlock(attention, width, self.intermediate_size, self.layer_norm_eps)

    @property
    def sizes(self) -> Sizes:
        """The sizes that learned parts of the three seams depend on."""
        from ctxext.seams import Sizes

        heads = self.num_attention_heads
        return Sizes(self.hidden_size, self.num_hidden_layers, heads, heads, self.hidden_size // heads)

    def position_of(self, index: int, position: Position) -> Position:
        """Return the encoding of layer `index`, where the chosen one is `position`."""
        return position

    def embed(self, x: Tensor) -> Tensor:
        """Return the embeddings `x` [B, S, W] as the first block takes them."""
        return x

    @property
    def logit_cap(self) -> float:
        """The bound of the last logits: 0, there is none."""
        return 0.0

    def norm(self) -> nn.Module:
        """Return the last norm."""
        from torch import nn

        return nn.LayerNorm(self.hidden_size, self.layer_norm_eps)


@dataclass(frozen=True)
class LstmGeometry:
    """A recurrent network: its state is its context, so it has no length limit, but forgets."""

    vocab_size: int
    embedding_size: int
    hidden_size: int
    num_hidden_layers: int

    def __post_init__(self) -> None:
        check_positive(self, "vocab_size", "embedding_size", "hidden_size", "num_hidden_layers")

    def build(self, position: Position, mask: Mask, attention: Attention) -> nn.Module:
        """Return the LSTM; it has no attention, so that the three seams have nothing to act on."""
        from ctxext.model.lstm import Lstm

        return Lstm(self)


Geometry = DecoderGeometry | VanillaGeometry | LstmGeometry
