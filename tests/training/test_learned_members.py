"""Each member that learns, or that a model is trained with, trains, goes on exactly, and comes back from its file."""

from pathlib import Path
from typing import Any

import pytest
import torch
from tokenizers import Tokenizer

from ctxext.attention.softmax import Softmax
from ctxext.data.corpus import Corpus, write_corpus
from ctxext.data.documents import Document
from ctxext.data.rows import Rows
from ctxext.data.tokenizer import train_tokenizer
from ctxext.mask.document import IntraDocument
from ctxext.model.decoder import Decoder
from ctxext.model.geometry import DecoderGeometry
from ctxext.position.rope import Rope
from ctxext.seams import Attention, Mask, Position
from ctxext.training import checkpoint
from ctxext.training.loop import Course, Watcher, fit, resume
from ctxext.training.settings import Trainer
from ctxext.training.signals import Stop

GEOMETRY = DecoderGeometry(300, 24, 40, 2, 4, 2, 8, True, 1e-5)
# Without decay, so that a parameter moves only if the loss depends on it.
SETTINGS = Trainer(6, 128, 1, 0.02, 1.0, 0, 0.0, 0.9, 0.95, 1.0, 3, 9, "auto", "fp32", False)
TEXTS = [f"Text {i} says: " + " ".join(f"{i}.{j}" for j in range(9 + 5 * i)) for i in range(7)]


@pytest.fixture(scope="module")
def tokenizer() -> Tokenizer:
    return train_tokenizer(TEXTS, 300)


@pytest.fixture(scope="module")
def corpus(tokenizer: Tokenizer, tmp_path_factory: pytest.TempPathFactory) -> Corpus:
    return write_corpus(tmp_path_factory.mktemp("text"), [Document(str(i), t) for i, t in enumerate(TEXTS)], tokenizer)


@pytest.fixture
def course(corpus: Corpus, tokenizer: Tokenizer, tmp_path: Path) -> Course:
    """Six steps of two rows, longer than the length from which every member acts."""
    return Course(Rows(corpus, tokenizer, 64, recall_share=0.0, seed=1), SETTINGS, tmp_path / "checkpoints", {})


def network(slot: str, member: Position | Mask | Attention, seed: int) -> Decoder:
    """Return a fresh network with `member` in `slot`."""
    seams: dict[str, Any] = {"position": Rope(10000.0), "mask": IntraDocument(), "attention": Softmax(), slot: member}
    torch.manual_seed(seed)
    built = GEOMETRY.build(**seams)
    assert isinstance(built, Decoder)
    return built


def trained(model: Decoder, course: Course, stop_at: int = 0) -> list[float]:
    """Train `model` from the newest checkpoint on, to the end or to step `stop_at`; return the losses."""
    stop, losses = Stop(), []

    def log(row: dict[str, Any]) -> None:
        losses.append(row["loss"])
        stop.asked = row["step"] == stop_at

    fit(model, course, Watcher(log, lambda step: {}, stop), *resume(model, course, lambda sentence: None))
    return losses


def learns(slot: str, member: Position | Mask | Attention, course: Course, straight: Course) -> None:
    """Check that a network with `member` in `slot` learns, and that its state is whole in a checkpoint."""
    model, cut = network(slot, member, seed=0), network(slot, member, seed=0)
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    if member.base() != member and not model.learned:
        pytest.skip("it learns nothing: it extends what was trained")
    losses = trained(model, straight)
    assert losses[-1] < losses[0] - 0.2
    assert all(not torch.equal(parameter, before[name]) for name, parameter in model.named_parameters())

    resumed = network(slot, member, seed=9)
    assert trained(cut, course, stop_at=3) + trained(resumed, course) == losses
    loaded = network(slot, member, seed=99)
    checkpoint.load(course.checkpoints / "step-00000006", loaded, None)
    ids = torch.arange(60)[None]
    with torch.no_grad():
        read = [other.eval().hidden(ids, ids) for other in (model, resumed, loaded)]
    assert torch.equal(read[0], read[1])
    assert torch.equal(read[0], read[2])


@pytest.fixture
def straight(course: Course, tmp_path: Path) -> Course:
    """The same course in a folder of its own."""
    return Course(course.rows, course.settings, tmp_path / "straight", course.identity)


def test_a_position_learns_goes_on_and_comes_back(each_position: Position, course: Course, straight: Course) -> None:
    learns("position", each_position, course, straight)


def test_a_mask_learns_goes_on_and_comes_back(each_mask: Mask, course: Course, straight: Course) -> None:
    learns("mask", each_mask, course, straight)


def test_an_attention_learns_goes_on_and_comes_back(
    each_attention: Attention, course: Course, straight: Course
) -> None:
    learns("attention", each_attention, course, straight)
