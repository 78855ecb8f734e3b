import torch

from ctxext.maths.fingerprint import fingerprint


def weights() -> dict[str, torch.Tensor]:
    return {"a": torch.arange(6.0).view(2, 3), "b": torch.ones(2)}


def test_equal_weights_have_one_fingerprint_in_any_order_and_layout():
    again = dict(reversed(weights().items()))
    again["a"] = again["a"].T.contiguous().T  # the same numbers, strided
    assert fingerprint(again, 1, "x") == fingerprint(weights(), 1, "x")


def test_every_change_is_seen():
    a = weights()["a"]
    nudged = a.clone()
    nudged[1, 2] = torch.nextafter(nudged[1, 2], torch.tensor(9.0))
    others = [
        {**weights(), "a": nudged},
        {**weights(), "a": a.view(3, 2)},
        {**weights(), "a": a.double()},
        {**weights(), "a": a.view(torch.int32)},
        {"a": a, "c": torch.ones(2)},
        {"a": a},
    ]
    found = [fingerprint(tensors) for tensors in (weights(), *others)]
    found += [fingerprint(weights(), setting) for setting in (1, "1", 2, (1, 2))] + [fingerprint(weights(), 1, 2)]
    assert len(set(found)) == len(found)


def test_half_precision_weights_have_a_fingerprint_too():
    assert fingerprint({"a": torch.ones(2, dtype=torch.bfloat16)}) != fingerprint({"a": torch.ones(2)})
    assert fingerprint({"a": torch.tensor(1.0)}) != fingerprint({"a": torch.ones(1)})
