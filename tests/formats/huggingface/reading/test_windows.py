"""Windows by layer, in the words of each kind and version, against the layers that transformers makes of them."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ctxext.formats.huggingface.reading.folder import HuggingFaceBase
from ctxext.formats.huggingface.reading.keys import Keys
from ctxext.formats.huggingface.reading.kinds import with_defaults
from ctxext.formats.huggingface.reading.windows import mask_of, pattern
from ctxext.mask.document import IntraDocument
from ctxext.mask.layered import Layered
from ctxext.mask.sliding_window import SlidingWindow
from ctxext.refusal import Refusal

FolderOf = Callable[..., Path]
S, L = "sliding_attention", "full_attention"
ON = {"use_sliding_window": True, "sliding_window": 7}
SAID: list[tuple[str, dict[str, Any]]] = [
    ("qwen2", {}),
    ("qwen2", {"use_sliding_window": False, "sliding_window": 7, "max_window_layers": 0}),
    ("qwen2", ON | {"max_window_layers": 0}),
    ("qwen2", ON | {"max_window_layers": 3}),
    ("qwen3", ON | {"max_window_layers": 99}),
    ("qwen3", ON | {"layer_types": [S, L, L, S, S, L]}),
    ("smollm3", ON),
    ("smollm3", ON | {"no_rope_layer_interval": 2}),
    ("smollm3", ON | {"no_rope_layers": [1, 0, 0, 1, 0, 1]}),
    ("smollm3", {"use_sliding_window": False}),
    ("gemma2", {"sliding_window": 7}),
    ("gemma2", {"sliding_window": 7, "layer_types": [L, S, S, S, S, S]}),
    ("gemma3_text", {"sliding_window": 7}),
    ("gemma3_text", {"sliding_window": 7, "sliding_window_pattern": 2}),
    ("gemma3_text", {"sliding_window": 7, "sliding_window_pattern": 7}),
]


def config(kind: str, **content: Any) -> Keys:
    return with_defaults(Keys(Path("config.json"), {"model_type": kind, "num_hidden_layers": 6, **content}))


@pytest.mark.parametrize(("kind", "content"), SAID)
def test_layers_are_those_of_transformers(kind: str, content: dict[str, Any]) -> None:
    from transformers import AutoConfig

    from ctxext.formats.huggingface.reading.kinds import KINDS

    wanted: Any = AutoConfig.for_model(kind, num_hidden_layers=6, **content)
    given = config(kind, **content)
    layers = KINDS[kind].layers(given)
    mask = mask_of(given, layers)

    assert [S if is_windowed else L for is_windowed in layers] == wanted.layer_types
    for index, name in enumerate(wanted.layer_types):
        assert mask.layer(index, 6) == (SlidingWindow(7) if name == S else IntraDocument())


def test_all_layers_alike_are_one_mask() -> None:
    mistral = config("mistral", sliding_window=7)
    assert mask_of(mistral, (True,) * 6) == SlidingWindow(7)
    assert mask_of(mistral, (False,) * 6) == IntraDocument()
    assert mask_of(mistral, (True, False) * 3) == Layered("SL", 7, 7, "constant")


@pytest.mark.parametrize(
    ("letters", "shortest"), [("SLSLS", "SL"), ("SSSSSLSS", "SSSSSL"), ("LLSS", "LLSS"), ("SSL", "SSL"), ("S", "S")]
)
def test_a_pattern_is_the_shortest_that_repeats(letters: str, shortest: str) -> None:
    layers = tuple(letter == "S" for letter in letters)
    assert pattern(layers) == shortest
    assert Layered(shortest, 3, 3, "constant").letters(len(letters)) == letters


@pytest.mark.parametrize("window", [None, 5])
def test_a_mistral_sees_all_where_its_window_is_null(window: int | None, folder_of: FolderOf) -> None:
    folder = folder_of("mistral")
    text = (folder / "config.json").read_text()
    assert '"sliding_window": 12' in text
    (folder / "config.json").write_text(text.replace(": 12", ": null" if window is None else f": {window}"))
    mask = HuggingFaceBase(folder).members()[1]
    assert mask == (IntraDocument() if window is None else SlidingWindow(window))


@pytest.mark.parametrize(
    ("kind", "content", "sentence"),
    [
        ("llama", {"sliding_window": 8}, "sliding_window must be null"),
        ("llama", {"layer_types": [S] * 6}, "layer_types must all be full_attention"),
        ("mistral", {"layer_types": [S, L] * 3}, "layer_types must all be sliding_attention, as sliding_window=4096"),
        ("qwen2", {"layer_types": [S] * 6}, "layer_types name layers with a window, but use_sliding_window is false"),
        ("qwen2", ON | {"sliding_window": None, "layer_types": [S] * 6}, "but sliding_window is null"),
        ("qwen2", {"layer_types": [L] * 5}, "layer_types must name 6 layers, as num_hidden_layers, got 5"),
        ("qwen2", {"layer_types": [L] * 5 + ["linear_attention"]}, "got 'linear_attention'"),
        ("qwen2", {"layer_types": "full_attention"}, "layer_types must be a list"),
        ("qwen2", {"use_sliding_window": 1}, "use_sliding_window must be true or false"),
        ("qwen2", ON | {"sliding_window": 0, "max_window_layers": 0}, "sliding_window must be a whole number"),
        ("gemma2", {"sliding_window": None}, "but sliding_window is null"),
        ("gemma3_text", {"sliding_window_pattern": 0}, "sliding_window_pattern must be a whole number"),
    ],
)
def test_layers_that_contradict_are_refused(kind: str, content: dict[str, Any], sentence: str) -> None:
    from ctxext.formats.huggingface.reading.kinds import KINDS

    given = config(kind, **content)
    with pytest.raises(Refusal) as caught:
        mask_of(given, KINDS[kind].layers(given))
    assert sentence in str(caught.value)


@pytest.mark.parametrize("layers", [[1] * 5, [1] * 5 + [2], ["1"] * 6])
def test_layers_without_positions_are_named_for_each_layer(layers: list[Any]) -> None:
    from ctxext.formats.huggingface.reading.windows import turned

    with pytest.raises(Refusal, match=r"no_rope_layers must be a 0 or a 1 for each of 6 layers"):
        turned(config("smollm3", no_rope_layers=layers))
