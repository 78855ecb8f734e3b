"""What of the weights is trained: adapters, what they can be attached to, and settings that would do nothing."""

from collections.abc import Iterator
from dataclasses import fields

from ctxext.config.schema import Run
from ctxext.config.traits import chosen
from ctxext.model.geometry import LstmGeometry
from ctxext.training.adapters import check_targets, linear, projections, require_peft
from ctxext.training.settings import EMBEDDINGS, WITHOUT, Trainer


def without_blocks(run: Run) -> Iterator[str]:
    """An LSTM has no blocks, to which an adapter is attached, or whose activations are computed again."""
    if isinstance(run.model, LstmGeometry):
        lacking = f"{chosen(run, 'model')} has no blocks"
        if run.trainer.adapter != WITHOUT:
            yield f"{lacking} that trainer.adapter={run.trainer.adapter} could be attached to; use trainer.adapter=none"
        if run.trainer.gradient_checkpointing:
            yield f"{lacking} that trainer.gradient_checkpointing could compute again; drop it"


def adapts_nothing(run: Run) -> Iterator[str]:
    """An adapter is of use in training alone, and its settings with it alone."""
    name = run.trainer.adapter
    if name == WITHOUT:
        typed = [key for key in adapting() if getattr(run.trainer, key) != getattr(plain(), key)]
        for key in typed:
            inert = f"trainer.{key}={getattr(run.trainer, key)} could have no effect with trainer.adapter={WITHOUT}"
            yield f"{inert}; add trainer.adapter=lora, or drop it"
    elif run.trainer.steps == 0:
        yield f"trainer.adapter={name} could have no effect, since trainer.steps=0 trains nothing; drop it"


def targets(run: Run) -> Iterator[str]:
    """An adapter needs peft, and projections of the model to target."""
    if run.trainer.adapter != WITHOUT:
        import torch

        require_peft()
        with torch.device("meta"):  # the names alone
            check_targets(run.trainer.lora_targets, projections(run.model.block()))
        names = run.trainer.lora_targets
        yield from (f"trainer.lora_targets names {name} more than once" for name in {*names} if names.count(name) > 1)


def adapting() -> list[str]:
    """Return the settings of the trainer that act with an adapter alone."""
    return [field.name for field in fields(Trainer) if field.name.startswith("lora_")]


def plain() -> Trainer:
    """Return settings whose adapter is as by default."""
    return Trainer(1, 1, 1, 1.0, 1.0, 0, 0.0, 0.0, 0.0, 1.0, 1, 2, "auto", "auto", False)


RULES = (without_blocks, adapts_nothing, targets)


def tied(run: Run) -> Iterator[str]:
    """Embeddings that are the unembedding too are trained as both."""
    has_both = EMBEDDINGS in run.trainer.lora_trained and getattr(run.model, "tie_word_embeddings", False)
    if run.trainer.adapter != WITHOUT and has_both:
        yield (
            "trainer.lora_trained holds embeddings, which are tied: the unembedding is the same weight, so that it is"
            " trained too"
        )


def forgetful(run: Run) -> Iterator[str]:
    """A longer context is hardly learnt without embeddings and norms."""
    missing = [name for name in plain().lora_trained if name not in run.trainer.lora_trained]
    if run.trainer.adapter != WITHOUT and missing:
        left = " and ".join(missing)
        yield f"trainer.lora_trained leaves {left} as they are, without which LoRA hardly learns longer contexts"


def too_wide(run: Run) -> Iterator[str]:
    """A matrix has no higher rank than its smaller side."""
    if run.trainer.adapter != WITHOUT:
        import torch

        with torch.device("meta"):  # the sizes alone
            parts = linear(run.model.block())
        sides = {name.rpartition(".")[2]: min(part.weight.shape) for name, part in parts.items()}
        narrow = [name for name in run.trainer.lora_targets if sides[name] < run.trainer.lora_rank]
        if narrow:
            least = min(sides[name] for name in narrow)
            yield (
                f"trainer.lora_rank={run.trainer.lora_rank} is above the smaller side of {' and '.join(narrow)}"
                f" ({least} at the least), and has no effect beyond it"
            )


REMARKS = (tied, forgetful, too_wide)
