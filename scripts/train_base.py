"""Train the shipped base: a small decoder that reads 256 tokens, on addresses and on lessons in look-up.

    python scripts/train_base.py WORK_FOLDER [STEPS]

The same command goes on where it was stopped.
"""

import sys
import time
from pathlib import Path

import torch

from ctxext.attention.softmax import Softmax
from ctxext.data.prepare import prepare
from ctxext.data.rows import Rows
from ctxext.data.sources import Sotu
from ctxext.mask.causal import Causal
from ctxext.model.geometry import DecoderGeometry
from ctxext.position.rope import Rope
from ctxext.training.loop import Course, Watcher, fit, resume
from ctxext.training.settings import Trainer
from ctxext.training.signals import listening

TRAINED_LENGTH = 256
GEOMETRY = DecoderGeometry(
    vocab_size=2048,
    hidden_size=256,
    intermediate_size=704,
    num_hidden_layers=4,
    num_attention_heads=4,
    num_key_value_heads=4,
    head_dim=64,
    tie_word_embeddings=True,
    rms_norm_eps=1e-5,
)


def main() -> None:
    """Train in the folder named on the command line."""
    work, steps = Path(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 4000
    settings = Trainer(
        steps=steps, batch_tokens=4096, accumulate=1, learning_rate=2e-3, final_learning_rate_share=0.02, warmup_steps=100,
        weight_decay=0.05, beta1=0.9, beta2=0.95, max_grad_norm=1.0, save_every=250, keep=2, resume="auto", precision="bf16", compile=False,
    )
    data = prepare(Sotu(validation_share=0.04, test_share=0.1), None, GEOMETRY.vocab_size, work / "cache")
    torch.manual_seed(0)
    model = GEOMETRY.build(Rope(10000.0), Causal(), Softmax())
    rows = Rows(data.train, data.tokenizer, TRAINED_LENGTH, recall_share=0.6, seed=0)
    course = Course(rows, settings, work / "checkpoints", {"steps": steps, "data": data.digest})
    progress, optimiser = resume(model, course, print)
    started = time.perf_counter()
    mean = [0.0, 0.0]

    def log(row):
        kind = [sample.startswith("text") for sample in row["samples"]]
        if row["step"] % 20 == 0:
            print(f"{row['step']} {row['loss']:.3f} {row['learning_rate']:.2e} {row['grad_norm']:.2f} {row['tokens']} {time.perf_counter() - started:.0f}s", flush=True)

    with listening() as stop:
        fit(model, course, Watcher(log, lambda step: None, print, stop), progress, optimiser)


if __name__ == "__main__":
    main()
