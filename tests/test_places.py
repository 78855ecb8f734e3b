import torch

from ctxext.places import Places, distances, gaps


def test_a_part_keeps_columns_positions_and_documents_together():
    places = Places.of(torch.tensor([[0, 1, 0, 1]]), torch.tensor([[0, 0, 1, 1]]))
    part = places.part(1, 3)
    assert part.columns.tolist() == [1, 2]
    assert part.positions.tolist() == [[1, 0]]
    assert part.documents.tolist() == [[0, 1]]
    assert places._replace(documents=None).part(0, 2).documents is None


def test_distances_count_columns_and_are_negative_in_the_future():
    places = Places.of(torch.tensor([[0, 9, 5]]))
    assert distances(places.part(1, 3), places).tolist() == [[[[1, 0, -1], [2, 1, 0]]]]


def test_gaps_count_positions_for_each_row():
    places = Places.of(torch.tensor([[0, 9, 12], [5, 6, 7]]))
    assert gaps(places.part(1, 3), places).tolist() == [[[[9, 0, -3], [12, 3, 0]]], [[[1, 0, -1], [2, 1, 0]]]]


def test_every_part_of_a_row_knows_the_size_of_the_whole():
    places = Places.of(torch.arange(5)[None], torch.tensor([[0, 0, 2, 2, 2]]))
    assert (places.size, places.part(1, 3).part(0, 1).size, places.at(places.positions * 2).size) == (5, 5, 5)


def test_ordinals_and_lengths_are_counted_within_each_document():
    places = Places.of(torch.arange(5)[None] + 7, torch.tensor([[0, 0, 2, 2, 2]]))
    assert places.ordinals.tolist() == [[0, 1, 0, 1, 2]]
    assert places.lengths.tolist() == [[2, 2, 3, 3, 3]]
    whole = Places.of(torch.arange(3)[None] + 7)
    assert whole.ordinals.tolist() == [[0, 1, 2]]
    assert whole.part(1, 3).lengths.tolist() == [[3, 3]]


def test_other_positions_leave_columns_ordinals_and_lengths():
    places = Places.of(torch.arange(3)[None])
    moved = places.at(places.positions * 2)
    assert moved.positions.tolist() == [[0, 2, 4]]
    assert moved._replace(positions=places.positions) == places
