"""Settings of training that are refused, and how."""

import dataclasses
from typing import Any

import pytest

from ctxext.refusal import Refusal
from ctxext.training.settings import Trainer

GOOD = Trainer(8, 96, 1, 0.01, 0.1, 2, 0.1, 0.9, 0.95, 1.0, 3, 2, "auto", "fp32", False)


@pytest.mark.parametrize(
    ("key", "value", "sentence"),
    [
        *(
            (key, 0, f"trainer.{key} must be above 0, got 0")
            for key in ("batch_tokens", "accumulate", "save_every", "nonfinite_limit")
        ),
        ("learning_rate", -0.1, "trainer.learning_rate must be above 0, got -0.1"),
        ("max_grad_norm", 0.0, "trainer.max_grad_norm must be above 0, got 0.0"),
        *((key, -1, f"trainer.{key} must be at least 0, got -1") for key in ("steps", "warmup_steps", "weight_decay")),
        *((key, 1.0, f"trainer.{key} must be from 0 to below 1, got 1.0") for key in ("beta1", "beta2")),
        ("final_learning_rate_share", 1.5, "trainer.final_learning_rate_share must be from 0 to 1, got 1.5"),
        ("keep", 1, "trainer.keep must be at least 2, got 1: one may turn out broken"),
        ("nonfinite", "skipp", "trainer.nonfinite must be one of stop, skip, got 'skipp'"),
        ("resume", "always", "trainer.resume must be one of auto, never, got 'always'"),
        ("precision", "fp16", "trainer.precision must be one of auto, fp32, bf16, got 'fp16'"),
        ("positions", "po_se", "trainer.positions must be one of as_laid, pose, randomized, got 'po_se'"),
        ("max_position", -1, "trainer.max_position must be at least 0, got -1"),
        ("adapter", "dora", "trainer.adapter must be one of none, lora, got 'dora'"),
        ("lora_rank", 0, "trainer.lora_rank must be above 0, got 0"),
        ("lora_alpha", -1, "trainer.lora_alpha must be above 0, got -1"),
        ("lora_dropout", 1.0, "trainer.lora_dropout must be from 0 to below 1, got 1.0"),
        ("lora_plus_ratio", 0.5, "trainer.lora_plus_ratio must be at least 1, got 0.5"),
        ("lora_targets", [], "trainer.lora_targets is empty; name a projection, or use trainer.adapter=none"),
        (
            "lora_trained",
            ["norm"],
            "trainer.lora_trained may hold embeddings and norms, got 'norm'; did you mean 'norms'?",
        ),
    ],
)
def test_a_value_out_of_range_is_refused_in_a_sentence(key: str, value: Any, sentence: str) -> None:
    with pytest.raises(Refusal) as raised:
        dataclasses.replace(GOOD, **{key: value})

    assert str(raised.value) == sentence


def test_no_steps_and_no_warm_up_are_fine() -> None:
    assert dataclasses.replace(GOOD, steps=0, warmup_steps=0).steps == 0
