"""The benchmark of drift: what the record says holds on few seeds, and a broken test would show."""

from pathlib import Path

import numpy as np
import pytest

from benchmark.drift_error.acquired import real_sources, simulated_sources
from benchmark.drift_error.rows import measure
from benchmark.drift_error.sources import Source, drawn_sources
from benchmark.drift_policy import DriftPolicy, Feature
from model_library.specimens import SpecimenKind

POLICY = DriftPolicy()
LEAST = {Feature.NOISE: 0.9, Feature.LEAD: 0.95, Feature.BRIGHTNESS: 0.45, Feature.SCORE: 0.4}


@pytest.mark.parametrize("feature", LEAST)
def test_drawn_changes_are_told_within_three_images(feature: Feature):
    source = next(each for each in drawn_sources(POLICY) if each.features == (feature,))
    row = measure(source, 40, 0, POLICY)
    assert row.false_alarms_per_10000 <= 1.3
    assert row.missed == 0
    assert row.within_3 >= LEAST[feature]


def test_a_baseline_that_does_not_learn_raises_more_false_alarms():
    still = DriftPolicy(learned_after=10**6)
    source = next(each for each in drawn_sources(still) if each.features == (Feature.SCORE,))
    learning = measure(source, 150, 3, DriftPolicy())
    assert measure(source, 150, 3, still).false_alarms_per_10000 > learning.false_alarms_per_10000


@pytest.fixture(scope="module")
def fields() -> dict[tuple[Feature, str], Source]:
    sources = simulated_sources(SpecimenKind.PARTICLES, 56, 5, POLICY, one_specimen=True)
    return {(each.features[0], each.change): each for each in sources if len(each.features) == 1}


def change_of(source: Source) -> tuple[float, float]:
    """Mean change of the feature's mean, and its scatter, in the units that are watched."""
    rng = np.random.default_rng(0)
    [series] = source.campaign(rng, 200, 200)
    values = np.array([value for _, value in series.observed])
    values = np.log(values) if series.feature.logarithmic else values
    return float(values[200:].mean() - values[:200].mean()), float(values[:200].std())


def test_states_differ_by_what_was_done_to_the_instrument(fields: dict[tuple[Feature, str], Source]):
    assert change_of(fields[Feature.NOISE, "noise +1 dB"])[0] == pytest.approx(
        np.log(10 ** (1 / 20)), abs=0.04
    )
    assert change_of(fields[Feature.BRIGHTNESS, "half as bright"])[0] == pytest.approx(np.log(0.5), abs=0.1)
    assert -0.5 < change_of(fields[Feature.LEAD, "error +1 dB"])[0] < 0


@pytest.mark.parametrize("feature", [Feature.SCORE, Feature.LEAD])
def test_next_to_another_result_on_the_same_image_a_score_changes_by_more_than_it_scatters(
    fields: dict[tuple[Feature, str], Source], feature: Feature
):
    change, scatter = change_of(fields[feature, "score -1 dB"])
    assert change == pytest.approx(-1, abs=0.1)
    assert scatter < 0.2


def test_a_score_that_falls_by_a_decibel_is_told_within_three_images(
    fields: dict[tuple[Feature, str], Source],
):
    row = measure(fields[Feature.SCORE, "score -1 dB"], 30, 2, POLICY)
    assert row.within_3 >= 0.95
    assert row.false_alarms_per_10000 <= 1


def test_of_a_real_series_half_the_brightness_is_told_and_hardly_ever_anything_else(shared_data: Path):
    of_one_series = real_sources(shared_data, 56, 1, POLICY, only="TEM sections")
    halved = next(each for each in of_one_series if each.change == "half as bright")
    row = measure(halved, 20, 1, POLICY)
    assert halved.scatter.startswith("real ")
    assert row.false_alarms_per_10000 <= 5
    assert row.within_3 >= 0.8
