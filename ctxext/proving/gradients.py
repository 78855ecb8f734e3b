"""What outputs depend on: no later token, and no other document of a packed row.

Shapes: B rows, S tokens, W hidden size.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch import Tensor

from ctxext.proving.finding import Finding, absent
from ctxext.proving.specimen import SAME, Specimen, difference, positions

SHORT = 512
"""Tokens up to which a text is cut often."""
CYCLE = 60
"""What 2, 3, 4 and 5 divide."""
RESIDUE = 1e-9
"""What sums over a whole row may leave of other documents, whose shares cancel up to rounding, over the own share."""


def traced(network: Any, tokens: Tensor, places: Tensor, documents: Tensor | None) -> tuple[Tensor, Tensor]:
    """Return the embeddings of `tokens` [B, S], to which gradients come, and the hidden states made from them."""
    kept: list[Tensor] = []

    def keep(module: object, inputs: object, output: Tensor) -> Tensor:
        kept.append(output.detach().requires_grad_())
        return kept[-1]

    handle = network.embed_tokens.register_forward_hook(keep)
    try:
        with torch.enable_grad():
            hidden = network.hidden(tokens, places, documents)
    finally:
        handle.remove()
    return kept[0], hidden


def influence(embedded: Tensor, outputs: Tensor) -> Tensor:
    """Return by how much each token [S] moves any of `outputs`, by gradients at what was `embedded` [B, S, W]."""
    draw = torch.Generator().manual_seed(2)
    weights = torch.randn(outputs.shape, generator=draw).to(outputs)  # so that nothing cancels
    (gradient,) = torch.autograd.grad(outputs, embedded, weights, retain_graph=True)
    return gradient.abs().amax(dim=(0, 2)).nan_to_num(nan=float("inf"))


def causality(specimen: Specimen) -> Finding:
    """Return whether no output depends on a later token: by gradients, and by other tokens in the place of the later.

    At each cut between two tokens all that stands before is held against all that stands behind. Gradients alone would
    miss what was detached, a change alone what rounds to nothing.
    """
    told = []
    for mode in specimen.modes:
        when = " in training" if mode else ""
        for length in sorted({specimen.length, specimen.acting.length(mode)}):
            cuts = cuts_of(length) if length <= SHORT else few_cuts(length)
            with specimen.training(mode):
                leaks = leaks_at(specimen, length, cuts)
            worst = max(leaks)
            if worst > 0:
                cut = cuts[leaks.index(worst)]
                return Finding("causality", False, worst, f"outputs before token {cut} see later ones{when}")
            told.append(f"{len(cuts)} cuts of {length:,} tokens{when}")
    return Finding("causality", True, 0.0, f"no gradient and no change comes from behind {listed(told)}")


def cuts_of(length: int) -> list[int]:
    """Return where a text of `length` tokens is cut: at both ends, and five times between.

    These leave every remainder by 2, 3, 4 and 5, so that what every second or fifth token sees doesn't pass unseen.
    """
    apart = length // 6 // CYCLE * CYCLE
    first = apart or length // 2
    between = {first + number * (apart + 1) for number in range(5)}
    return sorted(cut for cut in {1, *between, length - 1} if 0 < cut < length)


def few_cuts(length: int) -> list[int]:
    """Return where a text of `length` tokens is cut if it is long: at both ends, and twice between."""
    return sorted({1, length // 3 | 1, length * 2 // 3, length - 1})


def listed(words: Sequence[str]) -> str:
    """Return `words` with commas and an `and`."""
    return " and ".join([", ".join(words[:-1]), words[-1]]) if len(words) > 1 else words[0]


def leaks_at(specimen: Specimen, length: int, cuts: Sequence[int]) -> list[float]:
    """Return for each of `cuts` of `length` tokens how much of what stands behind it comes to what stands before.

    By changes alone where the memory doesn't hold what gradients need.
    """
    tokens, network = specimen.tokens(length), specimen.network
    graph = traced(network, tokens, positions(tokens), None) if specimen.keeps_graph(length) else None
    before, leaks = specimen.read(network, tokens), []
    for cut in cuts:
        leak = 0.0 if graph is None else float(influence(graph[0], graph[1][:, :cut])[cut:].max())
        changed = tokens.clone()
        changed[:, cut:] = (changed[:, cut:] + 1) % network.geometry.vocab_size
        leaks.append(max(leak, difference(specimen.read(network, changed)[:, :cut], before[:, :cut])))
    return leaks


def packing(specimen: Specimen) -> Finding:
    """Return whether the documents of a packed row don't see each other, and are read as if alone."""
    if not specimen.has_heads:
        return absent("packing", "a recurrent state runs on from one document into the next")
    if not specimen.network.mask.keeps_documents_apart():
        return absent("packing", "this mask reads a packed row as one text")
    leaks: list[float] = []
    for mode in specimen.modes:
        with specimen.training(mode):
            leaks += crossings(specimen)
    if max(leaks) > RESIDUE:
        return Finding("packing", False, max(leaks), "a document of a packed row moves the outputs of another")
    apart = packed_apart(specimen)
    words = (
        f"nothing crosses a border, and each of 3 documents, one of {longest(specimen):,} tokens, is read as if alone"
    )
    failed = "no document sees another, but packed ones are read otherwise than alone"
    return Finding("packing", apart <= SAME, apart, words if apart <= SAME else failed)


def longest(specimen: Specimen) -> int:
    """Return how long the longest text is that a method needs to act."""
    return max(specimen.acting.reading, specimen.acting.training)


def packed(specimen: Specimen) -> tuple[Tensor, Tensor, Tensor, list[int]]:
    """Return tokens, positions and documents [1, S] of a row of three documents, the middle one long, and lengths."""
    long = longest(specimen)
    lengths = [max(long // 5, 1), long, max(long // 8, 1)]
    tokens = specimen.tokens(sum(lengths))
    places = torch.cat([torch.arange(length) for length in lengths])[None].to(specimen.device)
    documents = torch.repeat_interleave(torch.arange(3), torch.tensor(lengths))[None].to(specimen.device)
    return tokens, places, documents, lengths


def crossings(specimen: Specimen) -> Iterator[float]:
    """Yield how much other documents of a packed row move each, by gradients over its own and by a change of tokens."""
    tokens, places, documents, lengths = packed(specimen)
    keeps_graph = specimen.keeps_graph(tokens.shape[1]) or max(lengths) == specimen.length
    graph = traced(specimen.network, tokens, places, documents) if keeps_graph else None
    before = read_packed(specimen, tokens, places, documents)
    for number in range(3):
        inside = documents[0] == number
        if graph is not None:
            moved = influence(graph[0], graph[1][:, inside])
            yield float(moved[~inside].max() / moved[inside].max())
        changed = torch.where(inside, tokens, (tokens + 1) % specimen.network.geometry.vocab_size)
        found = read_packed(specimen, changed, places, documents)
        yield difference(found[:, inside], before[:, inside])


@torch.no_grad()
def read_packed(specimen: Specimen, tokens: Tensor, places: Tensor, documents: Tensor) -> Tensor:
    """Return the hidden states [B, S, W] of `tokens` at positions `places`, packed from `documents`, all [B, S]."""
    hidden: Tensor = specimen.network.hidden(tokens, places, documents)
    return hidden


def packed_apart(specimen: Specimen) -> float:
    """Return the largest difference between documents read in a packed row and alone."""
    tokens, places, documents, lengths = packed(specimen)
    hidden = read_packed(specimen, tokens, places, documents)
    pieces = zip(torch.split(hidden, lengths, dim=1), torch.split(tokens, lengths, dim=1), strict=True)
    return max(difference(found, specimen.read(specimen.network, alone)) for found, alone in pieces)
