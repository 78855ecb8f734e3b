"""Which compositions are refused and which get a line."""

from collections.abc import Callable

import pytest

from ctxext.config.legality import notes
from ctxext.config.schema import Run
from ctxext.refusal import Refusal

ILLEGAL = [
    ("+method=yarn context_length=128", "context_length=128 is below base.trained_length=256, so that position=yarn"),
    ("position=yarn position.factor=0.5", "position.factor must be at least 1, got 0.5"),
    ("position=alibi", "position=alibi can't take the weights of base.path=pkg://tiny"),
    ("position=nope", "add base=none"),
    ("+method=sinusoidal base=tiny", "position=sinusoidal can't take the weights of base.path=pkg://tiny"),
    ("model=lstm", "model=lstm can't take the weights of base.path=pkg://tiny; add base=none"),
    ("model=vanilla", "model=vanilla can't take the weights"),
    ("+method=lstm position=yarn", "model=lstm has no attention, so that position=yarn could have no effect"),
    ("+method=lstm mask=sinks", "model=lstm has no attention, so that mask=sinks could have no effect"),
    ("+method=lstm attention=log_n", "model=lstm has no attention, so that attention=log_n could have no effect"),
    (
        "mask=sliding_window mask.window=4096",
        "mask.window=4096 sees all of every length up to 2048; choose a mask.window",
    ),
    ("mask=sinks mask.window=253", "together are above base.trained_length=256"),
    (
        "mask=sinks +method=sinusoidal",
        "mask=sinks re-indexes distances, and position=sinusoidal has no relative distance",
    ),
    ("attention=self_extend +method=alibi", "position=alibi turns none; use position=rope, or attention=softmax"),
    ("attention=self_extend +method=nope", "position=nope turns none"),
    ("attention=self_extend mask=sinks", "attention=self_extend and mask=sinks both remap distances"),
    ("attention=self_extend attention.window=256", "attention.window=256 must be below base.trained_length=256"),
    ("attention=self_extend mask=sliding_window mask.window=100", "choose a mask.window above 128"),
    ("context_length=8192", "trainer.batch_tokens=4096 must hold a row of context_length=8192 tokens"),
]
NOTED = [
    ("", []),
    ("+method=yarn", []),
    ("+method=yarn context_length=256", ["position=yarn at factor 1 is exactly position=rope"]),
    (
        "position=yarn position.factor=8",
        ["position.factor=8 is used, although context_length / base.trained_length is 4"],
    ),
    (
        "+method=self_extend context_length=256",
        ["attention=self_extend with attention.group=1 is exactly attention=softmax"],
    ),
    (
        "+method=self_extend attention.group=2",
        ["attention.group=2 reaches 384 tokens, and context_length=1024 lies beyond"],
    ),
    (
        "attention=log_n attention.trained_length=4096",
        ["attention=log_n changes nothing up to attention.trained_length=4096"],
    ),
    ("evaluation.lengths=[512,1024]", ["has none up to base.trained_length=256"]),
    ("evaluation.lengths=[256,300]", ["has none from twice", "context_length=1024 isn't among evaluation.lengths"]),
]


@pytest.mark.parametrize(("typed", "fragment"), ILLEGAL, ids=[typed for typed, _ in ILLEGAL])
def test_a_composition_that_cannot_work_is_refused(typed: str, fragment: str, built: Callable[..., Run]) -> None:
    with pytest.raises(Refusal) as caught:
        built(*typed.split())
    assert fragment in str(caught.value)


@pytest.mark.parametrize(("typed", "fragments"), NOTED, ids=[typed for typed, _ in NOTED])
def test_what_has_no_effect_is_said_in_a_line(typed: str, fragments: list[str], built: Callable[..., Run]) -> None:
    lines = notes(built(*typed.split()))
    assert len(lines) == len(fragments)
    assert all(fragment in line for fragment, line in zip(fragments, lines, strict=True))
