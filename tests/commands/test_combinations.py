"""The jobs of a sweep whose values are all named."""

import pytest

from ctxext.commands.combinations import combinations
from ctxext.refusal import Refusal


def test_the_jobs_of_a_sweep_come_in_order_and_later_words_win() -> None:
    found = list(combinations(["seed=1,2", "name=a"], {"seed": "7,8,9", "context_length": "512,1024"}))
    assert found == [
        [f"seed={seed}", f"context_length={length}", "name=a"] for seed in (1, 2) for length in (512, 1024)
    ]
    with pytest.raises(Refusal, match="a sweep must name its values"):
        list(combinations(["seed=interval(0,1)"], {}))
