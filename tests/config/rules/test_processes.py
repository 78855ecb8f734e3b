"""What several processes can't share is refused, with the way out."""

import pytest

from ctxext.refusal import Refusal

EVEN = ("base.trained_length=32", "context_length=64", "base.batch_tokens=256", "trainer.batch_tokens=256", "base=none")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("model=lstm", "parallel.context=2"), r"model=lstm reads token after token, .*parallel.context=2"),
        (
            ("attention=recurrence", "parallel.context=2"),
            r"attention=recurrence learns from whole rows .*",
        ),
        (("trainer.compile=true", "parallel.data=2"), r"trainer.compile=true is for one process, .* 2"),
        (("trainer.adapter=lora", "parallel.shard=2"), r"trainer.adapter=lora can't be parted by parallel.shard=2"),
        (("parallel.data=3",), r"trainer.batch_tokens=256 holds 4 rows of 64 tokens, which parallel.data=3"),
        (("parallel.data=4", "base.batch_tokens=64"), r"base.batch_tokens=64 holds 2 rows of 32"),
        (("parallel.context=3",), r"rows of 64 tokens don't part into the 6 pieces of parallel.context=3"),
    ],
)
def test_it_is_refused(built, words, said):
    with pytest.raises(Refusal, match=said):
        built(*EVEN, *words)


@pytest.mark.parametrize(
    "words",
    [
        ("parallel.data=2", "parallel.context=2"),
        ("attention=recurrence", "parallel.data=2"),
        ("parallel.shard=4",),
        ("trainer.adapter=lora", "parallel.data=2", "parallel.context=2"),
    ],
)
def test_what_goes_is_not(built, words):
    assert built(*EVEN, *words).parallel.size > 1
