"""What the benchmark is held against: a goal for each number, and who the other side is."""

from __future__ import annotations

from dataclasses import dataclass

AT_LEAST, AT_MOST = ">=", "<="


@dataclass(frozen=True)
class Goal:
    """The number under `key` must be at least or at most `bound`; `unit` is empty for ratios and exponents."""

    key: str
    measure: str
    sign: str
    bound: float
    peer: str
    unit: str = ""

    def is_met(self, value: float) -> bool:
        """Return whether `value` reaches the goal."""
        return value >= self.bound if self.sign == AT_LEAST else value <= self.bound

    @property
    def words(self) -> str:
        """The goal as it is read."""
        return f"{self.sign} {self.bound:g}{self.unit}"


EAGER = "transformers Llama, eager, SDPA, fused AdamW"
GOALS = (
    Goal("train_27M_eager", "training step, 27M, 4 x 512, eager: tokens per CPU second", AT_LEAST, 1.15, EAGER),
    Goal("train_27M_compiled", "training step, 27M, 4 x 512, compiled by block", AT_LEAST, 1.25, EAGER),
    Goal("train_3M_eager", "training step, 3M, 1 x 4096, eager: tokens per CPU second", AT_LEAST, 1.15, EAGER),
    Goal("train_3M_compiled", "training step, 3M, 1 x 4096, compiled by block", AT_LEAST, 1.25, EAGER),
    Goal("mfu_27M", "model FLOP utilisation, 27M, compiled", AT_LEAST, 0.75, "the fastest square float32 product"),
    Goal("mfu_3M", "model FLOP utilisation, 3M, compiled", AT_LEAST, 0.62, "the fastest square float32 product"),
    Goal("loss_time", "fused loss, V = T = 8192: time", AT_MOST, 0.75, "full logits, PyTorch"),
    Goal("loss_memory", "fused loss, V = T = 8192: extra memory", AT_MOST, 0.10, "full logits, PyTorch"),
    Goal("window_forward", "window 512, exponent of time 2k-32k, forward", AT_MOST, 1.06, "itself"),
    Goal("window_both", "window 512, exponent of time 2k-32k, forward and backward", AT_MOST, 1.10, "itself"),
    Goal("window_dense", "window 512 at 8k, forward and backward", AT_MOST, 0.27, "dense causal, PyTorch's SDPA"),
    Goal("alibi", "ALiBi at 4k, forward and backward", AT_MOST, 1.3, "dense causal, PyTorch's SDPA"),
    Goal("self_extend", "Self-Extend at 8k, forward", AT_MOST, 2.3, "dense causal, rotary, PyTorch's SDPA"),
    Goal("self_extend_memory", "Self-Extend, exponent of memory 4k-16k", AT_MOST, 1.1, "itself (1 is linear)"),
    Goal("evaluation_time", "evaluation of 16k tokens, window: time", AT_MOST, 0.40, "our dense evaluation"),
    Goal("evaluation_memory", "evaluation of 16k tokens, window: peak memory", AT_MOST, 0.45, "transformers, dense"),
    Goal("evaluation_32k", "evaluation of 32k tokens, V 49,152, window: peak of the process", AT_MOST, 900, "", " MB"),
    Goal("decoding", "greedy decoding, same tokens", AT_LEAST, 1.6, "transformers' generate, its fastest cache"),
    Goal("help", "`ctxext --help`, CPU time", AT_MOST, 0.6, "", " s"),
    Goal(
        "first_step",
        "from the command to the end of the first training step, data cached, CPU time",
        AT_MOST,
        6,
        "",
        " s",
    ),
    Goal(
        "tokenising",
        "tokenising, bytes per CPU second",
        AT_LEAST,
        1.5,
        "`datasets.map`, same tokenizer, `encode_batch` as in transformers",
    ),
    Goal(
        "plan_27M", "memory plan, predicted against measured peak, 27M: distance", AT_MOST, 0.20, "the process itself"
    ),
    Goal("plan_3M", "memory plan, predicted against measured peak, 3M: distance", AT_MOST, 0.20, "the process itself"),
)
