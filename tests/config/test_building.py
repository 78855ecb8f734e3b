"""From a composed config to typed objects."""

import math
from collections.abc import Callable

import pytest
from omegaconf import DictConfig, OmegaConf, open_dict

from ctxext.config.building import build
from ctxext.config.schema import Run
from ctxext.position.rope import Yarn
from ctxext.refusal import Refusal
from ctxext.training.settings import Trainer


def test_a_run_holds_objects_and_plain_values_only(built: Callable[..., Run]) -> None:
    run = built("+method=yarn", "context_length=512")
    assert isinstance(run.trainer, Trainer)
    assert type(run.evaluation.lengths) is list
    assert run.position == Yarn(10000.0, 2.0, 256, 32.0, 1.0, 0.1 * math.log(2) + 1)


def test_a_typed_factor_is_used_and_what_follows_from_it_follows(built: Callable[..., Run]) -> None:
    assert built("position=yarn", "position.factor=8").position.attention_factor == pytest.approx(1.2079442)


def test_derived_lengths_follow_the_base(built: Callable[..., Run]) -> None:
    run = built("+method=streaming_llm", "base=none", "base.trained_length=512", "context_length=2048")
    assert (run.mask.sinks, run.mask.window) == (4, 508)
    assert built("+method=self_extend").attention.group == 7


@pytest.mark.parametrize(
    ("path", "target"),
    [
        ("position", "os.system"),
        ("position", "ctxext.mask.causal.Causal"),
        ("position", "ctxext.position.rope.Scaled"),
        ("dataset", "builtins.open"),
        ("trainer", "os.system"),
        ("trainer.steps", "os.system"),
        ("position.rope_theta", "os.system"),
        ("dataset.errors", "ctxext.mask.causal.Causal"),
    ],
)
def test_no_other_class_is_ever_called(path: str, target: str, composed: Callable[..., DictConfig]) -> None:
    plain = OmegaConf.to_container(composed(), resolve=True)
    config = OmegaConf.create(plain)
    if "." in path:
        OmegaConf.update(config, path, {"_target_": target}, merge=False)
    else:
        OmegaConf.update(config, f"{path}._target_", target)
    with pytest.raises(Refusal, match=path.split(".")[0]):
        build(config)


@pytest.mark.parametrize("key", ["_partial_", "_recursive_", "_convert_", "_args_"])
def test_hydras_own_words_are_unknown_keys(key: str, composed: Callable[..., DictConfig]) -> None:
    config = composed()
    with open_dict(config.position):
        config.position[key] = True
    with pytest.raises(Refusal, match=f"position.{key}: position=rope takes no"):
        build(config)


def test_a_key_that_an_own_option_file_forgot_is_named(composed: Callable[..., DictConfig]) -> None:
    config = composed("position=yarn")
    with open_dict(config.position):
        del config.position["beta_fast"]
    with pytest.raises(Refusal, match=r"position\.beta_fast is missing; position=yarn needs it"):
        build(config)
