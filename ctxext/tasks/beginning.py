"""Samples that begin as every text of a tokenizer does: with the tokens of the material's `beginning`, if any."""

from dataclasses import replace

from ctxext.refusal import Refusal, require
from ctxext.tasks.samples import Dictated, Material, Place, Sample, Task


def begun(task: Task, place: Place, material: Material) -> Sample:
    """Return the sample of `task` at `place`, whose first tokens are the beginning of every text.

    They count in its length: the task fills what they leave. A length without room for both is refused.
    """
    beginning = list(material.beginning)
    if not beginning:
        return task.sample(place, material)
    size, words = len(beginning), f"the tokenizer begins every text with {len(beginning)}"
    name = f"evaluation.lengths: the task {place.task} needs"
    require(place.length == 0 or place.length > size, f"{name} more than {size} tokens, got {place.length}; {words}")
    try:
        sample = task.sample(replace(place, length=max(place.length - size, 0)), material)
    except Refusal as refusal:
        raise Refusal(f"{refusal}; and {size} more, since {words}") from refusal
    shifted = [size + position for position in sample.positions]
    sample = replace(sample, place=place, tokens=beginning + sample.tokens, positions=shifted)
    if isinstance(sample, Dictated):
        return replace(sample, labels=[size + label for label in sample.labels])
    return sample
