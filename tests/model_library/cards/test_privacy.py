"""What updates with noise cost in epsilon: an accountant that errs on the safe side, and never forgets."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import norm

from model_library.cards.privacy import DELTA, SENSITIVITY, Privacy, epsilon

multipliers = st.floats(0.3, 50.0)
spent = st.dictionaries(multipliers, st.integers(0, 200), max_size=4)


def exact_delta(epsilon_: float, multiplier: float, updates: int) -> float:
    """Balle and Wang 2018, theorem 8: of the Gaussian mechanism, whose compositions are one of it too."""
    mu = SENSITIVITY * math.sqrt(updates) / multiplier
    tail = norm.logcdf(-mu / 2 - epsilon_ / mu) + epsilon_
    return float(norm.cdf(mu / 2 - epsilon_ / mu) - math.exp(tail))


def test_nothing_sent_tells_nothing() -> None:
    assert epsilon({}) == 0.0
    assert epsilon({1.0: 0}) == 0.0


@given(spent, multipliers, st.integers(1, 50))
def test_every_further_update_costs(sent, multiplier, more) -> None:
    further = {**sent, multiplier: sent.get(multiplier, 0) + more}
    assert epsilon(further) > epsilon(sent) >= 0.0


@given(multipliers, st.floats(1.01, 3.0), st.integers(1, 100))
def test_more_noise_costs_less(multiplier, more, updates) -> None:
    assert epsilon({multiplier * more: updates}) < epsilon({multiplier: updates})


@given(spent, st.floats(1e-9, 1e-2))
def test_a_smaller_delta_costs_more(sent, delta) -> None:
    assert epsilon(sent, delta / 10) >= epsilon(sent, delta)


@pytest.mark.parametrize(("multiplier", "updates"), [(8.0, 1), (20.0, 3), (50.0, 100), (2.0, 3)])
def test_epsilon_is_an_upper_bound_and_no_loose_one(multiplier, updates) -> None:
    told = epsilon({multiplier: updates})
    assert exact_delta(told, multiplier, updates) <= DELTA
    assert exact_delta(0.8 * told, multiplier, updates) > DELTA


@pytest.mark.parametrize(("multiplier", "updates"), [(8.0, 1), (20.0, 3), (50.0, 100), (2.0, 3)])
def test_the_figures_are_those_of_opacus(multiplier, updates) -> None:
    rdp = pytest.importorskip("opacus.accountants.analysis.rdp")
    orders = [1 + x / 10 for x in range(1, 100)] + list(range(11, 64))
    # Its multiplier is relative to how far two updates can lie apart.
    divergences = rdp.compute_rdp(
        q=1.0, noise_multiplier=multiplier / SENSITIVITY, steps=updates, orders=orders
    )
    expected, _ = rdp.get_privacy_spent(orders=orders, rdp=divergences, delta=DELTA)
    assert epsilon({multiplier: updates}) == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("wrong", [0.0, -1.0, math.inf, math.nan])
def test_noise_and_norm_are_positive_numbers(wrong) -> None:
    with pytest.raises(ValueError, match="noise_multiplier"):
        Privacy(clip_norm=1.0, noise_multiplier=wrong)
    with pytest.raises(ValueError, match="clip_norm"):
        Privacy(clip_norm=wrong, noise_multiplier=1.0)
