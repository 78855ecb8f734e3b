"""The jobs of a sweep whose values are all named: each combination of them is one."""

import itertools
from collections.abc import Iterator, Mapping, Sequence

from hydra.core.override_parser.overrides_parser import OverridesParser

from ctxext.refusal import require


def combinations(overrides: Sequence[str], params: Mapping[str, str]) -> Iterator[list[str]]:
    """Yield the overrides of each job of a sweep over `params` and `overrides`, in Hydra's order; later ones win."""
    words = [f"{key}={value}" for key, value in params.items()] + list(overrides)
    choices: dict[str, list[str]] = {}
    for override in OverridesParser.create().parse_overrides(words):
        key = override.get_key_element()
        if override.is_sweep_override():
            require(override.is_discrete_sweep(), f"{override.input_line}: a sweep must name its values")
            choices[key] = [f"{key}={value}" for value in override.sweep_string_iterator()]
        else:
            choices[key] = [str(override.input_line)]
    yield from (list(job) for job in itertools.product(*choices.values()))
