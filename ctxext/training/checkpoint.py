"""A run's state on the disk: saved whole or not at all, checked by its manifest, and loaded without a pickle.

The rename of the finished temporary folder is the commit. There is no pointer to the newest step: it is computed.
"""

import json
import math
import os
import shutil
import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from ctxext.maths.fingerprint import fingerprint
from ctxext.parallel.mesh import ALONE, Mesh
from ctxext.parallel.sharding import rest, whole
from ctxext.processes import is_alive
from ctxext.refusal import Refusal, require
from ctxext.strangers import content_of, object_in
from ctxext.training.manifest import MODEL, OPTIMIZER, STATE, fault, flush, write_manifest

FROZEN = "frozen"
"""The key of the state that names, by their fingerprint, the frozen weights that a checkpoint leaves to its base."""
MARGIN = 1.2
SOUND = "what was saved before is there, a lower trainer.learning_rate may help"
ROOM = "what was saved before is there; make room, or choose another disk by hydra.run.dir=FOLDER"


def save(
    folder: Path,
    step: int,
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    state: Mapping[str, Any],
    keep: int,
    mesh: Mesh = ALONE,
) -> Path:
    """Save `model`, `optimizer` and the JSON `state` as `folder`/step-…, keep the newest `keep` steps, return the path.

    What the processes of `mesh` have parts of is put together; the first one writes, and the others wait for it.

    Raises FloatingPointError for a tensor that is not finite, and OSError, naming the bytes, if the disk has no room;
    what was saved before stays as it was.
    """
    path = folder / f"step-{step:08d}"
    rest(model)
    weights = {name: whole(tensor.detach()).cpu().contiguous() for name, tensor in content(model, state).items()}
    moments = optimizer_tensors(model, optimizer)
    require_finite({**weights, **moments}, path)
    if mesh.is_first:
        commit(path, weights, moments, {**state, "step": step})
        prune(folder, step, keep)
    mesh.wait()
    return path


def commit(path: Path, weights: dict[str, Tensor], moments: dict[str, Tensor], state: dict[str, Any]) -> None:
    """Write one checkpoint as the folder `path`, unless a good one is there; what can't be written leaves nothing."""
    folder = path.parent
    make(folder)
    if path.exists():
        if not fault(path):
            return
        discard(path)
    needed = sum(tensor.nbytes for tensor in (*weights.values(), *moments.values()))
    require_room(path, math.ceil(MARGIN * needed))
    temporary = folder / f".tmp-{path.name[5:]}-{os.getpid()}"
    try:
        write(temporary, weights, moments, state)
        temporary.rename(path)
    except (OSError, SafetensorError) as error:
        free = shutil.disk_usage(folder).free
        raise OSError(f"{path}: not saved, {needed} bytes needed and {free} free ({error}); {ROOM}") from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    flush(folder)


def make(folder: Path) -> None:
    """Make `folder` if it is not there, and wait until the disk has it."""
    if not folder.is_dir():
        folder.mkdir(parents=True)
        flush(folder.parent)


def write(folder: Path, weights: dict[str, Tensor], moments: dict[str, Tensor], state: dict[str, Any]) -> None:
    """Write the files of one checkpoint into the new `folder`, the manifest last, and wait until the disk has them."""
    folder.mkdir()
    save_file(weights, folder / MODEL, metadata={"format": "pt"})
    save_file(moments, folder / OPTIMIZER, metadata={"format": "pt"})
    (folder / STATE).write_text(json.dumps(state, allow_nan=False, indent=1) + "\n", encoding="utf-8")
    write_manifest(folder)


def newest(folder: Path, warn: Callable[[str], None]) -> Path | None:
    """Return the highest step of `folder` whose manifest verifies, or None; `warn` of each that does not.

    Nothing is changed: the run may be another's, or at work.
    """
    for _, path in sorted(steps(folder).items(), reverse=True):
        reason = fault(path)
        if not reason:
            return path
        warn(f"{reason}; the step before it is taken")
    return None


def load(path: Path, model: nn.Module, optimizer: torch.optim.Optimizer | None) -> dict[str, Any]:
    """Load the checkpoint `path` into `model` and, unless it is None, `optimizer`; return its state.

    Raises Refusal if a file differs from its manifest, or if names or shapes are not those of the model.
    """
    reason = fault(path)
    if reason:
        raise Refusal(reason)
    state = read_state(path)
    weights = load_file(path / MODEL)
    require_fit(path / MODEL, weights, content(model, state))
    require_base(path, model, state)
    model.load_state_dict(weights, strict=False)  # names were compared; what is left out is the base's
    if optimizer is not None:
        load_optimizer(path / OPTIMIZER, model, optimizer)
    return state


def read_state(path: Path) -> dict[str, Any]:
    """Return the state of the checkpoint `path`."""
    return object_in(content_of(path / STATE), path / STATE)


def content(model: nn.Module, state: Mapping[str, Any]) -> dict[str, Tensor]:
    """Return the tensors of `model` that a checkpoint with `state` holds: all, or without the frozen ones."""
    left_out = frozen(model).keys() if FROZEN in state else ()
    return {name: tensor for name, tensor in model.state_dict().items() if name not in left_out}


def frozen(model: nn.Module) -> dict[str, Tensor]:
    """Return the parameters of `model` that are not trained."""
    return {name: part.detach() for name, part in model.named_parameters() if not part.requires_grad}


def require_base(path: Path, model: nn.Module, state: Mapping[str, Any]) -> None:
    """Refuse `model` if its frozen weights are others than those that the checkpoint `path` with `state` left out."""
    same = FROZEN not in state or state[FROZEN] == fingerprint(frozen(model))
    require(same, f"{path}: it holds what was trained beside another base; name the base that the run started from")


def parameter_names(model: nn.Module, optimizer: torch.optim.Optimizer) -> list[str]:
    """Return the names in `model` of the parameters of `optimizer`, in the order of its groups."""
    names = {id(parameter): name for name, parameter in model.named_parameters()}
    return [names[id(parameter)] for group in optimizer.param_groups for parameter in group["params"]]


def optimizer_tensors(model: nn.Module, optimizer: torch.optim.Optimizer) -> dict[str, Tensor]:
    """Return the state of `optimizer` as tensors named PARAMETER/ENTRY."""
    names = parameter_names(model, optimizer)
    return {
        f"{names[index]}/{entry}": whole(tensor.detach()).cpu().contiguous()
        for index, entries in optimizer.state_dict()["state"].items()
        for entry, tensor in entries.items()
    }


def load_optimizer(file: Path, model: nn.Module, optimizer: torch.optim.Optimizer) -> None:
    """Fill `optimizer` with the tensors of `file`, named PARAMETER/ENTRY; refuse what `model` has not."""
    state: dict[int, dict[str, Tensor]] = {}
    indices = {name: index for index, name in enumerate(parameter_names(model, optimizer))}
    parameters = dict(model.named_parameters())
    for name, tensor in load_file(file).items():
        parameter, entry = name.rsplit("/", 1)
        if parameter not in indices:
            raise Refusal(f"{file}: {name} belongs to no parameter that is trained")
        if tensor.dim() and tensor.shape != parameters[parameter].shape:
            raise Refusal(f"{file}: {name} has the shape {list(tensor.shape)}, not {list(parameters[parameter].shape)}")
        state.setdefault(indices[parameter], {})[entry] = tensor
    optimizer.load_state_dict({"state": state, "param_groups": optimizer.state_dict()["param_groups"]})


def require_fit(file: Path, found: Mapping[str, Tensor], wanted: Mapping[str, Tensor]) -> None:
    """Refuse the tensors `found` in `file` unless their names and shapes are those that are `wanted`."""
    for name in sorted(wanted.keys() ^ found.keys()):
        reason = "is missing" if name in wanted else "is in no part of the model"
        raise Refusal(f"{file}: the weights are another model's, {name} {reason}")
    for name, tensor in found.items():
        if tensor.shape != wanted[name].shape:
            shapes = f"{list(tensor.shape)}, not {list(wanted[name].shape)}"
            raise Refusal(f"{file}: the weights are another model's, {name} has the shape {shapes}")


def require_finite(tensors: Mapping[str, Tensor], path: Path) -> None:
    """Raise FloatingPointError, naming the tensor and the `path` not written, unless all `tensors` are finite."""
    for name, tensor in tensors.items():
        if not torch.isfinite(tensor).all():
            raise FloatingPointError(f"{path}: not saved, {name} holds a value that is not finite; {SOUND}")


def require_room(path: Path, needed: int) -> None:
    """Raise OSError unless the disk of `path` has `needed` bytes free."""
    free = shutil.disk_usage(path.parent).free
    if free < needed:
        raise OSError(f"{path}: not saved, {needed} bytes needed and {free} free; {ROOM}")


def steps(folder: Path) -> dict[int, Path]:
    """Return the checkpoints of `folder`, verified or not, by step."""
    found = folder.glob("step-*") if folder.is_dir() else ()
    return {int(path.name[5:]): path for path in found if path.name[5:].isdecimal()}


def prune(folder: Path, step: int, keep: int) -> None:
    """Delete all but the newest `keep` checkpoints of `folder` up to `step`, which was just saved and stays."""
    assert keep >= 1
    older = sorted((number for number in steps(folder) if number <= step), reverse=True)
    for number in older[keep:]:
        try:
            discard(steps(folder)[number])
        except OSError as error:
            warnings.warn(f"an old checkpoint was not deleted: {error}", stacklevel=2)


def clear(folder: Path) -> None:
    """Delete all checkpoints of `folder`: a run that starts anew there must not find another's later steps."""
    for path in steps(folder).values():
        discard(path)


def discard(path: Path) -> None:
    """Delete the checkpoint `path`, renamed first, so that half of it is never taken for a whole."""
    trash = path.with_name(f".trash-{path.name[5:]}-{os.getpid()}")
    path.rename(trash)
    shutil.rmtree(trash)


def sweep(folder: Path) -> None:
    """Remove what dead processes left of saving and deleting in `folder`, which must be locked by this process."""
    for path in (*folder.glob(".tmp-*-*"), *folder.glob(".trash-*-*")):
        process = path.name.rsplit("-", 1)[1]
        if process.isdecimal() and (int(process) == os.getpid() or not is_alive(int(process))):
            shutil.rmtree(path, ignore_errors=True)
