"""What decays, and in which precision."""

import dataclasses

import pytest
import torch

from ctxext.attention.softmax import Softmax
from ctxext.mask.document import IntraDocument
from ctxext.model.geometry import DecoderGeometry
from ctxext.position.rope import Rope
from ctxext.refusal import Refusal
from ctxext.training.optimiser import autocast, compute_dtype, make_optimiser
from ctxext.training.settings import Trainer

CPU, CUDA = torch.device("cpu"), torch.device("cuda")
SETTINGS = Trainer(4, 64, 1, 0.1, 0.1, 0, 0.5, 0.9, 0.95, 1.0, 2, 2, "auto", "fp32", False)


def model() -> torch.nn.Module:
    return DecoderGeometry(50, 16, 24, 2, 2, 1, 8, True, 1e-5).build(Rope(10000.0), IntraDocument(), Softmax())


def test_every_parameter_is_in_one_group_and_only_matrices_decay() -> None:
    network = model()
    optimiser = make_optimiser(network, SETTINGS)
    decay = {id(p): group["weight_decay"] for group in optimiser.param_groups for p in group["params"]}

    assert sum(len(group["params"]) for group in optimiser.param_groups) == len(list(network.parameters()))
    assert {name: decay[id(p)] for name, p in network.named_parameters()} == {
        name: 0.0 if "norm" in name else 0.5 for name, _ in network.named_parameters()
    }


def test_without_a_gradient_signal_norms_stay_and_matrices_shrink() -> None:
    network = model()
    before = {name: p.detach().clone() for name, p in network.named_parameters()}
    optimiser = make_optimiser(network, SETTINGS)
    for parameter in network.parameters():
        parameter.grad = torch.zeros_like(parameter)
    optimiser.step()

    for name, parameter in network.named_parameters():
        factor = 1.0 if "norm" in name else 1 - 0.1 * 0.5
        torch.testing.assert_close(parameter.detach(), before[name] * factor)


def test_frozen_parameters_are_left_out() -> None:
    network = model()
    for parameter in network.parameters():
        parameter.requires_grad = parameter.dim() < 2
    optimiser = make_optimiser(network, SETTINGS)

    assert [len(group["params"]) for group in optimiser.param_groups] == [0, 5]


def test_the_first_step_is_adams() -> None:
    network = model()
    optimiser = make_optimiser(network, dataclasses.replace(SETTINGS, weight_decay=0.0))
    before = {name: p.detach().clone() for name, p in network.named_parameters()}
    for parameter in network.parameters():
        parameter.grad = torch.ones_like(parameter)
    optimiser.step()

    for name, parameter in network.named_parameters():
        torch.testing.assert_close(parameter.detach(), before[name] - 0.1, atol=1e-6, rtol=1e-6)


def test_auto_is_single_precision_on_a_cpu_and_half_on_cuda() -> None:
    assert compute_dtype("auto", CPU) == compute_dtype("fp32", CPU) == compute_dtype("fp32", CUDA) == torch.float32
    assert compute_dtype("auto", CUDA) == compute_dtype("bf16", CUDA) == torch.bfloat16


def test_half_precision_is_refused_on_a_processor_without_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cpu, "_is_amx_tile_supported", lambda: False)
    monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: False)
    with pytest.raises(Refusal, match=r"trainer\.precision=bf16 is 5 to 9 times slower"):
        compute_dtype("bf16", CPU)

    monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: True)
    assert compute_dtype("bf16", CPU) == torch.bfloat16


def test_products_are_made_in_the_precision_and_weights_stay() -> None:
    layer, x = torch.nn.Linear(4, 4), torch.ones(1, 4)
    with autocast(torch.bfloat16, CPU):
        half = layer(x)
    with autocast(torch.float32, CPU):
        single = layer(x)

    assert (half.dtype, single.dtype, layer.weight.dtype) == (torch.bfloat16, torch.float32, torch.float32)
