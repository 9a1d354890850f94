"""A few heavy steps at a time; the most urgent first; nobody waits beyond the end of the process."""

import threading
from contextlib import ExitStack

import pytest

from coordinator.turns import Turns
from coordinator.workplace import Stopping


def no_end() -> None:
    """The process goes on."""


def ended() -> None:
    raise Stopping


def run_in_order(turns: Turns, urgencies: list[int]) -> list[int]:
    """Queue steps while another computes, then let them go; returns the order in which they ran."""
    ran: list[int] = []

    def step(urgency: int) -> None:
        with turns.turn(urgency, no_end):
            ran.append(urgency)

    threads = [threading.Thread(target=step, args=(urgency,)) for urgency in urgencies]
    with turns.turn(0, no_end):
        for thread in threads:
            thread.start()
        while len(turns._waiting) < len(urgencies):
            threading.Event().wait(0.001)
    for thread in threads:
        thread.join(timeout=10)
    return ran


def test_the_most_urgent_step_comes_first_whatever_the_order_of_arrival():
    assert run_in_order(Turns(), [5, 2, 7, 2, 1]) == [1, 2, 2, 5, 7]


def test_a_waiting_step_leaves_when_the_process_ends():
    turns = Turns()
    with turns.turn(0, no_end), pytest.raises(Stopping), turns.turn(0, ended):
        pytest.fail("two turns at a time")


def test_a_step_that_fails_gives_its_turn_back():
    turns = Turns()
    with pytest.raises(ValueError, match="broken"), turns.turn(0, no_end):
        raise ValueError("broken")
    with ExitStack() as stack:
        stack.enter_context(turns.turn(0, no_end))


def test_one_that_left_does_not_hold_up_the_others():
    turns = Turns()
    with turns.turn(0, no_end), pytest.raises(Stopping), turns.turn(0, ended):
        pytest.fail("two turns at a time")
    assert run_in_order(turns, [1]) == [1]


def test_as_many_compute_at_once_as_there_are_seats():
    turns = Turns(seats=2)
    with turns.turn(5, no_end), turns.turn(5, no_end), pytest.raises(Stopping), turns.turn(0, ended):
        pytest.fail("three turns at a time")
    with turns.turn(5, no_end), turns.turn(0, no_end):
        assert len(turns._computing) == 2
