"""The configuration of an earlier run, with what is now typed put on top."""

from collections.abc import Callable
from pathlib import Path

import pytest
from omegaconf import DictConfig, OmegaConf

from ctxext.config.building import build
from ctxext.config.record import write_config
from ctxext.config.saved import saved_run
from ctxext.refusal import Refusal

EARLIER = ("+method=rope_interp", "context_length=512", "trainer.steps=7", "seed=3")


@pytest.fixture
def again(tmp_path: Path, composed: Callable[..., DictConfig]) -> Callable[..., DictConfig]:
    """Return a function from overrides to the config of an earlier run under them."""
    write_config(composed(*EARLIER), tmp_path)
    return lambda *words: saved_run(tmp_path, composed(*words), list(words))


def test_nothing_typed_changes_nothing(again: Callable[..., DictConfig], composed: Callable[..., DictConfig]) -> None:
    assert again() == OmegaConf.create(OmegaConf.to_container(composed(*EARLIER), resolve=True))


def test_a_value_changes_that_value_only(again: Callable[..., DictConfig]) -> None:
    before, after = again(), again("evaluation.documents=5")
    assert after.evaluation.documents == 5
    after.evaluation.documents = before.evaluation.documents
    assert after == before


def test_an_option_changes_its_whole_group_with_the_values_typed_in_it(again: Callable[..., DictConfig]) -> None:
    before, after = again(), again("dataset=recall", "dataset.count=9")
    assert after.dataset._target_.endswith("Recall")
    assert after.dataset.count == 9
    after.dataset = before.dataset
    assert after == before


def test_a_method_changes_the_three_seams_and_the_name_and_follows_the_runs_own_lengths(
    again: Callable[..., DictConfig],
) -> None:
    before, after = again(), again("+method=yarn")
    assert after.name == "yarn"
    assert after.position.factor == 2
    assert after.position.attention_factor == pytest.approx(1.0693147)
    for key in ("name", "position", "mask", "attention"):
        after[key] = before[key]
    assert after == before


def test_a_dictionary_changes_its_keys_only(again: Callable[..., DictConfig]) -> None:
    after = again("trainer={keep: 5}")
    assert (after.trainer.keep, after.trainer.steps) == (5, 7)


def test_hydras_own_settings_are_not_of_the_run(again: Callable[..., DictConfig]) -> None:
    assert "hydra" not in again("hydra.run.dir=x")


def test_a_key_that_does_not_exist_is_refused_in_building(again: Callable[..., DictConfig]) -> None:
    with pytest.raises(Refusal, match=r"trainer\.stepz: no such key"):
        build(again("+trainer.stepz=3"))


def test_nothing_can_be_deleted(tmp_path: Path, composed: Callable[..., DictConfig]) -> None:
    write_config(composed(), tmp_path)
    with pytest.raises(Refusal, match="nothing of a saved run can be deleted"):
        saved_run(tmp_path, composed("~position"), ["~position"])


@pytest.mark.parametrize(
    ("content", "fragment"),
    [
        ("name: ${oc.env:HOME}", "holds no interpolation"),
        ("trainer: {steps: ['${now:}']}", "holds no interpolation"),
        ("'${x}': 1", "holds no interpolation"),
        ("name: [", "can't be read as YAML"),
        ("- a", "must hold keys and values"),
        ("name: !!python/object/apply:os.system [ls]", "can't be read as YAML"),
        ("seed: " + "1" * 5000, "can't be read as YAML"),
        ("name: &a [x]\nstop: *a", "may not refer to parts of itself"),
        ("[" * 100, "50 levels deep at most"),
        ("dataset: {path: {_target_: open}}", r"a class stands at dataset\.path\._target_, where none belongs"),
        ("dataset: {lessons: [a, {_target_: open}]}", r"a class stands at dataset\.lessons\.1\._target_"),
        ("_target_: open", r"a class stands at \._target_"),
    ],
)
def test_a_saved_config_is_read_as_data(
    content: str, fragment: str, tmp_path: Path, composed: Callable[..., DictConfig]
) -> None:
    (tmp_path / "config.yaml").write_text(content, encoding="utf-8")
    with pytest.raises(Refusal, match=fragment):
        saved_run(tmp_path, composed(), [])


def test_a_folder_that_is_no_run_is_refused(tmp_path: Path, composed: Callable[..., DictConfig]) -> None:
    with pytest.raises(Refusal, match=r"is no run, since it has no config\.yaml"):
        saved_run(tmp_path / "nowhere", composed(), [])


def test_what_is_to_be_generated_is_said_anew_also_for_runs_from_before_it_could_be(
    tmp_path: Path, composed: Callable[..., DictConfig]
) -> None:
    earlier = composed(*EARLIER, "prompt=old", "top_k=3")
    OmegaConf.set_struct(earlier, False)
    del earlier["chat"]
    write_config(earlier, tmp_path)
    found = build(saved_run(tmp_path, composed("top_p=0.5"), ["top_p=0.5"]))
    assert (found.prompt, found.top_k, found.top_p, found.chat) == ("", 0, 0.5, False)


def test_keys_that_its_dataset_did_not_have_yet_come_from_the_option_file_of_the_same_class(
    tmp_path: Path, composed: Callable[..., DictConfig]
) -> None:
    earlier = composed(*EARLIER, "dataset=recall", "dataset.count=9", "dataset.test_share=0.3")
    OmegaConf.set_struct(earlier, False)
    for key in ("application", "labels", "held_out", "prompt", "validation_share", "words"):
        del earlier.dataset[key]
    write_config(earlier, tmp_path)
    found = build(saved_run(tmp_path, composed("seed=4"), ["seed=4"])).dataset
    assert (found.count, found.test_share, found.words, found.validation_share) == (9, 0.3, 180, 0.04)
    assert (found.application, found.labels, found.held_out, found.prompt) == ("", [], [], "{input}")


def test_a_dataset_of_an_unknown_class_gets_nothing_and_is_refused(
    tmp_path: Path, composed: Callable[..., DictConfig]
) -> None:
    write_config(composed(*EARLIER), tmp_path)
    file = tmp_path / "config.yaml"
    file.write_text(file.read_text(encoding="utf-8").replace("ctxext.data.sources.Sotu", "os.system"), encoding="utf-8")
    with pytest.raises(Refusal, match=r"dataset._target_ must be one of"):
        build(saved_run(tmp_path, composed(), []))


def test_a_link_out_of_the_run_is_not_followed(tmp_path: Path, composed: Callable[..., DictConfig]) -> None:
    (tmp_path / "run").mkdir()
    write_config(composed(*EARLIER), tmp_path)
    (tmp_path / "run" / "config.yaml").symlink_to(tmp_path / "config.yaml")
    with pytest.raises(Refusal, match=r"config\.yaml: links out of its folder are not followed"):
        saved_run(tmp_path / "run", composed(), [])


def test_a_config_that_can_t_be_written_leaves_the_one_that_was_there(
    composed: Callable[..., DictConfig], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_config(composed(*EARLIER), tmp_path)
    before = (tmp_path / "config.yaml").read_bytes()

    def fill_up(path: Path, content: bytes) -> None:
        path.write_text(content[:100].decode())
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", fill_up)
    with pytest.raises(OSError, match="No space"):
        write_config(composed(*EARLIER, "seed=4"), tmp_path)
    assert (tmp_path / "config.yaml").read_bytes() == before
