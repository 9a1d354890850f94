"""Paired comparison: its interval covers, its order does not matter, and it refuses what it cannot pair."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmark.compare import Comparison, compare, mean_interval
from benchmark.errors import UnpairedScores
from benchmark.metrics import Metric
from benchmark.scores import Scores
from model_library.wire.methods import ClassicalRef


def fields(values):
    return {f"f{number}": float(value) for number, value in enumerate(values)}


@pytest.mark.parametrize("count", [4, 6, 12, 30])
def test_the_interval_holds_the_true_difference_in_about_95_of_100(count):
    rng = np.random.default_rng(count)
    trials = 300
    held = 0
    for trial in range(trials):
        content = rng.normal(28, 4, count)
        a, b = (fields(content + rng.normal(0, 0.5, count)) for _ in "ab")
        low, high = compare(a, b, seed=trial).ci95
        held += low <= 0 <= high
    assert 0.88 <= held / trials <= 1.0


@given(
    st.dictionaries(
        st.text(min_size=1, max_size=4), st.tuples(st.floats(0, 50), st.floats(0, 50)), min_size=2
    ),
    st.randoms(use_true_random=False),
)
def test_the_order_of_fields_does_not_matter(scores, random):
    shuffled = list(scores)
    random.shuffle(shuffled)
    a, b = ({name: pair[side] for name, pair in scores.items()} for side in (0, 1))
    c, d = ({name: scores[name][side] for name in shuffled} for side in (0, 1))
    assert compare(a, b) == compare(c, d)


def test_equal_methods_differ_by_exactly_nothing():
    scores = fields([20, 25, 31])
    assert compare(scores, scores) == Comparison(difference=0.0, ci95=(0.0, 0.0), fields=3)


def test_the_seed_is_all_the_chance_there_is():
    a, b = fields([1, 2, 3, 4, 5]), fields([1.5, 2.1, 2.6, 4.4, 4.2])
    assert compare(a, b, seed=3) == compare(a, b, seed=3)
    assert compare(a, b, seed=3) != compare(a, b, seed=4)


def test_more_confidence_makes_a_wider_interval():
    values = np.array([0.1, 0.5, -0.2, 0.9, 0.4])
    spans = [np.ptp(mean_interval(values, level=level)) for level in (0.8, 0.95, 0.99)]
    assert spans == sorted(spans)


def test_other_fields_a_single_field_and_nan_are_refused():
    with pytest.raises(UnpairedScores, match="same fields"):
        compare({"a": 1.0, "b": 2.0}, {"a": 1.0, "c": 2.0})
    with pytest.raises(UnpairedScores, match="2 fields"):
        compare({"a": 1.0}, {"a": 2.0})
    with pytest.raises(UnpairedScores, match="1 finite of 2"):
        compare({"a": 1.0, "b": float("nan")}, {"a": 1.0, "b": 2.0})


def test_cases_of_one_field_are_averaged_first():
    scores = Scores(
        metric=Metric.PSNR,
        fields=("A", "A", "B"),
        names=("1", "2", "3"),
        refs={"m": ClassicalRef(id="m")},
        values={"m": (10.0, 20.0, 40.0)},
    )
    assert scores.by_field("m") == {"A": 15.0, "B": 40.0}
    assert scores.mean("m") == 27.5


def test_one_missing_case_leaves_its_field_without_a_score():
    scores = Scores(
        metric=Metric.PSNR,
        fields=("A", "A", "B"),
        names=("1", "2", "3"),
        refs={"m": ClassicalRef(id="m")},
        values={"m": (10.0, None, 40.0)},
    )
    assert scores.by_field("m") == {"A": None, "B": 40.0}
    assert scores.complete("m") is None
