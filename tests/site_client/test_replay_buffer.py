"""Few frames in mind, spread over fields and time; the same ones whoever asks, and none that is gone."""

from collections import Counter
from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st

from site_client.replay_buffer import BufferedFrame, BufferLimits, ReplayBuffer


def frame(sequence: int, field: str = "a", size: int = 1) -> BufferedFrame:
    return BufferedFrame(
        sequence=sequence, path=f"{sequence}.tif", sha256=f"{sequence:064x}", field=field, bytes=size
    )


@st.composite
def streams(draw: st.DrawFn) -> list[BufferedFrame]:
    told = draw(st.lists(st.tuples(st.sampled_from("abcd"), st.integers(0, 9)), max_size=60))
    return [frame(number, field, size) for number, (field, size) in enumerate(told, start=1)]


limits = st.builds(BufferLimits, frames=st.integers(1, 12), bytes=st.integers(1, 60))


@settings(deadline=None)
@given(streams(), limits, st.integers(0, 3))
def test_it_never_holds_more_than_its_limits(stream, most, seed) -> None:
    held = ReplayBuffer().admit(stream, most, seed).frames
    assert len(held) <= most.frames
    assert sum(each.bytes for each in held) <= most.bytes
    assert [each.sequence for each in held] == sorted({each.sequence for each in held})
    assert set(held) <= set(stream)


@settings(deadline=None)
@given(streams(), limits, st.integers(0, 3), st.integers(0, 60))
def test_a_restart_in_between_changes_nothing(stream, most, seed, cut) -> None:
    whole = ReplayBuffer().admit(stream, most, seed)
    first = ReplayBuffer().admit(stream[:cut], most, seed)
    again = ReplayBuffer.model_validate_json(first.model_dump_json())
    # What was looked at before is passed over, so it does no harm to be told of it again.
    assert again.admit(stream, most, seed) == whole == whole.admit(stream, most, seed)


@settings(deadline=None)
@given(streams(), limits)
def test_what_fits_is_all_kept(stream, most) -> None:
    roomy = BufferLimits(frames=100, bytes=1000)
    assert ReplayBuffer().admit(stream, roomy).frames == tuple(stream)


@settings(deadline=None)
@given(streams(), st.integers(4, 12))
def test_no_field_is_lost_to_a_larger_one(stream, count) -> None:
    held = ReplayBuffer().admit(stream, BufferLimits(frames=count, bytes=10_000)).frames
    assert {each.field for each in held} == {each.field for each in stream}
    counts, all_counts = Counter(each.field for each in held), Counter(each.field for each in stream)
    short = [field for field in counts if counts[field] < all_counts[field]]
    # Only a field that has as many as any other one gives way, give or take the order of arrival.
    assert all(counts[field] >= max(counts.values()) - 1 for field in short)


@settings(deadline=None, max_examples=30)
@given(st.integers(20, 300), st.integers(4, 12), st.booleans())
def test_frames_are_spread_over_time(count, most, one_field) -> None:
    stream = [frame(number, "a" if one_field else str(number)) for number in range(1, count + 1)]
    held = [
        each.sequence for each in ReplayBuffer().admit(stream, BufferLimits(frames=most, bytes=10_000)).frames
    ]
    assert (held[0], held[-1]) == (1, count)
    gaps = [later - earlier for earlier, later in pairwise(held)]
    # Twice is what thinning out by halves must allow; the rest is the newest frame's way in.
    assert max(gaps) <= 4 * count / (most - 1) + 2


def test_a_frame_larger_than_the_whole_buffer_is_left_out_and_not_looked_at_again() -> None:
    most = BufferLimits(frames=4, bytes=10)
    buffer = ReplayBuffer().admit([frame(1, size=3), frame(2, size=11), frame(3, size=3)], most)
    assert [each.sequence for each in buffer.frames] == [1, 3]
    assert buffer.through == 3


def test_files_that_are_gone_drop_out() -> None:
    buffer = ReplayBuffer().admit([frame(n) for n in (1, 2, 3)], BufferLimits(frames=9, bytes=99))
    left = buffer.present(lambda each: each.sequence != 2)
    assert [each.sequence for each in left.frames] == [1, 3]
    assert left.through == 3


def test_smaller_limits_hold_from_the_next_look_on() -> None:
    buffer = ReplayBuffer().admit([frame(n) for n in range(1, 20)], BufferLimits(frames=19, bytes=99))
    assert len(buffer.within(BufferLimits(frames=5, bytes=99)).frames) == 5


@given(streams())
def test_equals_are_told_apart_by_the_seed_alone(stream) -> None:
    most = BufferLimits(frames=5, bytes=10_000)
    assert ReplayBuffer().admit(stream, most, 1) == ReplayBuffer().admit(list(stream), most, 1)
