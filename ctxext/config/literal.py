"""Texts that OmegaConf is to take as they are, though they may look like interpolations."""

import re
from typing import Any


def escaped(text: str) -> str:
    """Return `text` so that OmegaConf resolves it to `text` itself: in it, `${` would be an interpolation."""
    return re.sub(r"(\\*)\$\{", lambda found: f"{found[1] * 2}\\${{", text)


def literal(node: Any) -> Any:
    """Return the plain `node` of a config, resolved already, with every text escaped."""
    if isinstance(node, dict):
        return {key: literal(value) for key, value in node.items()}
    if isinstance(node, list):
        return [literal(value) for value in node]
    return escaped(node) if isinstance(node, str) else node
