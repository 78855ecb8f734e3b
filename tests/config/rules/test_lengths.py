"""Factors and lengths."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from ctxext.config import legality
from ctxext.config.legality import notes
from ctxext.config.rules import lengths
from ctxext.config.schema import Run
from ctxext.refusal import Refusal

ILLEGAL = [
    ("+method=yarn context_length=128", "context_length=128 is below base.trained_length=256, so that position=yarn"),
    ("position=yarn position.factor=0.5", "position.factor must be at least 1, got 0.5"),
    ("context_length=8192", "trainer.batch_tokens=4096 must hold a row of context_length=8192 tokens"),
    (
        "position=rope_abf position.adjusted_theta=10000.0",
        "position.adjusted_theta=10000.0 is exactly its base at every length of the run, so that it could have no",
    ),
    (
        "position=learned base=none",
        "position=learned has no place beyond 256 tokens, and context_length reaches 1024; use position=learned_interp",
    ),
    (
        "position=learned_interp base=none",
        "position=learned_interp has no place beyond 1024 tokens, and evaluation.lengths reaches 2048; use",
    ),
    (
        "position=learned_interp base=none position.context_length=512",
        "and context_length reaches 1024; use a larger position.context_length, or at most 512",
    ),
    (
        "position=xpos base=none position.scale_base=4",
        "has no place beyond 510 tokens, and context_length reaches 1024; use a larger position.scale_base, or at",
    ),
    (
        "+method=learned base=none trainer.positions=pose trainer.max_position=300",
        "and trainer.max_position reaches 300; use trainer.positions=as_laid, or at most 256",
    ),
    ("trainer.positions=pose trainer.max_position=256", "trainer.positions=pose has nothing to draw with"),
    ("trainer.positions=randomized trainer.steps=0", "trainer.positions=randomized draws in training only"),
    ("position=rope_ntk base=none model.head_dim=2", "NTK-aware scaling needs model.head_dim above 2, got 2"),
]
NOTED = [
    ("", []),
    ("position=rope_interp", []),
    ("position=resonance_rope", []),
    (
        "position=resonance_rope position.factor=2",
        ["position.factor=2 is used, although", "leaves no rotary pair but the fastest"],
    ),
    ("position=rope_ntk context_length=256", ["position=rope_ntk at factor 1 is exactly its base, position=rope"]),
    (
        "position=rope_ntk position.factor=8",
        ["position.factor=8 is used, although context_length / base.trained_length is 4"],
    ),
    ("evaluation.lengths=[512,1024]", ["has none up to base.trained_length=256"]),
    ("evaluation.lengths=[256,300]", ["has none from twice", "context_length=1024 isn't among evaluation.lengths"]),
]


@pytest.mark.parametrize(("typed", "fragment"), ILLEGAL, ids=[typed for typed, _ in ILLEGAL])
def test_lengths_that_cannot_work_are_refused(typed: str, fragment: str, built: Callable[..., Run]) -> None:
    with pytest.raises(Refusal) as caught:
        built(*typed.split())
    assert fragment in str(caught.value)


@pytest.mark.parametrize(("typed", "fragments"), NOTED, ids=[typed for typed, _ in NOTED])
def test_what_extends_or_shows_nothing_is_said_in_a_line(
    typed: str, fragments: list[str], built: Callable[..., Run]
) -> None:
    lines = notes(built(*typed.split()))
    assert len(lines) == len(fragments)
    assert all(fragment in line for fragment, line in zip(fragments, lines, strict=True))


@pytest.mark.parametrize("option", ["rope_interp", "rope_ntk", "yarn", "rope_by_parts", "llama3"])
def test_every_factor_is_said_where_it_is_one(option: str, built: Callable[..., Run]) -> None:
    run = built(f"position={option}", "context_length=256")
    assert any(f"position={option} at factor 1 is exactly its base, position=rope" in line for line in notes(run))


def test_a_table_bears_the_lengths_that_it_holds(small: Callable[..., Run]) -> None:
    run = small(position="learned")
    limit = run.position.limit()
    assert list(lengths.places(replace(run, context_length=limit + 1)))
    legality.check(run)
