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
    cuts = sorted({1, specimen.length // 2, min(specimen.trained_length, specimen.length - 1), specimen.length - 1})
    leaks: list[float] = []
    for mode in specimen.modes:
        with specimen.training(mode):
            leaks += leaks_at(specimen, cuts)
    worst = max(leaks)
    told = f"{', '.join(map(str, cuts))} of {specimen.length} tokens" + ", in training too" * (len(specimen.modes) - 1)
    if worst == 0:
        return Finding("causality", True, worst, f"no gradient and no change comes from behind the cuts at {told}")
    place = leaks.index(worst)
    mode = " in training" if place >= len(cuts) else ""
    return Finding("causality", False, worst, f"outputs before token {cuts[place % len(cuts)]} see later ones{mode}")


def leaks_at(specimen: Specimen, cuts: Sequence[int]) -> list[float]:
    """Return for each of `cuts` how much of what stands behind it comes to what stands before."""
    tokens, network = specimen.tokens(specimen.length), specimen.network
    embedded, hidden = traced(network, tokens, positions(tokens), None)
    before, leaks = specimen.read(network, tokens), []
    for cut in cuts:
        leak = influence(embedded, hidden[:, :cut])[cut:].max()
        changed = tokens.clone()
        changed[:, cut:] = (changed[:, cut:] + 1) % network.geometry.vocab_size
        moved = difference(specimen.read(network, changed)[:, :cut], before[:, :cut])
        leaks.append(max(float(leak), moved))
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
    words = "no gradient and no change crosses a border, and each document is read as if alone"
    failed = "no document sees another, but packed ones are read otherwise than alone"
    return Finding("packing", apart <= SAME, apart, words if apart <= SAME else failed)


def packed(specimen: Specimen) -> tuple[Tensor, Tensor, Tensor, list[int]]:
    """Return tokens, positions and documents [1, S] of a row of three documents, the middle one long, and lengths."""
    lengths = [max(specimen.length // 5, 1), specimen.length, max(specimen.length // 8, 1)]
    tokens = specimen.tokens(sum(lengths))
    places = torch.cat([torch.arange(length) for length in lengths])[None].to(specimen.device)
    documents = torch.repeat_interleave(torch.arange(3), torch.tensor(lengths))[None].to(specimen.device)
    return tokens, places, documents, lengths


def crossings(specimen: Specimen) -> Iterator[float]:
    """Yield how much other documents of a packed row move each, by gradients over its own and by a change of tokens."""
    tokens, places, documents, _ = packed(specimen)
    embedded, hidden = traced(specimen.network, tokens, places, documents)
    before = read_packed(specimen, tokens, places, documents)
    for number in range(3):
        inside = documents[0] == number
        moved = influence(embedded, hidden[:, inside])
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
