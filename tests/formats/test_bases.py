"""Where the base of a run lies: a folder, a file, inside a package, or on the hub."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from ctxext.formats import bases
from ctxext.formats.bases import downloaded, located, open_base
from ctxext.formats.huggingface.reading.folder import HuggingFaceBase
from ctxext.refusal import Refusal


@pytest.fixture(autouse=True)
def fresh() -> Iterator[None]:
    """Forget what was fetched."""
    downloaded.cache_clear()
    yield
    downloaded.cache_clear()


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[..., str]], None]:
    """Put a function in the place of the hub."""
    import huggingface_hub

    return lambda fetch: monkeypatch.setattr(huggingface_hub, "snapshot_download", fetch)


def test_a_base_that_is_not_there_is_refused(tmp_path: Path) -> None:
    for path in ("/nowhere", str(tmp_path), "nowhere", "a/b/c", "model.gguf", "some/model.gguf"):
        with pytest.raises(Refusal) as caught:
            located(path)
        assert str(caught.value).startswith(f"base.path={path}: no Hugging Face folder")
    with pytest.raises(Refusal, match=r"base\.path=pkg://\.\./data: no base of this name is shipped"):
        located("pkg://../data")


def test_a_folder_with_a_configuration_is_a_hugging_face_base(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{}")
    assert located(str(tmp_path)) == tmp_path
    assert open_base(str(tmp_path)) == HuggingFaceBase(tmp_path)


def test_a_shipped_base_is_found_by_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "bases" / "tiny").mkdir(parents=True)
    monkeypatch.setattr(bases, "files", lambda package: tmp_path)

    assert located("pkg://tiny") == tmp_path / "bases" / "tiny"
    with pytest.raises(Refusal, match="did you mean 'tiny'"):
        located("pkg://tini")


def test_a_package_that_is_not_installed_is_refused() -> None:
    with pytest.raises(Refusal, match=r"package://no_such_module/model\.gguf: the package no_such_module is not inst"):
        located("package://no_such_module/model.gguf")


def test_a_hub_id_is_fetched_once_without_anything_that_could_be_run(
    tmp_path: Path, hub: Callable[[Any], None]
) -> None:
    (tmp_path / "config.json").write_text("{}")
    asked: list[tuple[str, list[str]]] = []

    def fetch(name: str, allow_patterns: list[str]) -> str:
        asked.append((name, allow_patterns))
        return str(tmp_path)

    hub(fetch)
    assert [located("some-org/a_model-1.5") for _ in range(2)] == [tmp_path] * 2
    assert asked == [("some-org/a_model-1.5", ["*.safetensors", "*.json", "*.jinja", "README.md"])]


def test_a_folder_wins_over_the_hub(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, hub: Callable[[Any], None]
) -> None:
    def fetch(name: str, **_: Any) -> str:
        raise AssertionError(name)

    hub(fetch)
    (tmp_path / "org" / "model").mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(Refusal, match=r"base\.path=org/model: no Hugging Face folder, it has no config\.json"):
        located("org/model")
    (tmp_path / "org" / "model" / "config.json").write_text("{}")
    assert located("org/model") == Path("org/model")


def test_what_the_hub_refuses_is_one_sentence(hub: Callable[[Any], None]) -> None:
    def fetch(name: str, **_: Any) -> str:
        raise OSError("no route to the hub\nand more lines")

    hub(fetch)
    with pytest.raises(Refusal) as caught:
        located("org/model")
    assert str(caught.value) == (
        "base.path=org/model: no such folder, and no model of the hub could be fetched: no route to the hub"
    )


def test_without_the_hub_s_library_the_sentence_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bases, "find_spec", lambda name: None)
    with pytest.raises(Refusal, match=r"without huggingface_hub; pip install ctxext\[transformers\]"):
        located("org/model")
