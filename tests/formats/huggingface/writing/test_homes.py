"""Every composition with a home, as transformers and our own reader load it; and those without, by their parts."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from tokenizers import Tokenizer

from ctxext.attention.differential import Differential
from ctxext.attention.log_n import LogN
from ctxext.attention.self_extend import SelfExtend
from ctxext.attention.softcap import SoftCap
from ctxext.attention.softmax import Softmax
from ctxext.attention.temperature import Ministral3Temperature
from ctxext.config.folders import option_files, targets
from ctxext.formats.bases import open_base
from ctxext.formats.companions import plain_companions
from ctxext.formats.export import export_huggingface
from ctxext.formats.huggingface.verification import random_tokens
from ctxext.formats.huggingface.writing.folder import write
from ctxext.formats.huggingface.writing.homes import NotExportable, home
from ctxext.formats.huggingface.writing.reasons import option
from ctxext.mask.causal import Causal
from ctxext.mask.chunked import Chunked
from ctxext.mask.document import IntraDocument
from ctxext.mask.layered import Layered
from ctxext.mask.sinks import Sinks
from ctxext.mask.sliding_window import SlidingWindow
from ctxext.model.decoder import Decoder
from ctxext.model.families import Gemma2Geometry, Gemma3Geometry, Olmo2Geometry, Qwen3Geometry, Smollm3Geometry
from ctxext.model.geometry import DecoderGeometry, LstmGeometry, VanillaGeometry
from ctxext.position.alibi import Alibi
from ctxext.position.clipped import ClippedRope
from ctxext.position.drope import Drope
from ctxext.position.dynamic import DynamicYarn, RopeDynamicNtk
from ctxext.position.gemma3 import Gemma3Rope
from ctxext.position.grid import GridRope
from ctxext.position.learned import Learned
from ctxext.position.learned_interp import LearnedInterp
from ctxext.position.llama3 import Llama3
from ctxext.position.longrope import LongRope
from ctxext.position.nope import Nope
from ctxext.position.partial import PartialRope, PRope
from ctxext.position.resonance import ResonanceRope
from ctxext.position.rope import Rope, RopeAbf, RopeByParts, RopeInterp, RopeNtk, Yarn
from ctxext.position.rope_nope import RopeNope
from ctxext.position.sinusoidal import Sinusoidal
from ctxext.position.xpos import XPos

TRAINED, TARGET = 64, 256
SIZES: dict[str, Any] = {
    "vocab_size": 301,
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 8,
    "tie_word_embeddings": True,
    "rms_norm_eps": 1e-5,
}
GEMMA = {"query_pre_attn_scalar": 16.0, "final_logit_softcapping": 3.0}
LLAMA = DecoderGeometry(**SIZES)
QWEN2 = replace(LLAMA, attention_bias=True)
UNTIED = DecoderGeometry(333, 48, 40, 2, 3, 3, 20, False, 1e-6)
QWEN3 = Qwen3Geometry(**SIZES)
OLMO2 = Olmo2Geometry(**SIZES | {"tie_word_embeddings": False})
SMOLLM3 = Smollm3Geometry(**SIZES, no_rope_layers=(1, 0, 1))
GEMMA2 = Gemma2Geometry(**SIZES, **GEMMA)
GEMMA3 = Gemma3Geometry(
    **SIZES, **GEMMA | {"final_logit_softcapping": 0.0}, rope_local_base_freq=1000.0, local_layers=(1, 1, 0)
)
VANILLA = VanillaGeometry(301, 32, 48, 2, 4, 1e-5)

ROPE, YARN = Rope(10000.0), Yarn(10000.0, 4.0, TRAINED, 32.0, 1.0, 1.138629)
PARTS = RopeByParts(10000.0, 4.0, TRAINED, 32.0, 1.0)
LLAMA3 = Llama3(10000.0, 4.0, TRAINED, 1.0, 4.0)
LONGROPE = LongRope(10000.0, 4.0, TRAINED, (1.0, 1.5, 3.0, 4.0), (1.0, 1.5, 3.0, 4.0), 1.1)
DYNAMIC = RopeDynamicNtk(10000.0, 4.0, TRAINED)
SHORT_AND_LONG = replace(LONGROPE, short_factor=(1.0, 1.0, 1.0, 2.0))
ROPES = [
    ROPE,
    RopeInterp(10000.0, 4.0),
    RopeNtk(10000.0, 4.0),
    RopeAbf(10000.0, 500000.0),
    YARN,
    replace(YARN, attention_factor=1.0, beta_fast=8.0, beta_slow=0.5),
    PARTS,
    LLAMA3,
    LONGROPE,
    ResonanceRope(10000.0, 1.0, TRAINED, 32.0, 1.0, 1.0),
    ResonanceRope(10000.0, 4.0, TRAINED, 32.0, 1.0, 1.138629),
    ClippedRope(10000.0, 0.5),
    PRope(10000.0, 0.5),
]
WHOLE, WINDOW, SOFTMAX = IntraDocument(), SlidingWindow(33), Softmax()
LAYERED = Layered("SSL", 33, 33, "constant")
DIFFERENTIAL, TEMPERATURE = Differential(1e-5), Ministral3Temperature(TRAINED, 0.3)
HOMES = [
    *(("llama", position, WHOLE, SOFTMAX, LLAMA) for position in ROPES),
    ("llama", ROPE, Causal(), SOFTMAX, LLAMA),
    ("llama", YARN, WHOLE, SOFTMAX, UNTIED),
    ("mistral", ROPE, WINDOW, SOFTMAX, LLAMA),
    ("mistral", YARN, WINDOW, SOFTMAX, UNTIED),
    *(("qwen2", position, WHOLE, SOFTMAX, QWEN2) for position in ROPES),
    ("qwen2", YARN, WINDOW, SOFTMAX, QWEN2),
    ("qwen2", ROPE, LAYERED, SOFTMAX, QWEN2),
    ("qwen2", YARN, Layered("LSS", 33, 33, "constant"), SOFTMAX, QWEN2),
    ("smollm3", ROPE, LAYERED, SOFTMAX, LLAMA),
    ("smollm3", YARN, LAYERED, SOFTMAX, LLAMA),
    ("smollm3", Nope(), WHOLE, SOFTMAX, LLAMA),
    ("smollm3", Drope(10000.0), WHOLE, SOFTMAX, LLAMA),
    ("smollm3", RopeNope(10000.0, 2), WHOLE, SOFTMAX, LLAMA),
    ("smollm3", RopeNope(10000.0, 2), LAYERED, SOFTMAX, LLAMA),
    ("smollm3", ROPE, WHOLE, SOFTMAX, SMOLLM3),
    ("smollm3", PARTS, WINDOW, SOFTMAX, SMOLLM3),
    ("qwen3", ROPE, WHOLE, SOFTMAX, QWEN3),
    ("qwen3", YARN, WINDOW, SOFTMAX, QWEN3),
    ("qwen3", LLAMA3, LAYERED, SOFTMAX, QWEN3),
    ("olmo2", ROPE, WHOLE, SOFTMAX, OLMO2),
    ("olmo2", YARN, WHOLE, SOFTMAX, OLMO2),
    ("gemma2", ROPE, WHOLE, SOFTMAX, GEMMA2),
    ("gemma2", YARN, LAYERED, SoftCap(5.0), GEMMA2),
    ("gemma3_text", ROPE, LAYERED, SOFTMAX, GEMMA3),
    ("gemma3_text", YARN, LAYERED, SOFTMAX, GEMMA3),
    ("gemma3_text", LONGROPE, LAYERED, SOFTMAX, GEMMA3),
    ("gemma3_text", Gemma3Rope(1000.0, 1000000.0, 4.0, 3), LAYERED, SOFTMAX, GEMMA3),
    ("phi3", PartialRope(10000.0, 0.5), WHOLE, SOFTMAX, LLAMA),
    ("phi3", PartialRope(10000.0, 0.25), WINDOW, SOFTMAX, LLAMA),
    ("diffllama", ROPE, WHOLE, DIFFERENTIAL, LLAMA),
    ("diffllama", YARN, WHOLE, DIFFERENTIAL, LLAMA),
    ("ministral3", ROPE, WHOLE, TEMPERATURE, LLAMA),
    ("ministral3", YARN, WHOLE, TEMPERATURE, LLAMA),
    ("ministral3", replace(YARN, original_max_position_embeddings=32), WINDOW, TEMPERATURE, LLAMA),
    ("gpt2", Learned(TARGET), WHOLE, SOFTMAX, VANILLA),
    ("gpt2", LearnedInterp(TRAINED, TARGET), WHOLE, SOFTMAX, VANILLA),
    ("gpt2", Sinusoidal(10000.0), WHOLE, SOFTMAX, VANILLA),
    ("gpt2", Nope(), WHOLE, SOFTMAX, VANILLA),
]
READ_BACK = ("llama", "mistral", "qwen2", "qwen3", "smollm3", "olmo2", "gemma2", "gemma3_text")
NEW_KEYS = ("rope_parameters",)
OLD_KEYS = ("rope_scaling", "rope_theta", "rope_local_base_freq", "original_max_position_embeddings")
OLDER = "CTXEXT_TRANSFORMERS_4"
DecoderOf = Callable[..., Decoder]


def named(case: tuple[Any, ...]) -> str:
    return f"{case[0]}-{'-'.join(type(member).__name__ for member in case[1:])}"


def decoded(decoder: Decoder, length: int) -> torch.Tensor:
    """Return the logits of `decoder` at random tokens."""
    with torch.no_grad():
        hidden = decoder.eval().hidden(random_tokens(decoder, length), torch.arange(length)[None])
        weight, _, cap = decoder.unembedding
        found = hidden @ weight.T
        return cap * torch.tanh(found / cap) if cap else found


@pytest.mark.parametrize("case", HOMES, ids=map(named, HOMES))
def test_each_composition_with_a_home_is_read_exactly(
    tmp_path: Path, decoder_of: DecoderOf, tokenizer: Tokenizer, case: Any
) -> None:
    kind, position, mask, attention, geometry = case
    folder = tmp_path / "export" / "hf"
    decoder = decoder_of(position, mask, attention, geometry)

    label = export_huggingface(folder, decoder, tokenizer, plain_companions(tokenizer), TARGET, TRAINED, Rope(10000.0))

    assert label["label"] == "exact", label
    assert label["positions"] == [[0, 64], [0, 128], [0, 256]]
    config = json.loads((folder / "config.json").read_text())
    assert config["model_type"] == kind
    assert home(geometry, position, mask, attention).config.items() <= config.items()


@pytest.mark.parametrize("case", [case for case in HOMES if case[0] in READ_BACK], ids=named)
@pytest.mark.parametrize("dropped", [(), NEW_KEYS, OLD_KEYS], ids=["both", "keys of 4", "keys of 5"])
def test_an_export_is_read_back_as_the_same_model_in_either_spelling(
    tmp_path: Path, decoder_of: DecoderOf, tokenizer: Tokenizer, case: Any, dropped: tuple[str, ...]
) -> None:
    _, position, mask, attention, geometry = case
    if isinstance(position, PRope) and dropped == NEW_KEYS:
        pytest.skip("transformers 4 doesn't know rope_type=proportional")
    decoder = decoder_of(position, mask, attention, geometry)
    folder = tmp_path / "hf"
    write(folder, decoder, tokenizer, plain_companions(tokenizer), TARGET)
    written = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({key: written[key] for key in written if key not in dropped}))

    base = open_base(str(folder))
    again = base.geometry().build(*base.members())
    again.load_state_dict(base.weights())

    assert all(torch.equal(again.state_dict()[name], tensor) for name, tensor in decoder.state_dict().items())
    torch.testing.assert_close(decoded(again, TARGET), decoded(decoder, TARGET), atol=2e-5, rtol=1e-5)
    assert base.trained_length() == TARGET
    write(tmp_path / "again", again, base.tokenizer(), base.companions(), TARGET)
    assert json.loads((tmp_path / "again" / "config.json").read_text()) == written


@pytest.mark.skipif(OLDER not in os.environ, reason=f"{OLDER} names no folder with transformers 4")
def test_transformers_4_reads_each_composition_that_it_knows(
    tmp_path: Path, decoder_of: DecoderOf, tokenizer: Tokenizer
) -> None:
    known = [case for case in HOMES if case[0] not in ("ministral3",) and not isinstance(case[1], PRope)]
    known = [case for case in known if (case[0], case[1]) != ("olmo2", YARN)]
    for number, (_, *members) in enumerate(known):
        decoder = decoder_of(*members)
        folder = tmp_path / str(number)
        write(folder, decoder, tokenizer, plain_companions(tokenizer), TARGET)
        save_file(
            {"tokens": random_tokens(decoder, TARGET), "logits": decoded(decoder, TARGET)[0]},
            folder / "ours.safetensors",
        )
    environment = os.environ | {"PYTHONPATH": os.environ[OLDER], "HF_HUB_OFFLINE": "1"}
    run = subprocess.run(
        [sys.executable, "-c", READING, str(tmp_path)], env=environment, capture_output=True, text=True, check=False
    )
    assert run.returncode == 0, run.stderr
    found = {int(line.split()[0]): max(map(float, line.split()[1:])) for line in run.stdout.splitlines()}
    assert found.keys() == set(range(len(known)))
    assert max(found.values()) <= 1e-4, found


READING = """
import sys, pathlib, torch, transformers
from safetensors.torch import load_file
assert transformers.__version__.startswith("4.")
torch.set_num_threads(1)
for folder in pathlib.Path(sys.argv[1]).iterdir():
    saved = load_file(folder / "ours.safetensors")
    model = transformers.AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
    tokens, logits = saved["tokens"], saved["logits"]
    with torch.no_grad():
        whole = model(input_ids=tokens, use_cache=False).logits[0]
        cache = model(input_ids=tokens[:, :-8]).past_key_values
        steps = [model(input_ids=token[None, None], past_key_values=cache).logits[0] for token in tokens[0, -8:]]
    print(folder.name, float((whole - logits).abs().max()), float((torch.cat(steps) - logits[-8:]).abs().max()))
"""


@pytest.mark.parametrize(
    ("model", "words"),
    [
        ({"position": Alibi()}, "position=alibi has"),
        ({"position": Nope(), "geometry": QWEN2}, "position=nope with model.attention_bias=true has"),
        ({"position": DynamicYarn(10000.0, TRAINED, 32.0, 1.0)}, "position=dynamic_yarn has"),
        ({"position": PartialRope(10000.0, 0.5), "geometry": QWEN2}, "position=partial_rope with model.attention_bias"),
        ({"position": PartialRope(10000.0, 0.5), "geometry": QWEN3}, "position=partial_rope has"),
        ({"position": PartialRope(10000.0, 0.5), "mask": LAYERED}, "position=partial_rope with mask=layered has"),
        ({"position": GridRope(10000.0, 16, 2)}, "position=grid_rope has"),
        ({"position": XPos(10000.0, 512.0)}, "position=xpos has"),
        ({"position": Sinusoidal(10000.0)}, "position=sinusoidal has"),
        ({"position": Learned(TARGET)}, "position=learned has"),
        ({"position": Gemma3Rope(1000.0, 1000000.0, 4.0, 3), "mask": LAYERED}, "position=gemma3_rope has"),
        ({"mask": Sinks(16, 4)}, "mask=sinks has"),
        ({"mask": Chunked(16)}, "mask=chunked has"),
        ({"mask": Layered("CCL", 16, 16, "constant")}, "mask=layered_chunks has"),
        ({"mask": Layered("SS", 16, 32, "linear")}, "mask=layered has no Hugging Face reader: readers know one size"),
        ({"mask": LAYERED, "attention": DIFFERENTIAL}, "mask=layered with attention=differential has"),
        ({"attention": Differential(1e-3)}, "attention=differential's rms_norm_eps with another model.rms_norm_eps"),
        ({"attention": DIFFERENTIAL, "geometry": QWEN2}, "attention=differential with model.attention_bias=true"),
        ({"attention": TEMPERATURE, "geometry": QWEN2}, "attention=temperature_ministral3 with model.attention_bias"),
        ({"attention": TEMPERATURE, "mask": LAYERED}, "attention=temperature_ministral3 with mask=layered"),
        ({"attention": TEMPERATURE, "position": Nope()}, "position=nope with attention=temperature_ministral3"),
        (
            {"attention": Ministral3Temperature(32, 0.3), "position": SHORT_AND_LONG},
            "position=longrope with attention=temperature_ministral3",
        ),
        ({"attention": TEMPERATURE, "position": DYNAMIC}, "position=rope_dynamic_ntk with attention=temperature"),
        ({"attention": TEMPERATURE, "geometry": QWEN3}, "attention=temperature_ministral3 has"),
        ({"attention": SoftCap(5.0)}, "attention=softcap has"),
        ({"attention": LogN(TRAINED)}, "attention=log_n has"),
        ({"attention": SelfExtend(16, 4)}, "attention=self_extend has"),
        ({"geometry": OLMO2, "mask": WINDOW}, "mask=sliding_window with model=olmo2"),
        ({"geometry": QWEN3, "position": Nope()}, "position=nope with model=qwen3"),
        ({"geometry": GEMMA3}, "mask=document with model=gemma3"),
        ({"geometry": replace(GEMMA2, query_pre_attn_scalar=2.5)}, "model.query_pre_attn_scalar=2.5 with model=gemma2"),
        ({"geometry": VANILLA}, "position=rope with model=vanilla"),
        ({"geometry": VANILLA, "position": Nope(), "mask": WINDOW}, "mask=sliding_window with model=vanilla"),
        (LstmGeometry(301, 8, 8, 1).build(ROPE, WHOLE, LogN(TRAINED)), "model=lstm has"),
    ],
)
def test_what_has_no_home_is_refused_by_its_part_and_leaves_nothing(
    tmp_path: Path, decoder_of: DecoderOf, tokenizer: Tokenizer, model: Any, words: str
) -> None:
    built = decoder_of(**model) if isinstance(model, dict) else model

    label = export_huggingface(
        tmp_path / "hf", built, tokenizer, plain_companions(tokenizer), TARGET, TRAINED, Rope(10000.0)
    )

    assert label["label"] == "not exportable"
    assert label["reason"].startswith(words)
    assert "no Hugging Face reader: " in label["reason"]
    assert not list(tmp_path.iterdir())


def test_a_new_kind_of_rope_is_not_taken_for_the_plain_one() -> None:
    class Squared(Rope):
        pass

    with pytest.raises(NotExportable, match=r"position=squared has .*: no class of theirs does the same"):
        home(LLAMA, Squared(10000.0), WHOLE, SOFTMAX)


@pytest.mark.parametrize("slot", ["position", "mask", "attention"])
def test_each_option_says_in_its_file_where_it_exports_and_is_refused_by_the_name_of_its_class(
    slot: str, small: Callable[..., Any]
) -> None:
    for path in option_files(slot):
        run = small(**{slot: path.stem})
        said = re.search(r"^# exports: (hf \w+|not exportable)", path.read_text(encoding="utf-8"), re.MULTILINE)
        assert said, path
        kind, why = where(run, slot)
        assert kind == said[1], path
        alike = [name for name, target in targets(slot).items() if target == targets(slot)[path.stem]]
        assert option(getattr(run, slot)) in alike
        assert not why or why.startswith(f"{slot}={path.stem} has no Hugging Face reader: ")
        assert "no class of theirs does the same" not in why, "it has a reason of its own"


def where(run: Any, slot: str) -> tuple[str, str]:
    """Return as what `run` exports in the first body that holds it, and why not in a Llama's if there is none."""
    why = ""
    for geometry, mask in bodies(run, slot):
        try:
            return "hf " + home(geometry, run.position, mask, run.attention).config["model_type"], ""
        except NotExportable as error:
            why = why or str(error)
    return "not exportable", why


def bodies(run: Any, slot: str) -> list[tuple[Any, Any]]:
    """Return bodies of as many layers as `run` has, and what fills the mask beside what was chosen for `slot`."""
    count = run.model.num_hidden_layers
    local = replace(GEMMA3, num_hidden_layers=count, local_layers=(*[1] * (count - 1), 0))
    plain = replace(run.model, attention_bias=False), VANILLA, replace(GEMMA2, num_hidden_layers=count)
    return [(geometry, run.mask) for geometry in plain] + ([(local, LAYERED_LAST)] if slot == "position" else [])


LAYERED_LAST = Layered("SSSSSL", 33, 33, "constant")
