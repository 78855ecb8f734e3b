"""Train the shipped base: a small decoder that reads 256 tokens, on addresses and on lessons in look-up.

    python scripts/train_base.py WORK_FOLDER

The same command goes on where it was stopped. At the end the base stands in ctxext/bases/tiny, with a card of what was
measured.
"""

import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file

from ctxext.attention.softmax import Softmax
from ctxext.data.prepare import Prepared, prepare
from ctxext.data.rows import Rows
from ctxext.data.sources import Sotu
from ctxext.evaluation.measure import Measurement, common_ground, measure
from ctxext.evaluation.reader import WholeReader
from ctxext.evaluation.settings import Evaluation
from ctxext.evaluation.text.language import drawn_end
from ctxext.formats.huggingface.writing.folder import write
from ctxext.mask.document import IntraDocument
from ctxext.model.geometry import DecoderGeometry
from ctxext.position.rope import Rope
from ctxext.reporting.journal import Journal
from ctxext.training.loop import Course, Watcher, fit, resume
from ctxext.training.settings import Trainer
from ctxext.training.signals import listening

TRAINED_LENGTH = 256
RECALL_SHARE = 0.6
BASE = Path(__file__).parents[1] / "ctxext" / "bases" / "tiny"
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
    attention_bias=True,
)
SETTINGS = Trainer(
    steps=2200,
    batch_tokens=4096,
    accumulate=1,
    learning_rate=2e-3,
    final_learning_rate_share=0.02,
    warmup_steps=100,
    weight_decay=0.05,
    beta1=0.9,
    beta2=0.95,
    max_grad_norm=1.0,
    save_every=200,
    keep=2,
    resume="auto",
    precision="bf16" if torch.cpu._is_avx512_bf16_supported() else "fp32",
    compile=False,
)
EVALUATION = Evaluation(
    lengths=[128, 256, 512, 1024],
    scored_tokens=64,
    documents=60,
    subjects=["base"],
    tasks=["passkey"],
    depths=[0.0, 0.25, 0.5, 0.75, 1.0],
    samples=100,
    every=0,
    batch_tokens=8192,
    truncated_stride=1,
)


@dataclass(frozen=True)
class Account:
    """What the card tells: the tokens seen, and the measurement of the finished base."""

    tokens: int
    measurement: Measurement

    def table(self) -> str:
        """Return nll and passkey accuracy by length as Markdown."""
        lines = ["| length | nll | bits per byte | passkey, rank 0 of 10 |", "| --- | --- | --- | --- |"]
        totals = {row["length"]: row for row in self.measurement.task_rows() if row["depth"] == "all"}
        for length, scored in self.measurement.scored.items():
            row, task = scored.row("base", length), totals[length]
            passkey = f"{task['value']:.2f} ({task['low']:.2f} to {task['high']:.2f}, n {task['n']})"
            lines.append(f"| {length} | {row['nll']:.3f} | {row['bits_per_byte']:.3f} | {passkey} |")
        return "\n".join(lines)


def main() -> None:
    """Train in the folder named on the command line, measure, and put the base in its place."""
    work = Path(sys.argv[1])
    with Journal(work, "base") as journal:
        data = prepare(
            Sotu(validation_share=0.04, test_share=0.1), None, GEOMETRY.vocab_size, work / "cache", journal.watch
        )
        network = train(work, data, journal)
        ground = common_ground(EVALUATION, TRAINED_LENGTH, data.test, data.tokenizer, drawn_end)
        measurement = measure("base", WholeReader(network, EVALUATION.batch_tokens), ground, journal.watch)
        account = Account(SETTINGS.steps * SETTINGS.batch_tokens, measurement)
        ship(network, data, account)
        journal.say(account.table())


def train(work: Path, data: Prepared, journal: Journal) -> Any:
    """Return the network trained on `data`, from the newest checkpoint in `work` on."""
    torch.manual_seed(0)
    network = GEOMETRY.build(Rope(10000.0), IntraDocument(), Softmax())
    rows = Rows(data.train, data.tokenizer, TRAINED_LENGTH, RECALL_SHARE, seed=0)
    course = Course(rows, SETTINGS, work / "checkpoints", {"steps": SETTINGS.steps, "data": data.digest})
    progress, optimiser = resume(network, course, journal.say)
    journal.truncate(progress.step)
    with journal.steps(progress.step + 1, SETTINGS.steps) as line, listening() as stop:

        def log(row: dict[str, Any]) -> None:
            journal.log_step(row)
            line.show(row)

        progress = fit(network, course, Watcher(log, lambda step: {}, stop), progress, optimiser)
    if progress.interrupted:
        sys.exit(75)
    return network.eval()


def ship(network: Any, data: Prepared, account: Account) -> None:
    """Write `network` into the package in half precision, which changes nothing that the card's table shows."""
    write(BASE, network, data.tokenizer, TRAINED_LENGTH)
    weights = BASE / "model.safetensors"
    save_file({name: tensor.half() for name, tensor in load_file(weights).items()}, weights, metadata={"format": "pt"})
    config = json.loads((BASE / "config.json").read_text(encoding="utf-8"))
    config |= {"dtype": "float16", "torch_dtype": "float16"}
    (BASE / "config.json").write_text(json.dumps(config, indent=2) + "\n", encoding="utf-8")
    (BASE / "README.md").write_text(
        CARD.format(tokens=account.tokens, lessons=RECALL_SHARE, table=account.table(), **vars(SETTINGS)),
        encoding="utf-8",
    )


CARD = """---
license: apache-2.0
language: en
library_name: transformers
pipeline_tag: text-generation
---

# ctxext tiny base

A decoder of the Llama family with 3.7 million parameters and Qwen2's biases, trained from scratch at 256 tokens for one
purpose: to break beyond 256 tokens, so that a method that extends it can be seen to work. It knows the language of
presidential addresses, and it looks up facts ("The code of NAME is WORD WORD."). It is of no other use.

- Data: the training split of the package `sotu` (State of the Union addresses, public domain), and freshly written
  `recall` lessons, of which the answers are the targets: {lessons:.0%} of the rows. A tenth of the addresses, chosen by
  a hash of their text, was never seen; evaluation uses those.
- Training: {steps} steps of {batch_tokens} tokens ({tokens:,} in all), AdamW at {learning_rate}, cosine, products
  in {precision}, seed 0; `scripts/train_base.py` makes it again. Stored in float16.
- Tokenizer: byte-level BPE of 2048, digits one by one, trained on the same split. No beginning-of-text token.

Measured when it was made, on the held-out addresses (the last 64 tokens of each window) and on 100 passkey prompts
a length:

{table}
"""


if __name__ == "__main__":
    main()
