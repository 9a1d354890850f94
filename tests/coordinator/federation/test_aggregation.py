"""The mean of updates: bounded shares, no order, and the dtypes that the network had."""

from collections.abc import Mapping

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from coordinator.federation.aggregation import merge
from coordinator.federation.fleet import Weights
from coordinator.federation.joining import Contribution, aggregate, shares

SHAPES = {"kernel": (2, 1, 2, 1), "bias": (2,), "gain": ()}

# Every example builds several networks.
some = settings(max_examples=40, deadline=None)


def tensors(largest: float) -> st.SearchStrategy[dict[str, np.ndarray]]:
    """Arrays of all shapes, finite, of any size up to the largest."""
    values = st.floats(-largest, largest, width=32)
    return st.fixed_dictionaries(
        {key: arrays.arrays(np.float32, shape, elements=values) for key, shape in SHAPES.items()}
    )


def of(examples: int, update: Weights, shrink: float = 1.0) -> Contribution:
    return Contribution(examples, lambda: update, shrink)


contributions = st.dictionaries(
    st.text("abcdef", min_size=1, max_size=3),
    st.builds(of, st.integers(1, 10_000), tensors(1e3), st.floats(0.01, 1.0)),
    min_size=1,
    max_size=4,
)


def joined(weights: Weights, contributions_: Mapping[str, Contribution]) -> Weights:
    return aggregate(weights, contributions_).network


def equal(left: Weights, right: Weights) -> bool:
    return left.keys() == right.keys() and all(
        left[key].dtype == right[key].dtype and left[key].tobytes() == right[key].tobytes() for key in left
    )


@some
@given(tensors(10.0), contributions, st.randoms(use_true_random=False))
def test_the_aggregate_does_not_depend_on_the_order_of_updates(weights, given_, random):
    order = list(given_)
    random.shuffle(order)
    shuffled = {key: given_[key] for key in order}
    assert equal(joined(weights, shuffled), joined(weights, given_))


@some
@given(tensors(10.0), contributions)
def test_nor_on_what_the_sites_are_called_but_for_rounding(weights, given_):
    renamed = {f"{999 - place}": one for place, one in enumerate(given_.values())}
    one, other = joined(weights, given_), joined(weights, renamed)
    for key in weights:
        # Partial sums reach 1e3 in float64, whatever cancels.
        np.testing.assert_allclose(one[key], other[key], rtol=1e-6, atol=1e-9)


@some
@given(tensors(1e3), tensors(1e3))
def test_merging_the_change_from_one_network_to_another_gives_the_other(weights, tuned):
    change = {key: tuned[key] - weights[key] for key in weights}
    merged = merge(weights, change)
    for key in weights:
        # The change itself is rounded to float32 once, the sum a second time.
        rounding = 2.0**-23 * (np.abs(change[key]) + np.abs(tuned[key]))
        assert (np.abs(merged[key].astype(np.float64) - tuned[key]) <= rounding).all()


@some
@given(tensors(1e3), tensors(10.0))
def test_a_merged_change_can_be_read_back(weights, change):
    merged = merge(weights, change)
    for key in weights:
        back = merged[key].astype(np.float64) - weights[key]
        rounding = 2.0**-24 * np.abs(merged[key]) + 2.0**-149
        assert (np.abs(back - change[key]) <= rounding).all()


@some
@given(tensors(1e3))
def test_no_change_changes_no_bit(weights):
    nothing = {key: np.zeros_like(array) for key, array in weights.items()}
    changed = merge(weights, nothing)
    for key in weights:
        # -0 becomes +0, which is the same number.
        assert changed[key].dtype == weights[key].dtype
        assert changed[key].shape == weights[key].shape
        assert (changed[key] == weights[key]).all()


@some
@given(tensors(10.0), tensors(1.0))
def test_one_site_alone_gets_its_update_whole(weights, update):
    alone, merged = joined(weights, {"a": of(17, update)}), merge(weights, update)
    assert all((alone[key] == merged[key]).all() for key in weights)


def test_counters_and_half_precision_keep_their_dtypes():
    weights = {"count": np.array(41, np.int64), "half": np.ones(3, np.float16)}
    update = {"count": np.array(0.9, np.float32), "half": np.full(3, 0.5, np.float32)}
    merged = merge(weights, update)
    assert merged["count"] == 42
    assert merged["count"].dtype == np.int64
    assert merged["half"].dtype == np.float16


def test_shares_follow_the_examples():
    assert shares({"a": 10, "b": 30, "c": 20}) == pytest.approx({"a": 1 / 6, "b": 1 / 2, "c": 1 / 3})


@given(st.dictionaries(st.text(max_size=3), st.integers(1, 10_000), min_size=1, max_size=40))
def test_no_share_exceeds_three_times_that_of_the_median_site(examples: Mapping[str, int]):
    found = shares(examples)
    assert sum(found.values()) == pytest.approx(1.0)
    assert max(found.values()) <= 3 * np.median(list(found.values())) * (1 + 1e-9)


def test_a_clipped_update_counts_with_its_shrunk_size():
    weights = {"w": np.zeros(2, np.float32)}
    update = {"w": np.array([8.0, -8.0], np.float32)}
    assert joined(weights, {"a": of(1, update, 0.25)})["w"].tolist() == [2.0, -2.0]


def test_one_update_at_a_time_is_in_memory():
    held: list[str] = []

    def loading(name: str, update: Weights) -> Contribution:
        def load() -> Weights:
            held.append(name)
            return update

        return Contribution(1, load)

    weights = {"w": np.zeros(2, np.float32)}
    joined(weights, {name: loading(name, weights) for name in "cab"})
    assert held == ["a", "b", "c"]
