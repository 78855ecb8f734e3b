"""From a composed config to typed objects."""

import math
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from omegaconf import DictConfig, OmegaConf, open_dict

from ctxext.config.building import build
from ctxext.config.folders import including, targets
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
    assert built("+method=self_extend").attention.group == 8


@pytest.mark.parametrize(
    ("path", "target"),
    [
        ("position", "os.system"),
        ("position", "ctxext.mask.causal.Document"),
        ("position", "ctxext.position.rope.Scaled"),
        ("dataset", "builtins.open"),
        ("trainer", "os.system"),
        ("trainer.steps", "os.system"),
        ("position.rope_theta", "os.system"),
        ("dataset.errors", "ctxext.mask.causal.Document"),
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


OWN = {
    "own_squares.Squared": "",
    "own_squares.Plain": "position._target_ must be a dataclass made from ctxext.seams.Position, got own_squares.Plain",
    "own_squares.Missing": "position._target_=own_squares.Missing can't be imported",
    "nowhere.Squared": "put the folder of its module on PYTHONPATH",
    "Squared": "position._target_=Squared can't be imported",
    "ctxext.mask.document.IntraDocument": "must be a dataclass made from ctxext.seams.Position",
}
MODULE = """
from dataclasses import dataclass
from ctxext.position.rope import Rope

@dataclass(frozen=True)
class Squared(Rope): ...

class Plain: ...
"""


@pytest.mark.parametrize(("target", "fragment"), list(OWN.items()))
def test_a_class_of_ones_own_is_made_where_its_folder_is_given(
    target: str, fragment: str, composed: Callable[..., DictConfig], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "own_squares.py").write_text(MODULE, encoding="utf-8")
    (tmp_path / "position").mkdir()
    (tmp_path / "position" / "squared.yaml").write_text(f"_target_: {target}\nrope_theta: 10000.0\n", encoding="utf-8")
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "own_squares", raising=False)
    config = composed()
    config.position._target_ = target

    with pytest.raises(Refusal, match=r"position\._target_ must be one of ctxext\.position"):
        build(config)
    assert "own_squares" not in sys.modules

    with including(tmp_path):
        if fragment:
            with pytest.raises(Refusal) as caught:
                build(config)
            assert fragment in str(caught.value)
        else:
            assert type(build(config).position).__name__ == "Squared"


def test_a_packaged_option_wins_over_ones_own_of_its_name(tmp_path: Path) -> None:
    (tmp_path / "position").mkdir()
    (tmp_path / "position" / "yarn.yaml").write_text("_target_: os.system\n", encoding="utf-8")
    with including(tmp_path):
        assert "os.system" not in targets("position").values()


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


@pytest.mark.parametrize("nearest", ["model=tiny", "position=rope"])
def test_what_is_near_a_position_that_reads_a_size_of_other_models_is_legal(
    nearest: str, built: Callable[..., Run]
) -> None:
    assert built("+method=vanilla", "position=longrope", nearest)
