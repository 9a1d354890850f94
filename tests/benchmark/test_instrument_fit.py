"""The fit: the best network that keeps up, else the best one and what it falls short of."""

import pytest
from matplotlib.figure import Figure

from benchmark.selection.fit import Pace, draw_front, fit_to_instrument, front_of

RANKING = [("best", 31.0), ("tied", 30.98), ("middle", 30.0), ("fast", 28.0)]
SPEEDS = {"best": 0.5, "tied": 1.0, "middle": 4.0, "fast": 20.0}


@pytest.mark.parametrize(
    ("rate", "chosen", "keeps_up", "shortfall"),
    [
        (None, "tied", None, None),
        (0.1, "tied", True, 0.0),
        (0.8, "tied", True, 0.0),
        (0.81, "middle", True, 0.0),
        (3.2, "middle", True, 0.0),
        (16.0, "fast", True, 0.0),
        (40.0, "tied", False, 0.98),
    ],
)
def test_the_best_that_keeps_up_with_headroom_is_chosen(rate, chosen, keeps_up, shortfall):
    found = fit_to_instrument(RANKING, "tied", Pace(rate_mpix_per_s=rate, mpix_per_s=SPEEDS))
    assert found.chosen == chosen
    assert found.keeps_up[chosen] is keeps_up
    assert found.shortfall == (None if shortfall is None else pytest.approx(shortfall))
    assert (f"{chosen} is the best that keeps up" in found.reason) == (chosen not in ("tied",))


def test_one_of_unknown_speed_is_not_trusted_to_keep_up():
    pace = Pace(rate_mpix_per_s=1.0, mpix_per_s={"best": None, "middle": 2.0})
    found = fit_to_instrument(RANKING, "best", pace)
    assert found.chosen == "middle"
    assert found.keeps_up == {"best": None, "tied": None, "middle": True, "fast": None}
    assert "best is of unknown throughput" in found.reason


def test_where_no_speed_is_known_quality_decides_and_the_remedy_is_told():
    found = fit_to_instrument(RANKING, "best", Pace(rate_mpix_per_s=1.0))
    assert (found.chosen, found.shortfall, found.front) == ("best", None, ())
    assert "synoptic site calibrate" in found.reason


def test_a_network_slower_than_a_better_one_is_not_on_the_front():
    measured = [("best", 31.0, 1.0), ("slow", 29.0, 0.5), ("fast", 28.0, 20.0), ("equal", 28.0, 20.0)]
    assert [each.key for each in front_of(measured)] == ["equal", "best"]
    by_risk = [("low", 0.1, 1.0), ("high", 0.3, 5.0), ("worst", 0.4, 2.0)]
    assert [each.key for each in front_of(by_risk, higher_is_better=False)] == ["high", "low"]


def test_the_plot_draws_into_the_axes_that_it_is_given():
    axes = Figure().subplots()
    fit = fit_to_instrument(RANKING, "tied", Pace(rate_mpix_per_s=1.0, mpix_per_s=SPEEDS))
    assert draw_front(axes, fit, dict(RANKING), "PSNR [dB]") is axes
    assert {text.get_text() for text in axes.texts} == set(SPEEDS)
    assert "megapixels per second" in axes.get_xlabel()
