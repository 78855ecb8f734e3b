"""What is legal and may surprise: settings out of proportion to the lengths, and temperatures that multiply."""

from collections.abc import Iterator

import torch

from ctxext.config.schema import Run
from ctxext.config.traits import chosen, end_of, in_layers, numbers, option, scored, sizes_of
from ctxext.mask.receptive_field import receptive_field
from ctxext.maths import rotary


def ramp_at_once(run: Run) -> Iterator[str]:
    """YaRN's ramp leaves fast pairs as they are only if the trained length is long enough for them to turn often."""
    position, width = run.position, sizes_of(run).head_dim
    if hasattr(position, "beta_fast") and getattr(position, "factor", 0) != 1:
        trained = position.original_max_position_embeddings
        ramp = rotary.ramp(position.beta_fast, position.beta_slow, position.rope_theta, width, trained)
        if int((ramp == 0).sum()) <= 1:
            yield (
                f"{chosen(run, 'position')} leaves no rotary pair but the fastest as it was: at"
                f" base.trained_length={trained} and a head of {width}, its ramp begins at once"
            )


def two_temperatures(run: Run) -> Iterator[str]:
    """A factor on cosine and sine multiplies with what the attention multiplies logits by."""
    position = run.position.at(run.context_length) if hasattr(run.position, "at") else run.position
    sharpened = float(getattr(position, "amplitude", 1.0)) ** 2
    queries, keys = end_of(run.context_length)
    scales = [
        float(scale.max())
        for mask in in_layers(run, run.mask)
        for layer in in_layers(run, run.attention)
        if hasattr(layer, "scale") and callable(layer.scale)
        if (scale := layer.scale(queries, keys, scored(layer, mask))) is not None
    ]
    if sharpened != 1 and scales and max(scales) != 1:
        yield (
            f"two temperatures multiply: {chosen(run, 'position')} multiplies logits by {sharpened:.4g} and"
            f" {chosen(run, 'attention')} by up to {max(scales):.4g} at context_length={run.context_length},"
            f" together {sharpened * max(scales):.4g}"
        )


def low_theta(run: Run) -> Iterator[str]:
    """Below some theta, tokens that are alike are scored lower than others at some distance (2405.14591)."""
    position, name, width = run.position, option(run, "position"), sizes_of(run).head_dim
    if name not in ("rope", "rope_abf") or not hasattr(run.model, "sizes"):
        return
    length = run.base.trained_length if name == "rope" else run.context_length
    distances = torch.arange(length, dtype=torch.float64)[:, None]
    alike = (distances * position.frequencies(width).double()).cos().mean(dim=1)
    below = torch.nonzero(alike < 0)
    if len(below):
        yield (
            f"{numbers(run, 'position')} is low for {length} tokens: from distance {int(below[0])} on, a key like the"
            " query may score below one that isn't (2405.14591)"
        )


def short_sighted(run: Run) -> Iterator[str]:
    """What the last token can't learn of through all layers together can't count."""
    length, depth = run.context_length, sizes_of(run).num_hidden_layers
    if (field := receptive_field(run.mask, depth)) < length:
        yield (
            f"{numbers(run, 'mask')} lets a token learn of the {field} before it through {depth} layers together, and"
            f" context_length={length} lies beyond"
        )


def digits_out_of_range(run: Run) -> Iterator[str]:
    """The digits of a position must each have been seen, and be enough for the target."""
    position, trained = run.position, run.base.trained_length
    if not hasattr(position, "radix"):
        return
    if position.radix > trained:
        yield f"position.radix={position.radix} is above base.trained_length={trained}: no second digit is seen there"
    if position.radix**position.dims < run.context_length:
        yield (
            f"position.dims={position.dims} digits of position.radix={position.radix} count to"
            f" {position.radix**position.dims}, so that the top digit outgrows context_length={run.context_length}"
        )


def constant_normaliser(run: Run) -> Iterator[str]:
    """FIRE divides by the query's place only beyond its floor."""
    floor, trained = getattr(run.position, "normaliser_floor", 0), run.base.trained_length
    if floor >= trained:
        yield (
            f"position.normaliser_floor={floor} is not below base.trained_length={trained}, so that"
            f" {chosen(run, 'position')} is trained with a constant normaliser"
        )


REMARKS = (short_sighted, ramp_at_once, two_temperatures, low_theta, digits_out_of_range, constant_normaliser)
