"""Mistakes in a command line: each is one sentence with the path, the rule, the value, and what is nearest."""

from collections.abc import Callable

import pytest
from omegaconf import DictConfig

from ctxext.config.building import build
from ctxext.config.mistakes import sentence

WRONG = [
    ("trainer.learning_rate=-1", "trainer.learning_rate must be above 0, got -1.0"),
    ("context_length=abc", "context_length must be a whole number, got 'abc'"),
    ("context_length=null", "context_length must be a whole number, got null"),
    ("evaluation.lengths=[128,x]", "evaluation.lengths[1] must be a whole number, got 'x'"),
    ("evaluation.lengths=5", "evaluation.lengths must be a list, each a whole number, got 5"),
    ("evaluation.tasks=[passkye]", "did you mean 'passkey'?"),
    ("position=yarn position.facter=4", "position.facter: position=yarn takes no 'facter'; did you mean 'factor'?"),
    ("position=yarn +position.facter=4", "position.facter: position=yarn takes no 'facter'; did you mean 'factor'?"),
    ("mask=layered_chunks mask.chunk=4", "mask.chunk: mask=layered_chunks takes no 'chunk'"),
    ("mask=layered_chunks +mask.chunk=4", "mask.chunk: mask=layered_chunks takes no 'chunk'"),
    (
        "+method=vanilla position=longrope",
        "position=longrope reads model.head_dim, which model=vanilla hasn't; use model=tiny, or position=rope",
    ),
    (
        "+method=lstm position=longrope",
        "position=longrope reads model.head_dim, which model=lstm hasn't; use model=tiny",
    ),
    ("position=yran", "position=yran: no such option; did you mean 'yarn'? (ctxext ls position lists all "),
    ("position=zzz", "position=zzz: no such option (alibi, "),
    ("+method=streamingllm", "+method=streamingllm: no such option; did you mean 'streaming_llm'? (ctxext ls method"),
    ("export=hf", "export=hf: no such option (default)"),
    ("+position=yarn", "write position=yarn"),
    ("+method=yarn +method=log_n", "+method=log_n: a method is chosen already"),
    ("seed", "'seed' can't be read as KEY=VALUE"),
    ("name=../elsewhere", "name must be letters, digits"),
    ("~trainer.steps", "trainer.steps: "),
    ("dataset=text", "dataset.path has no value; add dataset.path=VALUE"),
    ("dataset=_shared", "dataset must be an option of its group; choose dataset="),
    ("position._target_=os.system", "position._target_ must be one of ctxext.position"),
    ("+trainer._target_=os.system", "trainer._target_: no such key"),
    (
        "mask=[document,sinks] mask._target_=ctxext.mask.document.IntraDocument",
        "mask.sinks: mask=document takes no 'sinks'",
    ),
    ("base.steps=5", "base.steps must be 0 where base.path names weights, got 5"),
    ("trainer.resume=atuo", "trainer.resume must be one of auto, never, got 'atuo'"),
    ("evaluation.lengths=[512,256]", "evaluation.lengths must rise, each once, got [512, 256]"),
    (
        "evaluation.lengths=[64,256] evaluation.scored_tokens=64",
        "evaluation.lengths must all be above evaluation.scored_tokens=64, got 64",
    ),
    ("export.format=[fh]", "export.format must be among hf, gguf, got 'fh'; did you mean 'hf'?"),
    ("device=gpu", "device must be auto, cpu, cuda or cuda:N, got 'gpu'"),
    ("trainer.compile=maybe", "trainer.compile must be true or false, got 'maybe'"),
    ("evaluation.parameters.niah_single.haystack=[-1]", "niah_single.haystack must be a text, got [-1]"),
    ("evaluation.depths=[[1]]", "evaluation.depths must be a list, each a number, got [[1]]"),
    ("evaluation.effective.score=[[0.5]]", "evaluation.effective.score must be a list, each a number, got [[0.5]]"),
    ("stop=[[a]]", "stop must be a list, each a text, got [['a']]"),
    ("context_length=4194305", "context_length must be at most 4194304 tokens, got 4194305"),
    ("base=none base.trained_length=4194305", "base.trained_length must be at most 4194304 tokens, got 4194305"),
    ("trainer.steps=1.5", "trainer.steps must be a whole number, got 1.5"),
    ("base=none base.trained_length=0", "base.trained_length must be above 0 tokens, got 0"),
]


@pytest.mark.parametrize(("typed", "fragment"), WRONG, ids=[typed for typed, _ in WRONG])
def test_a_mistake_is_said_in_one_sentence(typed: str, fragment: str, composed: Callable[..., DictConfig]) -> None:
    words = typed.split()
    with pytest.raises(Exception) as caught:  # noqa: PT011  Hydra's errors and ours alike
        build(composed(*words))
    said = sentence(caught.value, words)
    assert fragment in said
    assert "\n" not in said


def test_an_error_without_words_is_called_by_its_name() -> None:
    assert sentence(RuntimeError()) == "RuntimeError"


def test_a_file_that_no_word_names_is_called_as_the_system_does() -> None:
    error = PermissionError(13, "Permission denied", "notes.txt")
    assert sentence(error, ["seed=1"]) == "[Errno 13] Permission denied: 'notes.txt'"
    said = sentence(error, ["hydra.run.dir=a", "hydra.run.dir=b"])
    assert said.startswith("hydra.run.dir: no folder can be made at notes.txt (Permission denied)")
