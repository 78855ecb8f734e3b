"""What a search asks of a network: the same numbers as a pass of its own for every token gives."""

from collections.abc import Callable
from statistics import mean

import pytest
import torch
from tokenizers import Tokenizer
from torch import Tensor, nn

from ctxext.data.corpus import Corpus
from ctxext.data.material import CorpusMaterial
from ctxext.data.tokenizer import byte_lengths
from ctxext.evaluation.objective import Objective, answer_of, prompt_of, unseen_prompts
from ctxext.evaluation.text.language import choose_windows, last_end
from ctxext.position.rope import Rope, Yarn
from ctxext.refusal import Refusal

Oracle = Callable[[nn.Module, Tensor, int, int], tuple[Tensor, Tensor]]
LENGTH = 96


@pytest.fixture
def objective(corpus: Corpus, tokenizer: Tokenizer) -> Objective:
    windows = choose_windows(corpus, LENGTH, 3, byte_lengths(tokenizer), last_end, "context_length")
    return Objective(windows, 20, unseen_prompts(0, LENGTH, 6, CorpusMaterial(corpus, tokenizer)), 200)


def test_text_is_the_mean_of_the_windows_last_tokens(objective: Objective, network: nn.Module, oracle: Oracle) -> None:
    nll, _ = oracle(network, objective.windows.tokens, 20, LENGTH)
    assert objective.windows.tokens.shape == (3, LENGTH)
    assert objective.text(network) == pytest.approx(float(nll.mean()), rel=1e-5)


def test_only_targets_count_as_text(pairs: Corpus, tokenizer: Tokenizer, network: nn.Module, oracle: Oracle) -> None:
    windows = choose_windows(pairs, 48, 3, byte_lengths(tokenizer), last_end, "context_length")
    nll, _ = oracle(network, windows.tokens, 20, 48)
    counted = windows.targets[:, -20:]
    assert not bool(counted.all())
    assert Objective(windows, 20, [], 200).text(network) == pytest.approx(float(nll[counted].mean()), rel=1e-5)


def test_lookup_is_the_mean_over_the_prompts_of_the_right_answers(
    objective: Objective, network: nn.Module, oracle: Oracle
) -> None:
    means = []
    for sample in objective.prompts:
        answer = answer_of(sample)
        nll, _ = oracle(network, torch.tensor([prompt_of(sample) + answer]), len(answer), LENGTH)
        means.append(float(nll.mean()))
    assert len({len(answer_of(sample)) for sample in objective.prompts}) > 1, "answers of one length show less"
    assert objective.lookup(network) == pytest.approx(mean(means), rel=1e-5)


def test_the_position_shows_in_both(objective: Objective, network_of: Callable[..., nn.Module]) -> None:
    plain, scaled = (network_of(position=position) for position in (Rope(1e4), Yarn(1e4, 4.0, 24, 32.0, 1.0, 1.1)))
    assert objective.text(plain) != objective.text(scaled)
    assert objective.lookup(plain) != objective.lookup(scaled)


def test_prompts_are_spread_over_the_depths_and_fill_the_length(corpus: Corpus, tokenizer: Tokenizer) -> None:
    prompts = unseen_prompts(0, 200, 4, CorpusMaterial(corpus, tokenizer))
    assert [sample.place.depth for sample in prompts] == [0.125, 0.375, 0.625, 0.875]
    assert [len(prompt_of(sample)) + max(map(len, sample.questions[0].answers)) for sample in prompts] == [200] * 4
    places = [sample.positions[0] for sample in prompts]
    assert places == sorted(places)
    assert {sample.place.seed for sample in prompts} == {1}, "evaluation asks with seed 0"


def test_a_length_without_room_is_refused(corpus: Corpus, tokenizer: Tokenizer) -> None:
    with pytest.raises(Refusal, match="the task passkey needs"):
        unseen_prompts(0, 8, 1, CorpusMaterial(corpus, tokenizer))
