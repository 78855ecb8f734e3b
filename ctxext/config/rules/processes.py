"""What several processes can share: members that must be read whole, settings that know one process, uneven shares."""

from collections.abc import Iterator

from ctxext.config.schema import Run
from ctxext.config.traits import chosen
from ctxext.model.geometry import LstmGeometry
from ctxext.refusal import Refusal
from ctxext.training.settings import AS_LAID, WITHOUT

SEAMS = ("position", "mask", "attention")


def read_whole(run: Run) -> Iterator[str]:
    """A member may need all of a row in one process, and an LSTM does."""
    mesh = run.parallel
    if mesh.context > 1 and isinstance(run.model, LstmGeometry):
        yield f"{chosen(run, 'model')} reads token after token, which parallel.context={mesh.context} can't; use 1"
    for seam in SEAMS if mesh.context > 1 else ():
        if getattr(run, seam).divides == "rows":
            yield (
                f"{chosen(run, seam)} learns from whole rows alone, which parallel.context={mesh.context} would "
                "divide; use parallel.data"
            )


def of_one_process(run: Run) -> Iterator[str]:
    """Compiled blocks and parted adapters were not tried beside other processes."""
    mesh, trainer = run.parallel, run.trainer
    if mesh.size > 1 and trainer.compile:
        yield f"trainer.compile=true is for one process, and {mesh} are {mesh.size}; use trainer.compile=false"
    if mesh.shard > 1 and trainer.adapter != WITHOUT:
        yield f"trainer.adapter={trainer.adapter} can't be parted by parallel.shard={mesh.shard}; use parallel.data"


def uneven(run: Run) -> Iterator[str]:
    """Each process has as many rows of a step as the others, and as many columns of each."""
    row = run.context_length if run.trainer.positions == AS_LAID else run.base.trained_length
    batches = {"trainer": (run.trainer.batch_tokens, row)} if run.trainer.steps else {}
    if not run.base.path:
        batches["base"] = run.base.batch_tokens, run.base.trained_length
    for stage, (tokens, length) in batches.items() if run.parallel.size > 1 else ():
        try:
            run.parallel.check_shares(tokens // length, length, f"{stage}.batch_tokens={tokens}")
        except Refusal as refusal:
            yield str(refusal)


RULES = (read_whole, of_one_process, uneven)
