"""JSON files: read with a sentence for what is none, written so that a person can read them."""

import json
from pathlib import Path
from typing import Any

from ctxext.strangers import content_of, object_in


def read_json(file: Path) -> dict[str, Any]:
    """Return the object in `file`; refuse one that is absent, too large, or holds no JSON object."""
    return object_in(content_of(file), file)


def write_json(file: Path, content: dict[str, Any]) -> None:
    """Write `content` to `file`."""
    file.write_text(json.dumps(content, indent=2, allow_nan=False, ensure_ascii=False) + "\n", encoding="utf-8")
