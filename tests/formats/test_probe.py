"""How much a tokenizer may lengthen a text is told from its settings, and holds of what it really does."""

import pytest
from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers

from ctxext.formats.probe import growth, stated

TIMES = normalizers.Replace("a", "a" * 10)


@pytest.mark.parametrize(
    ("part", "expected"),
    [
        (normalizers.Replace(" ", "\u2581"), 3),
        (normalizers.Replace("ab", "a"), 1),
        (TIMES, 10),
        (normalizers.Sequence([TIMES] * 3), 1000),
        (normalizers.Sequence([normalizers.Sequence([TIMES]), normalizers.NFKC(), TIMES]), 100),
        (normalizers.Replace(Regex("b*"), "xyz"), 4),
        (decoders.Sequence([decoders.Replace("a", "aaa"), decoders.Fuse()]), 3),
        (pre_tokenizers.Sequence([pre_tokenizers.Digits(), pre_tokenizers.ByteLevel()]), 4),
        (normalizers.NFC(), 1),
    ],
)
def test_the_growth_is_the_product_of_that_of_the_steps(part, expected):
    assert growth(stated(part)) == expected


@pytest.mark.parametrize("text", ["", "a", "aaaa", "ab ba", "é a", "bbb"])
def test_no_text_grows_by_more(text):
    for steps in ([TIMES, TIMES], [normalizers.Replace(Regex("b*"), "xyz")], [normalizers.Replace(" ", "\u2581")]):
        tokenizer = Tokenizer(models.BPE())
        tokenizer.normalizer = normalizers.Sequence(steps)
        grown = tokenizer.normalizer.normalize_str(text)
        assert len(grown.encode()) <= growth(stated(tokenizer.normalizer)) * (len(text.encode()) + 1)
