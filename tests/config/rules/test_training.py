"""What of the weights is trained: adapters, and settings that would do nothing."""

import importlib.util
from collections.abc import Callable
from dataclasses import MISSING, fields

import pytest
from omegaconf import DictConfig

from ctxext.config.legality import notes
from ctxext.config.rules.training import adapting, plain
from ctxext.config.schema import Run
from ctxext.refusal import Refusal
from ctxext.training.settings import Trainer

ILLEGAL = [
    (
        "trainer.lora_rank=16",
        "trainer.lora_rank=16 could have no effect with trainer.adapter=none; add trainer.adapter=lora",
    ),
    ("trainer.lora_targets=[q_proj]", "could have no effect with trainer.adapter=none"),
    ("trainer.lora_trained=[norms]", "could have no effect with trainer.adapter=none"),
    ("trainer.lora_plus_ratio=16", "could have no effect with trainer.adapter=none"),
    ("trainer.adapter=lora trainer.steps=0", "trainer.adapter=lora could have no effect, since trainer.steps=0 trains"),
    (
        "trainer.adapter=lora trainer.lora_targets=[q_prj]",
        "no 'q_prj', only down_proj, gate_proj, k_proj, o_proj, q_proj",
    ),
    ("trainer.adapter=lora trainer.lora_targets=[q_prj]", "; did you mean 'q_proj'?"),
    (
        "trainer.adapter=lora trainer.lora_targets=[q_proj,v_proj,q_proj]",
        "trainer.lora_targets names q_proj more than once",
    ),
    (
        "trainer.adapter=lora model=vanilla base=none trainer.lora_targets=[up_proj]",
        "the model has no 'up_proj', only k_proj",
    ),
    (
        "trainer.adapter=lora model=lstm base=none",
        "model=lstm has no blocks that trainer.adapter=lora could be attached to",
    ),
    (
        "trainer.gradient_checkpointing=true model=lstm base=none",
        "model=lstm has no blocks that trainer.gradient_check",
    ),
    ("trainer.adapter=lora trainer.lora_trained=[norm]", "embeddings and norms, got 'norm'; did you mean 'norms'?"),
]


@pytest.mark.parametrize(("words", "sentence"), ILLEGAL)
def test_what_could_have_no_effect_or_has_no_place_is_refused(
    words: str, sentence: str, built: Callable[..., Run]
) -> None:
    with pytest.raises(Refusal) as raised:
        built("context_length=512", *words.split())
    assert sentence in str(raised.value)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    "words",
    [
        "trainer.adapter=lora",
        "trainer.adapter=lora trainer.lora_targets=[q_proj,down_proj] trainer.lora_rank=2 trainer.lora_dropout=0.1",
        "trainer.adapter=lora model=vanilla base=none",
        "trainer.adapter=lora base=none trainer.gradient_checkpointing=true",
        "trainer.gradient_checkpointing=true",
    ],
)
def test_the_rest_is_legal(words: str, built: Callable[..., Run]) -> None:
    assert built("context_length=512", *words.split()).trainer.steps > 0


def test_a_missing_peft_is_said_before_anything_starts(
    built: Callable[..., Run], monkeypatch: pytest.MonkeyPatch
) -> None:
    find_spec = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "peft" else find_spec(name))
    with pytest.raises(Refusal, match=r"pip install ctxext\[lora\]"):
        built("context_length=512", "trainer.adapter=lora")


def test_the_defaults_of_the_class_are_those_of_the_option(composed: Callable[..., DictConfig]) -> None:
    trainer, made = composed().trainer, plain()
    held = {
        field.name for field in fields(Trainer) if field.default is not MISSING or field.default_factory is not MISSING
    }

    assert set(adapting()) <= held
    assert {name: trainer[name] for name in adapting()} == {name: getattr(made, name) for name in adapting()}
    assert (trainer.adapter, trainer.gradient_checkpointing) == (made.adapter, made.gradient_checkpointing)


def said(run: Run, words: str) -> bool:
    return any(words in note for note in notes(run))


def test_tied_embeddings_are_said_to_be_trained_as_both(built: Callable[..., Run]) -> None:
    lora = "context_length=512 trainer.adapter=lora".split()  # noqa: SIM905
    tied = "the unembedding is the same weight"
    assert said(built(*lora), tied)
    assert not said(built(*lora, "trainer.lora_trained=[norms]"), tied)
    assert not said(built(*lora, "base=none", "model.tie_word_embeddings=false"), tied)
    assert not said(built("context_length=512"), tied)


def test_what_longer_contexts_need_and_is_left_is_named(built: Callable[..., Run]) -> None:
    lora = "context_length=512 trainer.adapter=lora".split()  # noqa: SIM905
    assert said(built(*lora, "trainer.lora_trained=[norms]"), "trainer.lora_trained leaves embeddings as they are")
    assert said(built(*lora, "trainer.lora_trained=[]"), "leaves embeddings and norms as they are")
    assert not said(built(*lora), "leaves")


def test_a_rank_that_no_target_can_have_is_said(built: Callable[..., Run]) -> None:
    lora = "context_length=512 trainer.adapter=lora base=none".split()  # noqa: SIM905
    sizes = "model.hidden_size=32 model.num_attention_heads=4 model.head_dim=8 model.num_key_value_heads=1".split()  # noqa: SIM905
    wide = "trainer.lora_rank=9 is above the smaller side of k_proj and v_proj (8 at the least)"
    assert said(built(*lora, *sizes, "trainer.lora_rank=9"), wide)
    assert not said(built(*lora, *sizes, "trainer.lora_rank=8"), "trainer.lora_rank=")
    assert not said(built("context_length=512"), "trainer.lora_rank=")
