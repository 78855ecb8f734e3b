"""Adapters: what moves, what is saved, that nothing of it is lost on the way, and that merging changes no logit."""

import dataclasses
import importlib.util
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from tokenizers import Tokenizer
from torch import Tensor

from ctxext.attention.softmax import Softmax
from ctxext.data.corpus import write_corpus
from ctxext.data.documents import Document
from ctxext.data.rows import Rows
from ctxext.data.tokenizer import train_tokenizer
from ctxext.mask.document import IntraDocument
from ctxext.mask.sliding_window import SlidingWindow
from ctxext.maths.fingerprint import fingerprint
from ctxext.model.decoder import Decoder
from ctxext.model.geometry import DecoderGeometry
from ctxext.position.rope import Rope, RopeInterp
from ctxext.refusal import Refusal
from ctxext.training import adapters, checkpoint
from ctxext.training.adapters import attach, is_adapters, is_attached, merge
from ctxext.training.checkpoint import FROZEN, frozen
from ctxext.training.loop import Course, Watcher, fit, resume
from ctxext.training.manifest import MANIFEST, write_manifest
from ctxext.training.optimiser import make_optimiser
from ctxext.training.settings import Trainer
from ctxext.training.signals import Stop

GEOMETRY = DecoderGeometry(300, 16, 24, 2, 2, 1, 8, True, 1e-5)
UNTIED = dataclasses.replace(GEOMETRY, tie_word_embeddings=False)
SETTINGS = Trainer(
    *(6, 96, 1, 0.02, 1.0, 0, 0.0, 0.9, 0.95, 1.0, 3, 9, "auto", "fp32", False), adapter="lora", lora_rank=4
)
TEXTS = [f"Text {i} says: " + " ".join(f"{i}.{j}" for j in range(9 + 2 * i)) for i in range(7)]
TRAINED_LENGTH = 16


@pytest.fixture(scope="module")
def rows(tmp_path_factory: pytest.TempPathFactory) -> Rows:
    tokenizer: Tokenizer = train_tokenizer(TEXTS, 300)
    documents = [Document(str(number), text) for number, text in enumerate(TEXTS)]
    return Rows(write_corpus(tmp_path_factory.mktemp("text"), documents, tokenizer), tokenizer, 16, 0.3, seed=1)


@pytest.fixture
def start(rows: Rows, tmp_path: Path) -> Callable[..., tuple[Decoder, Course]]:
    """Return a function from settings to a fresh network with its adapter, and the course that trains it."""

    def started(folder: str = "run", geometry: DecoderGeometry = GEOMETRY, **settings: Any) -> tuple[Decoder, Course]:
        model, chosen = network(geometry), dataclasses.replace(SETTINGS, **settings)
        attach(model, chosen, seed=5)
        left_out = {FROZEN: fingerprint(frozen(model))}
        return model, Course(rows, chosen, tmp_path / folder, {"seed": 1}, left_out)

    return started


def network(geometry: DecoderGeometry = GEOMETRY, seed: int = 0) -> Decoder:
    torch.manual_seed(seed)
    built = geometry.build(Rope(10000.0), IntraDocument(), Softmax())
    assert isinstance(built, Decoder)
    return built


def trained(model: Decoder, course: Course, stop_at: int = 0) -> Decoder:
    stop = Stop()

    def log(row: dict[str, Any]) -> None:
        stop.asked = row["step"] == stop_at

    fit(model, course, Watcher(log, lambda step: {}, stop), *resume(model, course, lambda sentence: None))
    return model


def copied(model: Decoder) -> dict[str, Tensor]:
    return {name: tensor.clone() for name, tensor in model.state_dict().items()}


def equal(first: dict[str, Tensor], second: dict[str, Tensor]) -> bool:
    return first.keys() == second.keys() and all(torch.equal(first[name], second[name]) for name in first)


@torch.no_grad()
def read(model: Decoder) -> Tensor:
    ids = torch.arange(40)[None]
    hidden: Tensor = model.eval().hidden(ids, ids)
    return hidden


def test_a_fresh_adapter_changes_no_bit_of_what_is_read_and_keeps_the_class() -> None:
    model, plain = network(), network()
    wanted = read(plain)
    attach(model, SETTINGS, seed=5)

    assert type(model) is Decoder
    assert is_attached(model)
    assert not is_attached(plain)
    assert torch.equal(read(model), wanted)


def test_without_an_adapter_nothing_is_attached_and_all_is_trained() -> None:
    model = network()
    attach(model, dataclasses.replace(SETTINGS, adapter="none"), seed=5)

    assert equal(model.state_dict(), network().state_dict())
    assert all(part.requires_grad for part in model.parameters())


BESIDE: dict[str, tuple[list[str], set[str]]] = {
    "both": (["embeddings", "norms"], {"embed_tokens", "input_layernorm", "post_attention_layernorm", "norm"}),
    "embeddings": (["embeddings"], {"embed_tokens"}),
    "norms": (["norms"], {"input_layernorm", "post_attention_layernorm", "norm"}),
    "neither": ([], set()),
}


@pytest.mark.parametrize("geometry", [GEOMETRY, UNTIED], ids=["tied", "untied"])
@pytest.mark.parametrize("beside", BESIDE)
def test_only_the_adapter_and_what_is_named_moves(
    beside: str, geometry: DecoderGeometry, start: Callable[..., tuple[Decoder, Course]]
) -> None:
    chosen, names = BESIDE[beside]
    model, course = start(geometry=geometry, lora_trained=chosen, lora_targets=["q_proj", "down_proj"])
    before = copied(model)
    trained(model, course)

    moved = {name for name, tensor in model.state_dict().items() if not torch.equal(tensor, before[name])}
    targeted = [f"layers.{index}.{part}" for index in range(2) for part in ("self_attn.q_proj", "mlp.down_proj")]
    pairs = {f"{part}.lora_{letter}.default.weight" for part in targeted for letter in "AB"}
    assert moved == pairs | {name for name in before if name.split(".")[-2] in names}


def test_what_a_method_learns_is_trained_in_full(each_attention: Any) -> None:
    geometry = DecoderGeometry(67, 24, 40, 2, 4, 2, 8, True, 1e-5)
    model: Any = geometry.build(Rope(10000.0), IntraDocument(), each_attention)
    names = [name for name, _ in model.named_parameters() if name.startswith("learned.")]
    attach(model, dataclasses.replace(SETTINGS, lora_trained=[]), seed=0)
    parameters = dict(model.named_parameters())

    assert all(parameters[name].requires_grad for name in names)
    assert not parameters["embed_tokens.weight"].requires_grad


def test_a_checkpoint_holds_what_is_trained_with_embeddings_and_norms_and_nothing_else(
    start: Callable[..., tuple[Decoder, Course]],
) -> None:
    model, course = start()
    trained(model, course)
    path = course.checkpoints / "step-00000006"

    held = load_file(path / checkpoint.MODEL)
    assert held.keys() == {name for name, part in model.named_parameters() if part.requires_grad}
    assert {"embed_tokens.weight", "norm.weight", "layers.1.input_layernorm.weight"} <= held.keys()
    assert not any("base_layer" in name or "mlp" in name for name in held)
    moments = {name.rsplit("/", 1)[0] for name in load_file(path / checkpoint.OPTIMIZER)}
    assert moments == held.keys()


def test_base_and_checkpoint_together_are_the_trained_network(start: Callable[..., tuple[Decoder, Course]]) -> None:
    model, course = start()
    trained(model, course)
    loaded = network()
    attach(loaded, SETTINGS, seed=99)
    checkpoint.load(course.checkpoints / "step-00000006", loaded, None)

    assert equal(loaded.state_dict(), model.state_dict())


@pytest.mark.parametrize(
    "lost", ["embed_tokens.weight", "norm.weight", "layers.0.self_attn.q_proj.lora_B.default.weight"]
)
def test_a_checkpoint_without_one_of_them_is_refused(lost: str, start: Callable[..., tuple[Decoder, Course]]) -> None:
    model, course = start()
    trained(model, course)
    path = course.checkpoints / "step-00000006"
    held = {name: tensor.clone() for name, tensor in load_file(path / checkpoint.MODEL).items()}
    save_file({name: tensor for name, tensor in held.items() if name != lost}, path / checkpoint.MODEL)
    (path / MANIFEST).unlink()
    write_manifest(path)

    fresh, _ = start()
    with pytest.raises(Refusal, match=f"the weights are another model's, {lost} is missing"):
        checkpoint.load(path, fresh, None)
    with pytest.raises(Refusal, match=r"is (in no part of the model|missing)"):
        checkpoint.load(path, network(), None)


def test_settings_that_freeze_more_than_the_checkpoint_holds_are_refused(
    start: Callable[..., tuple[Decoder, Course]],
) -> None:
    model, course = start()
    trained(model, course)
    forgetful, _ = start(lora_trained=[])

    with pytest.raises(Refusal, match=r"embed_tokens\.weight is in no part of the model"):
        checkpoint.load(course.checkpoints / "step-00000006", forgetful, None)


def test_another_base_is_refused_and_nothing_is_loaded(start: Callable[..., tuple[Decoder, Course]]) -> None:
    model, course = start()
    trained(model, course)
    other = network(seed=1)
    attach(other, SETTINGS, seed=5)
    before = copied(other)

    with pytest.raises(Refusal, match="trained beside another base") as raised:
        checkpoint.load(course.checkpoints / "step-00000006", other, None)
    assert "\n" not in str(raised.value)
    assert equal(other.state_dict(), before)


@pytest.mark.parametrize("settings", [{}, {"lora_dropout": 0.3}, {"lora_plus_ratio": 16.0, "accumulate": 2}])
def test_an_interrupted_run_goes_on_bit_for_bit(
    settings: dict[str, Any], start: Callable[..., tuple[Decoder, Course]]
) -> None:
    straight = trained(*start("straight", **settings))
    trained(*start("cut", **settings), stop_at=4)
    torch.manual_seed(1234)  # another process has drawn otherwise
    resumed = trained(*start("cut", **settings))

    assert equal(resumed.state_dict(), straight.state_dict())


def test_dropout_drops_otherwise_in_each_step_and_nothing_in_reading(
    start: Callable[..., tuple[Decoder, Course]],
) -> None:
    plain, dropped = trained(*start("plain")), trained(*start("dropped", lora_dropout=0.3))

    assert not equal(plain.state_dict(), dropped.state_dict())
    assert torch.equal(read(dropped), read(dropped))


def test_the_second_matrices_learn_faster_by_the_ratio(start: Callable[..., tuple[Decoder, Course]]) -> None:
    model, course = start(lora_plus_ratio=16.0, steps=1)
    optimiser = make_optimiser(model, course.settings)
    names = {id(part): name for name, part in model.named_parameters()}
    ratios = {names[id(part)]: group["ratio"] for group in optimiser.param_groups for part in group["params"]}
    before = copied(model)
    trained(model, course)

    assert ratios == {name: 16.0 if "lora_B" in name else 1.0 for name in ratios}
    assert ratios.keys() == {name for name, part in model.named_parameters() if part.requires_grad}
    # Adam's first step is the learning rate itself, whatever the gradient.
    second = "layers.0.self_attn.v_proj.lora_B.default.weight"
    torch.testing.assert_close((model.state_dict()[second] - before[second]).abs().max(), torch.tensor(16 * 0.02))
    norm = (model.state_dict()["norm.weight"] - before["norm.weight"]).abs().max()
    torch.testing.assert_close(norm, torch.tensor(0.02))


def test_merging_keeps_the_logits_and_gives_a_plain_decoder(start: Callable[..., tuple[Decoder, Course]]) -> None:
    model, course = start(lora_targets=["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"])
    plain = copied(network())
    trained(model, course)
    wanted, embeddings = read(model), model.embed_tokens.weight.clone()
    weight = "layers.0.self_attn.q_proj"
    held = model.state_dict()
    second, first = (held[f"{weight}.lora_{letter}.default.weight"].double() for letter in "BA")
    merged_by_hand = held[f"{weight}.base_layer.weight"].double() + second @ first * (16 / 4)

    difference = merge(model, TRAINED_LENGTH)

    assert 0 < difference <= 1e-5
    assert list(model.state_dict()) == list(plain)
    assert not is_attached(model)
    assert not any("lora" in type(part).__module__ for part in model.modules())
    assert all(part.requires_grad for part in model.parameters())
    torch.testing.assert_close(read(model), wanted, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(model.state_dict()[f"{weight}.weight"].double(), merged_by_hand, atol=1e-6, rtol=1e-6)
    assert torch.equal(model.embed_tokens.weight, embeddings)
    assert not torch.equal(embeddings, plain["embed_tokens.weight"])
    assert not torch.equal(model.state_dict()["norm.weight"], plain["norm.weight"])


def test_a_merge_that_changes_logits_is_an_error_with_the_number(
    start: Callable[..., tuple[Decoder, Course]], monkeypatch: pytest.MonkeyPatch
) -> None:
    model, course = start()
    trained(model, course)
    lora: Any = type(model.layers[0].self_attn.q_proj)
    monkeypatch.setattr(lora, "merge", lambda part, safe_merge: None)

    with pytest.raises(ArithmeticError, match=r"changed logits by \d\S* of their scale, not 1e-05"):
        merge(model, TRAINED_LENGTH)


def test_the_logits_compared_lie_beyond_the_trained_length(monkeypatch: pytest.MonkeyPatch) -> None:
    model, seen = network(), []
    hidden = model.hidden

    def watched(tokens: Tensor, positions: Tensor) -> Tensor:
        seen.append(positions)
        return hidden(tokens, positions)

    monkeypatch.setattr(model, "hidden", watched)
    for trained_length in (16, 8192):
        assert adapters.logits(model, trained_length).shape == (64, 300)

    assert [(int(found[0, 0]), int(found[0, -1])) for found in seen] == [(0, 79), (7744, 8255)]


def test_another_reading_of_an_adapted_network_reads_through_its_adapter(
    start: Callable[..., tuple[Decoder, Course]],
) -> None:
    model, course = start()
    trained(model, course)
    position, mask = RopeInterp(10000.0, 2.0), SlidingWindow(8)
    found = read(model.reading(position, mask, Softmax()))
    same = read(model.reading(Rope(10000.0), IntraDocument(), Softmax()))

    assert torch.equal(same, read(model))
    merge(model, TRAINED_LENGTH)
    other = GEOMETRY.build(position, mask, Softmax())
    other.load_state_dict(model.state_dict())
    torch.testing.assert_close(found, read(other), atol=1e-5, rtol=1e-5)  # type: ignore[arg-type]


def test_only_linear_maps_are_targeted_whatever_else_bears_their_name() -> None:
    model, plain = network(), network()
    attach(plain, SETTINGS, seed=5)
    for block in model.layers:
        block.mlp.q_proj = torch.nn.ModuleDict()
    attach(model, SETTINGS, seed=5)

    assert equal(model.state_dict(), plain.state_dict())
    assert sum(is_adapters(name) for name in model.state_dict()) == 2 * 2 * 4


def test_unknown_targets_are_refused_with_the_nearest() -> None:
    with pytest.raises(Refusal, match=r"the model has no 'q_prj', only down_proj, .*; did you mean 'q_proj'\?"):
        attach(network(), dataclasses.replace(SETTINGS, lora_targets=["q_prj"]), seed=0)


def test_a_missing_peft_is_said_in_a_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(Refusal) as raised:
        attach(network(), SETTINGS, seed=0)
    assert str(raised.value) == "trainer.adapter=lora needs the package peft: pip install ctxext[lora]"
