"""The real servers on an export of the shipped base: they answer as this program does, and are gone afterwards."""

import importlib.util
import math
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch

from ctxext.attention.softmax import Softmax
from ctxext.formats.bases import open_base
from ctxext.formats.gguf.export import export_gguf
from ctxext.formats.huggingface.writing.folder import write
from ctxext.mask.document import IntraDocument
from ctxext.position.rope import Rope, Yarn
from ctxext.refusal import Refusal
from ctxext.seams import Position

ROOT = Path(__file__).parents[2]
SCRIPT = ROOT / "scripts" / "serve.py"
TRAINED, TARGET, QUESTIONS = 256, 1024, 4
LENGTH = TARGET - 16  # room for an answer
ENVIRONMENT = os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}

has_transformers = all(importlib.util.find_spec(name) for name in ("fastapi", "openai", "transformers", "uvicorn"))
transformers = pytest.mark.skipif(not has_transformers, reason="needs what `pip install ctxext[serve]` installs")
has_llama = shutil.which("llama-server") is not None or "LLAMA_CPP_PYTHON" in os.environ
llama = pytest.mark.skipif(not has_llama, reason="needs llama-server, or LLAMA_CPP_PYTHON=interpreter")


def loaded() -> ModuleType:
    """Return the script as a module."""
    spec = importlib.util.spec_from_file_location("serve", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["serve"] = module  # where dataclasses look their annotations up
    spec.loader.exec_module(module)
    return module


serve = loaded()


def count(text: str) -> int:
    return len(text.split())


def questions(amount: int, tokens: int, measure: Callable[[str], int]) -> list[Any]:
    return [serve.draw_question(index, amount, tokens, measure) for index in range(amount)]


def extended(position: Position) -> Any:
    """Return the shipped base, read through `position`."""
    base = open_base("pkg://tiny")
    network: Any = base.geometry().build(position, IntraDocument(), Softmax()).eval()
    network.load_state_dict(base.weights())
    return network


def exported(kind: str, network: Any, folder: Path) -> Path:
    """Return `network` as `kind` in `folder`."""
    base = open_base("pkg://tiny")
    if kind == "hf":
        write(folder / "hf", network, base.tokenizer(), base.companions(), TARGET)
        return folder / "hf"
    file = folder / "model.gguf"
    export_gguf(file, network, base.tokenizer(), base.companions(), TARGET, TRAINED, "F32")
    return file


def continued(network: Any, prompts: Sequence[str]) -> list[str]:
    """Return this program's own greedy continuations of `prompts` by `network`, each up to a full stop."""
    tokenizer, texts = open_base("pkg://tiny").tokenizer(), []
    for prompt in prompts:
        tokens = tokenizer.encode(prompt, add_special_tokens=False).ids
        start = len(tokens)
        while len(tokens) < start + 16 and "." not in tokenizer.decode(tokens[start:]):
            with torch.no_grad():
                last = network.hidden(torch.tensor([tokens]), torch.arange(len(tokens))[None])[0, -1]
                tokens.append(int((network.unembedding.weight @ last).argmax()))
        texts.append(tokenizer.decode(tokens[start:]).partition(".")[0])
    return texts


def interviewed(export: Path) -> list[str]:
    """Return what the script says of `export`, stopped by Ctrl-C while it stays, with its process group gone."""
    line = [sys.executable, str(SCRIPT), str(export), f"--questions={QUESTIONS}", "--stay"]
    with subprocess.Popen(
        line, env=ENVIRONMENT, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    ) as process:
        assert process.stdout is not None
        said = []
        for row in process.stdout:
            said.append(row)
            if "Ctrl-C" in row:
                process.send_signal(signal.SIGINT)
        assert process.wait(30) == 130, said
    return said


@pytest.mark.parametrize("kind", [pytest.param("hf", marks=transformers), pytest.param("gguf", marks=llama)])
def test_a_server_answers_beyond_the_trained_length_what_this_program_does(kind: str, tmp_path: Path) -> None:
    tokenizer = open_base("pkg://tiny").tokenizer()
    asked = questions(QUESTIONS, LENGTH, lambda text: len(tokenizer.encode(text, add_special_tokens=False).ids))
    prompts = [question.prompt for question in asked]
    network = extended(Yarn(10000.0, 4.0, TRAINED, 32.0, 1.0, 0.1 * math.log(4) + 1))
    ours, before = continued(network, prompts), continued(extended(Rope(10000.0)), prompts)

    said = interviewed(exported(kind, network, tmp_path))

    answers = re.findall(r"(\d+) \+ \d+ tokens.* is'([^'.]*)", "".join(said))
    assert [answer for _, answer in answers] == ours
    assert all(3.8 * TRAINED < int(counted) < TARGET for counted, _ in answers)
    right = [question.answer.rstrip(".") for question in asked]
    assert sum(map(str.__eq__, ours, right)) >= QUESTIONS // 2
    assert sum(map(str.__eq__, before, right)) == 0
    address = re.search(r"http://127\.0\.0\.1:\d+", said[0])
    assert address is not None
    with pytest.raises(OSError, match="refused"):
        serve.opened(address[0], 1)


FAKE = """
import json, signal, sys
from http.server import BaseHTTPRequestHandler, HTTPServer
class Page(BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(503 if MODE == "loading" else 200)
        self.end_headers()
    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.send_response(200 if body["temperature"] == 0 else 400)
        self.end_headers()
        choice = {"text": " " + body["prompt"].split()[-1] + "."}
        usage = {"prompt_tokens": len(body["prompt"].split()), "completion_tokens": 1}
        self.wfile.write(json.dumps({"choices": [choice], "usage": usage}).encode())
    def log_message(self, *words):
        pass
if MODE == "deaf":
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
if MODE == "broken":
    sys.exit("no such model")
HTTPServer((sys.argv[2], int(sys.argv[4])), Page).serve_forever()
"""


def fake(mode: str = "good") -> Any:
    """Return a server that repeats a prompt's last word, or behaves badly."""
    return serve.Server("fake", [sys.executable, "-c", f"MODE = {mode!r}\n{FAKE}"], "/health")


@pytest.fixture
def processes(monkeypatch: pytest.MonkeyPatch) -> "list[subprocess.Popen[Any]]":
    """Return the list to which every started process is added."""
    started: list[subprocess.Popen[Any]] = []
    real = subprocess.Popen

    def watched(*words: Any, **options: Any) -> Any:
        started.append(real(*words, **options))
        return started[-1]

    monkeypatch.setattr(serve.subprocess, "Popen", watched)
    return started


def test_a_question_is_asked_without_the_environments_proxy(
    processes: "list[subprocess.Popen[Any]]", monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    with serve.serving(fake(), 20) as address:
        answer = serve.ask(address, fake(), "one two three", 5)

    assert (answer.text, answer.prompt_tokens, answer.tokens) == (" three.", 3, 1)
    assert processes[0].poll() == -signal.SIGTERM


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit, ValueError])
def test_the_server_is_stopped_whatever_happens(
    error: type[BaseException], processes: "list[subprocess.Popen[Any]]"
) -> None:
    with pytest.raises(error), serve.serving(fake(), 20):
        raise error

    assert processes[0].poll() is not None


def test_a_server_deaf_to_requests_to_stop_is_killed(
    processes: "list[subprocess.Popen[Any]]", monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(serve, "STOP_SECONDS", 0.2)
    with serve.serving(fake("deaf"), 20):
        pass

    assert processes[0].poll() == -signal.SIGKILL


@pytest.mark.parametrize(
    ("mode", "sentence"),
    [("broken", "fake: it ended with 1\nno such model"), ("loading", "fake: not ready after 1 seconds")],
)
def test_a_server_that_does_not_come_up_is_refused(
    mode: str, sentence: str, processes: "list[subprocess.Popen[Any]]"
) -> None:
    with pytest.raises(Refusal, match=sentence), serve.serving(fake(mode), 20 if mode == "broken" else 1):
        pass

    assert processes[0].poll() is not None


def test_the_facts_asked_for_stand_at_all_depths_of_texts_of_nearly_the_length() -> None:
    asked = questions(4, 200, count)

    for index, question in enumerate(asked):
        fact = question.prompt.rpartition(" Recall: t")[2] + question.answer
        place = count(question.prompt[: question.prompt.index("T" + fact)])
        assert abs(place / 190 - (index + 0.5) / 4) < 0.1
        assert 185 <= count(question.prompt) <= 200
    with pytest.raises(Refusal, match="--tokens must leave room for a statement and a question, got 9"):
        questions(1, 9, count)


@pytest.mark.parametrize(("text", "right"), [(" a b.", True), ("a b", True), (" a b. c", False), (" a", False)])
def test_an_answer_is_right_with_or_without_its_full_stop(text: str, right: bool) -> None:
    assert serve.is_right(serve.Question("", " a b."), serve.Answer(text, 1, 1, 0.0)) == right


def test_a_gguf_without_a_server_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(serve.shutil, "which", lambda name: None)

    assert serve.server_of(Path("model.gguf"), "python3").name == "llama_cpp.server"
    with pytest.raises(Refusal, match=r"model\.gguf: serving a \.gguf needs llama-server on the PATH"):
        serve.server_of(Path("model.gguf"), "")
