"""The lines that start servers."""

import json
import shlex
from pathlib import Path
from typing import Any

import pytest

from ctxext.formats.deployment import commands, of_an_untouched_base
from ctxext.position.llama3 import Llama3
from ctxext.position.rope import Rope

YARN = {
    "rope_type": "yarn",
    "rope_theta": 10000.0,
    "factor": 4.0,
    "original_max_position_embeddings": 64,
    "beta_fast": 32.0,
    "beta_slow": 1.0,
    "attention_factor": 1.138629,
    "truncate": True,
}


def lines_of(rope: dict[str, Any], **more: Any) -> list[str]:
    return of_an_untouched_base({"rope_parameters": rope, **more}, 256, Rope(10000.0))


def test_the_folder_is_served_by_two_programs() -> None:
    lines = commands(Path("my runs/it's"), 256)
    assert [shlex.split(line) for line in lines] == [
        ["transformers", "serve", "my runs/it's"],
        ["vllm", "serve", "my runs/it's", "--max-model-len", "256"],
    ]


def test_vllm_is_given_the_same_rope_for_an_untouched_base() -> None:
    words = shlex.split(lines_of(YARN)[0])
    assert words[:4] == ["vllm", "serve", "BASE", "--hf-overrides"]
    assert json.loads(words[4]) == {"rope_parameters": YARN, "max_position_embeddings": 256}
    assert words[5:] == ["--max-model-len", "256"]


def test_dynamic_scaling_counts_from_the_trained_length_there_too() -> None:
    rope = {"rope_type": "dynamic", "rope_theta": 10000.0, "factor": 4.0}
    words = shlex.split(lines_of(rope, max_position_embeddings=64)[0])
    assert json.loads(words[4])["max_position_embeddings"] == 64


@pytest.mark.parametrize(
    ("rope", "flags"),
    [
        (YARN, "--rope-scaling yarn --rope-scale 4 --yarn-orig-ctx 64 --yarn-beta-fast 32 --yarn-beta-slow 1"),
        ({"rope_type": "linear", "rope_theta": 1e4, "factor": 2.5}, "--rope-scaling linear --rope-scale 2.5"),
        ({"rope_type": "default", "rope_theta": 63495.604}, "--rope-freq-base 63495.604"),
    ],
)
def test_llama_cpp_is_given_the_flags_of_its_own_kinds(rope: dict[str, Any], flags: str) -> None:
    assert lines_of(rope)[1].startswith(f"llama-server -m BASE.gguf -c 256 {flags} --override-kv")


@pytest.mark.parametrize("kind", ["longrope", "llama3", "dynamic", "proportional"])
def test_llama_cpp_has_no_flags_for_the_others(kind: str) -> None:
    assert not any(line.startswith("llama-server") for line in lines_of({"rope_type": kind, "rope_theta": 1e4}))


def test_what_has_no_rope_has_no_line_for_a_base() -> None:
    assert of_an_untouched_base({"n_positions": 256}, 256, Rope(10000.0)) == []


def test_llama_cpp_is_given_no_scaling_on_top_of_the_base_s_own() -> None:
    scaled = of_an_untouched_base({"rope_parameters": YARN}, 256, Llama3(10000.0, 4.0, 64, 1.0, 4.0))
    assert [line.split()[0] for line in scaled] == ["vllm"]
