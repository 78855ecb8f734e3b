"""`ctxext prepare`: the data stage alone."""

from pathlib import Path

from ctxext.commands.foundation import prepared
from ctxext.config.schema import Run
from ctxext.reporting.journal import Journal


def prepare(run: Run, folder: Path) -> None:
    """Read, clean, deduplicate, split and encode the dataset of `run` into its cache, and show what became of it."""
    with Journal(folder, run.name) as journal:
        data = prepared(run, journal)
        journal.say(f"{Path(run.cache) / 'tokens' / data.digest}: {len(data.train.tokens):,} tokens to train on")
