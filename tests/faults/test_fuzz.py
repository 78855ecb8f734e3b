"""Random configurations: each is built or refused in one sentence, by an error that the program knows of."""

import logging
import signal
import subprocess
import sys
import types
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from fuzz import hydra_words, plain_words, words
from hydra.errors import ConfigCompositionException, MissingConfigException, OverrideParseException
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException
from scale import times

from ctxext import cli
from ctxext.commands.foundation import check_base
from ctxext.commands.jobs import settled
from ctxext.commands.words import for_hydra
from ctxext.config.building import build
from ctxext.config.legality import notes
from ctxext.config.mistakes import sentence
from ctxext.config.saved import value_of_run
from ctxext.refusal import Refusal

KNOWN = (Refusal, OverrideParseException, MissingConfigException, ConfigCompositionException, OmegaConfBaseException)
BATCH, HANGS = 25, 30
PYTHON_S = ("Traceback", "typing.", "<class", "not supported between", "object is not", "NoneType", "has no attribute")
"""What Python would say of a mistake, and no user should read."""


@pytest.fixture(autouse=True)
def alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Work in an empty folder, without a network, as the program does."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    OmegaConf.register_new_resolver("of_run", value_of_run, replace=True)


@pytest.fixture
def within_time() -> Iterator[Callable[[], None]]:
    """Return a function from which on there are `HANGS` seconds up to its next call."""

    def hung(*_: object) -> None:
        raise TimeoutError

    before = signal.signal(signal.SIGALRM, hung)
    yield lambda: signal.alarm(HANGS) and None
    signal.alarm(0)
    signal.signal(signal.SIGALRM, before)


@pytest.mark.parametrize("batch", range(times(100, 1000) // BATCH))
def test_a_random_configuration_is_built_or_refused_in_a_sentence(
    batch: int, composed: Callable[..., DictConfig], within_time: Callable[[], None]
) -> None:
    ends: Counter[str] = Counter()
    for seed in range(batch * BATCH, (batch + 1) * BATCH):
        typed = words(seed)
        within_time()
        try:
            ready = for_hydra(typed)
            run = build(settled("train", composed(*ready), ready))
            check_base(run)
            notes(run)
            ends["built"] += 1
        except KNOWN as error:
            said = sentence(error, typed)
            assert said, typed
            assert "\n" not in said, (typed, said)
            assert not [piece for piece in PYTHON_S if piece in said], (typed, said)
            ends["refused"] += 1
        except Exception as error:
            raise AssertionError(f"number {seed}: {typed}") from error
    assert sum(ends.values()) == BATCH
    assert all(ends[end] for end in ("built", "refused")), ends
    sys.stdout.write(f"{ends['built']} built, {ends['refused']} refused\n")


@pytest.fixture
def own_logs(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Let Hydra's logging, which closes every handler there is, close its own alone.

    absl's, which comes with rouge_score, would close the stream with it: pytest's.
    """
    root = logging.getLogger()
    before = root.handlers[:]
    monkeypatch.setattr(logging, "_handlerList", [])
    yield
    for handler in set(root.handlers).difference(before):
        root.removeHandler(handler)
        handler.close()


@pytest.fixture
def typed(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], own_logs: None
) -> Callable[..., tuple[int, str]]:
    """Return a function that types words after `ctxext`, whose stages do nothing: the exit status, and what is said."""
    monkeypatch.delenv("HYDRA_FULL_ERROR", raising=False)
    monkeypatch.setitem(sys.modules, "fake_stages", types.SimpleNamespace(stage=lambda run, folder: None))
    fakes = {name: real._replace(function="fake_stages:stage") for name, real in cli.STAGES.items()}
    monkeypatch.setattr(cli, "STAGES", fakes)

    def type_words(*typed: str) -> tuple[int, str]:
        monkeypatch.setattr(sys, "argv", ["ctxext", *typed])
        status = cli.main()
        return status, capfd.readouterr().err

    return type_words


@pytest.mark.parametrize("batch", range(times(2, 20)))
@pytest.mark.parametrize("kind", [hydra_words, plain_words])
def test_words_of_hydra_and_past_it_end_in_a_sentence(
    batch: int,
    kind: Callable[[int], list[str]],
    typed: Callable[..., tuple[int, str]],
    within_time: Callable[[], None],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    ends: Counter[int] = Counter()
    (tmp_path / "own" / "model").mkdir(parents=True)
    (tmp_path / "own" / "model" / "bad.yaml").write_bytes(b"\xff")
    for seed in range(batch * BATCH, (batch + 1) * BATCH):
        monkeypatch.chdir(tmp_path)
        line = kind(seed)
        within_time()
        status, said = typed(*line)
        assert status in (0, 1, 2), (line, said)
        assert not [piece for piece in (*PYTHON_S, "HYDRA_FULL_ERROR") if piece in said], (line, said)
        assert status == 0 or "ctxext: " in said, (line, said)
        ends[status] += 1
    sys.stdout.write(f"{kind.__name__}: {ends[0]} done, {ends[1] + ends[2]} refused\n")


@pytest.mark.parametrize("seed", range(5000, 5000 + times(3, 50)))
def test_the_command_line_says_the_same_without_a_traceback(seed: int, tmp_path: Path) -> None:
    line = [sys.executable, "-m", "ctxext", "prepare", *words(seed), "cache=cache"]
    done = subprocess.run(line, cwd=tmp_path, capture_output=True, text=True, timeout=300)
    assert done.returncode in (0, 2), (words(seed), done.stderr)
    assert "Traceback" not in done.stdout + done.stderr, words(seed)
    if done.returncode == 2:
        assert done.stderr.strip().splitlines()[-1].startswith("ctxext: "), done.stderr
