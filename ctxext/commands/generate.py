"""`ctxext generate`: a prompt goes on, token by token, on stdout."""

import re
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from time import perf_counter
from typing import Any

from ctxext.commands.interruption import interruptible
from ctxext.commands.saved_network import Saved, saved_network
from ctxext.commands.sweep import verdict
from ctxext.config.legality import notes
from ctxext.config.rules.generation import unheeded
from ctxext.config.schema import Run
from ctxext.data.lettering import lettered
from ctxext.data.tokenizer import beginning, tokenizing
from ctxext.formats.json_files import write_json
from ctxext.generation.chat import chat_tokens
from ctxext.generation.decoding import Continuation, limit_of
from ctxext.generation.sampling import Sampling
from ctxext.generation.text import Characters
from ctxext.generation.writing import Ends, Writing
from ctxext.refusal import Refusal, require
from ctxext.reporting.stream import Aside, Stream

STDIN = "-"
RECORD = "generation.json"
ESCAPES = {"n": "\n", "t": "\t", "r": "\r", "\\": "\\"}


def generate(run: Run, folder: Path) -> None:
    """Go on from the prompt of `run` with the run in `run.run`, or with the base where that is empty."""
    text = from_stdin() if run.prompt == STDIN else run.prompt
    with Aside(folder, run.name) as journal, interruptible():
        for note in (*notes(run), *unheeded(run)):
            journal.say(note)
        saved = saved_network(run, journal)
        with tokenizing():
            prompt = encoded(text, run, saved)
        check_room(run, saved.network, len(prompt), journal)
        sampling = Sampling(run.temperature, run.top_k, run.top_p, run.seed)
        continuation = Continuation(saved.network, prompt, sampling, run.max_new_tokens)
        ends = Ends(saved.companions.ends, tuple(map(unescaped, run.stop)), run.max_new_tokens)
        writing = Writing(Characters(saved.tokenizer, prompt), ends)
        clock = Clock()
        try:
            show(clock.timed(continuation.tokens()), writing)
        except Exception as error:
            writing.ended = ": ".join(verdict(error, folder))
            raise
        finally:  # also where a signal ends it
            record = measured(continuation, writing, clock)
            write_json(folder / RECORD, {"prompt": text, "text": writing.text} | record)
            journal.say(summary(record))


class Clock:
    """How long a text takes to come: from `start`, and of that up to its first token, once that has come."""

    def __init__(self) -> None:
        self.start = perf_counter()
        self.to_first: float | None = None

    def timed(self, tokens: Iterator[int]) -> Iterator[int]:
        """Yield `tokens`, taking the time of the first."""
        for token in tokens:
            if self.to_first is None:
                self.to_first = self.elapsed
            yield token

    @property
    def elapsed(self) -> float:
        """The seconds since the start."""
        return perf_counter() - self.start


def show(tokens: Iterator[int], writing: Writing) -> None:
    """Show what is written of `tokens` as they come."""
    stream = Stream()
    try:
        for piece in writing.pieces(tokens):
            stream.write(piece)
            if not stream.is_open:
                return
    finally:
        stream.end()


@cache
def from_stdin() -> str:
    """Return the text on stdin, the same for all jobs of a sweep; the newline that ends its last line is none of it."""
    try:
        text = sys.stdin.buffer.read().decode("utf-8")
    except UnicodeDecodeError as error:
        raise Refusal(f"prompt=-: what stands on stdin is no UTF-8 ({error})") from error
    text = re.sub(r"\r?\n\Z", "", text)
    require(text != "", "prompt=-: nothing stands on stdin")
    return text


def encoded(text: str, run: Run, saved: Saved) -> list[int]:
    """Return the tokens of the prompt `text`, of which none is a control token but those that begin every text."""
    if not run.chat:
        ids = [*beginning(saved.tokenizer), *lettered(saved.tokenizer).encode(text, add_special_tokens=False).ids]
        require(len(ids) > 0, f"prompt={text!r}: the tokenizer makes no token of it")
        return ids
    settings = saved.companions.tokenizer_config
    template = saved.companions.chat_template or settings.get("chat_template")
    if not isinstance(template, str) or not template:
        raise Refusal("chat=true: the tokenizer has no chat template; drop it, or use a base that was trained on chats")
    return chat_tokens(saved.tokenizer, template, settings, text)


def check_room(run: Run, network: Any, count: int, journal: Aside) -> None:
    """Refuse a prompt of `count` tokens that is longer than `network` can read; say what to expect of a long text."""
    limit, trained = limit_of(network), run.base.trained_length
    require(
        limit is None or count <= limit, f"prompt has {count:,} tokens, but the positions of the model end at {limit}"
    )
    is_untouched = all(member == member.base() for member in (run.position, run.mask, run.attention))
    if is_untouched and count + run.max_new_tokens > trained:
        journal.say(f"may go beyond the {trained} tokens that the model was trained at; ctxext ls method extends it")


def unescaped(text: str) -> str:
    r"""Return `text` with \n, \t, \r and \\ as the characters that they stand for: no shell can type these well."""
    return re.sub(r"\\([ntr\\])", lambda found: ESCAPES[found[1]], text)


def measured(continuation: Continuation, writing: Writing, clock: Clock) -> dict[str, Any]:
    """Return how a text came to be, in how many seconds, and after how many its first token came, if one did."""
    return {
        "prompt_tokens": len(continuation.prompt),
        "new_tokens": writing.drawn,
        "ended": writing.ended,
        "seconds": clock.elapsed,
        **({} if clock.to_first is None else {"seconds_to_first": clock.to_first}),
        "cache_bytes": continuation.cache.nbytes,
    }


def summary(record: dict[str, Any]) -> str:
    """Return the line that ends the `record` of a text: the rate is that of the tokens after the first."""
    megabytes, pace = record["cache_bytes"] / 1e6, ""
    if "seconds_to_first" in record:
        pace = f", the first after {1000 * record['seconds_to_first']:.0f} ms"
        if record["new_tokens"] > 1:
            rate = (record["new_tokens"] - 1) / (record["seconds"] - record["seconds_to_first"])
            pace += f", then {rate:.0f} tokens/s"
    tokens = f"{record['new_tokens']:,} tokens after {record['prompt_tokens']:,}"
    return f"[{tokens}{pace}, cache {megabytes:.2f} MB; ended: {record['ended']}]"
