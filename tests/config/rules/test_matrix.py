"""The matrix, against the table of the reference as it stands there: fine, needs care, refused."""

from collections.abc import Callable, Iterator
from dataclasses import replace

import pytest

from ctxext.config import legality
from ctxext.config.legality import notes
from ctxext.config.rules import matrix
from ctxext.config.schema import Run
from ctxext.refusal import Refusal

# A column of the table, and the options that stand in it.
COLUMNS = [
    ("mask", ("sliding_window", "layered", "layered_chunks", "dilated", "chunked", "global_local", "adaptive_window")),
    ("mask", ("sinks", "lambda_mask")),
    ("attention", ("shifted_sparse",)),
    ("attention", ("recurrence",)),
    ("attention", ("self_extend", "rerope", "dual_chunk")),
    ("attention", ("linear", "retention")),
]
# + is fine, ! needs care, x is refused.
ROWS = {
    "sinusoidal learned learned_interp": "+!+xx+",
    "rope rope_interp rope_ntk rope_by_parts yarn llama3 rope_abf p_rope partial_rope gemma3_rope": "+++++!",
    "longrope": "+!+!!!",
    "rope_dynamic_ntk dynamic_yarn": "+!+xxx",
    "clipped_rope resonance_rope": "+++++!",
    "xpos grid_rope": "+!+!x!",
    "alibi t5_bias kerple fire": "++++xx",
    "cope": "!!!!xx",
    "nope drope": "++++x+",
}


def cells() -> Iterator[tuple[str, str, str, str]]:
    for names, signs in ROWS.items():
        for sign, (slot, others) in zip(signs, COLUMNS, strict=True):
            yield from ((position, slot, other, sign) for position in names.split() for other in others)


@pytest.mark.parametrize(("position", "slot", "other", "sign"), list(cells()))
def test_a_cell_is_fine_or_refused_or_said_in_a_line(
    position: str, slot: str, other: str, sign: str, small: Callable[..., Run]
) -> None:
    run = small(position=position, **{slot: other})
    both = (f"position={position}", f"{slot}={other}")
    if sign == "x":
        with pytest.raises(Refusal) as caught:
            legality.check(run)
        assert all(choice in str(caught.value) for choice in both)
        return
    legality.check(run)
    said = [line for line in matrix.delicate(run) if all(choice in line for choice in both)]
    assert len(said) == (sign == "!")
    assert set(said) <= set(notes(run))


SAMPLED = dict(zip(ROWS, "++!!+!+xx", strict=True))


@pytest.mark.parametrize("sampler", ["pose", "randomized"])
@pytest.mark.parametrize(
    ("position", "sign"), [(name, sign) for names, sign in SAMPLED.items() for name in names.split()]
)
def test_positions_drawn_in_training_are_fine_or_refused_or_said_in_a_line(
    position: str, sign: str, sampler: str, small: Callable[..., Run]
) -> None:
    run = small(position=position)
    run = replace(run, trainer=replace(run.trainer, positions=sampler, max_position=64))
    both = (f"position={position}", f"trainer.positions={sampler}")
    if sign == "x":
        with pytest.raises(Refusal) as caught:
            legality.check(run)
        assert all(choice in str(caught.value) for choice in both)
        assert str(caught.value).endswith("; use position=rope, or trainer.positions=as_laid")
        return
    legality.check(run)
    assert len([line for line in notes(run) if all(choice in line for choice in both)]) == (sign == "!")


@pytest.mark.parametrize("option", [name for names in ROWS for name in names.split()])
def test_every_kind_of_position_is_told_by_what_it_does(option: str, small: Callable[..., Run]) -> None:
    (kind,) = {matrix.kind(small(position=option)) for _ in range(2)}
    like = next(names.split()[0] for names in ROWS if option in names.split())
    assert kind == matrix.kind(small(position=like))


@pytest.mark.parametrize("attention", ["linear", "retention", "infini"])
@pytest.mark.parametrize("mask", ["sliding_window", "sinks"])
def test_what_sums_up_the_past_bears_no_mask_by_distance(attention: str, mask: str, small: Callable[..., Run]) -> None:
    with pytest.raises(Refusal, match=f"attention={attention} sums up the whole past, and mask={mask} would hide"):
        legality.check(small(attention=attention, mask=mask))
    legality.check(small(attention=attention, mask="causal"))


def test_a_position_that_is_not_in_the_table_has_a_row_by_its_traits(small: Callable[..., Run]) -> None:
    class Unheard(type(small(position="alibi").position)):  # type: ignore[misc]
        """A bias that nobody has written yet."""

    run = replace(small(attention="linear"), position=Unheard())
    with pytest.raises(Refusal, match=r"Unheard adds to logits, and attention=linear has none; use position=rope"):
        legality.check(run)
