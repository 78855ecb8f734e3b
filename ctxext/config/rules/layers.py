"""What acts in some layers or heads of a model alone: it must fall to one, and all that is dealt must find one."""

from collections.abc import Iterator

from ctxext.config.schema import Run
from ctxext.config.traits import chosen, sizes_of
from ctxext.mask.dilated import Dilated
from ctxext.mask.layered import Layered


def intervals(run: Run) -> Iterator[str]:
    """What acts in each n-th layer needs n layers."""
    count = sizes_of(run).num_hidden_layers
    for slot, neutral in (("position", "position=rope"), ("attention", "attention=softmax")):
        interval = getattr(getattr(run, slot), "interval", 1)
        if interval > count:
            none = f"no layer is such, and {chosen(run, slot)} is exactly {neutral}"
            advice = f"choose at most {count}, or {neutral}" if count > 1 else f"use {neutral}"
            yield f"{slot}.interval={interval} is above model.num_hidden_layers={count}, so that {none}; {advice}"


def long_layers_alone(run: Run) -> Iterator[str]:
    """A pattern of masks must give some layer a narrow one."""
    mask, count = run.mask, sizes_of(run).num_hidden_layers
    if isinstance(mask, Layered) and set(mask.letters(count)) == {"L"}:
        yield (
            f"mask.pattern={mask.pattern} gives model.num_hidden_layers={count} long layers alone, so that"
            f" {chosen(run, 'mask')} could have no effect; put an S or a C near its end, or use"
            " mask=document"
        )


def dilations(run: Run) -> Iterator[str]:
    """Dilations are dealt to the heads: each must find one, and some must leave holes."""
    mask, count = run.mask, sizes_of(run).num_attention_heads
    if not isinstance(mask, Dilated):
        return
    typed = f"mask.dilations={mask.dilations}"
    if len(mask.dilations) > count:
        left = mask.dilations[count:]
        yield (
            f"{typed} are more than model.num_attention_heads={count}, so that {left} would fall to none; give at most"
            f" {count}, or use mask=sliding_window"
        )
    if max(mask.dilations) == 1:
        same = f"mask=sliding_window with mask.window={mask.window}"
        yield (
            f"{typed} leave no holes, so that {chosen(run, 'mask')} is exactly {same}; put in a larger one, or use"
            " mask=sliding_window"
        )


RULES = (intervals, long_layers_alone, dilations)
