"""What pairs are for: settings that fit together, prompts that leave the text alone, and targets that are labels."""

from dataclasses import replace

import pytest

from ctxext.data.application import check_documents, labelled, prompted
from ctxext.data.documents import Defect, Document
from ctxext.data.sources import Sotu
from ctxext.refusal import Refusal

LABELS = ["good", "bad"]


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        (
            {"application": "translations"},
            r"application must be empty or among .*'translations'; did you mean 'transla",
        ),
        ({"labels": LABELS}, r"labels=\['good', 'bad'\] are of dataset.application=classification, got application=''"),
        ({"labels": LABELS, "application": "translation"}, r"labels=.* are of dataset.application=classif"),
        ({"labels": ["a"], "application": "classification"}, r"labels must be two or more different texts"),
        ({"labels": ["a", "a"], "application": "classification"}, r"labels must be two or more different texts"),
        ({"labels": ["a", "b "], "application": "classification"}, r"labels must be .* without space around them"),
        ({"labels": ["a", ""], "application": "classification"}, r"labels must be two or more different texts"),
        ({"labels": [0, 1], "application": "classification"}, r"labels must be a list, each a text, got \[0, 1\]"),
        ({"held_out": "a"}, r"held_out must be a list, each a text, got 'a'"),
        ({"prompt": "Translate this:"}, r"prompt must hold \{input\}, where the input of a pair goes, got 'Translate"),
        ({"prompt": ""}, r"prompt must hold \{input\}"),
        ({"prompt": "{inputs}"}, r"prompt knows \{input\} and \{group\}, got \{inputs\}; did you mean 'input'"),
    ],
)
def test_settings_that_do_not_fit_are_refused_by_their_config_path(settings: dict[str, object], sentence: str) -> None:
    with pytest.raises(Refusal, match=f"^dataset.{sentence}"):
        Sotu(**settings)  # type: ignore[arg-type]


def test_settings_that_fit_are_taken() -> None:
    assert (
        Sotu(application="classification", labels=LABELS, held_out=["x"], prompt='{"q": "{input}"} {').labels == LABELS
    )
    assert Sotu(application="classification").labels == []


def test_a_prompt_puts_input_and_group_in_their_places_and_reads_nothing_into_them() -> None:
    pair = Document("a", "{group} and {0} {input}", "target", ("other",), "{input}-x")
    found = prompted(pair, "to {group}: {input}\n{} {input}")
    assert found.text == "to {input}-x: {group} and {0} {input}\n{} {group} and {0} {input}"
    assert (found.name, found.target, found.others, found.group) == ("a", "target", ("other",), "{input}-x")


def test_the_plain_prompt_changes_nothing_and_no_prompt_a_plain_text() -> None:
    pair, plain = Document("a", " in\n", "out"), Document("b", "text")
    assert prompted(pair, "{input}") == replace(pair, body=pair.text)
    assert prompted(plain, "to {group}: {input}") == plain


def test_a_target_that_is_no_label_is_a_defect_and_space_around_one_is_not() -> None:
    assert labelled(Document("a", "text", " good\n", ("bad ",)), LABELS) == Document("a", "text", "good", ("bad",))
    assert labelled(Document("a", "text"), LABELS) == Document("a", "text")
    assert labelled(Document("a", "text", "any"), []) == Document("a", "text", "any")
    for pair in (Document("a:3", "text", "Good"), Document("a:3", "text", "bad", ("Good",))):
        defect = labelled(pair, LABELS)
        assert isinstance(defect, Defect)
        assert (defect.where, defect.size) == ("a:3: target 'Good'", pair.size)
        assert defect.reason == "not among dataset.labels=['good', 'bad']"


def test_an_application_of_pairs_needs_one() -> None:
    plain, pair = Document("a", "text"), Document("b", "in", "out")
    for application in ("", "generation"):
        check_documents(application, [], [plain])
    check_documents("translation", [], [plain, pair])
    with pytest.raises(Refusal, match=r"^dataset.application=translation scores pairs .* holds none; .*input_field"):
        check_documents("translation", [], [plain])


def test_a_group_held_out_has_a_pair() -> None:
    pairs = [Document("a", "in", "out", group=group) for group in ("en-de", "en-fr")]
    check_documents("translation", ["en-fr"], pairs)
    with pytest.raises(Refusal, match=r"held_out names 'en-rf', which no pair .*groups are en-de, en-fr; did you mean"):
        check_documents("translation", ["en-fr", "en-rf"], pairs)
    with pytest.raises(Refusal, match=r"held_out names 'x', .*: no pair has a group, see dataset.group_field"):
        check_documents("translation", ["x"], [Document("a", "in", "out")])
