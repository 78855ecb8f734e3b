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
from ctxext.evaluation.reader import Reader, TruncatedReader, WholeReader
from ctxext.evaluation.retrieval import padded, passkey_samples, rank_samples, sample_record, task_rows
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
from ctxext.tasks.passkey import Sample

CONTRACT = {"subject", "task", "length", "depth", "index", "seed", "positions", "answer", "candidates", "rank"}
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


def samples_of(
    count: int, prompt: int, answers: Callable[[int, int], int] = lambda sample, candidate: 4
) -> list[Sample]:
    """Samples of random tokens: `answers` gives the length of each candidate of each sample."""
    draw = torch.Generator().manual_seed(1)

    def ids(size: int) -> list[int]:
        drawn: list[int] = torch.randint(1, 320, (size,), generator=draw).tolist()
        return drawn

    return [
        Sample(
            "passkey",
            40,
            0.0,
            i,
            0,
            ids(prompt),
            [0],
            [""] * 10,
            [ids(answers(i, candidate)) for candidate in range(10)],
        )
        for i in range(count)
    ]


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


def agree(reader: Reader, samples: list[Sample]) -> None:
    budgets = [max(len(answer) for answer in sample.answers) for sample in samples]
    prompts = [reader.prompt(sample.prompt, budget) for sample, budget in zip(samples, budgets, strict=True)]
    wanted = [whole_rank(reader.model, prompt, sample.answers) for prompt, sample in zip(prompts, samples, strict=True)]

    assert list(rank_samples(reader, samples)) == wanted
    assert len(set(wanted)) > 1, "samples of one rank would show nothing"


@pytest.mark.parametrize(("position", "mask", "attention"), COMPOSITIONS, ids=lambda member: type(member).__name__)
def test_cached_candidates_rank_as_whole_passes_do(
    position: Position, mask: Mask, attention: Attention, network_of: Callable[..., nn.Module]
) -> None:
    agree(WholeReader(network_of(position, mask, attention), 100), samples_of(4, 27))


def test_the_same_holds_for_other_networks(network_of: Callable[..., nn.Module]) -> None:
    agree(WholeReader(network_of(geometry=LstmGeometry(320, 12, 24, 2)), 100), samples_of(5, 30))
    vanilla = network_of(Sinusoidal(10000.0), geometry=VanillaGeometry(320, 24, 32, 2, 4, 1e-5))
    agree(WholeReader(vanilla, 100), samples_of(5, 30))


@pytest.mark.parametrize("batch_tokens", [1, 80, 10_000])
def test_the_truncated_base_reads_the_end_of_the_prompt(batch_tokens: int, network: nn.Module) -> None:
    agree(TruncatedReader(network, batch_tokens, 16, 1), samples_of(6, 30))
    agree(TruncatedReader(network, batch_tokens, 34, 1), samples_of(6, 30))


def test_prompts_and_candidates_may_be_of_unlike_lengths(network: nn.Module) -> None:
    agree(WholeReader(network, 10_000), samples_of(6, 30, lambda sample, candidate: 1 + (sample + candidate) % 4))
    agree(WholeReader(network, 10_000), samples_of(6, 30, lambda sample, candidate: 1))
    agree(WholeReader(network, 10_000), samples_of(3, 30) + samples_of(3, 29) + samples_of(2, 30))


def test_a_tie_is_wrong(network: nn.Module) -> None:
    (sample,) = samples_of(1, 30)
    sample.answers[1:] = [sample.answers[0]] * 9

    assert list(rank_samples(WholeReader(network, 100), [sample])) == [9]


def test_the_likeliest_candidate_has_rank_0(network: nn.Module) -> None:
    (sample,) = samples_of(1, 30)
    ranks: list[int] = []
    for gold in range(10):
        order = [gold, *(other for other in range(10) if other != gold)]
        turned = Sample("passkey", 40, 0.0, 0, 0, sample.prompt, [0], [], [sample.answers[i] for i in order])
        ranks += rank_samples(WholeReader(network, 100), [turned])

    assert sorted(ranks) == list(range(10))


def test_answers_are_filled_up_behind_their_ends() -> None:
    answers, counted = padded([[5, 6, 7], [8]], torch.device("cpu"))

    assert answers.tolist() == [[5, 6, 7], [8, 0, 0]]
    assert counted.tolist() == [[1, 1, 1], [1, 0, 0]]


def encoder(tokenizer: Tokenizer) -> Callable[[str], list[int]]:
    return lambda text: list(tokenizer.encode(text, add_special_tokens=False).ids)


def test_samples_are_spread_over_the_depths_and_the_same_for_every_run(
    settings: Evaluation, tokenizer: Tokenizer
) -> None:
    settings.samples, settings.depths = 7, [0.0, 0.5, 1.0]
    samples, again = (passkey_samples(settings, 96, encoder(tokenizer)) for _ in range(2))

    assert samples == again
    assert [(sample.depth, sample.index) for sample in samples] == [
        *((0.0, 0), (0.5, 0), (1.0, 0), (0.0, 1), (0.5, 1), (1.0, 1)),
        (0.0, 2),
    ]
    assert len({tuple(sample.prompt) for sample in samples}) == 7
    assert all(len(sample.prompt) + max(map(len, sample.answers)) == 96 for sample in samples)


def test_a_record_has_the_keys_of_the_contract(settings: Evaluation, tokenizer: Tokenizer) -> None:
    sample = passkey_samples(settings, 96, encoder(tokenizer))[1]
    record = sample_record("base", sample, 3)

    assert record.keys() == CONTRACT
    assert (record["subject"], record["task"], record["length"], record["rank"]) == ("base", "passkey", 96, 3)
    assert record["answer"] == record["candidates"][0]
    assert len(set(record["candidates"])) == 10
    (place,) = record["positions"]
    assert f"is {record['answer'].strip()}" in tokenizer.decode(sample.prompt[place:])


def test_rows_count_rank_0_over_all_and_at_each_depth() -> None:
    ranks = {0.0: [0, 0, 3, 0], 1.0: [1, 0, 9, 2]}
    records = [
        {"subject": "base", "task": "passkey", "length": 64, "depth": depth, "rank": rank}
        for depth, found in ranks.items()
        for rank in found
    ]
    rows = task_rows(iter(records))

    assert [(row["depth"], row["value"], row["n"]) for row in rows] == [("all", 0.5, 8), (0.0, 0.75, 4), (1.0, 0.25, 4)]
    for row in rows:
        assert (row["metric"], row["chance"]) == ("accuracy", 0.1)
        assert row["low"] < row["value"] < row["high"]


def test_a_network_that_copies_finds_the_fact_and_one_that_guesses_does_not(
    settings: Evaluation, tokenizer: Tokenizer, network: nn.Module
) -> None:
    settings.samples = 20
    samples = passkey_samples(settings, 96, encoder(tokenizer))

    assert list(rank_samples(WholeReader(Copyist(), 1000), samples)) == [0] * 20
    assert sum(rank == 0 for rank in rank_samples(WholeReader(network, 1000), samples)) < 8


class Copyist:
    """Predicts what followed the earlier place with the longest like past: what look-up asks for."""

    unembedding = Unembedding(torch.eye(320) * 9.0, None, 0.0)

    class Cache:
        def __init__(self, seen: Tensor) -> None:
            self.seen = seen

        def repeat(self, count: int) -> "Copyist.Cache":
            return Copyist.Cache(self.seen.clone())

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
