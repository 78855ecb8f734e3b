"""All properties are examined, also when one of them ends in an error."""

import pytest

from ctxext.proving.finding import Finding
from ctxext.proving.specimen import Specimen
from ctxext.proving.suite import ALL, BRIEF, prove
from ctxext.refusal import Refusal


def broken(specimen: Specimen) -> Finding:
    raise RuntimeError("shapes\ndiffer")


def refused(specimen: Specimen) -> Finding:
    raise Refusal("position.factor must be at least 1")


def test_every_property_is_found_in_its_order(examined):
    names = [found.name for found in prove(examined())]
    assert names == [examine.__name__ for examine in ALL]
    assert set(BRIEF) < set(ALL)


def test_an_error_is_a_property_that_does_not_hold_and_hides_no_other(examined):
    first, second = prove(examined(), (broken, ALL[0]))
    assert (first.name, first.holds, first.words) == ("broken", False, "RuntimeError: shapes differ")
    assert second.holds is True


def test_a_refusal_stays_one(examined):
    with pytest.raises(Refusal):
        list(prove(examined(), (refused,)))
