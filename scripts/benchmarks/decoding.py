"""Greedy decoding after a prompt, against transformers' generate with each of its caches."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from itertools import islice
from statistics import median
from typing import Any

import torch
from benchmarks import twins
from benchmarks.clock import alone, in_turn
from benchmarks.findings import Part, Table, middle, ratios
from benchmarks.scale import Scale
from benchmarks.shares import shares
from benchmarks.shares import told as in_words
from torch import Tensor

from ctxext.generation.decoding import Continuation
from ctxext.generation.sampling import Sampling

OURS = "ours"
CACHES = {"transformers, dynamic cache": "dynamic", "transformers, static cache": "static"}


def measured(scale: Scale) -> Part:
    """Return how much faster we decode than transformers' faster cache; the prompt is read on both sides."""
    alone()
    small, found = scale.shapes[-1], Part()
    # With tied random weights every token would be followed by itself.
    ours = twins.ours(replace(small.geometry, tie_word_embeddings=False)).eval()
    theirs = twins.llama(ours, scale.prompt + scale.new_tokens).eval()
    prompt = twins.tokens(small.geometry.vocab_size, 1, scale.prompt)
    sides: dict[str, Callable[[], list[int]]] = {OURS: decoded(ours, prompt, scale.new_tokens)}
    sides |= {name: generated(theirs, prompt, scale.new_tokens, cache) for name, cache in CACHES.items()}
    texts = {name: work() for name, work in sides.items()}
    for name, text in texts.items():
        if text != texts[OURS]:
            raise SystemExit(f"benchmark: both sides must decode the same tokens, but those of {name} differ")
    times = in_turn(sides, scale.repetitions)
    fastest = min(CACHES, key=lambda name: median(times[name]))
    found.add("decoding", ratios(times[fastest], times[OURS]))
    lines = [
        [name, middle([scale.new_tokens / time for time in times[name]], 1, 0), middle(times[name])] for name in sides
    ]
    title = f"Greedy decoding, {small.name}, {scale.new_tokens} tokens after {scale.prompt}, reading these included"
    found.tables.append(Table(title, ["", "new tokens a CPU second", "CPU ms"], lines))
    for name in sides:
        found.remarks.append(f"{name}: {in_words(shares(sides[name]))}")
    found.remarks.append(f"{len(set(texts[OURS]))} different tokens among the {scale.new_tokens}, equal on all sides")
    return found


def decoded(network: Any, prompt: Tensor, count: int) -> Callable[[], list[int]]:
    """Return what goes on from `prompt` [1, T] with `count` tokens of ours."""
    greedy = Sampling(temperature=0.0, top_k=0, top_p=1.0, seed=0)
    return lambda: list(islice(Continuation(network, prompt[0].tolist(), greedy).tokens(), count))


def generated(network: Any, prompt: Tensor, count: int, cache: str) -> Callable[[], list[int]]:
    """Return the same of transformers, with its `cache`."""
    seen = torch.ones_like(prompt)

    def work() -> list[int]:
        text = network.generate(
            prompt,
            attention_mask=seen,
            do_sample=False,
            max_new_tokens=count,
            use_cache=True,
            cache_implementation=cache,
        )
        new: list[int] = text[0, prompt.shape[1] :].tolist()
        return new

    return work
