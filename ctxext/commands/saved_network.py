"""The network that `eval`, `export` and `generate` work on: what a run left, or the base, through any composition."""

from pathlib import Path
from typing import Any, NamedTuple

import torch
from safetensors import SafetensorError
from tokenizers import Tokenizer

from ctxext.commands.device import device_of
from ctxext.commands.extension import merged
from ctxext.commands.foundation import companions_of, read_base, read_through
from ctxext.config.schema import Run
from ctxext.formats.bases import open_base
from ctxext.formats.companions import SETTINGS, TOKENIZER, Companions, read_companions
from ctxext.formats.huggingface.reading.shards import read_header
from ctxext.formats.trial import tried
from ctxext.refusal import Refusal, require
from ctxext.reporting.journal import Journal
from ctxext.strangers import LARGEST
from ctxext.training import checkpoint
from ctxext.training.adapters import attach
from ctxext.training.manifest import MODEL
from ctxext.training.settings import WITHOUT


class Saved(NamedTuple):
    """A network with the tokenizer that it reads, and what goes with that."""

    network: Any
    tokenizer: Tokenizer
    companions: Companions


def saved_network(run: Run, journal: Journal) -> Saved:
    """Return what the run in the folder `run.run` left, or the base where `run.run` is empty."""
    if not run.run:
        require(bool(run.base.path), "base=none has no weights; name a run with run=PATH, or another base")
        network = read_through(read_base(run), run)
        base = open_base(run.base.path)
        return Saved(network.eval().to(device_of(run)), base.tokenizer(), base.companions())
    folder = Path(run.run)
    network = weights_of(run, folder, journal).eval().to(device_of(run))
    tokenizer = tried(folder / TOKENIZER)
    has_settings = (folder / SETTINGS).is_file()  # runs of older versions kept the tokenizer alone
    companions = read_companions(folder) if has_settings else companions_of(run, tokenizer)
    return Saved(network, tokenizer, companions)


def weights_of(run: Run, folder: Path, journal: Journal) -> Any:
    """Return the network that the run in `folder` left: its newest checkpoint, or its base if it trained nothing."""
    checkpoints = folder / "checkpoints"
    check_plain(checkpoints)
    if not checkpoint.steps(checkpoints) and run.base.path and run.trainer.steps == 0:
        return read_through(read_base(run), run)
    network = blank(run)
    attach(network, run.trainer, run.seed)
    check_sizes(checkpoints, network)
    newest = checkpoint.newest(checkpoints, journal.say)
    if newest is None:
        raise Refusal(f"run={run.run}: it holds no checkpoint that can be loaded; it was not trained, or not saved")
    fill(network, newest)
    journal.say(f"weights of {newest}")
    merged(network, run, journal)
    return network


def check_plain(checkpoints: Path) -> None:
    """Refuse a link at `checkpoints` of a run, or below: it may lead anywhere."""
    for path in (checkpoints, *checkpoints.glob("step-*"), *checkpoints.glob("step-*/*")):
        require(not path.is_symlink(), f"{path}: links in a run that is read are not followed; copy what it links to")


def check_sizes(checkpoints: Path, network: Any) -> None:
    """Refuse a file of a run that is larger than weights and moments of its `network` can make it.

    Each byte is read before it is compared, and holes in a file make many of a few.
    """
    most = 3 * sum(tensor.nbytes for tensor in network.state_dict().values()) + LARGEST
    for path in checkpoints.glob("step-*/*"):
        size = path.stat().st_size
        require(size <= most, f"{path}: has {size} bytes, and a checkpoint of this network at most {most}")


def fill(network: Any, path: Path) -> None:
    """Load the checkpoint `path` into `network`; refuse one whose files are other than those that a run leaves.

    A manifest says that nothing changed since it was written, and nothing of who wrote it.
    """
    try:
        read_header(path / MODEL)
        checkpoint.load(path, network, None)
    except Refusal:
        raise
    except (SafetensorError, OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise Refusal(f"{path}: no checkpoint of a run ({type(error).__name__}: {error})") from error
    for name, tensor in network.state_dict().items():
        require(bool(torch.isfinite(tensor).all()), f"{path}: {name} holds a value that is not finite")


def blank(run: Run) -> Any:
    """Return the network that a checkpoint of `run` is loaded into: its base, where the checkpoint leaves that out."""
    if run.trainer.adapter != WITHOUT and run.base.path:
        return read_through(read_base(run), run)
    return run.model.build(run.position, run.mask, run.attention)
