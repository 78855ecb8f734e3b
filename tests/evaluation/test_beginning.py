"""Where a tokenizer begins every text with control tokens, each number is that of a token alone behind them."""

import math
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from tokenizers import Tokenizer
from tokenizers.processors import TemplateProcessing
from torch import nn

from ctxext.data.corpus import Corpus, write_corpus
from ctxext.data.documents import Document
from ctxext.data.material import CorpusMaterial
from ctxext.data.sources import Sotu
from ctxext.data.tokenizer import END, as_plain_text, train_tokenizer
from ctxext.evaluation.answers.continuation import continued, cue_of, likeliest
from ctxext.evaluation.answers.dictation import shares_right
from ctxext.evaluation.answers.ranking import Prompt, candidate_totals
from ctxext.evaluation.applications.applied import by_length, items_of
from ctxext.evaluation.applications.classification import Classification
from ctxext.evaluation.applications.generation import losses, passages
from ctxext.evaluation.ground import Ground, Samples, common_ground
from ctxext.evaluation.ledger import Ledger
from ctxext.evaluation.measure import Measurement, measure
from ctxext.evaluation.objective import unseen_prompts
from ctxext.evaluation.protocol import protocol
from ctxext.evaluation.reader import Reader, TruncatedReader, WholeReader
from ctxext.evaluation.text.language import last_end
from ctxext.evaluation.text.longppl import last_tokens, token_losses
from ctxext.evaluation.text.shift import filler_of, shift
from ctxext.evaluation.text.sliding import sliding
from ctxext.maths.fingerprint import fingerprint
from ctxext.refusal import Refusal
from ctxext.tasks import recall
from ctxext.tasks.samples import Dictated
from ctxext.tasks.suite import TASKS

TEXTS = {str(index): recall.document(0, index, words=30 + 12 * index) for index in range(8)}
LENGTHS, LONGEST, SCORED, TRAINED = [16, 32, 33, 40, 48, 96], 96, 10, 32


@pytest.fixture(scope="module", params=[("<s>",), ("<g>", "<s>")], ids=["one", "two"])
def marks(request: pytest.FixtureRequest) -> tuple[str, ...]:
    """What every text begins with."""
    words: tuple[str, ...] = request.param
    return words


@pytest.fixture(scope="module")
def tokenizer(marks: tuple[str, ...]) -> Tokenizer:
    """Its template puts the marks before a text, and the end behind it, as that of Llama and its kin may."""
    plain = train_tokenizer(list(TEXTS.values()), 310)
    plain.add_special_tokens(list(marks))
    ids = [(word, plain.token_to_id(word)) for word in (*marks, END)]
    plain.post_processor = TemplateProcessing(single=f"{' '.join(marks)} $A {END}", special_tokens=ids)
    return as_plain_text(plain)


@pytest.fixture(scope="module")
def begin(marks: tuple[str, ...], tokenizer: Tokenizer) -> list[int]:
    return [tokenizer.token_to_id(word) for word in marks]


@pytest.fixture(scope="module")
def corpus(tokenizer: Tokenizer, tmp_path_factory: pytest.TempPathFactory) -> Corpus:
    documents = [Document(name, text) for name, text in TEXTS.items()]
    return write_corpus(tmp_path_factory.mktemp("begun"), documents, tokenizer)


@pytest.fixture(scope="module")
def pairs(tokenizer: Tokenizer, tmp_path_factory: pytest.TempPathFactory) -> Corpus:
    golds = ("left", "to the right")
    documents = [Document(f"{i}", f"Which way is {i}?" + " Far." * 3 * i, target=golds[i % 2]) for i in range(6)]
    return write_corpus(tmp_path_factory.mktemp("pairs"), documents, tokenizer)


@pytest.fixture(scope="module")
def network(network_of: Callable[..., nn.Module]) -> nn.Module:
    return network_of().double()


@pytest.fixture
def settings(make_settings: Callable[..., Any]) -> Any:
    return make_settings(lengths=LENGTHS, stride=7, truncated_stride=1, samples=3)


@pytest.fixture
def ground(settings: Any, corpus: Corpus, tokenizer: Tokenizer) -> Ground:
    return common_ground(settings, TRAINED, corpus, tokenizer, Sotu(), last_end)


@pytest.fixture
def ledger(tmp_path: Path) -> Ledger:
    return Ledger(tmp_path / "ledger.jsonl")


@pytest.fixture
def texts(ground: Ground, tokenizer: Tokenizer) -> list[list[int]]:
    """The tokens of the scored documents, without any control token."""
    return [tokenizer.encode(TEXTS[name], add_special_tokens=False).ids for name in ground.windows.names]


@torch.no_grad()
def alone(network: Any, context: list[int], target: int) -> tuple[float, bool]:
    """Return nll and hit of `target` from a pass of its own over `context`, at positions from 0."""
    last = network.hidden(torch.tensor([context]), torch.arange(len(context))[None])[0, -1]
    logits = network.unembedding.weight @ last
    return -float(torch.log_softmax(logits, 0)[target]), int(logits.argmax()) == target


def each(
    network: nn.Module, begin: list[int], text: list[int], places: Iterable[int], reach: int
) -> list[tuple[float, bool]]:
    """Return nll and hit of the tokens at `places` of `text`: each behind `begin` and as many before it as fit."""
    room = reach - len(begin)
    return [alone(network, [*begin, *text[max(place - room, 0) : place]], text[place]) for place in places]


def reader_of(kind: str, network: nn.Module, begin: list[int]) -> tuple[Reader, int]:
    """Return a reader and how many tokens it sees at most."""
    if kind == "whole":
        return WholeReader(network, 300), 10_000
    return TruncatedReader(network, 300, TRAINED, 1, tuple(begin)), TRAINED


both = pytest.mark.parametrize("kind", ["whole", "truncated"])


def measured(kind: str, network: nn.Module, ground: Ground, ledger: Ledger, begin: list[int]) -> Measurement:
    return measure("base", reader_of(kind, network, begin)[0], ground, ledger)


def test_windows_are_exactly_as_long_as_asked_and_none_of_the_beginning_is_a_target(
    ground: Ground, begin: list[int], texts: list[list[int]]
) -> None:
    windows = ground.windows
    for length in LENGTHS:
        assert windows.last(length).tolist() == [begin + text[len(begin) - length :] for text in texts]
    assert windows.length == LONGEST
    assert windows.tokens.shape == windows.targets.shape == (4, LONGEST - len(begin))
    assert not torch.isin(windows.tokens, torch.tensor(begin)).any()


@both
def test_the_nll_by_length_is_that_of_each_token_alone(
    kind: str, network: nn.Module, ground: Ground, ledger: Ledger, begin: list[int], texts: list[list[int]]
) -> None:
    found, reach = measured(kind, network, ground, ledger, begin), reader_of(kind, network, begin)[1]
    for length in LENGTHS:
        room = length - len(begin)
        for row, text in enumerate(texts):
            wanted = each(network, begin, text[-room:], range(room - SCORED, room), reach)
            assert found.scored[length].nll[row] == pytest.approx(sum(nll for nll, _ in wanted), rel=1e-6)
            assert found.scored[length].hits[row] == sum(hit for _, hit in wanted)
        assert (found.scored[length].counts == SCORED).all()


def test_the_truncated_base_is_the_base_up_to_the_trained_length_and_a_constant_from_that_and_the_scored_tokens_on(
    network: nn.Module, ground: Ground, begin: list[int]
) -> None:
    whole, truncated = (reader_of(kind, network, begin)[0] for kind in ("whole", "truncated"))
    windows = ground.windows
    for length in (16, TRAINED):
        assert torch.equal(
            whole.score(windows.last(length), SCORED)[0], truncated.score(windows.last(length), SCORED)[0]
        )
    constant = truncated.score(windows.last(TRAINED + SCORED), SCORED)[0]
    assert torch.equal(truncated.score(windows.last(LONGEST), SCORED)[0], constant)
    shorter = truncated.score(windows.last(TRAINED + SCORED - 1), SCORED)[0]
    torch.testing.assert_close(shorter[:, 1:], constant[:, 1:])
    assert not torch.isclose(shorter[:, 0], constant[:, 0]).any()


@pytest.mark.parametrize("stride", [3, 10])
def test_a_pass_for_several_targets_begins_so_too(
    stride: int, network: nn.Module, ground: Ground, begin: list[int], texts: list[list[int]]
) -> None:
    nll, _ = TruncatedReader(network, 300, TRAINED, stride, tuple(begin)).score(ground.windows.last(LONGEST), SCORED)
    for row, text in enumerate(texts):
        lasts = [min(done // stride * stride + stride, SCORED) - 1 for done in range(SCORED)]
        wanted = [
            each(network, begin, text, [len(text) - SCORED + done], TRAINED - (last - done))[0][0]
            for done, last in enumerate(lasts)
        ]
        assert nll[row].tolist() == pytest.approx(wanted, rel=1e-6)


def test_the_nll_by_position_counts_the_beginning_as_places_and_never_as_targets(
    network: nn.Module, ground: Ground, ledger: Ledger, begin: list[int], texts: list[list[int]]
) -> None:
    rows = measured("whole", network, ground, ledger, begin).positions
    size, room = len(begin), LONGEST - len(begin)
    assert sum(row["tokens"] for row in rows) == len(texts) * room
    for row in (rows[0], rows[1], rows[-1]):
        places = range(max(row["low_position"] - size, 0), row["high_position"] - size)
        wanted = [nll for text in texts for nll, _ in each(network, begin, text[-room:], places, 10_000)]
        assert row["tokens"] == len(wanted)
        assert row["nll"] == pytest.approx(sum(wanted) / len(wanted), rel=1e-6)


@pytest.mark.parametrize("length", [16, 96])
def test_a_sliding_window_scores_every_token_behind_a_beginning_of_its_own(
    length: int, network: nn.Module, ground: Ground, ledger: Ledger, begin: list[int], texts: list[list[int]]
) -> None:
    room, whole, nlls = length - len(begin), LONGEST - len(begin), []
    for text in texts:
        start = done = 0
        while done < whole:
            end = min(start + room, whole)
            window = text[-whole:][start:end]
            nlls += [nll for nll, _ in each(network, begin, window, range(done - start, len(window)), 10_000)]
            start, done = start + 7, end

    row = sliding(WholeReader(network, 200), ground, ledger, length)

    assert row["value"] == pytest.approx(math.exp(sum(nlls) / len(nlls)), rel=1e-6)
    assert (row["n"], row["beginning"]) == (len(texts) * whole, len(begin))


def test_the_evaluator_of_longppl_reads_half_a_trained_length_with_its_beginning(
    network: nn.Module, ground: Ground, ledger: Ledger, begin: list[int], texts: list[list[int]]
) -> None:
    found = token_losses(last_tokens(network, ground, TRAINED // 2), ground, ledger, LONGEST)
    for row, text in enumerate(texts):
        places = range(len(text) - SCORED, len(text))
        assert found[row].tolist() == pytest.approx(
            [nll for nll, _ in each(network, begin, text, places, TRAINED // 2)], rel=1e-6
        )


@pytest.mark.parametrize("length", [16, 48])
def test_a_shifted_passage_stands_behind_beginning_and_filler(
    length: int, network: nn.Module, ground: Ground, ledger: Ledger, begin: list[int], texts: list[list[int]]
) -> None:
    filler, room = filler_of(ground).tolist(), LENGTHS[0] - len(begin)
    filler = filler[len(filler) - (length - LENGTHS[0]) :]
    wanted = []
    for text in texts:
        rest = filler + text[-room:]
        assert len(begin + rest) == length
        wanted += [nll for nll, _ in each(network, begin, rest, range(len(rest) - SCORED, len(rest)), 10_000)]

    row = shift(WholeReader(network, 300), ground, ledger, length)

    assert row["value"] == pytest.approx(sum(wanted) / len(wanted), rel=1e-6)
    assert row["position"] == length - room


def drawn(task: str, length: int, make_settings: Any, corpus: Corpus, tokenizer: Tokenizer) -> list[Any]:
    settings = make_settings(lengths=[length], samples=2)
    settings.parameters.mqar.pairs = 3
    by_length = Samples(task, settings, CorpusMaterial(corpus, tokenizer))
    return [sample for samples in by_length.values() for sample in samples]


@pytest.mark.parametrize("task", TASKS)
def test_a_sample_begins_so_within_exactly_its_length(
    task: str, make_settings: Any, corpus: Corpus, tokenizer: Tokenizer, begin: list[int]
) -> None:
    bare = Corpus(corpus.tokens, corpus.starts, corpus.names, None)
    length, size = 900 if task != "mqar" else 200, len(begin)
    begun = drawn(task, length, make_settings, corpus, tokenizer)
    plain = drawn(task, length - size, make_settings, bare, tokenizer)
    for sample, other in zip(begun, plain, strict=True):
        assert sample.tokens == begin + other.tokens
        assert sample.positions == [size + position for position in other.positions]
        assert sample.place.length in (0, length)
        if isinstance(sample, Dictated):
            assert sample.labels == [size + label for label in other.labels]
            assert sample.place.length == 0 or len(sample.tokens) == length
        elif sample.place.length and task != "common_words" and task != "frequent_words":
            used = max(len(question.tokens) + question.room for question in sample.questions)
            assert len(sample.tokens) + used == length


def prompt_seen(prompt: list[int], budget: int, begin: list[int], reach: int) -> list[int]:
    """What a reader of `reach` tokens sees of a prompt, begun, with room for `budget` tokens."""
    text = prompt[len(begin) :]
    return begin + text[max(len(text) - (reach - budget - len(begin)), 0) :]


@both
def test_candidates_are_ranked_by_tokens_alone_behind_the_beginning(
    kind: str, network: nn.Module, make_settings: Any, corpus: Corpus, tokenizer: Tokenizer, begin: list[int]
) -> None:
    reader, reach = reader_of(kind, network, begin)
    for sample in drawn("passkey", 120, make_settings, corpus, tokenizer):
        question = sample.questions[0]
        prompt = Prompt(sample.tokens + question.tokens, question.answers, 1)
        seen = prompt_seen(prompt.tokens, prompt.room, begin, reach)
        totals = candidate_totals(reader, [prompt])[:3, 0]
        for answer, total in zip(question.answers, totals.tolist(), strict=False):
            nll = [alone(network, seen + answer[:place], token)[0] for place, token in enumerate(answer)]
            assert total == pytest.approx(sum(nll), rel=1e-6)


@both
def test_answers_are_written_behind_the_beginning(
    kind: str, network: nn.Module, make_settings: Any, corpus: Corpus, tokenizer: Tokenizer, begin: list[int]
) -> None:
    reader, reach = reader_of(kind, network, begin)
    for sample in drawn("passkey", 120, make_settings, corpus, tokenizer):
        question = sample.questions[0]
        cue = cue_of(reader, sample.tokens + question.tokens, question)
        seen = prompt_seen(sample.tokens + question.tokens, question.room, begin, reach)
        assert cue.tokens == seen
        written: list[int] = []
        for _ in range(cue.budget):
            written.append(best(network, seen + written))
        assert continued(network, [cue], likeliest, lambda tokens: False) == [written]


@torch.no_grad()
def best(network: Any, context: list[int]) -> int:
    last = network.hidden(torch.tensor([context]), torch.arange(len(context))[None])[0, -1]
    return int((network.unembedding.weight @ last).argmax())


@both
@pytest.mark.parametrize("task", ["mqar", "copy"])
def test_what_is_dictated_is_predicted_behind_the_beginning(
    kind: str, task: str, network: nn.Module, make_settings: Any, corpus: Corpus, tokenizer: Tokenizer, begin: list[int]
) -> None:
    reader, reach = reader_of(kind, network, begin)
    for sample in drawn(task, 60, make_settings, corpus, tokenizer):
        text = sample.tokens[len(begin) :]
        places = [label - len(begin) for label in sample.labels]
        hits = [hit for _, hit in each(network, begin, text, places, reach)]
        assert shares_right(reader, [sample]) == [pytest.approx(sum(hits) / len(hits))]


@both
def test_prompts_of_applications_begin_so_and_it_counts_in_their_length(
    kind: str, network: nn.Module, make_settings: Any, pairs: Corpus, tokenizer: Tokenizer, begin: list[int]
) -> None:
    source = Sotu(application="classification")
    settings = make_settings(lengths=[16, 2000], documents=6)
    ground = common_ground(settings, TRAINED, pairs, tokenizer, source, last_end)
    items, (reader, reach) = items_of(ground), reader_of(kind, network, begin)
    application = Classification.of(ground, items)
    answers = application.answers(reader, items)
    assert len(items) == 6
    for item, answer in zip(items, answers, strict=True):
        assert item.prompt == begin + tokenizer.encode(item.pair.source + "\n", add_special_tokens=False).ids
        labels = [tokenizer.encode(label, add_special_tokens=False).ids for label in ("left", "to the right")]
        seen = prompt_seen(item.prompt, max(map(len, labels)), begin, reach)
        for label, total in zip(labels, answer, strict=True):
            nll = [alone(network, seen + label[:place], token)[0] for place, token in enumerate(label)]
            assert total == pytest.approx(sum(nll), rel=1e-6)
    for edge in (0, 1):
        length = len(items[0].prompt) + application.room(items[0]) - edge
        assert next(by_length(items[:1], application, [length]))[0] == (0 if edge else length)
    for item, nll in zip(items, losses(reader, items), strict=True):
        text = item.prompt[len(begin) :] + item.target
        wanted = each(network, begin, text, range(len(text) - len(item.target), len(text)), reach)
        assert nll == pytest.approx(sum(one for one, _ in wanted), rel=1e-6)


def test_passages_begin_so_at_every_length(ground: Ground, begin: list[int]) -> None:
    found = passages(ground)
    for number, length in enumerate(LENGTHS):
        for item in found[4 * number : 4 * number + 4]:
            assert item.prompt[: len(begin)] == begin
            assert len(item.prompt) + SCORED == length


def test_prompts_of_a_search_begin_so(corpus: Corpus, tokenizer: Tokenizer, begin: list[int]) -> None:
    for sample in unseen_prompts(0, 120, 4, CorpusMaterial(corpus, tokenizer)):
        assert sample.tokens[: len(begin)] == begin
        assert len(sample.tokens) + len(sample.questions[0].tokens) + sample.questions[0].room == 120


def test_the_protocol_says_so(ground: Ground, begin: list[int]) -> None:
    words = protocol(replace(ground, settings=replace(ground.settings, measures=["sliding"])))
    said = "a beginning-of-text token" if len(begin) == 1 else "2 beginning-of-text tokens"
    for name in ("perplexity", "sliding"):
        assert f"{said} at the start of every window and prompt, counted in its length, never scored" in words[name]
    assert "of which the first are beginning-of-text again" in words["truncated"]
    assert f"over the last {LONGEST - len(begin)} tokens" in words["sliding"]


def test_a_stride_leaves_room_for_the_beginning(
    make_settings: Any, corpus: Corpus, tokenizer: Tokenizer, begin: list[int]
) -> None:
    size = len(begin)
    common_ground(make_settings(truncated_stride=8), 8 + size, corpus, tokenizer, Sotu(), last_end)
    with pytest.raises(Refusal, match=rf"base\.trained_length=8 less the {size} that begin every text, .* got 8"):
        common_ground(make_settings(truncated_stride=8), 8, corpus, tokenizer, Sotu(), last_end)


def test_texts_with_and_without_a_beginning_have_other_digests(ground: Ground) -> None:
    windows = ground.windows
    tensors = {"tokens": windows.tokens, "targets": windows.targets, "bytes": windows.sizes}
    without = replace(ground, corpus=replace(ground.corpus, beginning=()))

    # By this digest, and no other, are scores kept of texts that begin with nothing.
    assert without.text_digest == fingerprint(tensors, TRAINED) != ground.text_digest
