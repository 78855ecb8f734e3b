"""Rows shared by several processes: whatever the method, states and gradients are those of one process that reads all.

The processes are threads here, and what they gather is one graph: the gradient of the sum of their losses is that of
all. tests/parallel does it with processes.
"""

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch
from torch import Tensor

from ctxext.attention.softmax import Softmax
from ctxext.mask.document import IntraDocument
from ctxext.model.decoder import Decoder
from ctxext.model.geometry import DecoderGeometry
from ctxext.parallel.headtail import HeadTail
from ctxext.position.rope import Rope

GEOMETRY = DecoderGeometry(67, 24, 40, 2, 4, 2, 8, True, 1e-5)
SEAMS = ("position", "mask", "attention")
LENGTH, DOCUMENTS = 48, (19, 1, 28)


class Threads:
    """Threads that gather what each has, in the order of their ranks."""

    def __init__(self, count: int) -> None:
        self.slots: list[Tensor | None] = [None] * count
        self.barrier = threading.Barrier(count, timeout=30)

    def gather(self, rank: int, own: Tensor) -> Tensor:
        self.slots[rank] = own
        self.barrier.wait()
        every = torch.stack([slot for slot in self.slots if slot is not None])
        self.barrier.wait()
        return every


def decoder(position, mask, attention) -> Decoder:
    torch.manual_seed(0)
    network = Decoder(GEOMETRY, position, mask, attention).train()
    draw = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter += 0.2 * torch.randn(parameter.shape, generator=draw)
    return network


def shared(network: Decoder, count: int, *row: Tensor | None) -> Tensor:
    """The states [B, S, W] that `count` threads come to, each of its columns, put back into the row's order."""
    threads = Threads(count)

    def read(rank: int) -> Tensor:
        reading = network.reading(network.position, network.mask, network.attention).train()
        reading.parts, reading.learned = network.parts, network.learned
        reading.members_in_training = network.members_in_training
        reading.share = HeadTail(rank, count, lambda own: threads.gather(rank, own))
        return reading.hidden(*row)

    with ThreadPoolExecutor(count) as pool:
        parts = [part.result(timeout=60) for part in [pool.submit(read, rank) for rank in range(count)]]
    size = LENGTH // (2 * count)
    pieces = [None] * (2 * count)
    for rank, part in enumerate(parts):
        pieces[rank], pieces[-1 - rank] = part[:, :size], part[:, size:]
    return torch.cat(pieces, dim=1)


@pytest.mark.parametrize("packed", [False, True], ids=["one document", "packed"])
def test_a_shared_row_has_the_states_and_gradients_of_a_whole_one(composition, packed):
    if any(member.divides != "columns" for member in composition[1:]):
        pytest.skip("says that it does not")
    network, draw = decoder(*composition[1:]), torch.Generator().manual_seed(2)
    ids, aim = torch.randint(67, (2, LENGTH), generator=draw), torch.randn(2, LENGTH, 24, generator=draw)
    documents = torch.repeat_interleave(torch.arange(3), torch.tensor(DOCUMENTS)).expand(2, -1) if packed else None
    positions = torch.cat([torch.arange(size) for size in DOCUMENTS]) if packed else torch.arange(LENGTH)
    row = ids, positions.expand(2, -1), documents
    found = []
    for states in (network.hidden(*row), shared(network, 2, *row)):
        gradients = torch.autograd.grad((states * aim).sum(), list(network.parameters()), allow_unused=True)
        found.append((states.detach(), *(gradient for gradient in gradients if gradient is not None)))
    whole, parts = found

    assert len(whole) == len(parts)
    for expected, actual in zip(whole, parts, strict=True):
        torch.testing.assert_close(actual, expected, rtol=1e-4, atol=3e-5 * float(expected.abs().max() + 1))


def test_one_member_says_that_its_rows_can_not_be_shared(members_of):
    every = {name: member.divides for seam in SEAMS for name, member in members_of(seam).items()}

    assert {name: how for name, how in every.items() if how != "columns"} == {"recurrence": "rows"}


@pytest.mark.parametrize("count", [2, 3, 4])
def test_any_number_of_processes_may_share_a_row(count):
    network = decoder(Rope(10000.0), IntraDocument(), Softmax())
    row = torch.arange(LENGTH)[None] % 67, torch.arange(LENGTH)[None]

    torch.testing.assert_close(shared(network, count, *row), network.hidden(*row))


def test_outside_of_training_a_row_is_read_whole():
    network = decoder(Rope(10000.0), IntraDocument(), Softmax()).eval()
    network.share = HeadTail(0, 2, lambda own: own)
    row = torch.arange(LENGTH)[None] % 67, torch.arange(LENGTH)[None]

    assert network.hidden(*row).shape == (1, LENGTH, 24)
