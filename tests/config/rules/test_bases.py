"""What the weights that one starts from were trained with."""

from collections.abc import Callable

import pytest

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
