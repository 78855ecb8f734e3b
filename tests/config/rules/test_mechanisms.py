"""Attention mechanisms: the room that they need, and settings at which they are plain softmax."""

from collections.abc import Callable

import pytest

from ctxext.config.legality import notes
from ctxext.config.schema import Run
from ctxext.refusal import Refusal

ILLEGAL = [
    ("attention=self_extend attention.window=256", "attention.window=256 must be below base.trained_length=256"),
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
    (
        "attention=infini base=none attention.segment=2048",
        ["attention=infini with attention.segment=2048 recalls nothing up to 2048 tokens, the longest of the run"],
    ),
    ("attention=block_topk mask=causal", ["attention=block_topk counts blocks through a packed row under mask=causal"]),
    (
        "attention=shifted_sparse",
        ["attention=shifted_sparse acts in training only: what is evaluated is attention=soft"],
    ),
    ("attention=temperature_llama4 attention.floor_scale=4096", ["is exactly attention=softmax up to 2048 tokens"]),
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
