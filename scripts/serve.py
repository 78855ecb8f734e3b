"""Serve an export with an existing OpenAI-compatible server, ask it what stands far back in long texts, and stop it.

    python scripts/serve.py outputs/yarn/DATE_TIME/export/hf             # transformers serve
    python scripts/serve.py outputs/yarn/DATE_TIME/export/model.gguf     # llama-server, or llama_cpp.server

All goes over 127.0.0.1. With --stay the server goes on until Ctrl-C.
"""

import argparse
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, NoReturn
from urllib.request import ProxyHandler, Request, build_opener

from rich.console import Console

from ctxext.formats.bases import GGUF, open_base
from ctxext.maths.counted import generator
from ctxext.refusal import Refusal, require
from ctxext.tasks import recall

HOST = "127.0.0.1"
ANSWER_TOKENS = 16
"""More than any answer has, which is a name of two words."""
STOP_SECONDS = 10.0
LLAMA_PYTHON = "LLAMA_CPP_PYTHON"
OFFLINE = {"HF_HUB_OFFLINE": "1", "HF_HUB_DISABLE_TELEMETRY": "1", "HF_HUB_DISABLE_UPDATE_CHECK": "1"}
Count = Callable[[str], int]


@dataclass(frozen=True)
class Server:
    """A server's `command` but for host and port, the page that answers once it is ready, and what a request adds."""

    name: str
    command: list[str]
    ready: str
    body: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Answer:
    """What a server answered: the `text`, the tokens that it counted in the prompt and in the text, and the seconds."""

    text: str
    prompt_tokens: int
    tokens: int
    seconds: float


@dataclass(frozen=True)
class Question:
    """A prompt that states a fact, goes on, and asks for it, with the right answer."""

    prompt: str
    answer: str


def server_of(export: Path, python: str) -> Server:
    """Return what serves `export`, a folder or a .gguf; `python` is an interpreter that has llama_cpp, or empty."""
    if export.suffix != GGUF:
        # The model is named by its path, in the command and in requests; a request without a name means it too.
        command = [sys.executable, "-m", "transformers.cli.transformers", "serve", str(export)]
        return Server("transformers serve", command, "/health")
    if binary := shutil.which("llama-server"):
        return Server("llama-server", [binary, "--model", str(export), "--ctx-size", "0"], "/health")
    require(
        bool(python),
        f"{export}: serving a .gguf needs llama-server on the PATH, or an interpreter with llama-cpp-python[server] as "
        f"--python or {LLAMA_PYTHON}",
    )
    # A context of 0 is the file's own. Its default penalty on repeated words would spoil every look-up.
    command = [python, "-m", "llama_cpp.server", "--model", str(export), "--n_ctx", "0", "--logits_all", "false"]
    return Server("llama_cpp.server", command, "/v1/models", {"repeat_penalty": 1.0})


@contextmanager
def serving(server: Server, patience: float) -> Iterator[str]:
    """Start `server` on a free port, yield its address once it is ready, and stop it whatever happens.

    One that ends by itself, or is not ready after `patience` seconds, is refused with the last lines that it said.
    """
    with socket.create_server((HOST, 0)) as probe:
        port = probe.getsockname()[1]
    address = f"http://{HOST}:{port}"
    with tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace") as log:
        process = subprocess.Popen(
            [*server.command, "--host", HOST, "--port", str(port)],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            env=os.environ | OFFLINE,
            start_new_session=True,  # Ctrl-C reaches this program alone, which then stops the server
        )
        try:
            await_ready(process, server, address, patience)
            yield address
        except (Refusal, OSError) as error:
            log.seek(0)
            raise Refusal(f"{server.name}: {error}\n{''.join(log.readlines()[-8:])}") from error
        finally:
            stop(process)


def await_ready(process: "subprocess.Popen[Any]", server: Server, address: str, patience: float) -> None:
    """Return once `server` answers at `address`; refuse if its `process` ended or `patience` seconds went by."""
    deadline = time.monotonic() + patience
    while time.monotonic() < deadline:
        require(process.poll() is None, f"it ended with {process.returncode}")
        try:
            with opened(address + server.ready, timeout=5):
                return
        except OSError:  # nobody listens yet, or it says that it is loading
            time.sleep(0.1)
    raise Refusal(f"not ready after {patience:g} seconds")


def stop(process: "subprocess.Popen[Any]") -> None:
    """End `process` and all that it started, after a while by force."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        if process.poll() is None:
            os.killpg(process.pid, number)
            try:
                process.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                continue
    process.wait()


def opened(request: "str | Request", timeout: float) -> Any:
    """Open `request` directly, whatever proxy the environment names."""
    return build_opener(ProxyHandler({})).open(request, timeout=timeout)


def ask(address: str, server: Server, prompt: str, patience: float) -> Answer:
    """Return the greedy completion of `prompt` by the server at `address`, which has `patience` seconds for it."""
    body = {"prompt": prompt, "max_tokens": ANSWER_TOKENS, "temperature": 0.0, "stop": ["."]} | server.body
    headers = {"Content-Type": "application/json"}
    request = Request(f"{address}/v1/completions", json.dumps(body).encode(), headers)
    started = time.monotonic()
    with opened(request, patience) as response:
        said = json.load(response)
    usage, seconds = said["usage"], time.monotonic() - started
    return Answer(said["choices"][0]["text"], usage["prompt_tokens"], usage["completion_tokens"], seconds)


def draw_question(index: int, count: int, tokens: int, measure: Count) -> Question:
    """Return question `index` of `count`, of nearly `tokens` tokens as `measure` counts them.

    The facts stand at depths spread evenly over the texts.
    """
    draw = generator(0, "served question", tokens, index)
    (fact,) = recall.draw_facts(draw, 1)
    room = tokens - measure(fact.statement) - measure(fact.question)
    require(room > 0, f"--tokens must leave room for a statement and a question, got {tokens}")
    sentences = recall.fill(draw, room, measure)
    sentences.insert(round((index + 0.5) / count * len(sentences)), fact.statement)
    return Question("".join([*sentences, fact.question]).lstrip(), fact.answer)


def is_right(question: Question, answer: Answer) -> bool:
    """Return whether `answer` names what `question` asks for; the stop string may or may not be part of it."""
    return answer.text.strip().rstrip(".") == question.answer.strip().rstrip(".")


def interview(
    server: Server, address: str, questions: Sequence[Question], patience: float, say: Callable[..., None]
) -> int:
    """Ask the server all `questions`, say each answer, and return how many were right."""
    right = 0
    for question in questions:
        answer = ask(address, server, question.prompt, patience)
        right += is_right(question, answer)
        said = "right" if is_right(question, answer) else f"wrong, it is{question.answer!r}"
        say(
            f"{answer.prompt_tokens} + {answer.tokens} tokens, {answer.seconds:.2f} s: "
            f"...{question.prompt[-36:]}{answer.text!r} ({said})"
        )
    return right


def arguments(words: Sequence[str]) -> argparse.Namespace:
    """Return the command line `words` as parsed."""
    parser = argparse.ArgumentParser(prog="scripts/serve.py", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("export", type=Path, help="a folder export/hf, or a .gguf file")
    parser.add_argument("--tokens", type=int, default=0, help="of each prompt (default: all that the model takes)")
    parser.add_argument("--questions", type=int, default=8, help="asked one after the other (default: 8)")
    parser.add_argument("--patience", type=float, default=120.0, help="seconds for the start, and for an answer")
    parser.add_argument("--python", default=os.environ.get(LLAMA_PYTHON, ""), help="an interpreter that has llama_cpp")
    parser.add_argument("--stay", action="store_true", help="serve until Ctrl-C after the questions")
    return parser.parse_args(words)


def end(number: int, frame: object) -> NoReturn:
    """End the program as an error would, so that the server is stopped."""
    raise SystemExit(128 + number)


def main(words: Sequence[str]) -> None:
    """Serve, ask, say how many answers were right, and stop the server."""
    chosen = arguments(words)
    say = partial(Console(soft_wrap=True).print, markup=False, highlight=False)
    base = open_base(str(chosen.export))
    tokenizer = base.tokenizer()

    def measure(text: str) -> int:
        return len(tokenizer.encode(text, add_special_tokens=False).ids)

    tokens = chosen.tokens or base.trained_length() - ANSWER_TOKENS
    questions = [draw_question(index, chosen.questions, tokens, measure) for index in range(chosen.questions)]
    server, started = server_of(chosen.export, chosen.python), time.monotonic()
    with serving(server, chosen.patience) as address:
        say(f"{server.name} serves {chosen.export} at {address}/v1, after {time.monotonic() - started:.1f} s")
        right = interview(server, address, questions, chosen.patience, say)
        say(f"{right} of {len(questions)} right")
        if chosen.stay:
            say("until Ctrl-C")
            signal.pause()


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, end)
    try:
        main(sys.argv[1:])
    except Refusal as refusal:
        sys.exit(f"serve: {refusal}")
    except KeyboardInterrupt:
        sys.exit(130)
