"""What acts in some layers or heads alone: it must fall to one."""

from collections.abc import Callable

import pytest

from ctxext.config.schema import Run
from ctxext.refusal import Refusal

ILLEGAL = [
    (
        "position=rope_nope base=none position.interval=5",
        "position.interval=5 is above model.num_hidden_layers=4, so that no layer is such, and position=rope_nope is"
        " exactly position=rope; choose at most 4, or position=rope",
    ),
    (
        "position=rope_nope base=none model.num_hidden_layers=1 position.interval=2",
        "position=rope_nope is exactly position=rope; use position=rope",
    ),
    (
        "attention=temperature_llama4 attention.interval=5",
        "and attention=temperature_llama4 is exactly attention=softmax; choose at most 4, or attention=softmax",
    ),
    (
        "mask=layered mask.pattern=L",
        "mask.pattern=L gives model.num_hidden_layers=4 long layers alone, so that mask=layered could have no effect",
    ),
    (
        "mask=layered base=none model.num_hidden_layers=1",
        "put an S or a C near its end, or use mask=document",
    ),
    ("mask=layered_chunks base=none model.num_hidden_layers=1", "so that mask=layered_chunks could have no effect"),
    (
        "mask=dilated base=none model.num_attention_heads=2 model.num_key_value_heads=2",
        "mask.dilations=[1, 2, 4, 8] are more than model.num_attention_heads=2, so that [4, 8] would fall to none",
    ),
    ("mask=dilated mask.dilations=[2,4,8,16,1]", "so that [1] would fall to none; give at most 4, or use mask=sliding"),
    (
        "mask=dilated mask.dilations=[1,1]",
        "leave no holes, so that mask=dilated is exactly mask=sliding_window with mask.window=128; put in a larger",
    ),
]
LEGAL = [
    "position=rope_nope base=none position.interval=4",
    "attention=temperature_llama4 attention.interval=4",
    "mask=layered base=none model.num_hidden_layers=2",
    "mask=layered mask.pattern=SL",
    "mask=dilated mask.dilations=[1,1,1,2]",
]


@pytest.mark.parametrize(("typed", "fragment"), ILLEGAL, ids=[typed for typed, _ in ILLEGAL])
def test_what_falls_to_no_layer_or_head_is_refused(typed: str, fragment: str, built: Callable[..., Run]) -> None:
    with pytest.raises(Refusal) as caught:
        built(*typed.split())
    assert fragment in str(caught.value)


@pytest.mark.parametrize("typed", LEGAL)
def test_what_falls_to_one_is_taken(typed: str, built: Callable[..., Run]) -> None:
    assert built(*typed.split())
