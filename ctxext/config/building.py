"""From a composed config to typed objects: nothing unknown passes, and only classes of the option files are made."""

import dataclasses
import importlib
import re
import typing
from typing import Any

from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from ctxext.config.folders import SLOTS, option_of, options, options_with, targets
from ctxext.config.lengths import register
from ctxext.config.literal import literal
from ctxext.config.mistakes import sentence, shown, takes_no
from ctxext.config.schema import Run, check_scalars
from ctxext.refusal import Refusal, fits, require, spelt

NEUTRAL = {"position": "rope", "mask": "document", "attention": "softmax"}
"""The options of the seams that fit every model."""


def build(config: DictConfig) -> Run:
    """Return the typed run of `config`; refuse unknown keys, wrong types, foreign classes and illegal compositions."""
    register()
    try:
        unresolved: Any = OmegaConf.to_container(config, resolve=False)
        classes = {slot: checked_class(slot, unresolved.get(slot)) for slot in SLOTS}
        check_borrowed(unresolved)
        settings = OmegaConf.merge(OmegaConf.structured(Run), literal(OmegaConf.to_container(config, resolve=True)))
        for missing in sorted(OmegaConf.missing_keys(settings)):
            raise Refusal(f"{missing} has no value; add {missing}=VALUE")
        return made(settings, classes)
    except OmegaConfBaseException as error:
        raise Refusal(sentence(error)) from error


def made(settings: Any, classes: dict[str, type]) -> Run:
    """Return the run of the strictly typed `settings`, its slots filled with `classes`, if it is legal.

    Hydra's `instantiate` would do it in one call, but passes every object through OmegaConf a second time, which knows
    no `str | list[str]`.
    """
    from ctxext.config import legality  # it imports torch, of which composing needs nothing

    check_lists("", OmegaConf.to_container(settings), Run)
    check_scalars(settings)
    legality.check_factor(settings)
    values: dict[str, Any] = {}
    for name in settings:
        node = settings[name]
        if name in classes:
            fields: Any = OmegaConf.to_container(node)
            values[name] = classes[name](**{key: value for key, value in fields.items() if key != "_target_"})
        else:
            values[name] = OmegaConf.to_object(node) if OmegaConf.is_config(node) else node
    run = Run(**values)
    legality.check(run)
    return run


def check_lists(prefix: str, plain: Any, kind: type) -> None:
    """Refuse a list in the config `plain` of the schema `kind` that holds what it can't, as OmegaConf lets lists do."""
    for name, hint in typing.get_type_hints(kind).items():
        if dataclasses.is_dataclass(hint):
            check_lists(f"{prefix}{name}.", plain[name], typing.cast(type, hint))
        elif typing.get_origin(hint) is list:
            check_value(f"{prefix}{name}", plain[name], hint)


def checked_class(slot: str, plain: Any) -> type:
    """Return the class that the unresolved config `plain` of `slot` names; refuse foreign ones and foreign keys.

    A `_target_` runs code, so that only what packaged option files name is ever made, or files in the --config-dir of
    this command line, and nothing inside another.
    """
    chosen = isinstance(plain, dict) and "_target_" in plain
    require(chosen, f"{slot} must be an option of its group; choose {slot}={' or '.join(options(slot))}")
    target, allowed = plain["_target_"], sorted(set(targets(slot).values()))
    require(target in allowed, f"{slot}._target_ must be one of {', '.join(allowed)}, got {target!r}")
    member = imported(slot, target)
    check_keys(slot, plain, member)
    return member


def imported(slot: str, target: str) -> type:
    """Return the class named `target`; refuse one that can't be imported, or that isn't made for `slot`."""
    from ctxext import seams  # it imports torch, of which composing needs nothing

    module, _, name = target.rpartition(".")
    try:
        member: Any = getattr(importlib.import_module(module), name)
    except (ImportError, AttributeError, ValueError) as error:
        raise Refusal(
            f"{slot}._target_={target} can't be imported ({error}); put the folder of its module on PYTHONPATH"
        ) from error
    family = {"position": seams.Position, "mask": seams.Mask, "attention": seams.Attention}.get(slot, object)
    fits_slot = isinstance(member, type) and issubclass(member, family) and dataclasses.is_dataclass(member)
    wanted = "a dataclass" if family is object else f"a dataclass made from ctxext.seams.{family.__name__}"
    require(fits_slot, f"{slot}._target_ must be {wanted}, got {target}")
    found: type = member
    return found


def check_keys(slot: str, plain: dict[str, Any], member: Any) -> None:
    """Refuse keys of `plain` that the class `member` doesn't have, those that it lacks, and values of another type."""
    hints, known = typing.get_type_hints(member), [field.name for field in dataclasses.fields(member)]
    for key, value in plain.items():
        if key != "_target_":
            if key not in known:
                raise Refusal(takes_no(slot, plain, key, known))
            check_value(f"{slot}.{key}", value, hints[key])
    for key in known:
        require(key in plain, f"{slot}.{key} is missing; {slot}={option_of(slot, plain)} needs it")


def check_borrowed(plain: dict[str, Any]) -> None:
    """Refuse a seam of the unresolved config `plain` that reads a size which other models have, and this one hasn't."""
    for slot, nearest in NEUTRAL.items():
        for key in re.findall(r"\$\{model\.(\w+)\}", str(plain[slot])):
            if key not in plain["model"] and options_with("model", key):
                lacking = f"model={option_of('model', plain['model'])} hasn't"
                reads = f"{slot}={option_of(slot, plain[slot])} reads model.{key}"
                raise Refusal(f"{reads}, which {lacking}; use model=tiny, or {slot}={nearest}")


def check_value(path: str, value: object, hint: object) -> None:
    """Refuse `value` at `path` unless it fits `hint`; an interpolation is checked by the class, once it is resolved."""
    if not (isinstance(value, str) and ("${" in value or value == "???")):
        require(fits(value, hint), f"{path} must be {spelt(hint)}, got {shown(value)}")
