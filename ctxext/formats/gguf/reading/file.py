"""A GGUF file as the base of a run: its header in our words."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ctxext.formats.card import is_license
from ctxext.formats.gguf.reading.header import Header, read_header
from ctxext.formats.gguf.reading.settings import ModelSettings, model_settings
from ctxext.formats.kept import kept

if TYPE_CHECKING:
    from tokenizers import Tokenizer
    from torch import Tensor

    from ctxext.formats.companions import Companions
    from ctxext.model.geometry import DecoderGeometry
    from ctxext.seams import Attention, Mask, Position


@dataclass(frozen=True)
class GgufBase:
    """The model in `file`; see `ctxext.formats.bases.BaseFiles`."""

    file: Path

    @property
    def header(self) -> Header:
        """The header of the file as it is now."""
        return read_header(self.file)

    @property
    def settings(self) -> ModelSettings:
        """What the header says of the model."""
        return model_settings(self.header)

    def trained_length(self) -> int:
        """Return the length in tokens at which the weights were trained."""
        return self.settings.count("context_length")

    def geometry(self) -> "DecoderGeometry":
        """Return the sizes of the network."""
        from ctxext.formats.gguf.reading.geometries import read_geometry

        return read_geometry(self.settings)

    def members(self) -> "tuple[Position, Mask, Attention]":
        """Return what fills the three seams of the untouched model."""
        from ctxext.formats.gguf.reading.geometries import read_attention, read_mask
        from ctxext.formats.gguf.reading.positions import read_position

        settings = self.settings
        position = read_position(settings, self.geometry().head_dim)
        return position, read_mask(settings), read_attention(settings)

    def tokenizer(self) -> "Tokenizer":
        """Return the tokenizer, which takes control tokens in a text for plain text."""
        from ctxext.formats.gguf.reading.tokenizer import read_tokenizer

        return read_tokenizer(self.header, self.geometry().vocab_size)

    def companions(self) -> "Companions":
        """Return what goes with the tokenizer."""
        from ctxext.formats.gguf.reading.tokenizer import read_gguf_companions

        return read_gguf_companions(self.header)

    def origin(self) -> "dict[str, Any]":
        """Return the license, if the file states one."""
        stated = self.header.values.get("general.license")
        return {"license": stated} if is_license(stated) else {}

    def check(self) -> None:
        """Refuse a file that could not be read to the end, without reading the content of a tensor."""
        checked(self.file)

    def weights(self) -> "dict[str, Tensor]":
        """Return the tensors in float32 under our names."""
        from ctxext.formats.gguf.reading.tensors import read_weights

        return read_weights(self.header, self.settings.architecture, self.geometry())


@kept
def checked(file: Path) -> None:
    """Refuse `file` if its tensors or its tokenizer are not those that its keys describe."""
    from ctxext.formats.gguf.reading.tensors import check_tensors

    base = GgufBase(file)
    check_tensors(base.header, base.settings.architecture, base.geometry())
    base.tokenizer()
    base.companions()
