"""The configuration of an earlier run, with what the user now changes put on top."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import yaml
from hydra.core.override_parser.overrides_parser import OverridesParser
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from ctxext.config.folders import GROUPS, SLOTS, preset
from ctxext.config.record import FILE
from ctxext.config.schema import SAMPLING
from ctxext.refusal import Refusal, nearest, require
from ctxext.strangers import calm_yaml, check_links, text_of

STAGES = ("base", "trainer", "evaluation", "search", "export", "parallel", "hardware")
METHOD = ("position", "mask", "attention", "name")
"""What an overlay sets of a run that exists already."""
PARALLEL = "parallel"
"""On how many processes a run goes on is none of its configuration either."""
READ = ("*.yaml", "*.json", "*.jinja")
"""What is read of a run's folder, beside its checkpoints."""


def saved_run(path: Path, composed: DictConfig, overrides: Sequence[str]) -> DictConfig:
    """Return the config of the run in `path`, changed only where `overrides` touched the freshly `composed` one.

    What is taken over keeps its interpolations, so that a new method's factor follows from the run's own lengths.
    """
    plain = read_config(path)
    fresh: Any = OmegaConf.to_container(composed, resolve=False)
    plain |= {key: fresh[key] for key in (*SAMPLING, PARALLEL)}
    for stage in STAGES:
        plain[stage] = filled(plain.get(stage, {}), fresh[stage])
    if isinstance(plain.get("dataset"), dict):
        plain["dataset"] = filled(plain["dataset"], preset("dataset", plain["dataset"]))
    for keys in touched(overrides):
        put(plain, keys, get(fresh, keys))
    return OmegaConf.create(plain)


def value_of_run(key: str, fresh: Any, run: str, overrides: Any) -> Any:
    """Return the value of the top-level `key` in the config of the earlier `run`, unless Hydra's `overrides` set it.

    Where there is no such run it is the `fresh` one: a folder's name has it before anything is checked.
    """
    typed: Any = OmegaConf.to_container(overrides, resolve=False)
    words = [str(word) for word in typed]
    if not run or [key] in touched(words) or not (Path(str(run)) / FILE).is_file():
        return fresh
    return read_config(Path(str(run))).get(key, fresh)


def filled(earlier: Any, fresh: Any) -> Any:
    """Return the plain config `earlier` with those keys of the `fresh` one that were not there yet when it was made."""
    if not isinstance(earlier, dict) or not isinstance(fresh, dict):
        return earlier
    return {key: filled(earlier[key], value) if key in earlier else value for key, value in fresh.items()} | {
        key: value for key, value in earlier.items() if key not in fresh
    }


def read_config(path: Path) -> dict[str, Any]:
    """Return the configuration of the run in `path` as plain data; refuse what is missing, broken or unresolved."""
    file = path / FILE
    if not file.is_file():
        raise Refusal(f"run={path} is no run, since it has no {FILE}{elsewhere(path)}")
    try:
        check_links(path, READ)
        calm_yaml(text_of(file), file)
        plain = OmegaConf.to_container(OmegaConf.load(file), resolve=False)
    except Refusal:
        raise
    except (yaml.YAMLError, OmegaConfBaseException, ValueError, OSError) as error:
        raise Refusal(f"{file}: can't be read as YAML ({' '.join(str(error).split())})") from error
    if not isinstance(plain, dict):
        raise Refusal(f"{file}: must hold keys and values, got {type(plain).__name__}")
    for place in targets_in(plain):
        require(place in SLOTS, f"{file}: a class stands at {place}._target_, where none belongs")
    for leaf in leaves(plain):
        # `${oc.env:...}` would read the environment of whoever opens a run of somebody else.
        require("${" not in leaf, f"{file}: a saved configuration holds no interpolation, got {leaf!r}")
    return {str(key): value for key, value in plain.items()}


def targets_in(node: object, place: str = "") -> Iterator[str]:
    """Yield the dotted path of each part of `node`, which stands at `place`, that names a class."""
    inner = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
    for key, value in inner:
        if key == "_target_":
            yield place
        yield from targets_in(value, f"{place}.{key}" if place else str(key))


def leaves(node: object) -> Iterator[str]:
    """Yield every key and value in `node` as text."""
    if isinstance(node, dict):
        for key, value in node.items():
            yield str(key)
            yield from leaves(value)
    elif isinstance(node, list):
        for value in node:
            yield from leaves(value)
    else:
        yield str(node)


def elsewhere(path: Path) -> str:
    """Return where runs are: the nearest to `path`, and the newest, as the end of a sentence."""
    outputs = Path("outputs")
    files = [*outputs.glob(f"*/*/{FILE}"), *outputs.glob(f"sweeps/*/*/{FILE}")]
    runs = [str(file.parent) for file in sorted(files, key=lambda file: file.stat().st_mtime, reverse=True)]
    return nearest(str(path), runs) + (f"; the newest are {', '.join(runs[:3])}" if runs else "; none is in outputs")


def touched(overrides: Sequence[str]) -> list[list[str]]:
    """Return the config paths that `overrides` set, whole options before single values."""
    groups, values = [], []
    for override in OverridesParser.create().parse_overrides(list(overrides)):
        key = override.key_or_group
        value = override.value()
        require(not override.is_delete(), f"{override.input_line}: nothing of a saved run can be deleted")
        if key.split(".")[0].split("/")[0] == "hydra":
            continue
        if key == "method":
            groups += [[name] for name in METHOD]
        elif isinstance(value, dict):
            values += [[*key.split("."), str(name)] for name in value]
        elif key in GROUPS:
            groups.append([key])
        else:
            values.append(key.split("."))
    return groups + values


def get(node: Any, keys: list[str]) -> Any:
    """Return the value of the plain config `node` at the path `keys`."""
    for key in keys:
        require(isinstance(node, dict) and key in node, f"{'.'.join(keys)}: no such key")
        node = node[key]
    return node


def put(node: Any, keys: list[str], value: Any) -> None:
    """Set the plain config `node` at the path `keys` to `value`."""
    for key in keys[:-1]:
        node = node.setdefault(key, {})
        require(isinstance(node, dict), f"{'.'.join(keys)}: {key} is a value and holds no keys")
    node[keys[-1]] = value
