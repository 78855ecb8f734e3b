"""How a text is cut before its bytes are merged, by the name that `tokenizer.ggml.pre` gives to it.

The patterns are those of the models' own tokenizer.json files, which the names stand for.
"""

from tokenizers import Regex, pre_tokenizers

CONTRACTIONS = "(?i:'s|'t|'re|'ve|'m|'ll|'d)"
WORDS = r"[^\r\n\p{L}\p{N}]?\p{L}+"
REST = r" ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
ONE_DIGIT, THREE_DIGITS = (rf"{CONTRACTIONS}|{WORDS}|\p{{N}}{size}|{REST}" for size in ("", "{1,3}"))
SPLITS = {
    "qwen2": ONE_DIGIT,
    "deepseek-r1-qwen": ONE_DIGIT,
    "stablelm2": ONE_DIGIT,
    "llama3": THREE_DIGITS,
    "llama-v3": THREE_DIGITS,
    "llama-bpe": THREE_DIGITS,
    "falcon3": THREE_DIGITS,
    "dbrx": THREE_DIGITS,  # OLMo 2 too
    "smaug-bpe": THREE_DIGITS,  # SmolLM 3 too
}
"""Cuts by one pattern."""
BY_DIGIT = ("smollm", "starcoder", "refact", "command-r", "codeshell", "exaone")
"""Each digit apart, the rest as GPT-2."""
AS_GPT2 = ("gpt-2", "olmo", "mpt")
WHOLE = ("llama3", "llama-v3", "llama-bpe", "falcon3")
"""Here a piece that is a token stays whole, whatever the merges say; and texts begin with bos if no key denies it."""
DEFAULT = "default"
GPT2 = r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"
ONE_BY_ONE = (r"[\p{P}$+<=>^~|]+", GPT2, r"\p{N}+", r"[0-9]{3}")
"""What llama.cpp cuts by, one after the other, where a converter knew no name."""
NAMES = (*SPLITS, *BY_DIGIT, *AS_GPT2, DEFAULT)


def pre_tokenizer(name: str) -> pre_tokenizers.PreTokenizer:
    """Return what cuts a text for a vocabulary whose pre-tokenizer has the `name`, one of NAMES."""
    if name in SPLITS or name == DEFAULT:
        patterns = ONE_BY_ONE if name == DEFAULT else (SPLITS[name],)
        cuts = [pre_tokenizers.Split(Regex(pattern), behavior="isolated") for pattern in patterns]
        return pre_tokenizers.Sequence([*cuts, pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)])
    plain = pre_tokenizers.ByteLevel(add_prefix_space=False)
    if name in AS_GPT2:
        return plain
    return pre_tokenizers.Sequence([pre_tokenizers.Digits(individual_digits=True), plain])
