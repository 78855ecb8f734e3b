"""`ctxext generate`: what goes to stdout, what beside it, and what is refused."""

import io
import json
import re
import signal
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from tokenizers.processors import TemplateProcessing

from ctxext.commands import generate as module
from ctxext.commands.generate import encoded, from_stdin, generate, unescaped
from ctxext.config.schema import Run
from ctxext.data.tokenizer import load_tokenizer
from ctxext.formats.bases import located
from ctxext.formats.companions import Companions
from ctxext.refusal import Refusal

PROMPT = "The people of the"
CHATML = (
    "{% for m in messages %}{{ 'U: ' + m.content + '<|endoftext|>' }}{% endfor %}"
    "{% if add_generation_prompt %}A: {% endif %}"
)


@pytest.fixture
def shipped(built: Callable[..., Run]) -> Callable[..., Run]:
    """Return a function from overrides to a run with the shipped base."""
    return lambda *overrides: built("max_new_tokens=12", *overrides)


@pytest.fixture
def texts(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Callable[[Run], tuple[str, str, dict[str, Any]]]:
    """Return a function from a run to what it leaves on stdout, on stderr and in its record."""

    def told(run: Run) -> tuple[str, str, dict[str, Any]]:
        generate(run, tmp_path)
        captured = capsys.readouterr()
        return captured.out, captured.err, json.loads((tmp_path / "generation.json").read_text())

    return told


def test_stdout_has_the_text_alone_and_stderr_a_line(shipped: Any, texts: Any) -> None:
    out, err, record = texts(replace(shipped(), prompt=PROMPT))
    assert out == record["text"] + "\n"
    assert record["text"].startswith(" ")
    assert (record["prompt"], record["new_tokens"], record["ended"]) == (PROMPT, 12, "max_new_tokens")
    assert re.search(r"12 tokens after \d+, the first after \d+ ms, then \d+ tokens/s, cache", err)
    assert 0 < record["seconds_to_first"] < record["seconds"]
    assert out.strip() not in err


def test_fifty_greedy_tokens_of_the_shipped_base_are_those_of_transformers(shipped: Any, texts: Any) -> None:
    transformers = pytest.importorskip("transformers")
    folder = str(located("pkg://tiny"))
    model = transformers.AutoModelForCausalLM.from_pretrained(folder)
    reader = transformers.AutoTokenizer.from_pretrained(folder)
    inputs = reader(PROMPT, return_tensors="pt", return_token_type_ids=False)
    theirs = model.generate(**inputs, max_new_tokens=50, do_sample=False)[0, inputs["input_ids"].shape[1] :]
    record = texts(replace(shipped(), prompt=PROMPT, max_new_tokens=50))[2]
    assert record["text"] == reader.decode(theirs, skip_special_tokens=True)


@pytest.mark.parametrize("template", ["<|endoftext|> $A", "<|endoftext|> $A <|endoftext|>"])
def test_a_prompt_begins_as_the_template_says_and_is_not_ended(template: str, shipped: Any) -> None:
    tokenizer = load_tokenizer(located("pkg://tiny") / "tokenizer.json")
    plain = tokenizer.encode(PROMPT).ids
    tokenizer.post_processor = TemplateProcessing(single=template, special_tokens=[("<|endoftext|>", 0)])
    saved: Any = SimpleNamespace(tokenizer=tokenizer)

    assert encoded(PROMPT, shipped(), saved) == [0, *plain]


def test_the_same_seed_gives_the_same_text_and_another_another(shipped: Any, texts: Any) -> None:
    run = replace(shipped(), prompt=PROMPT, temperature=1.5)
    first, again, other = (texts(replace(run, seed=seed))[0] for seed in (1, 1, 2))
    assert first == again != other


def test_a_stop_ends_the_text_and_is_not_shown(shipped: Any, texts: Any) -> None:
    whole = texts(replace(shipped(), prompt=PROMPT))[2]["text"]
    out, _, record = texts(replace(shipped(), prompt=PROMPT, stop=[whole[5:9], "never"]))
    assert out == whole[: whole.index(whole[5:9])] + "\n"
    assert record["ended"] == f"stop {whole[5:9]!r}"


def test_a_stop_may_be_a_new_line_as_shells_spell_it() -> None:
    assert unescaped(r"\n\t\\n\x") == "\n\t\\n\\x"


def test_a_method_is_read_through_far_beyond_the_trained_length(shipped: Any, texts: Any) -> None:
    run = shipped("+method=streaming_llm", "mask.window=40", "max_new_tokens=300")
    record = texts(replace(run, prompt=PROMPT))[2]
    assert record["new_tokens"] == 300
    longer = texts(replace(run, prompt=PROMPT, max_new_tokens=360))[2]
    assert longer["text"].startswith(record["text"])
    assert longer["cache_bytes"] == record["cache_bytes"]


def test_an_untouched_model_is_said_to_leave_its_trained_length(shipped: Any, texts: Any) -> None:
    run = replace(shipped(), prompt=PROMPT)
    run = replace(run, base=replace(run.base, trained_length=16))
    assert "beyond the 16 tokens" in texts(replace(run, max_new_tokens=15))[1]
    assert "beyond" not in texts(replace(run, max_new_tokens=2))[1]


def test_an_earlier_run_goes_on_with_its_own_weights(finished: Any, texts: Any) -> None:
    run = replace(finished.run, run=str(finished.folder), prompt="The", max_new_tokens=4)
    out, err, record = texts(run)
    assert record["new_tokens"] <= 4
    assert "weights of" in err
    assert "weights of" not in out


def test_a_prompt_from_stdin_is_less_its_last_newline_and_the_same_for_all_jobs(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for typed, text in ((b"a\n\nb\n", "a\n\nb"), ("é".encode(), "é"), (b"a\r\n", "a")):
        from_stdin.cache_clear()
        monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=io.BytesIO(typed)))
        assert from_stdin() == from_stdin() == text
    for typed, sentence in ((b"\xff", "no UTF-8"), (b"\n", "nothing stands")):
        from_stdin.cache_clear()
        monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=io.BytesIO(typed)))
        with pytest.raises(Refusal, match=sentence):
            from_stdin()
    from_stdin.cache_clear()


def test_a_chat_needs_a_template(shipped: Any, tmp_path: Path) -> None:
    with pytest.raises(Refusal, match="no chat template"):
        generate(replace(shipped(), prompt="Hi", chat=True), tmp_path)


def test_a_chat_is_laid_out_by_the_template(shipped: Any, texts: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    real = module.saved_network

    def with_template(run: Run, journal: Any) -> Any:
        saved = real(run, journal)
        companions = saved.companions
        return saved._replace(companions=Companions(companions.tokenizer_config, companions.generation_config, CHATML))

    monkeypatch.setattr(module, "saved_network", with_template)
    counts = [texts(replace(shipped(), prompt=text, chat=True))[2]["prompt_tokens"] for text in ("a", "<|endoftext|>")]
    laid = texts(replace(shipped(), prompt="U: aA: "))[2]["prompt_tokens"]
    assert counts[0] == laid + 1  # the control token
    assert counts[1] > counts[0] + 1


def test_a_prompt_longer_than_a_table_is_refused(shipped: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(module, "limit_of", lambda network: 2)
    with pytest.raises(Refusal, match="positions of the model end at 2"):
        generate(replace(shipped(), prompt=PROMPT), tmp_path)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_what_a_signal_ends_is_recorded_up_to_there(
    number: int, shipped: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    class Impatient(module.Stream):
        def write(self, text: str) -> None:
            super().write(text)
            if text.strip():
                signal.raise_signal(number)

    monkeypatch.setattr(module, "Stream", Impatient)
    with pytest.raises(KeyboardInterrupt):
        generate(replace(shipped(), prompt=PROMPT), tmp_path)
    record = json.loads((tmp_path / "generation.json").read_text())
    assert record["ended"] == "interrupted"
    assert 0 < record["new_tokens"] < 12


def test_what_fails_is_recorded_under_its_name(shipped: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    class Broken(module.Stream):
        def write(self, text: str) -> None:
            raise OSError("no space left")

    monkeypatch.setattr(module, "Stream", Broken)
    with pytest.raises(OSError, match="no space"):
        generate(replace(shipped(), prompt=PROMPT), tmp_path)
    assert json.loads((tmp_path / "generation.json").read_text())["ended"] == "failed: OSError: no space left"


def test_settings_that_choose_nothing_are_said(shipped: Any, texts: Any) -> None:
    assert "top_p=0.5 has no effect with temperature=0" in texts(replace(shipped(), prompt=PROMPT, top_p=0.5))[1]
