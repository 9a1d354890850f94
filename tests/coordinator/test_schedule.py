"""At what times federations begin by themselves."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from coordinator.settings.schedule import Schedule

minutes = st.integers(0, 24 * 60 - 1)


def window(first: int, last: int) -> str:
    return "-".join(f"{minute // 60:02d}:{minute % 60:02d}" for minute in (first, last))


@given(minutes, minutes, minutes)
def test_a_window_is_open_from_its_beginning_to_before_its_end(first: int, last: int, at: int):
    opened = Schedule(window=window(first, last)).open_at(at)
    if first < last:
        assert opened == (first <= at < last)
    elif first > last:
        assert opened == (at >= first or at < last)
    else:
        assert opened


def test_without_a_window_it_is_always_open():
    assert all(Schedule().open_at(minute) for minute in (0, 719, 1439))


@pytest.mark.parametrize("text", ["22-6", "24:00-06:00", "22:60-06:00", "", "night", "22:00-06:00 "])
def test_what_is_no_window_is_refused(text: str):
    with pytest.raises(ValueError, match="expected a window such as 22:00-06:00"):
        Schedule(window=text)


@given(st.floats(0, 1e6), st.floats(0.1, 100))
def test_a_cohort_is_overdue_after_so_many_hours(elapsed_s: float, hours: float):
    schedule = Schedule(every_hours=hours)
    assert schedule.overdue(1e9, 1e9 + elapsed_s) == (1e9 + elapsed_s - 1e9 >= 3600 * hours)
    assert not schedule.overdue(None, 1e9)
    assert not Schedule().overdue(1e9, 1e9 + elapsed_s)
