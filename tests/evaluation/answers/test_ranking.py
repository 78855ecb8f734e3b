"""Ranks of planted answers: as a whole pass over each candidate gives them, whatever the composition."""

from collections.abc import Callable
from itertools import takewhile

import pytest
import torch
from tokenizers import Tokenizer
from torch import Tensor, nn

from ctxext.attention.log_n import LogN
from ctxext.attention.self_extend import SelfExtend
from ctxext.attention.softmax import Softmax
from ctxext.data.corpus import Corpus
from ctxext.data.material import CorpusMaterial
from ctxext.evaluation.answers.ranking import Prompt, padded, ranks, share_found
from ctxext.evaluation.ground import Samples
from ctxext.evaluation.reader import Reader, TruncatedReader, WholeReader
from ctxext.evaluation.settings import Evaluation
from ctxext.kernels.loss import Unembedding
from ctxext.mask.document import IntraDocument
from ctxext.mask.sinks import Sinks
from ctxext.mask.sliding_window import SlidingWindow
from ctxext.model.geometry import LstmGeometry, VanillaGeometry
from ctxext.position.alibi import Alibi
from ctxext.position.nope import Nope
from ctxext.position.rope import Rope, RopeInterp, RopeNtk, Yarn
from ctxext.position.sinusoidal import Sinusoidal
from ctxext.seams import Attention, Mask, Position
from ctxext.tasks.samples import Asked

POSITIONS = [
    Rope(10000.0),
    RopeInterp(10000.0, 4.0),
    RopeNtk(10000.0, 4.0),
    Yarn(10000.0, 4.0, 24, 32.0, 1.0, 1.1),
    Alibi(),
    Nope(),
    Sinusoidal(10000.0),
]
MASKS = [IntraDocument(), SlidingWindow(11), Sinks(9, 2)]
ATTENTIONS = [Softmax(), LogN(8), SelfExtend(6, 4)]
COMPOSITIONS = [
    (position, mask, attention)
    for position in POSITIONS
    for mask in MASKS
    for attention in ATTENTIONS
    if not isinstance(attention, SelfExtend) or (isinstance(position, Rope) and not isinstance(mask, Sinks))
    if not (isinstance(mask, Sinks) and isinstance(position, Sinusoidal))
]


def prompts_of(count: int, size: int, answers: Callable[[int, int], int] = lambda sample, candidate: 4) -> list[Prompt]:
    """Prompts of random tokens: `answers` gives the length of each candidate of each prompt."""
    draw = torch.Generator().manual_seed(1)

    def ids(size: int) -> list[int]:
        drawn: list[int] = torch.randint(1, 320, (size,), generator=draw).tolist()
        return drawn

    return [Prompt(ids(size), [ids(answers(i, candidate)) for candidate in range(10)], 1) for i in range(count)]


@torch.no_grad()
def whole_rank(model: nn.Module, prompt: list[int], answers: list[list[int]]) -> int:
    """The rank by one pass over prompt and candidate each, without a cache."""
    totals = []
    for answer in answers:
        tokens = torch.tensor([prompt + answer])
        hidden = model.hidden(tokens, torch.arange(tokens.shape[1])[None])  # type: ignore[operator]
        weight, bias, _ = model.unembedding  # type: ignore[misc]
        logits = hidden[0].double() @ weight.double().T + (0 if bias is None else bias.double())
        chosen = torch.log_softmax(logits, -1)[torch.arange(len(prompt) - 1, len(prompt + answer) - 1), answer]
        totals.append(float(chosen.sum()))
    return sum(total >= totals[0] - 1e-9 for total in totals[1:])


def agree(reader: Reader, prompts: list[Prompt]) -> None:
    read = [reader.prompt(prompt.tokens, prompt.room) for prompt in prompts]
    wanted = [[whole_rank(reader.model, tokens, p.answers)] for tokens, p in zip(read, prompts, strict=True)]

    assert ranks(reader, prompts) == wanted
    assert len({rank for (rank,) in wanted}) > 1, "prompts of one rank would show nothing"


@pytest.mark.parametrize(("position", "mask", "attention"), COMPOSITIONS, ids=lambda member: type(member).__name__)
def test_cached_candidates_rank_as_whole_passes_do(
    position: Position, mask: Mask, attention: Attention, network_of: Callable[..., nn.Module]
) -> None:
    agree(WholeReader(network_of(position, mask, attention), 100), prompts_of(4, 27))


def test_the_same_holds_for_other_networks(network_of: Callable[..., nn.Module]) -> None:
    agree(WholeReader(network_of(geometry=LstmGeometry(320, 12, 24, 2)), 100), prompts_of(5, 30))
    vanilla = network_of(Sinusoidal(10000.0), geometry=VanillaGeometry(320, 24, 32, 2, 4, 1e-5))
    agree(WholeReader(vanilla, 100), prompts_of(5, 30))


@pytest.mark.parametrize("batch_tokens", [1, 80, 10_000])
def test_the_truncated_base_reads_the_end_of_the_prompt(batch_tokens: int, network: nn.Module) -> None:
    agree(TruncatedReader(network, batch_tokens, 16, 1), prompts_of(6, 30))
    agree(TruncatedReader(network, batch_tokens, 34, 1), prompts_of(6, 30))


def test_prompts_and_candidates_may_be_of_unlike_lengths(network: nn.Module) -> None:
    agree(WholeReader(network, 10_000), prompts_of(6, 30, lambda sample, candidate: 1 + (sample + candidate) % 4))
    agree(WholeReader(network, 10_000), prompts_of(6, 30, lambda sample, candidate: 1))
    agree(WholeReader(network, 10_000), prompts_of(3, 30) + prompts_of(3, 29) + prompts_of(2, 30))


def test_prompts_of_one_shape_are_read_once_side_by_side_and_an_answer_of_a_token_needs_no_more(
    network: nn.Module, monkeypatch: pytest.MonkeyPatch
) -> None:
    shapes: list[tuple[int, ...]] = []
    hidden: Callable[..., Tensor] = network.hidden  # type: ignore[assignment]

    def counted(tokens: Tensor, positions: Tensor, **named: object) -> Tensor:
        shapes.append(tuple(tokens.shape))
        return hidden(tokens, positions, **named)

    monkeypatch.setattr(network, "hidden", counted, raising=False)
    short, long = prompts_of(3, 30, lambda sample, candidate: 1), prompts_of(2, 30)

    found = ranks(WholeReader(network, 10_000), [short[0], long[0], short[1], long[1], short[2]])

    assert shapes == [(3, 30), (2, 30)] + [(2, 3)] * 10
    assert [found[0], found[2], found[4]] == ranks(WholeReader(network, 10_000), short)
    assert [found[1], found[3]] == ranks(WholeReader(network, 10_000), long)


def test_a_tie_is_wrong(network: nn.Module) -> None:
    (prompt,) = prompts_of(1, 30)
    tied = prompt._replace(answers=[prompt.answers[0]] * 10)

    assert ranks(WholeReader(network, 100), [tied]) == [[9]]


def test_the_likeliest_candidate_has_rank_0(network: nn.Module) -> None:
    (prompt,) = prompts_of(1, 30)
    found: list[int] = []
    for gold in range(10):
        order = [gold, *(other for other in range(10) if other != gold)]
        found += ranks(WholeReader(network, 100), [prompt._replace(answers=[prompt.answers[i] for i in order])])[0]

    assert sorted(found) == list(range(10))


def test_several_gold_answers_are_ranked_among_all_candidates(network: nn.Module) -> None:
    (prompt,) = prompts_of(1, 30)
    alone = [
        ranks(WholeReader(network, 100), [prompt._replace(answers=prompt.answers[n:] + prompt.answers[:n])])[0][0]
        for n in range(3)
    ]

    assert ranks(WholeReader(network, 100), [prompt._replace(golds=3)]) == [alone]


@pytest.mark.parametrize(
    ("found", "share"), [([0], 1), ([1], 0), ([0, 1, 2], 1), ([0, 1, 3], 2 / 3), ([2, 2, 5], 2 / 3), ([7, 8], 0)]
)
def test_a_gold_answer_is_found_if_fewer_keep_up_than_there_are_gold_ones(found: list[int], share: float) -> None:
    assert share_found(found) == pytest.approx(share)


def test_answers_are_filled_up_behind_their_ends() -> None:
    answers, counted = padded([[5, 6, 7], [8]], torch.device("cpu"))

    assert answers.tolist() == [[5, 6, 7], [8, 0, 0]]
    assert counted.tolist() == [[1, 1, 1], [1, 0, 0]]


def test_a_network_that_copies_finds_the_fact_and_one_that_guesses_does_not(
    make_settings: Callable[..., Evaluation], corpus: Corpus, tokenizer: Tokenizer, network: nn.Module
) -> None:
    material, settings = CorpusMaterial(corpus, tokenizer), make_settings(samples=20, lengths=[96])
    samples = Samples("passkey", settings, material)[96]
    prompts = [
        Prompt(sample.tokens + question.tokens, question.answers, 1)
        for sample in samples
        if isinstance(sample, Asked)
        for question in sample.questions
    ]

    assert ranks(WholeReader(Copyist(), 1000), prompts) == [[0]] * 20
    assert sum(rank == [0] for rank in ranks(WholeReader(network, 1000), prompts)) < 8


class Copyist:
    """Predicts what followed the earlier place with the longest like past: what look-up asks for."""

    unembedding = Unembedding(torch.eye(320) * 9.0, None, 0.0)

    class Cache:
        def __init__(self, seen: Tensor) -> None:
            self.seen = seen

        def fork(self) -> "Copyist.Cache":
            return Copyist.Cache(self.seen)

    def new_cache(self) -> "Copyist.Cache":
        return Copyist.Cache(torch.zeros(0, 0, dtype=torch.long))

    def hidden(self, tokens: Tensor, positions: Tensor, cache: "Copyist.Cache") -> Tensor:
        cache.seen = tokens if cache.seen.numel() == 0 else torch.cat((cache.seen, tokens), dim=1)
        first = cache.seen.shape[1] - tokens.shape[1]
        rows = [[self.follower(row[: place + 1]) for place in range(first, len(row))] for row in cache.seen.tolist()]
        return torch.nn.functional.one_hot(torch.tensor(rows), 320).float()

    @staticmethod
    def follower(row: list[int]) -> int:
        def alike(place: int) -> int:
            past = zip(reversed(row[:place]), reversed(row), strict=False)
            return sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], past))

        return row[max(range(1, len(row)), key=alike)] if len(row) > 1 else 0
