"""The network that `eval` and `export` work on: what a run left, or the untouched base, through any composition."""

from pathlib import Path
from typing import Any

from tokenizers import Tokenizer

from ctxext.commands.foundation import device_of, read_base, read_through
from ctxext.config.schema import Run
from ctxext.data.tokenizer import load_tokenizer
from ctxext.formats.bases import base_folder, tokenizer_file
from ctxext.refusal import Refusal, require
from ctxext.reporting.journal import Journal
from ctxext.training import checkpoint

TOKENIZER = "tokenizer.json"


def saved_network(run: Run, journal: Journal) -> tuple[Any, Tokenizer]:
    """Return network and tokenizer of the run in the folder `run.run`, or of the base where `run.run` is empty."""
    if not run.run:
        require(bool(run.base.path), "base=none has no weights; name a run with run=PATH, or another base")
        network = read_through(read_base(run), run)
        return network.eval().to(device_of(run)), load_tokenizer(tokenizer_file(base_folder(run.base.path)))
    folder = Path(run.run)
    newest = checkpoint.newest(folder / "checkpoints", journal.say)
    if newest is None and run.base.path and run.trainer.steps == 0:
        network = read_through(read_base(run), run)
        return network.eval().to(device_of(run)), load_tokenizer(folder / TOKENIZER)
    if newest is None:
        raise Refusal(f"run={run.run}: it holds no checkpoint that can be loaded; it was not trained, or not saved")
    network = run.model.build(run.position, run.mask, run.attention)
    checkpoint.load(newest, network, None)
    journal.say(f"weights of {newest}")
    return network.eval().to(device_of(run)), load_tokenizer(folder / TOKENIZER)
