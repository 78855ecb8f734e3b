"""`ctxext check` with a mesh or a GPU's type: a plan, of which nothing is built."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from ctxext.commands import check as command
from ctxext.commands.check import check
from ctxext.commands.planning import outline_of, plan, step_of
from ctxext.config.folders import options
from ctxext.config.schema import Run
from ctxext.model import cost
from ctxext.model.geometry import DecoderGeometry
from ctxext.planning.outline import flops
from ctxext.refusal import Refusal

LONG = """
    base=none base.trained_length=8192 base.batch_tokens=2097152 context_length=1048576
    evaluation.lengths=[8192,1048576] trainer.batch_tokens=4194304 trainer.gradient_checkpointing=true
""".split()  # noqa: SIM905
SMALL = ("base=none", "base.trained_length=16", "evaluation.scored_tokens=4", "trainer.batch_tokens=256")
LENGTHS = ("context_length=64", "evaluation.lengths=[16,32,64]")


def kept(folder: Path) -> dict[str, dict[str, float]]:
    """Return what a plan left in `folder`."""
    found: dict[str, dict[str, float]] = json.loads((folder / "plan.json").read_text(encoding="utf-8"))
    return found


def test_a_model_of_70_billion_weights_is_planned_for_a_million_tokens_without_its_weights(
    built: Callable[..., Run], tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(command, "foundation", None)
    monkeypatch.setattr(command, "prepared", None)
    mesh = ("hardware=h200", "parallel.data=1", "parallel.shard=4", "parallel.context=64")
    check(built("model=llama3_70b", "+method=yarn", *LONG, *mesh), tmp_path)

    found, said = kept(tmp_path), capsys.readouterr().out
    assert found["parameters"] == 70_553_706_496  # as Hugging Face counts them
    weights = 70_553_706_496 * 4 / 4
    assert found["memory"]["weights"] == pytest.approx(weights, rel=1e-6)
    assert found["memory"]["moments"] == pytest.approx(2 * weights, rel=1e-6)
    assert found["around"] == pytest.approx(5 * weights, rel=1e-6)
    # Of each layer keys and values of 8 heads of 128, in two bytes, each of 64 parts passed on 63 times, and twice.
    a_layer = 2 * 8 * 128 * 2 * 1048576 * 63 / 64
    assert found["sent"]["keys"] == pytest.approx(2 * 80 * a_layer)
    assert found["seconds"]["least"] <= found["seconds"]["most"]
    assert "DOES NOT FIT" in said
    assert "computed, not run" in said


def test_operations_are_those_of_the_network_itself(built: Callable[..., Run]) -> None:
    run = built("+method=sliding_window", "mask.window=32", *SMALL, *LENGTHS, "parallel.data=2")
    network = run.model.build(run.position, run.mask, run.attention)
    needed = 3 * 256 * cost.flops_per_token(network, 64) / 2
    assert flops(outline_of(run), step_of(run)) == pytest.approx(needed)


@pytest.mark.parametrize("method", options("method"))
def test_every_method_is_planned_or_refused_in_a_sentence(
    method: str, built: Callable[..., Run], tmp_path: Path
) -> None:
    file = Path(__file__).parents[2] / "conf" / "method" / f"{method}.yaml"
    lengths = () if "\ncontext_length:" in file.read_text(encoding="utf-8") else LENGTHS
    run = built(f"+method={method}", *SMALL, *lengths, "hardware=h100")
    if not isinstance(run.model, DecoderGeometry):
        with pytest.raises(Refusal, match="a plan knows decoders of the Llama family"):
            plan(run, tmp_path)
        return
    plan(run, tmp_path)
    network = run.model.build(run.position, run.mask, run.attention)
    assert kept(tmp_path)["parameters"] == cost.parameter_count(network)


def test_no_number_is_drawn_for_a_plan(built: Callable[..., Run], tmp_path: Path) -> None:
    before = torch.random.get_rng_state()
    plan(built(*SMALL, *LENGTHS, "hardware=a100"), tmp_path)
    assert torch.equal(before, torch.random.get_rng_state())


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("parallel.data=3",), "can't divide evenly; a multiple of"),
        (("parallel.data=8",), r"trainer\.batch_tokens=256 holds 4 rows"),
        (("model=vanilla", "hardware=h100"), "decoders of the Llama family, got model=vanilla"),
    ],
)
def test_what_cannot_be_planned_is_refused(
    words: tuple[str, ...], sentence: str, built: Callable[..., Run], tmp_path: Path
) -> None:
    with pytest.raises(Refusal, match=sentence):
        plan(built(*SMALL, *LENGTHS, *words), tmp_path)


@pytest.mark.parametrize(("accumulate", "parts"), [(1, 1), (2, 2), (3, 3), (9, 4)])
def test_a_step_has_the_parts_that_training_cuts_it_into(
    accumulate: int, parts: int, built: Callable[..., Run]
) -> None:
    assert step_of(built(*SMALL, *LENGTHS, f"trainer.accumulate={accumulate}", "hardware=h100")).parts == parts


def test_without_a_gpu_there_is_no_time_and_in_float32_neither(
    built: Callable[..., Run], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    plan(built(*SMALL, *LENGTHS, "parallel.data=2"), tmp_path / "mesh")
    plan(built(*SMALL, *LENGTHS, "hardware=h100", "trainer.precision=fp32"), tmp_path / "full")
    assert "seconds" not in kept(tmp_path / "mesh") | kept(tmp_path / "full")
    assert capsys.readouterr().out.count("no time") == 2
