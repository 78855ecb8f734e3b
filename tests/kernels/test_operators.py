"""A private function of torch is taken only as it was known."""

import torch

from ctxext.kernels.operators import operator


def test_a_function_is_found_by_its_name_and_arguments():
    assert operator("aten", "mm", "self, mat2") is torch.ops.aten.mm.default


def test_one_that_is_missing_or_has_changed_is_none():
    assert operator("aten", "no_such_function", "self, mat2") is None
    assert operator("aten", "mm", "self, other") is None
    assert operator("no_such_space", "mm", "self, mat2") is None
