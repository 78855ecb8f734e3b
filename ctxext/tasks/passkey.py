"""Passkey retrieval: one fact in a haystack of filler, its code ranked among ten.

filler. The code of Ada is treaty vessel. filler. ... Recall: the code of Ada is ->  treaty vessel. | labor peace. | ...
"""

from collections.abc import Callable
from dataclasses import dataclass

from ctxext.maths.counted import generator
from ctxext.refusal import require
from ctxext.tasks import recall

NAME = "passkey"
CANDIDATES = 10


@dataclass(frozen=True)
class Sample:
    """A prompt of token ids, where in it the planted facts start, and the candidate answers, the gold one first."""

    task: str
    length: int
    depth: float
    index: int
    seed: int
    prompt: list[int]
    positions: list[int]
    candidates: list[str]
    answers: list[list[int]]


def sample(seed: int, length: int, depth: float, index: int, encode: Callable[[str], list[int]]) -> Sample:
    """Return sample `index` of (`seed`, `length`, `depth`): prompt and longest answer are `length` tokens of `encode`.

    `depth` 0 plants the fact at the start of the haystack, 1 at its end. A length without room for fact, question and
    answer is refused with the shortest that has it.
    """
    draw = generator(seed, f"{NAME} {depth}", length, index)
    (fact,) = recall.draw_facts(draw, 1)
    others = [code for code in recall.draw_codes(draw, CANDIDATES) if code != fact.code][: CANDIDATES - 1]
    candidates = [fact.answer, *(recall.Fact(fact.name, code).answer for code in others)]
    answers = [encode(candidate) for candidate in candidates]
    statement, question = encode(fact.statement), encode(fact.question)
    room = length - len(statement) - len(question) - max(map(len, answers))
    require(room >= 0, f"evaluation.lengths: the task passkey needs {length - room} tokens or more, got {length}")
    sentences = [encode(sentence) for sentence in recall.fill(draw, room, lambda sentence: len(encode(sentence)))]
    before = round(depth * len(sentences))
    missing = room - sum(map(len, sentences))
    head = [token for sentence in sentences[:before] for token in sentence]
    tail = [token for sentence in sentences[before:] for token in sentence]
    # What a whole sentence can't fill is filled by the end of one, in front of all.
    edge = encode(recall.filler(draw))
    while len(edge) < missing:
        edge = encode(recall.filler(draw)) + edge
    edge = edge[len(edge) - missing :]
    prompt = [*edge, *head, *statement, *tail, *question]
    return Sample(NAME, length, depth, index, seed, prompt, [len(edge) + len(head)], candidates, answers)
