"""The tensors of a Hugging Face folder under our names, checked before a byte of them is used."""

from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from ctxext.attention.softmax import Softmax
from ctxext.formats.huggingface.reading.shards import Entries, check_entries, read_headers
from ctxext.mask.document import IntraDocument
from ctxext.model.geometry import DecoderGeometry
from ctxext.position.nope import Nope
from ctxext.refusal import Refusal, require

HEAD, EMBEDDING = "lm_head.weight", "model.embed_tokens.weight"
PREFIX = "model."
DERIVED = ".rotary_emb.inv_freq"
"""How names of buffers end that old files hold, and that readers compute anew."""


def named(name: str) -> str:
    """Return Hugging Face's name for our tensor `name`."""
    return name if name == HEAD else PREFIX + name


def read_weights(folder: Path, geometry: DecoderGeometry) -> dict[str, Tensor]:
    """Return the tensors of `folder` in float32 under our names; refuse those of another model than `geometry`."""
    headers = checked_headers(folder, geometry)
    tensors = dict(tensor for file, entries in headers.items() for tensor in opened(file, entries))
    if geometry.tie_word_embeddings and HEAD in tensors:
        same = torch.equal(tensors.pop(HEAD), tensors[EMBEDDING.removeprefix(PREFIX)])
        rule = "but tie_word_embeddings is true in config.json"
        require(same, f"{next(iter(headers))}: {HEAD} differs from {EMBEDDING}, {rule}; set it to false")
    return tensors


def checked_headers(folder: Path, geometry: DecoderGeometry) -> dict[Path, Entries]:
    """Return what each file of `folder` has of the model of `geometry`; refuse what is missing, too much or cut off."""
    wanted = shapes(geometry)
    needed = {
        file: {name: entry for name, entry in entries.items() if not name.endswith(DERIVED)}
        for file, entries in read_headers(folder).items()
    }
    is_repeated = geometry.tie_word_embeddings and any(HEAD in entries for entries in needed.values())
    check_entries(needed, wanted | ({HEAD: wanted[EMBEDDING]} if is_repeated else {}))
    return needed


def opened(file: Path, entries: Entries) -> Iterator[tuple[str, Tensor]]:
    """Yield our name and the content in float32 of each tensor among `entries` of `file`; refuse what is not finite."""
    try:
        with safe_open(file, framework="pt") as tensors:
            for name in entries:
                tensor = tensors.get_tensor(name).to(torch.float32, copy=True)  # else it would lie in the mapped file
                require(bool(torch.isfinite(tensor).all()), f"{file}: {name} holds a value that is not finite")
                yield name.removeprefix(PREFIX), tensor
    except SafetensorError as error:
        raise Refusal(f"{file}: not a whole safetensors file ({error})") from error


@lru_cache(maxsize=4)
def shapes(geometry: DecoderGeometry) -> dict[str, tuple[int, ...]]:
    """Return the shape of each tensor of a network of `geometry`, under Hugging Face's names; nothing is allocated."""
    with torch.device("meta"):
        network = geometry.build(Nope(), IntraDocument(), Softmax())
    return {named(name): tuple(tensor.shape) for name, tensor in network.state_dict().items()}
