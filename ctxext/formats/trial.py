"""The tokenizer in a file that may be a stranger's: tried out in a process of its own before it is used here."""

from collections.abc import Mapping
from importlib.resources import files
from pathlib import Path

from tokenizers import Tokenizer

from ctxext.confinement import asked
from ctxext.data.tokenizer import load_tokenizer
from ctxext.formats.kept import kept
from ctxext.refusal import require

SECONDS = 5.0
LARGEST = 100_000_000
"""The bytes of a tokenizer.json; those of the field have 35 million at most."""


def tried(file: Path) -> Tokenizer:
    """Return the tokenizer in `file`; refuse one that takes too much time or memory, or that ends its process."""
    require(file.is_file(), f"{file}: no such tokenizer file")
    size = file.stat().st_size
    require(size <= LARGEST, f"{file}: a tokenizer.json must have at most {LARGEST} bytes, got {size}")
    if not file.resolve().is_relative_to(Path(str(files("ctxext"))).resolve()):
        found = outcome(file)
        require("error" not in found, f"{file}: not a tokenizer.json that can be used ({found.get('error')})")
    return load_tokenizer(file)


@kept
def outcome(file: Path) -> Mapping[str, object]:
    """Return what came of trying the tokenizer in `file`."""
    return asked(Path(__file__).with_name("probe.py"), {"path": str(file)}, SECONDS)
