"""Policies for what waits, and what a site says of its shortfall."""

import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from model_library.wire.methods import ClassicalRef
from site_client.backlog import Backlog
from site_client.frames import Finished, FrameState, Header, Stamp
from site_client.processing import Processing

from .test_processing import ScriptedWorker, installer, serve  # noqa: F401

GAUSSIAN = ClassicalRef(id="gaussian", parameters={"sigma_px": 1.0})
RATES = st.one_of(st.none(), st.floats(0.001, 100))


def arrive(site, number: int, *, at_s: float = 0.0, pixels: int = 1_000_000) -> None:
    stamp = Stamp(1, int(at_s * 1e9))
    header = Header(f"{number:064x}", pixels, 4.0, None)
    site.ledger.accept(f"frame-{number}.tif", stamp, header, now=0, exists=lambda _: True)


def done(site, order: str) -> int | None:
    """Reconstruct the frame whose turn it is; its number."""
    frame = site.ledger.next_waiting(order)
    if frame is None:
        return None
    site.ledger.finish(frame, Finished(GAUSSIAN, "r-1", "out.tif", busy_s=2.0), now=0)
    return frame.sequence


def test_in_order_the_oldest_comes_first(site):
    for number in (1, 2, 3):
        arrive(site, number)
    assert [done(site, "in-order") for _ in range(4)] == [1, 2, 3, None]


def test_live_shows_the_newest_and_does_the_rest_in_order(site):
    for number in (1, 2, 3, 4):
        arrive(site, number)
    shown = [done(site, "live"), done(site, "live")]
    arrive(site, 5)
    shown += [done(site, "live") for _ in range(4)]
    assert shown == [4, 1, 5, 2, 3, None]


def test_every_k_does_one_in_k_and_counts_the_others(site, installer):  # noqa: F811
    settings = site.settings.model_copy(update={"order": "every-k", "every_k": 3})
    for number in range(1, 9):
        arrive(site, number)
        site.acquire(number)
    serve(site, GAUSSIAN)
    worker = ScriptedWorker()
    steps = Processing(settings, site.memory, installer, worker, stop=threading.Event())
    while steps.step() == 0.0:
        pass
    assert [question["about"]["sequence"] for question in worker.questions] == [3, 6]
    counts = site.ledger.counts()
    assert (counts.acquired, counts.reconstructed, counts.skipped, counts.waiting) == (8, 2, 6, 0)
    assert site.ledger.frame(1).state is FrameState.SKIPPED


def test_the_rates_are_those_of_now(site):
    assert site.memory.backlog() == Backlog(waiting=0, waiting_mpix=0.0)
    for number in range(1, 101):  # one a minute, then one a second
        arrive(site, number, at_s=60.0 * number if number <= 50 else 3000.0 + number - 50)
    done(site, "in-order")
    found = site.memory.backlog()
    assert found.waiting == 99
    assert found.acquisition_mpix_per_s == pytest.approx(1.0)
    assert found.throughput_mpix_per_s == pytest.approx(0.5)
    assert found.keeps_up is False
    assert found.wants_faster
    assert found.drained_while_acquiring_in_s is None
    assert found.drained_in_s == pytest.approx(198.0)
    assert "3 min after it ends" in found.told()


@pytest.mark.parametrize("step_s", [-3e9, -30.0, 7200.0, 2e9], ids=str)
def test_neither_a_night_nor_a_clock_that_is_set_changes_the_rate_of_acquisition(site, step_s):
    for number in range(1, 21):
        arrive(site, number, at_s=4e9 + number + (step_s if number > 10 else 0.0))
    assert site.memory.backlog().acquisition_mpix_per_s == pytest.approx(1.0)
    assert site.ledger.acquisition_mpix_per_s() == pytest.approx(1.0)


@given(st.integers(0, 1000), st.floats(0, 1e4), RATES, RATES)
def test_what_is_said_of_a_backlog_does_not_contradict_itself(waiting, mpix, came, went):
    found = Backlog(
        waiting=waiting, waiting_mpix=mpix, acquisition_mpix_per_s=came, throughput_mpix_per_s=went
    )
    assert not (found.wants_faster and found.keeps_up)
    if found.drained_while_acquiring_in_s is not None:
        assert found.drained_in_s <= found.drained_while_acquiring_in_s
    assert found.told()


def test_a_site_that_falls_behind_asks_for_a_faster_method(enrolled, coordinator, start_daemon, until):
    for number in range(1, 61):
        arrive(enrolled, number, at_s=0.1 * number)
    done(enrolled, "in-order")
    start_daemon()
    until(lambda: any(heartbeat["wants_faster"] for heartbeat in coordinator.heartbeats))
