"""Fields of view are assigned on arrival, for good, 3:2:2."""

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from benchmark.splits import SHARES, Split, assign, field_key

arrivals = st.lists(st.text(min_size=1, max_size=6), max_size=60)


def assigned(fields):
    taken = {}
    for field in fields:
        taken[field] = assign(field, taken)
    return taken


@given(arrivals)
def test_each_split_stays_within_one_field_of_its_share(fields):
    taken = assigned(fields)
    counts = Counter(taken.values())
    for split, share in SHARES.items():
        assert abs(counts[split] - len(taken) * share / 7) < 1


@given(arrivals, arrivals)
def test_a_field_keeps_its_split_whatever_arrives_later(first, later):
    before = assigned(first)
    after = assigned([*first, *later])
    assert {field: after[field] for field in before} == before


@given(arrivals)
def test_repeats_of_a_field_change_nothing(fields):
    assert assigned(fields) == assigned([field for field in fields for _ in range(2)])


def test_the_first_three_fields_fill_the_three_splits():
    assert list(assigned("abc").values()) == [Split.TUNING, Split.GATE, Split.REPORT]


def test_images_of_one_stage_label_share_a_field_and_others_stand_alone():
    assert field_key(" A1 ", "0" * 64) == field_key("A1", "1" * 64)
    assert field_key(None, "0" * 64) != field_key(None, "1" * 64)
    assert field_key("", "0" * 64) == field_key(None, "0" * 64)
