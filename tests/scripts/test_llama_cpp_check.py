"""The comparison with llama.cpp itself, where llama-cpp-python is installed."""

import importlib.util
import json
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import torch
from tokenizers import Tokenizer

from ctxext.attention.softmax import Softmax
from ctxext.data.tokenizer import train_tokenizer
from ctxext.formats.companions import plain_companions
from ctxext.formats.gguf.writing.file import write
from ctxext.mask.document import IntraDocument
from ctxext.model.geometry import DecoderGeometry
from ctxext.position.rope import Yarn

SCRIPT = Path(__file__).parents[2] / "scripts" / "llama_cpp_check.py"


@pytest.fixture
def check() -> ModuleType:
    spec = importlib.util.spec_from_file_location("llama_cpp_check", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def file(tmp_path: Path) -> Path:
    torch.manual_seed(0)
    tokenizer: Tokenizer = train_tokenizer(["the code of the red house is 123. " * 20], 300)
    geometry = DecoderGeometry(301, 32, 48, 2, 4, 2, 8, True, 1e-5)
    model = geometry.build(Yarn(10000.0, 4.0, 16, 32.0, 1.0, 1.1386), IntraDocument(), Softmax())
    write(tmp_path / "a.gguf", model, tokenizer, plain_companions(tokenizer), 64, "F32")  # type: ignore[arg-type]
    return tmp_path / "a.gguf"


def test_what_is_expected_is_kept(check: ModuleType, file: Path) -> None:
    check.expect(str(file), str(file.with_suffix(".npz")), "64")
    kept = np.load(file.with_suffix(".npz"))
    assert (kept["tokens"].shape, kept["logits"].shape) == ((64,), (64, 301))
    texts, ids = json.loads(str(kept["words"]))
    assert texts == check.TEXTS
    assert ids[0] == []
    assert min(map(len, ids[1:])) > 0


def test_llama_cpp_computes_what_is_expected(check: ModuleType, file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("llama_cpp", reason="llama-cpp-python is not installed: pip install llama-cpp-python")
    check.expect(str(file), str(file.with_suffix(".npz")), "64")
    check.compare(str(file), str(file.with_suffix(".npz")))
    said = capsys.readouterr().out
    assert float(said.split("the largest difference ")[1].split("\n")[0]) < 1e-2
    assert f"{len(check.TEXTS)} of {len(check.TEXTS)} texts are cut into the same tokens" in said
