"""JSON files: read with a sentence for what is none, written so that a person can read them."""

import json
from pathlib import Path
from typing import Any

from ctxext.refusal import Refusal, require


def read_json(file: Path) -> dict[str, Any]:
    """Return the object in `file`; refuse one that is absent or holds no JSON object."""
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise Refusal(f"{file}: cannot be read as JSON ({error})") from error
    require(isinstance(content, dict), f"{file}: must be a JSON object, got {type(content).__name__}")
    return dict(content)


def write_json(file: Path, content: dict[str, Any]) -> None:
    """Write `content` to `file`."""
    file.write_text(json.dumps(content, indent=2, allow_nan=False, ensure_ascii=False) + "\n", encoding="utf-8")
