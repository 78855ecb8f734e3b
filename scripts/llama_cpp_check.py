"""Hold a GGUF file against llama.cpp itself: the logits it computes, and the tokens it cuts texts into.

    python scripts/llama_cpp_check.py expect model.gguf expected.npz 1024   # where ctxext is installed
    python scripts/llama_cpp_check.py compare model.gguf expected.npz       # where llama-cpp-python is installed

The first reads the file with ctxext, as `ctxext export` did when it compared it with the run's own model, and keeps
logits over random tokens. The second computes them with llama.cpp, keys and values in float32, and says by how much
they differ.
"""

import json
import sys
from typing import Any

import numpy as np

PARTS = 4
TEXTS = [
    "",
    "a",
    " a",
    "  two  spaces and   three",
    "line\nline\r\n\n\n  indented\t\ttabs \n",
    "\n",
    " \n x",
    "trailing   ",
    "I'll we've they'd it's I'M DON'T 's 'S",
    "12 345 6.7e-8 1st x2 4x4 ١٢٣ ½ Ⅷ ²",
    "naïve café İstanbul straße ΑΒΓ привет",
    "日本語のテキスト 中文字符 한국어",
    "👩‍👩‍👧 🇩🇪 e\u0301 \u200b\u00a0\u3000x\ufeff",
    "snake_case camelCase kebab-case ALLCAPS",
    "!!!??? ... --- ''' \"\"\" <<>> [](){}",
    "<|endoftext|> <|im_start|>user",
    "def f(x):\n    return x ** 2  # 3\n",
]


def expect(file: str, target: str, length: str) -> None:
    """Keep in `target` what ctxext computes from `file` over `length` random tokens, and how it cuts `TEXTS`."""
    import torch

    from ctxext.formats.bases import open_base
    from ctxext.formats.huggingface.verification import random_tokens

    base = open_base(file)
    network, tokenizer = base.geometry().build(*base.members()).eval(), base.tokenizer()
    network.load_state_dict(base.weights())
    tokens = random_tokens(network, int(length))
    with torch.no_grad():
        logits = network.unembedding.logits(network.hidden(tokens, torch.arange(int(length))[None])[0]).numpy()
    ids = [tokenizer.encode(text, add_special_tokens=False).ids for text in TEXTS]
    np.savez(target, tokens=tokens[0].numpy(), logits=logits, words=json.dumps([TEXTS, ids]))


def compare(file: str, expected: str) -> None:
    """Say how far llama.cpp is from what is `expected` of `file`."""
    import llama_cpp

    kept = np.load(expected)
    tokens, logits = kept["tokens"], kept["logits"]
    model = llama_cpp.Llama(
        file,
        n_ctx=len(tokens),
        n_batch=len(tokens),
        logits_all=True,
        type_k=0,
        type_v=0,
        flash_attn=False,
        verbose=False,
    )
    model.eval(tokens.tolist())
    differences = np.abs(np.array(model.scores[: len(tokens)]) - logits).max(axis=1)
    parts = ", ".join(f"{part.max():.2g}" for part in np.array_split(differences, PARTS))
    most = f"the largest logit is {abs(logits).max():.3g}, the largest difference {differences.max():.2g}"
    say(f"llama-cpp-python {llama_cpp.__version__}, {len(tokens)} tokens: {most}")
    say(f"by quarters of the text: {parts}")
    report(model, *json.loads(str(kept["words"])))


def report(model: Any, texts: list[str], ids: list[list[int]]) -> None:
    """Say how many of `texts` llama.cpp cuts into the tokens `ids`, and which not."""
    found = [model.tokenize(text.encode(), add_bos=False, special=False) for text in texts]
    others = [text for text, ours, theirs in zip(texts, ids, found, strict=True) if ours != theirs]
    say(f"{len(texts) - len(others)} of {len(texts)} texts are cut into the same tokens")
    for text in others:
        say(f"not so: {text!r}")


def say(line: str) -> None:
    """Write `line` on the console."""
    sys.stdout.write(line + "\n")


if __name__ == "__main__":
    {"expect": expect, "compare": compare}[sys.argv[1]](*sys.argv[2:])
