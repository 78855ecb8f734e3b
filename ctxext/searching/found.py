"""What was found, as option files for any later run: `position=longrope_found` and `+method=longrope_found`."""

from collections.abc import Mapping
from pathlib import Path

import yaml

NAME = "longrope_found"
PAPER = "# paper: Ding et al. 2024, 2402.13753"
POSITION = """\
# LongRoPE by `ctxext search`: the factors that were found for {base}, from {trained} to {length} tokens.
{paper}
# trained: training-free
# neutral: never (attention_factor multiplies at any length)
# exports: hf llama longrope
"""
METHOD = """\
# @package _global_
# LongRoPE by `ctxext search`: the factors that were found for {base}, from {trained} to {length} tokens.
{paper}
defaults:
  - override /position: {name}

name: {name}
"""


def write_options(folder: Path, target: str, settings: Mapping[str, object], facts: Mapping[str, object]) -> list[Path]:
    """Write into `folder` the option of position that makes the class `target` with `settings`, and its overlay.

    `facts` are the `base`, and the `trained` and the searched `length`, that the comments tell. Return both paths.
    """
    position, method = (folder / group / f"{NAME}.yaml" for group in ("position", "method"))
    for path in (position, method):
        path.parent.mkdir(parents=True, exist_ok=True)
    keys = yaml.safe_dump({"_target_": target, **settings}, sort_keys=False, default_flow_style=None, width=10**6)
    position.write_text(POSITION.format(**facts, paper=PAPER) + keys, encoding="utf-8")
    method.write_text(METHOD.format(**facts, paper=PAPER, name=NAME), encoding="utf-8")
    return [position, method]
