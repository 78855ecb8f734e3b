"""A Hugging Face folder as the base of a run: read exactly, or refused by the key or the tensor that can't be."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ctxext.formats.card import read_origin
from ctxext.formats.companions import TOKENIZER, Companions
from ctxext.formats.huggingface.reading.keys import Keys
from ctxext.formats.huggingface.reading.kinds import geometry_of, kind_of, with_defaults
from ctxext.formats.huggingface.reading.ropes import LONGEST, read_position
from ctxext.formats.huggingface.reading.speech import ids_in, read_speech
from ctxext.formats.huggingface.reading.windows import mask_of
from ctxext.formats.json_files import read_json
from ctxext.formats.kept import kept
from ctxext.formats.trial import tried
from ctxext.model.geometry import DecoderGeometry
from ctxext.refusal import require

if TYPE_CHECKING:
    from tokenizers import Tokenizer
    from torch import Tensor

    from ctxext.seams import Attention, Mask, Position

CONFIG, SENTENCEPIECE, CAP = "config.json", "tokenizer.model", "attn_logit_softcapping"


@dataclass(frozen=True)
class HuggingFaceBase:
    """The files of `folder`; see `ctxext.formats.bases.BaseFiles`."""

    folder: Path

    def config(self) -> Keys:
        """Return config.json with the defaults of its kind; refuse a kind or a key that can't be expressed."""
        return with_defaults(self.stated())

    def stated(self) -> Keys:
        """Return config.json as it is."""
        return stated(self.folder / CONFIG)

    def trained_length(self) -> int:
        """Return the length in tokens at which the weights were trained, also where they are read as extended since."""
        return self.config().whole(LONGEST)

    def geometry(self) -> DecoderGeometry:
        """Return the sizes of the network."""
        return geometry_of(self.config())

    def members(self) -> "tuple[Position, Mask, Attention]":
        """Return what fills the three seams of the untouched model."""
        from ctxext.attention.softcap import SoftCap
        from ctxext.attention.softmax import Softmax

        config = self.config()
        kind = kind_of(config)
        position = read_position(config, kind.rope_theta, geometry_of(config).head_dim)
        attention = SoftCap(config.number(CAP)) if config.has(CAP) else Softmax()
        return position, mask_of(config, kind.layers(config)), attention

    def tokenizer(self) -> "Tokenizer":
        """Return the tokenizer; refuse one that is absent, or has a token for which the network has no row."""
        self.check_tokenizer()
        return tried(self.folder / TOKENIZER)

    def check_tokenizer(self) -> None:
        """Refuse a tokenizer that is absent, or has a token for which the network has no row."""
        file, config = self.folder / TOKENIZER, self.config()
        if not file.is_file() and (self.folder / SENTENCEPIECE).is_file():
            convert = "AutoTokenizer.from_pretrained(FOLDER).save_pretrained(FOLDER) of transformers writes it"
            require(False, f"{file}: no such file, and {SENTENCEPIECE} alone is not read; {convert}")
        last, rows = max(ids_in(file).values(), default=0), config.whole("vocab_size")
        rule = f"but {config.where('vocab_size')} is {rows}"
        require(last < rows, f"{file}: it doesn't fit the vocabulary, its ids go up to {last}, {rule}")

    def companions(self) -> Companions:
        """Return what goes with the tokenizer."""
        return read_speech(self.folder, self.stated(), self.config().whole("vocab_size"))

    def origin(self) -> "dict[str, Any]":
        """Return what the folder says of where the model comes from."""
        return read_origin(self.folder)

    def check(self) -> None:
        """Refuse files that could not be read to the end, without reading the content of a tensor."""
        from ctxext.formats.huggingface.reading.weights import checked_headers

        checked_headers(self.folder, self.geometry())
        self.check_tokenizer()
        self.companions()

    def weights(self) -> "dict[str, Tensor]":
        """Return the tensors in float32 under our names."""
        from ctxext.formats.huggingface.reading.weights import read_weights

        return read_weights(self.folder, self.geometry())


@kept
def stated(file: Path) -> Keys:
    """Return the keys of the config.json `file` as it is."""
    return Keys(file, read_json(file))
