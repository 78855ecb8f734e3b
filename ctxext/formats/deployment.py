"""How servers are started on an export, and how an untouched base would be given the same rope: lines to copy.

Flags are those of vLLM's page on context extension, of transformers 5's `serve` and of llama.cpp's server.
"""

import json
import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ctxext.seams import Position

Config = Mapping[str, Any]
BASE = "BASE"
"""Stands for the untouched model, of which only the user knows where it is served from."""


def commands(folder: Path, context_length: int) -> list[str]:
    """Return the lines that serve the Hugging Face files in `folder` up to `context_length`."""
    where = shlex.quote(str(folder))
    return [f"transformers serve {where}", f"vllm serve {where} --max-model-len {context_length}"]


def of_an_untouched_base(config: Config, context_length: int, base: Position) -> list[str]:
    """Return the lines that serve an untouched model, whose encoding is `base`, with the rope of the export's `config`.

    Nothing is said of llama.cpp if `base` is scaled itself: a .gguf may hold that as what divides its frequencies,
    which flags don't take back but add to.
    """
    if "rope_parameters" not in config:
        return []
    rope = config["rope_parameters"]
    longest = config.get("max_position_embeddings", context_length)  # dynamic scaling counts from the trained length
    overrides = shlex.quote(json.dumps({"rope_parameters": rope, "max_position_embeddings": longest}))
    lines = [f"vllm serve {BASE} --hf-overrides {overrides} --max-model-len {context_length}"]
    flags = rope_flags(rope) if base == base.base() else ""
    # Newer servers cap a text at the length in the file (ggml-org/llama.cpp#17459).
    cap = f"--override-kv ARCHITECTURE.context_length=int:{context_length}"
    return [*lines, f"llama-server -m {BASE}.gguf -c {context_length} {flags} {cap}"] if flags else lines


def file_commands(file: Path, context_length: int) -> list[str]:
    """Return the line that serves the .gguf `file` up to `context_length`; its rope stands in the file."""
    return [f"llama-server -m {shlex.quote(str(file))} -c {context_length}"]


def rope_flags(rope: Config) -> str:
    """Return the flags of llama.cpp for the `rope` parameters; nothing where it takes them from a file alone."""
    match rope.get("rope_type"):
        case "default":
            return f"--rope-freq-base {rope['rope_theta']:.10g}"
        case "linear":
            return f"--rope-scaling linear --rope-scale {rope['factor']:.10g}"
        case "yarn":
            scale = f"--rope-scaling yarn --rope-scale {rope['factor']:.10g}"
            betas = f"--yarn-beta-fast {rope['beta_fast']:.10g} --yarn-beta-slow {rope['beta_slow']:.10g}"
            return f"{scale} --yarn-orig-ctx {rope['original_max_position_embeddings']} {betas}"
        case _:
            return ""
