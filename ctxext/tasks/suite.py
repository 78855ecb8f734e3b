"""All tasks by name, with their parameters: the schema of `evaluation.parameters`."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

from ctxext.tasks.common_words import CommonWords
from ctxext.tasks.facts_qa import FactsQa
from ctxext.tasks.frequent_words import FrequentWords
from ctxext.tasks.mqar import Mqar
from ctxext.tasks.needles import Needles
from ctxext.tasks.passkey import Passkey
from ctxext.tasks.samples import Material, Place, Sample, Task
from ctxext.tasks.strings import BucketSort, Copy, Parity, Reverse
from ctxext.tasks.variable_tracking import VariableTracking


@dataclass
class Suite:
    """A field for each task; what its parameters mean stands beside them in conf/evaluation/default.yaml.

    A task is a dataclass that isn't frozen, since OmegaConf lets no one set the fields of a frozen one.
    """

    passkey: Passkey
    niah_single: Needles
    niah_multikey: Needles
    niah_multivalue: Needles
    niah_multiquery: Needles
    variable_tracking: VariableTracking
    common_words: CommonWords
    frequent_words: FrequentWords
    facts_qa: FactsQa
    mqar: Mqar
    copy: Copy
    reverse: Reverse
    parity: Parity
    bucket_sort: BucketSort

    def task(self, name: str) -> Task:
        """Return the task called `name`, one of `TASKS`."""
        found: Task = getattr(self, name)
        return found

    def sample(self, place: Place, material: Material) -> Sample:
        """Return the sample at `place`."""
        return self.task(place.task).sample(place, material)


TASKS = tuple(field.name for field in dataclasses.fields(Suite))
