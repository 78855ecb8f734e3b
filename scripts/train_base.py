"""Train the shipped base: a small decoder that reads 256 tokens, on addresses and on lessons in look-up.

    python scripts/train_base.py WORK_FOLDER            # at the end the base stands in ctxext/bases/tiny
    python scripts/train_base.py WORK_FOLDER FOLDER     # or in FOLDER

The same command goes on where it was stopped. A card beside the base tells what was measured.
"""

import shutil
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from omegaconf import OmegaConf
from safetensors.torch import load_file, save_file

from ctxext.attention.softmax import Softmax
from ctxext.commands.measuring import measured
from ctxext.config.folders import option_file
from ctxext.config.lengths import register
from ctxext.data.prepare import Prepared, prepare
from ctxext.data.rows import Rows
from ctxext.data.sources import Sotu
from ctxext.evaluation.ground import common_ground
from ctxext.evaluation.measure import Measurement
from ctxext.evaluation.settings import Evaluation
from ctxext.evaluation.text.language import drawn_end
from ctxext.formats.companions import plain_companions
from ctxext.formats.huggingface.writing.folder import write
from ctxext.formats.json_files import read_json, write_json
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
TRAINER = {
    "steps": 2200,
    "batch_tokens": 4096,
    "learning_rate": 2e-3,
    "final_learning_rate_share": 0.02,
    "warmup_steps": 100,
    "weight_decay": 0.05,
    "save_every": 200,
    "precision": "bf16" if torch.cpu._is_avx512_bf16_supported() else "fp32",
}
EVALUATION = {
    "lengths": [128, 256, 512, 1024],
    "scored_tokens": 64,
    "subjects": ["base"],
    "tasks": ["passkey"],
    "samples": 100,
    "repeats": 0,
}


@dataclass(frozen=True)
class Account:
    """What the card tells: how it was trained, and the measurement of the finished base."""

    trainer: Trainer
    measurement: Measurement

    def card(self) -> str:
        """Return the card."""
        tokens = self.trainer.steps * self.trainer.batch_tokens
        return CARD.format(tokens=tokens, lessons=RECALL_SHARE, table=self.table(), **vars(self.trainer))

    def table(self) -> str:
        """Return nll and passkey accuracy by length as Markdown."""
        lines = ["| length | nll | bits per byte | passkey, rank 0 of 10 |", "| --- | --- | --- | --- |"]
        totals = {row["length"]: row for row in self.measurement.tasks if row["depth"] == "all"}
        for length, scored in self.measurement.scored.items():
            row, task = scored.row("base", length), totals[length]
            passkey = f"{task['value']:.2f} ({task['low']:.2f} to {task['high']:.2f}, n {task['n']})"
            lines.append(f"| {length} | {row['nll']:.3f} | {row['bits_per_byte']:.3f} | {passkey} |")
        return "\n".join(lines)


def main(work: Path, folder: Path = BASE) -> None:
    """Train in the folder `work`, measure, and put the base into `folder`."""
    trainer, evaluation = settings("trainer", Trainer, TRAINER), settings("evaluation", Evaluation, EVALUATION)
    with Journal(work, "base") as journal:
        source = Sotu(validation_share=0.04, test_share=0.1)
        data = prepare(source, None, GEOMETRY.vocab_size, work / "cache", journal.watch)
        network = train(work, data, trainer, journal)
        ground = common_ground(evaluation, TRAINED_LENGTH, data.test, data.tokenizer, source, drawn_end)
        account = Account(trainer, measured("base", network, ground, work / "cache", journal, lambda: None))
        shutil.rmtree(work / "base", ignore_errors=True)
        ship(network, data, account, work / "base")
        shutil.copytree(work / "base", folder, dirs_exist_ok=True)
        journal.say(account.table())


def settings(group: str, schema: type, own: dict[str, Any]) -> Any:
    """Return the settings in the default option file of `group`, which `schema` types, with the script's `own`."""
    register()
    chosen = OmegaConf.merge(OmegaConf.structured(schema), OmegaConf.load(option_file(group, "default")), own)
    lengths = {"context_length": TRAINED_LENGTH, "base": {"trained_length": TRAINED_LENGTH}}
    return OmegaConf.to_object(OmegaConf.create(lengths | {group: chosen})[group])


def train(work: Path, data: Prepared, trainer: Trainer, journal: Journal) -> Any:
    """Return the network trained on `data` as `trainer` says, from the newest checkpoint in `work` on."""
    torch.manual_seed(0)
    network = GEOMETRY.build(Rope(10000.0), IntraDocument(), Softmax())
    rows = Rows(data.train, data.tokenizer, TRAINED_LENGTH, RECALL_SHARE, seed=0)
    course = Course(rows, trainer, work / "checkpoints", {"steps": trainer.steps, "data": data.digest})
    progress, optimiser = resume(network, course, journal.say)
    journal.truncate(progress.step)
    with journal.steps(progress.step + 1, trainer.steps) as line, listening() as stop:

        def log(row: dict[str, Any]) -> None:
            journal.log_step(row)
            line.show(row)

        progress = fit(network, course, Watcher(log, lambda step: {}, stop), progress, optimiser)
    if progress.interrupted:
        sys.exit(75)
    return network.eval()


def ship(network: Any, data: Prepared, account: Account, folder: Path) -> None:
    """Write `network` into the new `folder` in half precision, which changes nothing that the card's table shows."""
    write(folder, network, data.tokenizer, plain_companions(data.tokenizer), TRAINED_LENGTH)
    weights = folder / "model.safetensors"
    save_file({name: tensor.half() for name, tensor in load_file(weights).items()}, weights, metadata={"format": "pt"})
    config = read_json(folder / "config.json") | {"dtype": "float16", "torch_dtype": "float16"}
    write_json(folder / "config.json", config)
    (folder / "README.md").write_text(account.card(), encoding="utf-8")


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
    main(*map(Path, sys.argv[1:]))
