"""Every kind of specimen: varied, repeatable, in range, its structures visible where the labels say."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from model_library.specimens import SpecimenKind, render

KINDS = list(SpecimenKind)


@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=12, deadline=None)
@given(height=st.integers(48, 160), width=st.integers(48, 160), seed=st.integers(0, 2**32 - 1))
def test_is_unit_intensity_of_the_shape_asked_for(kind, height, width, seed):
    specimen = render(kind, (height, width), np.random.default_rng(seed))
    assert specimen.intensity.shape == (height, width)
    assert specimen.intensity.dtype == np.float32
    assert np.isfinite(specimen.intensity).all()
    assert 0 <= specimen.intensity.min() <= specimen.intensity.max() <= 1
    assert all(mask.shape == (height, width) and mask.dtype == bool for mask in specimen.labels.values())


@pytest.mark.parametrize("kind", KINDS)
def test_same_generator_state_gives_the_same_specimen(kind):
    first, second = (render(kind, (96, 128), np.random.default_rng(7)) for _ in range(2))
    assert first.intensity.tobytes() == second.intensity.tobytes()
    assert all(np.array_equal(first.labels[name], second.labels[name]) for name in first.labels)


@pytest.mark.parametrize("kind", KINDS)
def test_specimens_of_a_kind_differ_in_brightness_and_contrast(kind):
    images = [render(kind, (128, 128), np.random.default_rng(seed)).intensity for seed in range(12)]
    assert np.std([image.mean() for image in images]) > 0.03
    assert min(image.std() for image in images) > 0.01
    assert np.std([image.std() for image in images]) > 0.01


@pytest.mark.parametrize(
    ("kind", "structure"),
    [
        ("cells", "membrane"),
        ("precipitates", "precipitate"),
        ("particles", "particle"),
        ("atoms", "column"),
        ("cryo_em", "particle"),
    ],
)
def test_labelled_structures_differ_from_their_surroundings(kind, structure):
    visible = []
    for seed in range(8):
        specimen = render(SpecimenKind(kind), (256, 256), np.random.default_rng(seed))
        mask = specimen.labels[structure]
        assert 0 < mask.mean() < 1
        visible.append(abs(specimen.intensity[mask].mean() - specimen.intensity[~mask].mean()))
    assert np.median(visible) > 0.04


@pytest.mark.parametrize("kind", KINDS)
def test_optics_leave_little_at_the_highest_frequencies(kind):
    """A specimen finer than the probe could not be told from noise, by anyone."""
    image = render(kind, (256, 256), np.random.default_rng(3)).intensity
    power = np.abs(np.fft.rfft2((image - image.mean()) * np.outer(np.hanning(256), np.hanning(256)))) ** 2
    corner = power[112:144, 112:].mean() * power.size / power.sum()
    assert corner < 0.02


def test_an_unknown_kind_is_refused():
    with pytest.raises(ValueError, match="brains"):
        render("brains", (64, 64), np.random.default_rng(0))
