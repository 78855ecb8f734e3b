"""The loop: what an update is, when it stops, and that going on is as if it never had."""

import dataclasses
import json
import shutil
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from tokenizers import Tokenizer

from ctxext.attention.softmax import Softmax
from ctxext.data.corpus import Corpus, write_corpus
from ctxext.data.documents import Document
from ctxext.data.rows import Batch, Rows
from ctxext.data.tokenizer import train_tokenizer
from ctxext.mask.adaptive_span import AdaptiveSpan
from ctxext.mask.document import IntraDocument
from ctxext.model.decoder import Decoder
from ctxext.model.geometry import DecoderGeometry
from ctxext.position.rope import Rope
from ctxext.refusal import Refusal
from ctxext.training import checkpoint
from ctxext.training.loop import Course, Progress, Watcher, accumulate_gradients, fit, resume
from ctxext.training.settings import Trainer
from ctxext.training.signals import Stop

GEOMETRY = DecoderGeometry(300, 16, 24, 2, 2, 1, 8, True, 1e-5)
SETTINGS = Trainer(8, 96, 1, 0.01, 0.1, 2, 0.1, 0.9, 0.95, 1.0, 3, 9, "auto", "fp32", False)
TEXTS = [f"Text {i} says: " + " ".join(f"{i}.{j}" for j in range(9 + 2 * i)) for i in range(7)]
KEYS = {"step", "loss", "learning_rate", "grad_norm", "tokens", "seconds", "waited", "samples"}
CLOCK = {"seconds", "waited"}


@pytest.fixture(scope="module")
def tokenizer() -> Tokenizer:
    return train_tokenizer(TEXTS, 300)


@pytest.fixture(scope="module")
def corpus(tokenizer: Tokenizer, tmp_path_factory: pytest.TempPathFactory) -> Corpus:
    return write_corpus(tmp_path_factory.mktemp("text"), [Document(str(i), t) for i, t in enumerate(TEXTS)], tokenizer)


@pytest.fixture
def course(corpus: Corpus, tokenizer: Tokenizer, tmp_path: Path) -> Course:
    """Eight steps of six short rows: more than once round the windows, so that a run is cut in the midst of a round."""
    rows = Rows(corpus, tokenizer, 16, recall_share=0.3, seed=1)
    assert rows.windows < 48 - rows.lessons(48) < 2 * rows.windows
    return Course(rows, SETTINGS, tmp_path / "checkpoints", {"seed": 1, "data": "d"})


def network(seed: int = 0) -> Decoder:
    torch.manual_seed(seed)
    built = GEOMETRY.build(Rope(10000.0), IntraDocument(), Softmax())
    assert isinstance(built, Decoder)
    return built


@dataclasses.dataclass
class Ran:
    """What a run left: its rows of metrics without the clock's, and its last checkpoint's tensors."""

    rows: list[dict[str, Any]]
    tensors: dict[str, torch.Tensor]
    progress: Progress


def run(course: Course, stop_at: int = 0, seed: int = 0) -> Ran:
    """Carry out the course in this process, asked to stop at a step, as another process would: from the disk alone."""
    stop, rows = Stop(), []

    def log(row: dict[str, Any]) -> None:
        rows.append({key: value for key, value in row.items() if key not in CLOCK})
        stop.asked = row["step"] == stop_at

    model = network(seed)
    progress, optimiser = resume(model, course, lambda sentence: None)
    progress = fit(model, course, Watcher(log, lambda step: {}, stop), progress, optimiser)
    path = course.checkpoints / f"step-{progress.step:08d}"
    return Ran(rows, load_file(path / checkpoint.MODEL) | load_file(path / checkpoint.OPTIMIZER), progress)


def equal(first: dict[str, torch.Tensor], second: dict[str, torch.Tensor]) -> bool:
    return first.keys() == second.keys() and all(torch.equal(first[name], second[name]) for name in first)


def elsewhere(course: Course, folder: str, **settings: Any) -> Course:
    """The same course with other settings in another folder."""
    changed = dataclasses.replace(course.settings, **settings)
    return dataclasses.replace(course, settings=changed, checkpoints=course.checkpoints.parent / folder)


@pytest.mark.parametrize(("stop_at", "accumulate"), [(1, 1), (4, 1), (7, 1), (2, 3), (5, 3)])
def test_an_interrupted_run_goes_on_bit_for_bit(stop_at: int, accumulate: int, course: Course) -> None:
    straight = run(elsewhere(course, "straight", accumulate=accumulate))
    cut = elsewhere(course, "cut", accumulate=accumulate)
    first = run(cut, stop_at)
    second = run(cut, seed=99)

    assert first.progress == Progress(stop_at, stop_at * 96, interrupted=True)
    assert second.progress == straight.progress == Progress(8, 8 * 96, interrupted=False)
    assert first.rows + second.rows == straight.rows
    assert equal(second.tensors, straight.tensors)


def test_a_killed_run_goes_on_from_its_last_save(course: Course) -> None:
    straight = run(elsewhere(course, "straight"))
    cut = elsewhere(course, "cut")

    def log(row: dict[str, Any]) -> None:
        if row["step"] == 5:
            raise MemoryError

    model = network()
    with pytest.raises(MemoryError):
        fit(model, cut, Watcher(log, lambda step: {}, Stop()), *resume(model, cut, lambda sentence: None))
    rest = run(cut)

    assert rest.rows == straight.rows[3:]
    assert equal(rest.tensors, straight.tensors)


def test_a_row_that_can_t_be_made_stops_the_run_at_its_own_step_and_leaves_no_thread(
    course: Course, monkeypatch: pytest.MonkeyPatch
) -> None:
    made, rows = Rows.batch, []

    def spoilt(self: Rows, first: int, count: int) -> Batch:
        if first == 4 * 6:
            raise LookupError("the fifth")
        return made(self, first, count)

    monkeypatch.setattr(Rows, "batch", spoilt)
    model, watcher = network(), Watcher(rows.append, lambda step: {}, Stop())
    progress, optimiser = resume(model, course, lambda sentence: None)
    with pytest.raises(LookupError, match="the fifth"):
        fit(model, course, watcher, progress, optimiser)

    assert [row["step"] for row in rows] == [1, 2, 3, 4]
    assert list(checkpoint.steps(course.checkpoints)) == [3]
    assert not any(thread.name.startswith("feed") for thread in threading.enumerate())


def test_a_step_has_the_whole_rows_that_fit_and_one_at_least(course: Course) -> None:
    assert elsewhere(course, "more", batch_tokens=111).rows_a_step == 6
    with pytest.raises(Refusal, match="batch_tokens=15 must hold a row of 16 tokens"):
        run(elsewhere(course, "less", batch_tokens=15))


def test_two_runs_in_one_process_don_t_depend_on_their_order(course: Course) -> None:
    a, b = elsewhere(course, "a"), elsewhere(course, "b", learning_rate=0.02)
    forth = run(a), run(b)
    back = run(elsewhere(b, "d")), run(elsewhere(a, "c"))

    assert [ran.rows for ran in forth] == [ran.rows for ran in reversed(back)]
    assert equal(forth[0].tensors, back[1].tensors)
    assert not equal(forth[0].tensors, forth[1].tensors)


def test_a_finished_run_has_nothing_to_do(course: Course) -> None:
    first, again = run(course), run(course)

    assert again.rows == []
    assert again.progress.step == 8
    assert equal(first.tensors, again.tensors)


def test_a_row_has_the_keys_of_the_contract_and_what_the_probe_measured(course: Course) -> None:
    rows: list[dict[str, Any]] = []
    model = network()
    probe = {4: {"validation/nll/16": 2.0}}
    fit(
        model,
        course,
        Watcher(rows.append, lambda step: probe.get(step, {}), Stop()),
        *resume(model, course, lambda sentence: None),
    )

    assert [row["step"] for row in rows] == list(range(1, 9))
    assert [row.keys() - KEYS for row in rows] == [set()] * 3 + [{"validation/nll/16"}] + [set()] * 4
    assert all(row.keys() >= KEYS for row in rows)
    assert [row["samples"] for row in rows] == [course.rows.batch(6 * step, 6).samples for step in range(8)]
    assert {row["tokens"] for row in rows} == {96}
    assert all(0 <= row["waited"] <= row["seconds"] for row in rows)
    json.dumps(rows)


def test_it_saves_every_few_steps_and_at_the_end_and_keeps_the_newest(course: Course) -> None:
    run(elsewhere(course, "all"))
    run(elsewhere(course, "two", keep=2))

    kept = {name: sorted(checkpoint.steps(course.checkpoints.parent / name)) for name in ("all", "two")}
    assert kept == {"all": [3, 6, 8], "two": [6, 8]}


def test_training_learns(course: Course) -> None:
    rows = run(elsewhere(course, "long", steps=60, save_every=60, learning_rate=0.02)).rows

    assert sum(row["loss"] for row in rows[-5:]) < 0.7 * sum(row["loss"] for row in rows[:5])


def gradients(model: Decoder, batch: Batch, accumulate: int) -> tuple[float, list[torch.Tensor]]:
    model.zero_grad()
    loss = float(accumulate_gradients(model, batch, dataclasses.replace(SETTINGS, accumulate=accumulate)))
    return loss, [parameter.grad.clone() for parameter in model.parameters() if parameter.grad is not None]


@pytest.mark.parametrize("accumulate", [2, 3, 6, 50])
def test_the_gradient_does_not_depend_on_how_the_batch_is_cut(accumulate: int, course: Course) -> None:
    model, batch = network(), course.rows.batch(0, 6)
    loss, whole = gradients(model, batch, 1)
    cut_loss, cut = gradients(model, batch, accumulate)

    assert len({float(row.sum()) for row in batch.weights}) > 1, "parts must hold unlike numbers of targets"
    assert cut_loss == pytest.approx(loss, abs=1e-6)
    for one, other in zip(whole, cut, strict=True):
        torch.testing.assert_close(one, other, atol=1e-6, rtol=0)


def test_the_loss_is_the_mean_over_counted_targets(course: Course) -> None:
    model, batch = network(), course.rows.batch(0, 6)
    loss, grads = gradients(model, batch, 3)

    model.zero_grad()
    logits = model.hidden(batch.tokens, batch.positions, batch.documents) @ model.embed_tokens.weight.T
    each = torch.nn.functional.cross_entropy(logits.flatten(0, 1), batch.targets.flatten(), reduction="none")
    wanted = each[batch.weights.flatten() > 0].mean()
    torch.autograd.backward(wanted)
    assert loss == pytest.approx(float(wanted.detach()), abs=1e-5)
    for parameter, grad in zip(model.parameters(), grads, strict=True):
        torch.testing.assert_close(parameter.grad, grad, atol=1e-6, rtol=1e-4)


def test_a_part_without_a_target_adds_nothing_and_a_batch_without_one_is_refused(course: Course) -> None:
    model, batch = network(), course.rows.batch(0, 6)
    batch.weights[:3] = 0
    loss, grads = gradients(model, batch, 2)
    alone, wanted = gradients(model, list(batch.parts(2))[1], 1)

    assert loss == pytest.approx(alone, abs=1e-6)
    for one, other in zip(grads, wanted, strict=True):
        torch.testing.assert_close(one, other, atol=1e-6, rtol=0)
    batch.weights[:] = 0
    with pytest.raises(Refusal, match="no target token"):
        gradients(model, batch, 1)


def poison_loss(model: Decoder) -> None:
    with torch.no_grad():
        dict(model.named_parameters())["norm.weight"][0] = float("nan")


def poison_gradient(model: Decoder) -> None:
    weight = dict(model.named_parameters())["layers.0.mlp.up_proj.weight"]
    weight.register_hook(lambda gradient: gradient * float("inf"))  # type: ignore[no-untyped-call]


@pytest.mark.parametrize(("poison", "name"), [(poison_loss, "loss"), (poison_gradient, "gradient norm")])
def test_what_is_not_finite_stops_before_the_update(
    poison: Callable[[Decoder], None], name: str, course: Course
) -> None:
    model = network()
    rows: list[dict[str, Any]] = []
    poison(model)
    before = {key: tensor.clone() for key, tensor in model.state_dict().items()}
    watcher = Watcher(rows.append, lambda step: {}, Stop())
    with pytest.raises(FloatingPointError, match=rf"step 1: the {name} is (nan|inf) on rows ") as raised:
        fit(model, course, watcher, *resume(model, course, lambda sentence: None))

    assert all(sample in str(raised.value) for sample in course.rows.batch(0, 6).samples)
    assert all(torch.equal(before[key].nan_to_num(), t.nan_to_num()) for key, t in model.state_dict().items())
    assert rows == []
    assert checkpoint.steps(course.checkpoints) == {}


def test_other_settings_are_refused_with_what_differs_and_nothing_is_loaded(course: Course) -> None:
    run(course)
    other = dataclasses.replace(course, identity={"seed": 2, "data": "d", "position": "Rope()"})
    model = network(seed=7)
    before = {key: tensor.clone() for key, tensor in model.state_dict().items()}

    with pytest.raises(Refusal) as raised:
        resume(model, other, lambda sentence: None)
    sentence = str(raised.value)
    assert "position was None and is 'Rope()', seed was 1 and is 2" in sentence
    assert "data" not in sentence.split("since")[1].split(";")[0]
    assert "trainer.resume=never" in sentence
    assert equal(before, model.state_dict())


def test_another_geometry_is_refused_by_the_setting_and_not_by_the_tensor(course: Course) -> None:
    run(course)
    wider = dataclasses.replace(GEOMETRY, intermediate_size=32).build(Rope(10000.0), IntraDocument(), Softmax())
    other = dataclasses.replace(course, identity={**course.identity, "model": "wider"})

    with pytest.raises(Refusal, match="model was None and is 'wider'"):
        resume(wider, other, lambda sentence: None)


def test_never_starts_anew_and_leaves_no_later_step_behind(course: Course) -> None:
    first = run(course)
    anew = run(dataclasses.replace(course, settings=dataclasses.replace(SETTINGS, resume="never")), stop_at=2)

    assert anew.rows == first.rows[:2]
    assert list(checkpoint.steps(course.checkpoints)) == [2]
    assert run(course).rows == first.rows[2:]


def test_it_goes_on_from_the_step_before_a_broken_one_and_says_so(course: Course) -> None:
    straight = run(course)
    broken = course.checkpoints / "step-00000008" / checkpoint.MODEL
    broken.unlink()  # not overwritten, since the tensors above are mapped from it
    broken.write_bytes(b"broken")
    said: list[str] = []
    model = network()
    progress, optimiser = resume(model, course, said.append)

    assert progress.step == 6
    assert any("step-00000008" in sentence for sentence in said)
    assert said[-1] == "going on from step-00000006"
    fit(model, course, Watcher(lambda row: None, lambda step: {}, Stop()), progress, optimiser)
    assert equal({**model.state_dict()}, {key: straight.tensors[key] for key in model.state_dict()})


@pytest.mark.parametrize("poison", [poison_loss, poison_gradient])
def test_steps_without_numbers_are_skipped_where_that_is_asked_for_until_they_are_too_many(
    poison: Callable[[Decoder], None], course: Course
) -> None:
    model, rows = network(), []
    poison(model)
    before = {key: tensor.clone() for key, tensor in model.state_dict().items()}
    course = elsewhere(course, "skipping", nonfinite="skip", nonfinite_limit=4, save_every=5)
    watcher = Watcher(rows.append, lambda step: {}, Stop())
    with pytest.raises(FloatingPointError, match="step 4: no update in 4 steps in a row"):
        fit(model, course, watcher, *resume(model, course, lambda sentence: None))

    assert [row["step"] for row in rows] == [1, 2, 3, 4]
    assert all("skipped" in row for row in rows)
    assert all(torch.equal(before[key].nan_to_num(), t.nan_to_num()) for key, t in model.state_dict().items())


def test_how_many_were_skipped_in_a_row_is_saved_and_a_good_step_ends_the_count(course: Course) -> None:
    model, course = network(), elsewhere(course, "skips", nonfinite="skip", steps=3, save_every=1)
    seen: list[int] = []
    progress, optimiser = resume(model, course, lambda sentence: None)
    weight = dict(model.named_parameters())["layers.0.mlp.up_proj.weight"]
    factors = iter([float("inf"), float("inf"), 1.0])
    weight.register_hook(lambda gradient: gradient * next(factors))  # type: ignore[no-untyped-call]
    fit(model, course, Watcher(lambda row: seen.append(progress.skips), lambda step: {}, Stop()), progress, optimiser)

    assert seen == [1, 2, 0]
    states = [checkpoint.read_state(path)["skips"] for _, path in sorted(checkpoint.steps(course.checkpoints).items())]
    assert states == [1, 2, 0]


def test_rows_are_settled_before_each_save(course: Course, monkeypatch: pytest.MonkeyPatch) -> None:
    order: list[str] = []
    save = checkpoint.save
    monkeypatch.setattr(checkpoint, "save", lambda *args: (order.append(f"save {args[1]}"), save(*args))[1])
    model = network()
    watcher = Watcher(lambda row: None, lambda step: {}, Stop(), lambda: order.append("settle"))
    fit(model, course, watcher, *resume(model, course, lambda sentence: None))

    assert order == ["settle", "save 3", "settle", "save 6", "settle", "save 8"]


def test_what_is_allowed_to_differ_goes_on_and_other_surroundings_are_said(
    course: Course, monkeypatch: pytest.MonkeyPatch
) -> None:
    run(course, stop_at=4)
    settings = dataclasses.replace(SETTINGS, resume_allow=["data"])
    other = dataclasses.replace(course, identity={"seed": 1, "data": "e"}, settings=settings)
    said: list[str] = []
    monkeypatch.setattr(torch, "get_num_threads", lambda: 99)
    progress, _ = resume(network(), other, said.append)

    assert progress.step == 4
    assert [line.split() for line in said[:2]] == [["key", "old", "new"], ["data", "d", "e", "allowed"]]
    assert "threads was 1 and is 99: what follows may differ in its last bits" in said[2]
    assert said[3] == "going on from step-00000004"


def test_what_dead_processes_left_is_removed_where_a_run_goes_on(course: Course) -> None:
    run(course, stop_at=4)
    left = course.checkpoints / f".tmp-00000009-{2**22 + 1}"
    left.mkdir()
    resume(network(), course, lambda sentence: None)
    assert not left.exists()


def test_what_a_killed_run_had_not_deleted_yet_is_deleted_where_it_goes_on(course: Course) -> None:
    course = elsewhere(course, "killed", save_every=2, keep=2)
    run(course)
    kept = checkpoint.steps(course.checkpoints)
    assert sorted(kept) == [6, 8]
    shutil.copytree(kept[max(kept)], course.checkpoints / "step-00000001")
    resume(network(), course, lambda sentence: None)
    assert checkpoint.steps(course.checkpoints) == kept


def test_what_a_step_puts_where_it_has_no_meaning_is_brought_back_before_it_is_saved(course: Course) -> None:
    torch.manual_seed(0)
    model = GEOMETRY.build(Rope(10000.0), AdaptiveSpan(12, 0, 4, 10.0), Softmax())  # its penalty leads below 0
    progress, optimiser = resume(model, course, lambda sentence: None)
    fit(model, course, Watcher(lambda row: None, lambda step: {}, Stop()), progress, optimiser)
    saved = load_file(course.checkpoints / "step-00000008" / checkpoint.MODEL)
    shares = torch.stack([tensor for name, tensor in saved.items() if name.endswith("shares")])
    assert shares.min() == 0
    assert shares.max() <= 1
