"""Names of tensors, against gguf's own table."""

import gguf
import pytest

from ctxext.formats.gguf.names import ARCHITECTURES, stored_name

OUTSIDE = ("embed_tokens.weight", "norm.weight", "lm_head.weight")
ALWAYS_TIED = "gemma2"


@pytest.mark.parametrize("architecture", sorted(ARCHITECTURES))
def test_each_part_has_the_name_that_gguf_gives_to_it(architecture: str) -> None:
    kind = next(key for key, name in gguf.MODEL_ARCH_NAMES.items() if name == architecture)
    names = gguf.get_tensor_name_map(kind, 12)
    parts = ARCHITECTURES[architecture].parts

    for name in [*OUTSIDE, *(f"layers.11.{part}.weight" for part in parts)]:
        if name == "lm_head.weight" and architecture == ALWAYS_TIED:
            continue
        full = name if name == "lm_head.weight" else f"model.{name}"
        assert stored_name(name, ARCHITECTURES[architecture]) == names.get_name(full, try_suffixes=(".weight",))


def test_a_bias_keeps_its_kind() -> None:
    assert stored_name("layers.3.self_attn.q_proj.bias", ARCHITECTURES["llama"]) == "blk.3.attn_q.bias"
