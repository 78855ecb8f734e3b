"""A measurement whose process is killed goes on where it was, and ends as if it had never stopped."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from tokenizers import Tokenizer
from torch import nn

from ctxext.data.corpus import Corpus, write_corpus
from ctxext.data.documents import Document
from ctxext.evaluation.ground import Ground
from ctxext.evaluation.ledger import Ledger
from ctxext.evaluation.measure import Measurement, measure
from ctxext.evaluation.reader import WholeReader
from ctxext.evaluation.settings import Evaluation

LENGTHS, TRAINED, BATCH = [48, 64, 96], 48, 130

PROCESS = """
import os, signal, sys
from pathlib import Path
import torch
from tokenizers import Tokenizer
from conftest import ground_on, make_network, settings_of
from ctxext.data.corpus import Corpus
from ctxext.evaluation.ledger import Ledger
from ctxext.evaluation.measure import measure
from ctxext.evaluation.reader import WholeReader

torch.set_num_threads(1)
folder, left = Path(sys.argv[1]), int(sys.argv[2])
settings = settings_of()
settings.lengths, settings.tasks = [48, 64, 96], ["passkey"]
ground = ground_on(settings, 48, Corpus.open(folder / "text"), Tokenizer.from_file(str(folder / "tokenizer.json")))


class Killed(Ledger):
    def add(self, scores):
        global left
        super().add(scores)
        left -= 1
        if left == 0:
            os.kill(os.getpid(), signal.SIGKILL)


ledger = Killed(folder / "a.jsonl")
measure("base", WholeReader(make_network(), 130), ground, ledger)
"""


def measured(network: nn.Module, ground: Ground, ledger: Ledger) -> Measurement:
    """Return what the `network` scores."""
    return measure("base", WholeReader(network, BATCH), ground, ledger)


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="this system has no such signal")
def test_a_killed_process_is_gone_on_with_sample_by_sample_to_the_same_bits(
    network: nn.Module,
    settings: Evaluation,
    corpus: Corpus,
    tokenizer: Tokenizer,
    make_ground: Callable[..., Ground],
    tmp_path: Path,
) -> None:
    settings.lengths, settings.tasks = LENGTHS, ["passkey"]
    texts = [Document(name, tokenizer.decode(corpus.document(i).tolist())) for i, name in enumerate(corpus.names)]
    ground = make_ground(settings, TRAINED, write_corpus(tmp_path / "text", texts, tokenizer), tokenizer)
    tokenizer.save(str(tmp_path / "tokenizer.json"))
    whole = Ledger(tmp_path / "whole.jsonl")
    uninterrupted = measured(network, ground, whole)

    # Killed twice, each time after a few batches more.
    folders = os.pathsep.join(map(str, (Path(__file__).parents[2], Path(__file__).parent)))
    environment = os.environ | {"PYTHONPATH": folders, "OMP_NUM_THREADS": "1"}
    line, known = [sys.executable, "-c", PROCESS, str(tmp_path), "4"], [0]
    for _ in range(2):
        ended = subprocess.run(line, env=environment, capture_output=True, text=True, check=False)
        assert ended.returncode == -signal.SIGKILL, ended.stderr
        known.append(len(Ledger(tmp_path / "a.jsonl").known))
    ledger = Ledger(tmp_path / "a.jsonl")
    assert 0 < known[1] < known[2] < len(whole.known)  # what the first knew the second didn't score again
    resumed = measured(network, ground, ledger)

    assert json.dumps(ledger.known) == json.dumps(whole.known)
    assert ledger.path.read_bytes() == whole.path.read_bytes()
    assert (resumed.records, resumed.tasks, resumed.positions) == (
        uninterrupted.records,
        uninterrupted.tasks,
        uninterrupted.positions,
    )
    for length, scored in uninterrupted.scored.items():
        for name, values in vars(scored).items():
            assert getattr(resumed.scored[length], name).tobytes() == values.tobytes()
