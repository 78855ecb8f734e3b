"""How a position turns heads: phases exact far out, frequencies and amplitudes as the formulas have them.

Shapes: D head width, P pairs of it, H heads, S tokens.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import torch
from torch import Tensor

from ctxext.places import Places
from ctxext.proving.finding import Finding, absent
from ctxext.proving.formulas import in_body, turning
from ctxext.proving.specimen import Specimen
from ctxext.proving.turning import Turning
from ctxext.seams import Position

Turn = Callable[[Tensor, Places], Tensor]

FAR = 100_003
"""A position that neither bfloat16 nor float16 can hold."""
PHASE = 0.03
"""The largest error in radians at FAR: in float32 the angle itself is rounded by 0.004."""
ROUNDED = 0.02
"""The largest error of a turned head in bfloat16, whose numbers are rounded by 0.004."""
EXACT = 1e-5
"""The largest relative error of an angle or an amplitude against its formula; float32 rounds by 1e-6."""
TINY = 1e-12  # what an angle that should be 0 is compared with
UNEVEN = 0.15
"""How much more of its frequency a pair may keep than a faster one, since some methods round wavelengths to tokens."""


def overrides(position: object, *hooks: str) -> bool:
    """Return whether `position` has one of the `hooks` for its own."""
    return any(getattr(type(position), hook) is not getattr(Position, hook) for hook in hooks)


def place(position: int, length: int, device: torch.device) -> Places:
    """Return where one token at `position` stands in a text of `length` tokens."""
    whole = Places.of(torch.arange(length, device=device)[None])
    return whole.part(length - 1, length).at(torch.tensor([[position]], device=device))


def turned(turn: Turn, width: int, places: Places, dtype: torch.dtype = torch.float32) -> Tensor:
    """Return what `turn` makes of each unit vector at the one token of `places`, [D, D] in double."""
    basis = torch.eye(width, dtype=dtype, device=places.columns.device)
    return torch.cat([turn(row[None, None, None], places) for row in basis])[:, 0, 0].double()


def without_amplitude(matrix: Tensor) -> Tensor:
    """Return `matrix` [D, D], whose rows are turned unit vectors, with rows of length 1: some methods stretch pairs."""
    return torch.nn.functional.normalize(matrix, dim=1, eps=0.0)


def layers(specimen: Specimen) -> Iterator[tuple[Any, Any]]:
    """Yield for each layer its position and that of the base."""
    for (position, *_), (base, *_) in zip(specimen.network.members, specimen.base.members, strict=True):
        yield position, base


def head_width(specimen: Specimen) -> int:
    """Return the width of a head."""
    width: int = specimen.network.geometry.sizes.head_dim
    return width


@torch.no_grad()
def phases(specimen: Specimen) -> Finding:
    """Return whether angles at a far position are exact: a turn by its angle in double, and the same under autocast.

    What is added to logits or embeddings must not change under autocast either.
    """
    if not specimen.has_heads or not any(overrides(p, "rotate", "bias", "embed") for p, _ in layers(specimen)):
        return absent("phases", "no position is computed")
    wrong, lossy, proportional = 0.0, "", False
    far = min(FAR, (specimen.limit(specimen.network) or FAR + 1) - 1)
    for position, _ in layers(specimen):
        if overrides(position, "rotate"):
            proportional = position.period() == 1
            wrong = max(wrong, *(turn_error(specimen, turn, far, proportional) for turn in turns(position)))
        lossy = lossy or lossy_hook(specimen, position, far)
    if lossy:
        return Finding("phases", False, None, f"under bfloat16 autocast the {lossy} at position {far} is another")
    if wrong > PHASE:
        return Finding(
            "phases", False, wrong, f"heads at position {far} are turned wrongly, as by angles that were rounded"
        )
    told = "heads are turned as by angles in double, also" if proportional else "all is the same"
    return Finding("phases", True, wrong, f"at position {far} {told} under bfloat16 autocast")


def turns(position: Any) -> tuple[Turn, ...]:
    """Return how `position` turns queries and keys."""
    return position.rotate, position.rotate_keys


def turn_error(specimen: Specimen, turn: Turn, far: int, proportional: bool) -> float:
    """Return by how much `turn` at position `far` differs from as many turns by 1 in double, also under autocast."""
    width, device = head_width(specimen), specimen.device
    found = turned(turn, width, place(far, 1, device))
    with torch.autocast(device.type, dtype=torch.bfloat16):
        cast = turned(turn, width, place(far, 1, device))
        rounded = turned(turn, width, place(far, 1, device), torch.bfloat16)
    size = float(found.abs().max())
    errors = [float((cast - found).abs().max()) / size, float((rounded - found).abs().max()) / size - ROUNDED]
    if proportional:
        step = without_amplitude(turned(turn, width, place(1, 1, device)))
        expected = torch.linalg.matrix_power(step, far)
        errors.append(float((without_amplitude(found) - expected).abs().max()))
    return max(errors)


def lossy_hook(specimen: Specimen, position: Any, far: int) -> str:
    """Return which hook of `position` gives other numbers under autocast at position `far`, or nothing."""
    sizes, device = specimen.network.geometry.sizes, specimen.device
    query, key = place(far, 1, device), place(0, 1, device)
    x = torch.ones(1, 1, sizes.hidden_size, device=device)
    asked: dict[str, Callable[[], Tensor | None]] = {
        "bias": lambda: position.bias(query, key, sizes.num_attention_heads),
        "embedding": lambda: position.embed(x, query),
    }
    for name, ask in asked.items():
        expected = ask()
        with torch.autocast(device.type, dtype=torch.bfloat16):
            found = ask()
        if expected is not None and found is not None and not torch.equal(found, expected):
            return name
    return ""


@torch.no_grad()
def frequencies(specimen: Specimen) -> Finding:
    """Return whether pairs of heads turn and grow as the position's formula says, or as every published scaling does.

    The latter, where the class is the user's own, is a rule that most mistakes of a blend break.
    """
    errors = [error_at(specimen, *asked_for) for asked_for in asked(specimen)] if specimen.has_heads else []
    if not errors:
        return scaled(specimen)
    name, worst = type(specimen.network.position).__name__, max(errors)
    words = f"pairs turn and grow as they should, held against the formula of {name}"
    failed = f"pairs turn or grow otherwise than by the formula of {name}"
    return Finding("frequencies", worst <= EXACT, worst, words if worst <= EXACT else failed)


def asked(specimen: Specimen) -> Iterator[tuple[Any, int, Turning]]:
    """Yield each layer's position, the trained and the target length, and how the formula turns heads there, if known.

    Those that turn alike, and should, are asked once.
    """
    whole, count = specimen.network.position, len(specimen.network.members)
    known: list[tuple[Any, int, Turning]] = []
    for length in (specimen.trained_length, specimen.target_length):
        for layer, (position, *_) in enumerate(specimen.network.members):
            width, here = head_width(specimen), (layer, count)
            chosen = turning(whole, width, length, here)
            expected = chosen and (in_body(specimen.network.geometry, width, here) or chosen)
            if expected is not None and (position, length, expected) not in known:
                known.append((position, length, expected))
                yield position, length, expected


def error_at(specimen: Specimen, position: Any, length: int, expected: Turning) -> float:
    """Return the largest relative error of angle and growth of `position` in a text of `length` tokens."""
    width, device = head_width(specimen), specimen.device
    origin = turned(position.rotate_keys, width, place(0, length, device))
    errors = []
    for step in [max(expected.radix, 1) ** digit for digit in range(expected.dims)]:
        here = place(step, length, device)
        queries, keys = turned(position.rotate, width, here), turned(position.rotate_keys, width, here)
        angles = [
            min(relative(angle, candidate) for candidate in expected.candidates(step))
            for angle in (angles_of(queries, expected.width), angles_of(keys, expected.width))
        ]
        grown = growth_of(queries, expected.width) * growth_of(origin, expected.width)
        errors += [*angles, relative(grown, expected.growth(step))]
    return max(errors)


def relative(found: Tensor | None, expected: Sequence[float]) -> float:
    """Return the largest error of `found` over each of the `expected` numbers; infinite where nothing was found."""
    if found is None:
        return float("inf")
    numbers = torch.tensor(expected, dtype=torch.float64, device=found.device)
    return float(((found - numbers).abs() / numbers.abs().clamp(min=TINY)).max())


def scaled(specimen: Specimen) -> Finding:
    """Return whether a scaling keeps the fast pairs of heads and slows the slow ones, by its factor where it has one.

    Every published one divides the frequencies by numbers that rise from pair to pair, from about 1 or more up to the
    factor (in dynamic ones more). A blend that is inverted, or a factor that is ignored, does not.
    """
    if not specimen.has_heads or not any(overrides(position, "rotate") for position, _ in layers(specimen)):
        return absent("frequencies", "positions turn no heads")
    if not specimen.extends:
        return absent("frequencies", "heads are turned by a class of your own, which scales no other")
    shares = [kept for pair in layers(specimen) if (kept := kept_shares(specimen, *pair)) is not None]
    if not shares:
        return absent("frequencies", "heads are turned as the base turns them, or not in pairs")
    rise = max(float((kept - kept.cummin(dim=0).values).max()) for kept in shares)
    fastest, slowest = max(float(kept[0]) for kept in shares), max(float(kept[-1]) for kept in shares)
    told = f"of its frequency the fastest pair keeps {fastest:.3g}, the slowest {slowest:.3g}"
    factor = getattr(specimen.network.position, "factor", 1.0)
    if rise > UNEVEN or fastest > 1 + UNEVEN:
        return Finding("frequencies", False, rise, f"{told}: a slower pair keeps more than a faster one")
    most, least = (
        (1 + UNEVEN) / factor,
        (1 - UNEVEN) / max(factor, specimen.target_length / specimen.trained_length) ** 2,
    )
    if factor != 1 and not least <= slowest <= most:
        return Finding("frequencies", False, slowest, f"{told}, which isn't what factor {factor:g} asks for")
    at_factor = f", at factor {factor:g}" * (factor != 1)
    return Finding("frequencies", True, slowest, f"{told}{at_factor}; your own class, held against a rule alone")


def kept_shares(specimen: Specimen, position: Any, base: Any) -> Tensor | None:
    """Return what share of its frequency each pair keeps [D / 2], fastest first, at the target length.

    None where heads are turned as by the base, or not in the pairs (i, i + D / 2).
    """
    width, where = head_width(specimen), place(1, specimen.target_length, specimen.device)
    found, expected = turned(position.rotate, width, where), turned(base.rotate, width, where)
    angles, before = angles_of(found, width), angles_of(expected, width)
    if torch.equal(found, expected) or angles is None or before is None or not bool((before > 0).all()):
        return None
    return angles / before


def angles_of(matrix: Tensor, width: int) -> Tensor | None:
    """Return the angles [P] by which `matrix` [D, D] turns the pairs of `width` dimensions; None if it does more."""
    half = width // 2
    cosine, sine = matrix[:half, :half].diagonal(), matrix[:half, half : 2 * half].diagonal()
    below = matrix[half : 2 * half]
    same = (
        (matrix[:half].square().sum(dim=1), cosine.square() + sine.square()),
        (below[:, half : 2 * half].diagonal(), cosine),
        (below[:, :half].diagonal(), -sine),
    )
    is_turn = all(torch.allclose(found, expected, rtol=1e-4, atol=1e-6) for found, expected in same)
    left = matrix[2 * half :] - torch.eye(matrix.shape[0]).to(matrix)[2 * half :]
    return torch.atan2(sine, cosine) if is_turn and not bool(left.any()) else None


def growth_of(matrix: Tensor, width: int) -> Tensor:
    """Return by what `matrix` [D, D], whose rows are turned unit vectors, stretches the pairs of `width` [P]."""
    return matrix[: width // 2].square().sum(dim=1).sqrt()
