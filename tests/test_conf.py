"""The option files: each builds, names an allowed class, and says what it is; overlays only select."""

import dataclasses
import importlib
import inspect
import pkgutil
import re
from collections.abc import Callable, Iterator
from types import ModuleType

import pytest
from omegaconf import OmegaConf

import ctxext.attention
import ctxext.data
import ctxext.mask
import ctxext.model.families
import ctxext.model.geometry
import ctxext.position
from ctxext.attention.softmax import Softmax
from ctxext.config.folders import CONFIG_DIR, GROUPS, SLOTS, option_files, options, targets
from ctxext.config.schema import Run
from ctxext.data.application import APPLICATIONS
from ctxext.data.fields import Table
from ctxext.data.sources import Generated, Source
from ctxext.formats.huggingface.writing.homes import NotExportable, home
from ctxext.mask.document import IntraDocument
from ctxext.model.families import Gemma
from ctxext.model.geometry import DecoderGeometry
from ctxext.position.rope import Rope, Scaled
from ctxext.seams import Attention, Mask, Position
from ctxext.training.settings import AS_LAID

FAMILIES = {
    "position": (ctxext.position, Position),
    "mask": (ctxext.mask, Mask),
    "attention": (ctxext.attention, Attention),
    "dataset": (ctxext.data, Source),
}
INCOMPLETE = {Gemma, Generated, Scaled, Source, Table}
"""Classes that others are made from, and that are no options themselves."""
STANDINS = ("qa", "translation", "summarisation", "sentiment")


def modules(package: ModuleType) -> Iterator[ModuleType]:
    for found in pkgutil.iter_modules(package.__path__, package.__name__ + "."):
        yield importlib.import_module(found.name)


def classes(slot: str) -> set[str]:
    if slot == "model":
        files = ctxext.model.geometry, ctxext.model.families
        named = [member for file in files for _, member in inspect.getmembers(file, dataclasses.is_dataclass)]
    else:
        package, family = FAMILIES[slot]
        members = [member for module in modules(package) for _, member in inspect.getmembers(module, inspect.isclass)]
        named = [member for member in members if issubclass(member, family) and dataclasses.is_dataclass(member)]
        named = [member for member in named if member.__module__.startswith(package.__name__)]
    return {f"{member.__module__}.{member.__qualname__}" for member in named if member not in INCOMPLETE}


@pytest.mark.parametrize("method", options("method"))
def test_every_overlay_builds_bears_its_own_name_and_changes_the_model(method: str, built: Callable[..., Run]) -> None:
    run = built(f"+method={method}")
    assert run.name == method
    parts = type(run.model), type(run.position), type(run.mask), type(run.attention), run.trainer.positions
    assert parts != (DecoderGeometry, Rope, IntraDocument, Softmax, AS_LAID)


@pytest.mark.parametrize("path", option_files("method"), ids=lambda path: path.stem)
def test_no_overlay_holds_a_value_but_its_name_and_what_follows_from_others(path) -> None:  # type: ignore[no-untyped-def]
    content = OmegaConf.load(path)
    assert {"defaults", "name"} <= set(content)
    assert all(OmegaConf.is_interpolation(content, key) for key in set(content) - {"defaults", "name"})
    assert all(key.startswith("override /") for line in content.defaults for key in line)


@pytest.mark.parametrize("slot", SLOTS)
def test_every_class_of_a_family_has_an_option_and_every_option_a_class(slot: str) -> None:
    assert set(targets(slot).values()) == classes(slot)
    assert list(targets(slot)) == options(slot)


@pytest.mark.parametrize("dataset", options("dataset"))
def test_every_dataset_builds(dataset: str, built: Callable[..., Run]) -> None:
    needs_path = "path" in (option_files("dataset")[options("dataset").index(dataset)]).read_text(encoding="utf-8")
    run = built(f"dataset={dataset}", *(["dataset.path=here"] if needs_path else []))
    assert f"{type(run.dataset).__module__}.{type(run.dataset).__qualname__}" == targets("dataset")[dataset]


@pytest.mark.parametrize("model", options("model"))
def test_every_model_builds_from_scratch(model: str, built: Callable[..., Run]) -> None:
    assert built(f"model={model}", "base=none").base.path == ""


@pytest.mark.parametrize("group", [group for group in GROUPS if group not in ("evaluation", "export")])
def test_every_option_says_what_it_is_and_names_its_paper(group: str) -> None:
    for path in option_files(group):
        lines = [line for line in path.read_text(encoding="utf-8").splitlines() if not line.startswith("# @")]
        assert re.fullmatch(r"# [^:]+.*\.", lines[0]), path
        assert re.fullmatch(r"# paper: (.+ \d{4}, \d{4}\.\d{4,5}(; .+)?|none( \(.+\))?)", lines[1]), path


@pytest.mark.parametrize("slot", ["position", "mask", "attention"])
def test_every_part_says_how_it_is_trained_where_it_is_neutral_and_where_it_exports(slot: str) -> None:
    for path in option_files(slot):
        text = path.read_text(encoding="utf-8")
        assert re.search(r"^# trained: (training-free|fine-tuned|from scratch)$", text, re.MULTILINE), path
        assert re.search(r"^# neutral: \S", text, re.MULTILINE), path
        assert re.search(r"^# exports: (hf \w+|not exportable \(.+\))", text, re.MULTILINE), path


@pytest.mark.parametrize("model", options("model"))
def test_every_model_exports_as_its_file_says(model: str, built: Callable[..., Run]) -> None:
    run = built(f"model={model}", "base=none")
    try:
        kind = "hf " + home(run.model, run.position, run.mask, run.attention).config["model_type"]
    except NotExportable:
        kind = "not exportable"
    (path,) = [path for path in option_files("model") if path.stem == model]
    assert re.search(rf"^# exports: {kind}( \(.+\))?$", path.read_text(encoding="utf-8"), re.MULTILINE)


def test_only_the_default_dataset_mixes_lessons_in(built: Callable[..., Run]) -> None:
    shares = {name: built(f"dataset={name}").dataset.recall_share for name in ("sotu", "stdlib", "recall", *STANDINS)}
    assert shares == {"sotu": 0.5} | dict.fromkeys(("stdlib", "recall", *STANDINS), 0.0)


def test_every_application_but_the_one_of_plain_text_has_a_stand_in(built: Callable[..., Run]) -> None:
    found = [built(f"dataset={name}").dataset.application for name in STANDINS]
    assert sorted(found) == sorted(set(APPLICATIONS) - {"generation"})
    others = ["sotu", "stdlib", "recall"]
    assert {built(f"dataset={name}").dataset.application for name in others} == {""}


def test_every_key_of_a_dataset_is_explained_somewhere_unless_its_name_says_it() -> None:
    texts = [path.read_text(encoding="utf-8") for path in (CONFIG_DIR / "dataset").glob("*.yaml")]
    lines = [line for text in texts for line in text.splitlines() if re.match(r"\w+:", line)]
    keys = {line.partition(":")[0] for line in lines}
    explained = {line.partition(":")[0] for line in lines if "  #" in line}
    assert keys - explained == {"defaults", "_target_", "seed", "subset", "split", "data_files"}
