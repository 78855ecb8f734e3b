"""Signals become a flag."""

import os
import signal
import threading

import pytest

from ctxext.training.signals import SIGNALS, Stop, listening


@pytest.mark.parametrize("number", SIGNALS)
def test_each_signal_sets_the_flag_and_ends_nothing(number: signal.Signals) -> None:
    with listening() as stop:
        assert not stop.asked
        os.kill(os.getpid(), number)
        assert stop.asked


def test_the_first_signal_is_told_and_the_others_are_not() -> None:
    told: list[str] = []
    with listening(told.append):
        assert not told
        for _ in range(2):
            os.kill(os.getpid(), signal.SIGTERM)
        os.kill(os.getpid(), signal.SIGINT)
    (sentence,) = told
    assert "stopping" in sentence
    assert "interrupt again to stop at once" in sentence


def test_a_second_interrupt_ends_at_once() -> None:
    with listening() as stop:
        os.kill(os.getpid(), signal.SIGINT)
        assert stop.asked
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGINT)


def test_a_second_request_of_a_scheduler_does_not_break_the_save() -> None:
    with listening() as stop:
        for _ in range(2):
            os.kill(os.getpid(), signal.SIGTERM)
        assert stop.asked


def test_the_handlers_found_are_restored() -> None:
    found = [signal.getsignal(number) for number in SIGNALS]
    with listening():
        assert signal.getsignal(signal.SIGTERM) != found[0]
    assert [signal.getsignal(number) for number in SIGNALS] == found


def test_outside_the_main_thread_nothing_is_set() -> None:
    stops: list[Stop] = []

    def work() -> None:
        with listening() as stop:
            stops.append(stop)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert not stops[0].asked


def test_a_block_within_another_has_its_stop_which_may_have_been_asked_before() -> None:
    outer_told: list[str] = []
    inner_told: list[str] = []
    with listening(outer_told.append) as outer:
        with listening(inner_told.append) as inner:
            assert inner is outer
            os.kill(os.getpid(), signal.SIGTERM)
        with listening(inner_told.append) as second:
            assert second.asked
        assert signal.getsignal(signal.SIGTERM) == outer.handle
    assert (len(outer_told), len(inner_told)) == (0, 1)


def test_a_signal_in_the_midst_of_a_written_line_is_heeded_all_the_same() -> None:
    def refuse(sentence: str) -> None:
        raise RuntimeError("reentrant call inside <_io.BufferedWriter name='<stdout>'>")

    with listening(refuse) as stop:
        os.kill(os.getpid(), signal.SIGUSR1)
        assert stop.asked
