"""What the weights that one starts from were trained with."""

from collections.abc import Callable

import pytest

from ctxext.config.legality import notes
from ctxext.config.schema import Run
from ctxext.refusal import Refusal

ILLEGAL = [
    ("position=alibi", "position=alibi can't take the weights of base.path=pkg://tiny, which were trained with rope"),
    ("position=nope", "add base=none, or use position=rope"),
    ("+method=sinusoidal base=tiny", "position=sinusoidal can't take the weights of base.path=pkg://tiny"),
    ("attention=linear", "attention=linear can't take the weights of base.path=pkg://tiny, which had softmax"),
    ("model=lstm", "model=lstm can't take the weights of base.path=pkg://tiny; add base=none"),
    ("model=vanilla", "model=vanilla can't take the weights"),
    ("+method=lstm position=yarn", "model=lstm has no attention, so that position=yarn could have no effect"),
    ("+method=lstm mask=sinks", "model=lstm has no attention, so that mask=sinks could have no effect"),
    ("+method=lstm attention=log_n", "model=lstm has no attention, so that attention=log_n could have no effect"),
]


@pytest.mark.parametrize(("typed", "fragment"), ILLEGAL, ids=[typed for typed, _ in ILLEGAL])
def test_what_the_weights_cannot_bear_is_refused(typed: str, fragment: str, built: Callable[..., Run]) -> None:
    with pytest.raises(Refusal) as caught:
        built(*typed.split())
    assert fragment in str(caught.value)


@pytest.mark.parametrize("typed", ["position=yarn", "mask=sinks", "mask=causal", "attention=log_n", "position=drope"])
def test_what_begins_as_the_plain_rotary_decoder_takes_its_weights(typed: str, built: Callable[..., Run]) -> None:
    assert built(typed).base.path == "pkg://tiny"


@pytest.mark.parametrize(
    "chosen", ["position=drope", "mask=layered_chunks", "attention=recurrence", "position=rope_abf"]
)
def test_a_method_that_weights_must_get_used_to_is_said_where_nothing_is_trained(
    chosen: str, built: Callable[..., Run]
) -> None:
    line = f"{chosen} is made for weights trained on with it, and trainer.steps=0 trains nothing"
    assert line in notes(built(chosen, "trainer.steps=0"))
    assert line not in notes(built(chosen))


@pytest.mark.parametrize("chosen", ["position=rope_ntk", "mask=sinks", "attention=log_n"])
def test_what_needs_no_training_is_not(chosen: str, built: Callable[..., Run]) -> None:
    assert not any("trains nothing" in line for line in notes(built(chosen, "trainer.steps=0")))
