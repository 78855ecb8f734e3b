"""GGUF files, read by a reader of this file's own, which knows llama.cpp's rules and nothing else of this program."""

import math
import struct
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tokenizers import Tokenizer

from ctxext.attention.softmax import Softmax
from ctxext.attention.temperature import Temperature
from ctxext.formats.companions import Companions, plain_companions
from ctxext.formats.gguf.writing.file import FILE_TYPES, interleaved, write
from ctxext.formats.settings import GGUF_TYPES
from ctxext.mask.document import IntraDocument
from ctxext.model.decoder import Decoder
from ctxext.model.families import Olmo2Geometry
from ctxext.model.geometry import DecoderGeometry
from ctxext.position.clipped import ClippedRope
from ctxext.position.drope import Drope
from ctxext.position.llama3 import Llama3
from ctxext.position.longrope import LongRope
from ctxext.position.nope import Nope
from ctxext.position.partial import PRope
from ctxext.position.resonance import ResonanceRope
from ctxext.position.rope import Rope, RopeAbf, RopeByParts, RopeInterp, RopeNtk, Yarn
from ctxext.position.rope_nope import RopeNope

TRAINED, TARGET, THETA, FACTOR = 64, 256, 10000.0, 4.0
PLAIN_SIZES = DecoderGeometry(301, 32, 64, 2, 4, 2, 8, True, 1e-5)
BIASED = DecoderGeometry(301, 32, 64, 2, 4, 2, 8, True, 1e-5, attention_bias=True)
UNTIED = DecoderGeometry(333, 48, 40, 4, 3, 3, 20, False, 1e-6)
LONG = (1.0, 1.5, 3.0, 4.0)
YARN = Yarn(THETA, FACTOR, TRAINED, 32.0, 1.0, 0.1 * math.log(FACTOR) + 1)
POSITIONS = [
    Rope(500000.0),
    RopeInterp(THETA, FACTOR),
    RopeNtk(THETA, FACTOR),
    RopeAbf(THETA, 500000.0),
    YARN,
    Yarn(THETA, FACTOR, TRAINED, 32.0, 1.0, 1.3),
    Yarn(THETA, FACTOR, TRAINED, 8.0, 0.5, 1.3),
    Yarn(THETA, 1.0, TRAINED, 32.0, 1.0, 1.0),
    RopeByParts(THETA, FACTOR, TRAINED, 32.0, 1.0),
    RopeByParts(THETA, FACTOR, TRAINED, 8.0, 0.5),
    Llama3(THETA, FACTOR, TRAINED, 1.0, 4.0),
    LongRope(THETA, FACTOR, TRAINED, LONG, LONG, 1.1),
    ResonanceRope(THETA, FACTOR, TRAINED, 32.0, 1.0, 1.1386),
    PRope(THETA, 0.5),
    ClippedRope(THETA, 0.75),
]
DecoderOf = Callable[..., Decoder]
SCALARS = {0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "?", 10: "Q", 11: "q", 12: "d"}


@dataclass
class Read:
    """A file: its keys without the architecture's name, and its tensors in float64, rows as they lie."""

    architecture: str
    keys: dict[str, Any]
    tensors: dict[str, np.ndarray]
    kinds: dict[str, int]


class Bytes:
    """A place in a file's bytes."""

    def __init__(self, content: bytes) -> None:
        self.content, self.place = content, 0

    def number(self, code: str) -> Any:
        (value,) = struct.unpack_from("<" + code, self.content, self.place)
        self.place += struct.calcsize("<" + code)
        return value

    def text(self) -> str:
        size = self.number("Q")
        self.place += size
        return self.content[self.place - size : self.place].decode()

    def value(self, kind: int) -> Any:
        if kind == 8:
            return self.text()
        if kind == 9:
            inner, count = self.number("I"), self.number("Q")
            return [self.value(inner) for _ in range(count)]
        return self.number(SCALARS[kind])


def read(file: Path) -> Read:
    """Return what is in `file`."""
    opened = Bytes(file.read_bytes())
    assert opened.content[:4] == b"GGUF"
    opened.place = 4
    assert opened.number("I") == 3
    num_tensors, num_keys = opened.number("Q"), opened.number("Q")
    keys = {}
    for _ in range(num_keys):
        name = opened.text()
        keys[name] = opened.value(opened.number("I"))
    listed = []
    for _ in range(num_tensors):
        name = opened.text()
        shape = [opened.number("Q") for _ in range(opened.number("I"))][::-1]
        listed.append((name, shape, opened.number("I"), opened.number("Q")))
    start = -(-opened.place // 32) * 32
    tensors = {name: numbers(opened.content, start + at, kind, shape) for name, shape, kind, at in listed}
    architecture = keys["general.architecture"]
    keys = {key.removeprefix(f"{architecture}."): value for key, value in keys.items()}
    return Read(architecture, keys, tensors, {name: kind for name, _, kind, _ in listed})


def numbers(content: bytes, start: int, kind: int, shape: list[int]) -> np.ndarray:
    """Return a tensor of ggml's type `kind`: 0 is F32, 1 is F16, 8 is Q8_0."""
    count = math.prod(shape)
    if kind in (0, 1):
        flat = np.frombuffer(content, "<f4" if kind == 0 else "<f2", count, start).astype(np.float64)
        return flat.reshape(shape)
    assert kind == 8
    blocks = np.frombuffer(content, np.dtype([("scale", "<f2"), ("steps", "i1", 32)]), count // 32, start)
    return (blocks["scale"].astype(np.float64)[:, None] * blocks["steps"]).reshape(shape)


def turns(found: Read) -> tuple[np.ndarray, float]:
    """Return the radians a token of each pair, and what queries and keys are multiplied by, as llama.cpp has it."""
    width, theta = found.keys["rope.dimension_count"], found.keys["rope.freq_base"]
    pairs = np.arange(width // 2)
    base = theta ** (-2.0 * pairs / width)
    base = base / found.tensors.get("rope_freqs.weight", 1.0)
    kind = found.keys["rope.scaling.type"]
    amplitude = found.keys.get("rope.scaling.attn_factor", 1.0)
    if kind == "none":
        return base, amplitude
    factor = found.keys["rope.scaling.factor"]
    if kind == "linear":
        return base / factor, amplitude
    assert kind == "yarn"
    length = found.keys["rope.scaling.original_context_length"]
    low, high = (width * math.log(length / (beta * 2 * math.pi)) / (2 * math.log(theta)) for beta in (32.0, 1.0))
    low, high = max(0, math.floor(low)), min(width - 1, math.ceil(high))
    kept = 1 - np.clip((pairs - low) / max(0.001, high - low), 0, 1)
    return base * kept + base / factor * (1 - kept), amplitude * (1 + 0.1 * math.log(factor))


def forward(found: Read, tokens: list[int]) -> np.ndarray:
    """Return the logits [S, V] that llama.cpp's graph of a Llama, a Qwen 2 or a SmolLM3 makes of the file alone."""
    t, keys = found.tensors, found.keys
    heads, groups, width = (keys[f"attention.{key}"] for key in ("head_count", "head_count_kv", "key_length"))
    epsilon = keys["attention.layer_norm_rms_epsilon"]
    speeds, amplitude = turns(found)
    angles = np.arange(len(tokens))[:, None] * speeds
    seen = np.tril(np.ones((len(tokens), len(tokens)), dtype=bool))
    x = t["token_embd.weight"][tokens]
    for layer in range(keys["block_count"]):

        def project(states: np.ndarray, name: str, layer: int = layer) -> np.ndarray:
            return states @ t[f"blk.{layer}.{name}.weight"].T + t.get(f"blk.{layer}.{name}.bias", 0.0)

        normed = norm(x, t[f"blk.{layer}.attn_norm.weight"], epsilon)
        q, k, v = (
            project(normed, f"attn_{name}").reshape(len(tokens), count, width)
            for name, count in (("q", heads), ("k", groups), ("v", groups))
        )
        if found.architecture != "smollm3" or (layer + 1) % 4:
            q, k = (turned(part, angles, amplitude, found.architecture) for part in (q, k))
        gathered = np.empty_like(q)
        for head in range(heads):
            scores = q[:, head] @ k[:, head // (heads // groups)].T / math.sqrt(width)
            weights = np.exp(np.where(seen, scores - scores.max(), -np.inf))
            gathered[:, head] = weights / weights.sum(axis=1, keepdims=True) @ v[:, head // (heads // groups)]
        x = x + project(gathered.reshape(len(tokens), -1), "attn_output")
        normed = norm(x, t[f"blk.{layer}.ffn_norm.weight"], epsilon)
        gate = project(normed, "ffn_gate")
        x = x + project(gate / (1 + np.exp(-gate)) * project(normed, "ffn_up"), "ffn_down")
    return norm(x, t["output_norm.weight"], epsilon) @ t.get("output.weight", t["token_embd.weight"]).T


def norm(x: np.ndarray, weight: np.ndarray, epsilon: float) -> np.ndarray:
    return x / np.sqrt((x**2).mean(axis=1, keepdims=True) + epsilon) * weight


def turned(heads: np.ndarray, angles: np.ndarray, amplitude: float, architecture: str) -> np.ndarray:
    """Return `heads` [S, H, D] turned: of a Llama's the pairs are neighbours, of a Qwen's they are halves apart."""
    cosine, sine = (amplitude * wave(angles)[:, None] for wave in (np.cos, np.sin))
    result = np.empty_like(heads)
    half = heads.shape[-1] // 2
    even, odd = (
        (slice(0, half), slice(half, None)) if architecture == "qwen2" else (slice(0, None, 2), slice(1, None, 2))
    )
    first, second = heads[..., even], heads[..., odd]
    result[..., even], result[..., odd] = first * cosine - second * sine, second * cosine + first * sine
    return result


def logits(model: Decoder, tokens: list[int]) -> np.ndarray:
    with torch.no_grad():
        hidden = model.eval().hidden(torch.tensor([tokens]), torch.arange(len(tokens))[None])[0]
        return (hidden @ model.unembedding.weight.T).double().numpy()


def difference(file: Path, model: Decoder) -> float:
    tokens = np.random.default_rng(0).integers(0, 300, 3 * TRAINED).tolist()
    return float(np.abs(forward(read(file), tokens) - logits(model, tokens)).max())


@pytest.fixture
def written(tmp_path: Path, decoder_of: DecoderOf, tokenizer: Tokenizer) -> Callable[..., tuple[Path, Decoder]]:
    """Return a function that writes a composition, and returns the file and the decoder."""

    def function(*members: Any, geometry: DecoderGeometry = PLAIN_SIZES, kind: str = "F32") -> tuple[Path, Decoder]:
        model = decoder_of(*members, geometry=geometry)
        write(tmp_path / "model.gguf", model, tokenizer, plain_companions(tokenizer), TARGET, kind)
        return tmp_path / "model.gguf", model

    return function


@pytest.mark.parametrize("geometry", [PLAIN_SIZES, BIASED])
@pytest.mark.parametrize("position", POSITIONS)
def test_frequencies_and_attention_factor_follow_from_the_file_alone(
    written: Any, position: Rope, geometry: Any
) -> None:
    file, _ = written(position, geometry=geometry)

    found, amplitude = turns(read(file))

    assert np.abs(found - position.frequencies(8).double().numpy()).max() <= 1e-6
    assert abs(amplitude - position.amplitude) <= 1e-6


@pytest.mark.parametrize("geometry", [PLAIN_SIZES, BIASED])
@pytest.mark.parametrize("position", [*POSITIONS, Nope(), Drope(THETA)])
def test_logits_follow_from_the_file_alone(written: Any, position: Any, geometry: Any) -> None:
    file, model = written(position, geometry=geometry)
    assert difference(file, model) <= 1e-4


def test_a_qwen2_that_divides_frequencies_is_written_as_a_llama_with_biases(written: Any) -> None:
    architectures = [read(written(position, geometry=BIASED)[0]).architecture for position in (YARN, POSITIONS[-1])]
    assert architectures == ["qwen2", "llama"]


def test_untied_embeddings_and_layers_without_rotation_follow_from_the_file_alone(written: Any) -> None:
    file, model = written(RopeNope(THETA, 4), geometry=UNTIED)
    assert read(file).architecture == "smollm3"
    assert difference(file, model) <= 1e-4


def test_a_constant_temperature_follows_from_the_file_alone(written: Any) -> None:
    file, model = written(YARN, IntraDocument(), Temperature(1.2))
    assert turns(read(file))[1] == pytest.approx(1.2 * YARN.attention_factor, abs=1e-6)
    assert difference(file, model) <= 1e-4


@pytest.mark.parametrize("position", [p for p in POSITIONS[1:] if p != Yarn(THETA, 1.0, TRAINED, 32.0, 1.0, 1.0)])
def test_the_comparison_finds_rotary_entries_that_were_lost(written: Any, position: Any) -> None:
    file, model = written(position)
    found = read(file)
    found.tensors.pop("rope_freqs.weight", None)
    found.keys.pop("rope.scaling.attn_factor", None)
    found.keys |= {"rope.scaling.type": "none", "rope.freq_base": THETA}
    tokens = np.random.default_rng(0).integers(0, 300, 3 * TRAINED).tolist()
    assert np.abs(forward(found, tokens) - logits(model, tokens)).max() > 1e-3


def test_a_llama_whose_rows_were_not_interleaved_is_another_model(
    written: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ctxext.formats.gguf.writing.file.interleaved", lambda tensor, num_heads: tensor)
    file, model = written(YARN)
    assert difference(file, model) > 1e-2


def test_interleaving_puts_the_two_of_a_pair_next_to_each_other_in_each_head() -> None:
    rows = np.arange(12.0)[:, None]
    assert interleaved(rows, 2)[:, 0].tolist() == [0, 3, 1, 4, 2, 5, 6, 9, 7, 10, 8, 11]
    assert interleaved(rows[:, 0], 2).tolist() == [0, 3, 1, 4, 2, 5, 6, 9, 7, 10, 8, 11]


def test_f16_rounds_matrices_alone(written: Any) -> None:
    file, model = written(YARN, geometry=BIASED, kind="F16")
    found = read(file)
    weights = model.state_dict()
    embedding, bias = weights["embed_tokens.weight"], weights["layers.1.self_attn.v_proj.bias"]
    assert np.array_equal(found.tensors["token_embd.weight"], embedding.half().double().numpy())
    assert np.array_equal(found.tensors["blk.1.attn_v.bias"], bias.double().numpy())
    assert {name for name, kind in found.kinds.items() if kind == 0} == {
        name for name, tensor in found.tensors.items() if tensor.ndim == 1
    }
    assert found.keys["general.file_type"] == 1
    assert difference(file, model) < 0.05


def test_q8_0_keeps_each_number_within_half_a_step_of_its_block(written: Any) -> None:
    file, model = written(YARN, kind="Q8_0")
    found = read(file)
    exact = model.state_dict()["layers.0.mlp.down_proj.weight"].double().numpy()
    steps = np.abs(exact.reshape(-1, 32)).max(axis=1) / 127
    lost = np.abs(found.tensors["blk.0.ffn_down.weight"] - exact).reshape(-1, 32)
    assert found.kinds["blk.0.ffn_down.weight"] == 8
    assert found.keys["general.file_type"] == 7
    assert (lost <= 0.51 * steps[:, None] + 1e-4 * np.abs(exact.reshape(-1, 32)) + 127 * steps[:, None] * 2**-11).all()


def test_rows_that_q8_0_cannot_divide_are_f16_and_a_note_says_so(
    tmp_path: Path, decoder_of: DecoderOf, tokenizer: Tokenizer
) -> None:
    model = decoder_of(YARN, geometry=UNTIED)
    notes = write(tmp_path / "a.gguf", model, tokenizer, plain_companions(tokenizer), TARGET, "Q8_0")
    found = read(tmp_path / "a.gguf")
    assert {found.kinds["token_embd.weight"], found.kinds["blk.0.attn_norm.weight"]} == {1, 0}
    assert len(notes) == 1
    assert "32 doesn't divide their rows, as Q8_0 needs" in notes[0]


def test_the_output_of_an_olmo2_is_stored_also_where_it_is_the_embedding(written: Any) -> None:
    file, _ = written(YARN, geometry=Olmo2Geometry(301, 32, 64, 2, 4, 2, 8, True, 1e-5))
    found = read(file).tensors
    assert np.array_equal(found["output.weight"], found["token_embd.weight"])


def test_sizes_lengths_and_the_chat_template_are_in_the_file(
    tmp_path: Path, decoder_of: DecoderOf, tokenizer: Tokenizer
) -> None:
    plain = plain_companions(tokenizer)
    companions = Companions(plain.tokenizer_config, plain.generation_config, "{{ messages }}")
    write(tmp_path / "a.gguf", decoder_of(YARN, geometry=UNTIED), tokenizer, companions, TARGET, "F32")
    keys = read(tmp_path / "a.gguf").keys
    sizes = {key: keys[key] for key in ("vocab_size", "embedding_length", "feed_forward_length", "block_count")}
    assert sizes == {"vocab_size": 333, "embedding_length": 48, "feed_forward_length": 40, "block_count": 4}
    assert (keys["context_length"], keys["rope.scaling.original_context_length"]) == (TARGET, TRAINED)
    assert (keys["attention.key_length"], keys["attention.value_length"]) == (20, 20)
    assert keys["tokenizer.chat_template"] == "{{ messages }}"


def test_two_lists_of_longrope_are_two_tensors(written: Any) -> None:
    file, _ = written(LongRope(THETA, FACTOR, TRAINED, (1.0, 1.0, 1.25, 1.5), LONG, 1.1), IntraDocument(), Softmax())
    found = read(file)
    assert found.keys["rope.scaling.type"] == "longrope"
    assert "rope.scaling.factor" not in found.keys, "it would divide the frequencies once more"
    assert found.keys["rope.scaling.attn_factor"] == pytest.approx(1.1)
    assert found.tensors["rope_factors_short.weight"].tolist() == [1.0, 1.0, 1.25, 1.5]
    assert found.tensors["rope_factors_long.weight"].tolist() == list(LONG)


def test_each_type_that_can_be_chosen_is_written() -> None:
    assert tuple(FILE_TYPES) == GGUF_TYPES
