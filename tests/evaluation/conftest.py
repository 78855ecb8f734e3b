"""What is scored: a network whose weights show in its logits, a corpus of uneven documents, and an oracle."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from omegaconf import OmegaConf
from tokenizers import Tokenizer
from torch import Tensor, nn

from ctxext.attention.softmax import Softmax
from ctxext.data.corpus import Corpus, write_corpus
from ctxext.data.documents import Document
from ctxext.data.sources import Sotu
from ctxext.data.tokenizer import train_tokenizer
from ctxext.evaluation.ground import Ground, common_ground
from ctxext.evaluation.settings import Evaluation
from ctxext.evaluation.text.language import drawn_end
from ctxext.mask.document import IntraDocument
from ctxext.model.geometry import DecoderGeometry, Geometry
from ctxext.position.rope import Rope
from ctxext.seams import Attention, Mask, Position
from ctxext.tasks import recall

TEXTS = [recall.document(0, index, words=30 + 12 * index) for index in range(8)]
GEOMETRY = DecoderGeometry(320, 24, 32, 2, 4, 2, 6, True, 1e-5)


@pytest.fixture(scope="session")
def tokenizer() -> Tokenizer:
    return train_tokenizer(TEXTS, 320)


@pytest.fixture(scope="session")
def corpus(tokenizer: Tokenizer, tmp_path_factory: pytest.TempPathFactory) -> Corpus:
    return write_corpus(tmp_path_factory.mktemp("text"), [Document(str(i), t) for i, t in enumerate(TEXTS)], tokenizer)


@pytest.fixture(scope="session")
def pairs(tokenizer: Tokenizer, tmp_path_factory: pytest.TempPathFactory) -> Corpus:
    documents = [Document(str(i), text, target=f"{i} is it.") for i, text in enumerate(TEXTS)]
    folder: Path = tmp_path_factory.mktemp("pairs")
    return write_corpus(folder, documents, tokenizer)


def make_network(
    position: Position | None = None,
    mask: Mask | None = None,
    attention: Attention | None = None,
    geometry: Geometry = GEOMETRY,
) -> nn.Module:
    """Return a network with weights large enough that every part of it shows."""
    network = geometry.build(position or Rope(10000.0), mask or IntraDocument(), attention or Softmax())
    draw = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in network.parameters():
            noise = torch.randn(parameter.shape, generator=draw)
            parameter.copy_(0.3 * noise if parameter.dim() > 1 else 1 + 0.2 * noise)
    return network.eval()


@pytest.fixture(scope="session")
def network_of() -> Callable[..., nn.Module]:
    return make_network


@pytest.fixture(scope="session")
def network() -> nn.Module:
    return make_network()


def settings_of(**changes: Any) -> Evaluation:
    """Return the settings of the option file, made small, with `changes`."""
    file = Path(__file__).parents[2] / "conf" / "evaluation" / "default.yaml"
    small = {"lengths": [16, 32, 48, 96], "scored_tokens": 10, "documents": 4, "subjects": ["base"], "tasks": []}
    small |= {"depths": [0.0, 1.0], "samples": 4, "batch_tokens": 512, "repeats": 0, "stride": 8}
    merged = OmegaConf.merge(OmegaConf.structured(Evaluation), OmegaConf.load(file), small | changes)
    found: Evaluation = OmegaConf.to_object(merged)  # type: ignore[assignment]
    return found


@pytest.fixture(scope="session")
def make_settings() -> Callable[..., Evaluation]:
    return settings_of


@pytest.fixture
def settings() -> Evaluation:
    return settings_of()


def ground_on(settings: Evaluation, trained_length: int, corpus: Corpus, tokenizer: Tokenizer) -> Ground:
    """Return the ground on `corpus` with windows that end anywhere."""
    return common_ground(settings, trained_length, corpus, tokenizer, Sotu(), drawn_end)


@pytest.fixture(scope="session")
def make_ground() -> Callable[..., Ground]:
    return ground_on


Oracle = Callable[[nn.Module, Tensor, int, int], tuple[Tensor, Tensor]]


@pytest.fixture(scope="session")
def oracle() -> Oracle:
    """Brute force with stride 1: a pass of its own for every target, over at most `reach` tokens, in doubles."""

    @torch.no_grad()
    def score(model: nn.Module, windows: Tensor, scored: int, reach: int) -> tuple[Tensor, Tensor]:
        nll = torch.zeros(windows.shape[0], scored, dtype=torch.float64)
        hit = torch.zeros(windows.shape[0], scored, dtype=torch.bool)
        for row, window in enumerate(windows.tolist()):
            for column, target in enumerate(range(len(window) - scored, len(window))):
                context = torch.tensor([window[:target][-reach:]])
                last = model.hidden(context, torch.arange(context.shape[1])[None])[0, -1]  # type: ignore[operator]
                weight, bias, _ = model.unembedding  # type: ignore[misc]
                logits = weight.double() @ last.double() + (0 if bias is None else bias.double())
                nll[row, column] = -torch.log_softmax(logits, 0)[window[target]]
                hit[row, column] = int(logits.argmax()) == window[target]
        return nll, hit

    return score
