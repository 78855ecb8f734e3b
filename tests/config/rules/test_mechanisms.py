"""Attention mechanisms: the room that they need, and settings at which they are plain softmax."""

from collections.abc import Callable

import pytest

from ctxext.config.legality import notes
from ctxext.config.schema import Run
from ctxext.refusal import Refusal

ILLEGAL = [
    ("attention=self_extend attention.window=256", "attention.window=256 must be below base.trained_length=256"),
    ("attention=rerope attention.window=256", "attention.window=256 must be below base.trained_length=256"),
    ("attention=dual_chunk attention.chunk=256", "attention.chunk=256 must be below base.trained_length=256"),
    (
        "attention=dual_chunk context_length=256",
        "at factor 1 (context_length=256) it only harms; use attention=softmax, or a longer context_length",
    ),
    ("attention=shifted_sparse trainer.steps=0", "attention=shifted_sparse acts in training only, and trainer.steps=0"),
    (
        "attention=shifted_sparse attention.group=2048",
        "attention=shifted_sparse with attention.group=2048 holds all of context_length=1024 in one group",
    ),
    (
        "attention=shifted_sparse attention.group=512 trainer.positions=pose",
        "attention=shifted_sparse with attention.group=512 holds all of base.trained_length=256 in one group",
    ),
    (
        "attention=infini base=none attention.segment=2048",
        "attention.segment=2048 holds every length of the run, up to 2048, in one segment, so that it recalls nothing",
    ),
    (
        "attention=infini base=none trainer.positions=pose",
        "attention=infini counts positions within its segments, so that trainer.positions=pose could have no",
    ),
    (
        "attention=infini base=none trainer.positions=randomized",
        "trainer.positions=randomized could have no effect; use trainer.positions=as_laid, or attention=softmax",
    ),
    (
        "attention=differential base=none model.num_attention_heads=3 model.num_key_value_heads=3",
        "model.num_key_value_heads must be even, got 3; use an even number, or attention=softmax",
    ),
    (
        "attention=differential base=none model.num_key_value_heads=1",
        "model.num_key_value_heads must be even, got 1; use an even number, or attention=softmax",
    ),
    (
        "attention=shifted_sparse base=none model.num_attention_heads=1 model.num_key_value_heads=1",
        "attention=shifted_sparse shifts half of the heads; model.num_attention_heads must be above 1",
    ),
]
NOTED = [
    ("attention=self_extend", []),
    (
        "attention=self_extend context_length=256",
        ["attention=self_extend with attention.window=128, attention.group=1 is exactly attention=softmax up to 2048"],
    ),
    (
        "attention=self_extend attention.group=2",
        ["attention=self_extend with attention.window=128, attention.group=2 reaches 384 tokens, and context_length"],
    ),
    (
        "attention=log_n attention.trained_length=4096",
        ["attention=log_n with attention.trained_length=4096 is exactly attention=softmax up to 2048 tokens"],
    ),
    ("attention=log_n attention.trained_length=2047", []),
    (
        "attention=block_topk attention.block=256",
        ["attention.block=256, attention.top_k=8 is exactly attention=softmax"],
    ),
    ("attention=recurrence attention.segment=2048", ["attention.memory=2048 is exactly attention=softmax up to 2048"]),
    ("attention=infini base=none attention.segment=255", []),
    (
        "attention=infini base=none attention.segment=256",
        ["holds all of base.trained_length=256, so that attention=infini trains its memory in the extension alone"],
    ),
    (
        "attention=infini base=none attention.segment=256 trainer.steps=0",
        ["so that attention=infini never trains its memory"],
    ),
    ("attention=infini base=none attention.segment=1024", ["so that attention=infini never trains its memory"]),
    ("attention=recurrence", []),
    ("attention=recurrence attention.segment=128 attention.memory=128", []),
    (
        "attention=recurrence attention.segment=128 attention.memory=129",
        ["together are above base.trained_length=256: distances from there on, up to 256, are new to the base"],
    ),
    ("attention=recurrence attention.segment=256 attention.memory=256 position=rope_interp", []),
    ("attention=recurrence attention.segment=256 attention.memory=256 base=none position=nope", []),
    ("attention=block_topk mask=causal", ["attention=block_topk counts blocks through a packed row under mask=causal"]),
    (
        "attention=shifted_sparse",
        ["attention=shifted_sparse acts in training only: what is evaluated is attention=soft"],
    ),
    ("attention=temperature_llama4 attention.floor_scale=2049", ["is exactly attention=softmax up to 2048 tokens"]),
    ("attention=temperature_llama4 attention.floor_scale=2048", []),
    (
        "attention=temperature_ministral3 attention.original_max_position_embeddings=2048",
        ["is exactly attention=softmax up to 2048 tokens"],
    ),
    ("attention=temperature_ministral3 attention.original_max_position_embeddings=2047", []),
    ("attention=temperature context_length=256", ["attention.attention_factor=1.0 is exactly attention=softmax up to"]),
    ("attention=rerope attention.leak=0.5", ["reaches 384 tokens, and context_length=1024 lies beyond"]),
]


@pytest.mark.parametrize(("typed", "fragment"), ILLEGAL, ids=[typed for typed, _ in ILLEGAL])
def test_a_mechanism_without_room_is_refused(typed: str, fragment: str, built: Callable[..., Run]) -> None:
    with pytest.raises(Refusal) as caught:
        built(*typed.split())
    assert fragment in str(caught.value)


@pytest.mark.parametrize(("typed", "fragments"), NOTED, ids=[typed for typed, _ in NOTED])
def test_what_changes_nothing_or_reaches_too_little_is_said_in_a_line(
    typed: str, fragments: list[str], built: Callable[..., Run]
) -> None:
    lines = notes(built(*typed.split()))
    assert len(lines) == len(fragments), lines
    assert all(fragment in line for fragment, line in zip(fragments, lines, strict=True)), lines


@pytest.mark.parametrize("group", [2, 3, 5])
def test_the_reach_of_self_extend_is_where_its_distances_leave_what_the_base_has_seen(
    group: int, built: Callable[..., Run]
) -> None:
    trained, window = 256, 128
    (line,) = notes(built("attention=self_extend", f"attention.group={group}"))
    limit = int(line.split("reaches ")[1].split()[0])

    def farthest(length: int) -> int:
        return (length - 1) // group + window - window // group

    assert farthest(limit) == trained - 1
    assert farthest(limit + 1) == trained


def test_positions_that_are_drawn_reach_infini_attention_at_the_input(built: Callable[..., Run]) -> None:
    assert built("attention=infini", "base=none", "position=sinusoidal", "trainer.positions=pose")


@pytest.mark.parametrize(("window", "is_short"), [(256, True), (255, False)])
def test_a_lambda_whose_ceiling_is_new_to_the_base_reaches_its_length_alone(
    window: int, is_short: bool, built: Callable[..., Run]
) -> None:
    lines = notes(built("mask=lambda_mask", f"mask.window={window}"))
    assert any("reaches 256 tokens, and context_length=1024 lies beyond" in line for line in lines) == is_short
