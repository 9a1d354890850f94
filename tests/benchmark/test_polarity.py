"""Where the look of a structure is stated, what is found and looks otherwise is not what is meant."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from benchmark.look import Look
from benchmark.metrics import Metric
from benchmark.scores import method_key
from benchmark.selection.label_free import Scene, assess_all_label_free, assess_label_free
from benchmark.selection.label_free.polarity import contrast, likeness
from model_library.degradation.noise import NoiseModel
from model_library.wire.methods import NetworkRef
from model_library.wire.tasks import Segment

SIDE = 128
NOISE = NoiseModel(gain=0.0, read_variance=64.0)
TWO = Segment(classes=("background", "spot"))
ROWS, COLUMNS = np.indices((SIDE, SIDE))


def discs(radius):
    """Sixteen discs [Y, X] of this radius in pixels."""
    return np.hypot(ROWS % 32 - 16, COLUMNS % 32 - 16) <= radius


def noisy(clean, seed=0):
    return (clean + np.random.default_rng(seed).normal(0, 8, clean.shape)).astype(np.float32)


class Finding:
    """Finds what a function of the smoothed image says."""

    scale = 1

    def __init__(self, name, apply):
        self.ref = NetworkRef(id=name, version="1", weights_sha256="0" * 64)
        self.apply = apply

    def __call__(self, pixels):
        return np.asarray(self.apply(ndimage.gaussian_filter(pixels, 1.5)), dtype=np.float32)


@given(
    radius=st.floats(2.5, 12),
    gap=st.floats(20, 80),
    gain=st.floats(0.1, 50),
    offset=st.floats(-500, 500),
)
@settings(max_examples=25, deadline=None)
def test_a_negative_has_the_other_look_and_gain_and_offset_change_nothing(radius, gap, gain, offset):
    spots = discs(radius)
    pixels = noisy(100 + gap * spots)
    found = contrast(pixels, spots.astype(np.int32))
    assert found > 0.5
    assert contrast(-pixels, spots.astype(np.int32)) == pytest.approx(-found, rel=1e-6)
    scaled = (np.float32(gain) * pixels + np.float32(offset)).astype(np.float32)
    assert contrast(scaled, spots.astype(np.int32)) == pytest.approx(found, rel=1e-2)


def test_shading_does_not_turn_the_look():
    ramp = 3.0 * ROWS
    dark = discs(8) & (ROWS > SIDE // 2)
    pixels = noisy(ramp - 40 * dark)
    assert pixels[dark].mean() > pixels[~dark].mean()
    assert contrast(pixels, dark.astype(np.int32)) < -0.2


@pytest.mark.parametrize("radius", [7, 12])
def test_what_fills_a_dark_outline_is_dark_and_what_lies_between_outlines_is_bright(radius):
    outline = discs(radius) & ~discs(radius - 2)
    pixels = noisy(100 - 60 * outline)
    filled = discs(radius).astype(np.int32)
    assert contrast(pixels, filled) < -0.3
    assert contrast(pixels, outline.astype(np.int32)) < -0.3
    assert contrast(pixels, 1 - filled) > 0.3


def test_thin_lines_have_a_look():
    lines = (COLUMNS % 24 < 2).astype(np.int32)
    assert contrast(noisy(100 - 60 * lines), lines) < -0.5


def test_every_class_but_the_background_was_found():
    spots = discs(6)
    halves = np.where(COLUMNS < SIDE // 2, 1, 2) * spots
    pixels = noisy(100 + 50 * spots)
    assert contrast(pixels, halves.astype(np.int32)) == contrast(pixels, spots.astype(np.int32))


@pytest.mark.parametrize("classes", [np.zeros((SIDE, SIDE)), np.ones((SIDE, SIDE))])
def test_nothing_and_everything_have_no_look(classes):
    assert contrast(noisy(100 + 50 * discs(6)), classes.astype(np.int32)) == 0


def test_a_flat_image_has_no_look():
    assert contrast(np.full((SIDE, SIDE), 7, np.float32), discs(6).astype(np.int32)) == 0


@given(st.floats(-3, 3))
def test_no_contrast_is_like_both_looks(found):
    bright, dark = likeness(found, Look.BRIGHT), likeness(found, Look.DARK)
    assert min(bright, dark) == 0
    assert max(bright, dark) == min(1, abs(found))


# Dark discs among bright ones, which are larger, and which most of the library looks for.
BRIGHT, DARK = discs(9), np.hypot((ROWS + 16) % 32 - 16, (COLUMNS + 16) % 32 - 16) <= 5
PICTURES = [
    (f"field {number}", noisy(100 + 60 * BRIGHT - 60 * DARK, number).astype(np.float32))
    for number in range(2)
]
LIBRARY = [
    Finding("bright", lambda smooth: smooth > 130),
    Finding("brighter", lambda smooth: smooth > 140),
    Finding("less-bright", lambda smooth: smooth > 120),
    Finding("dark", lambda smooth: smooth < 70),
    Finding("noise", lambda smooth: smooth - ndimage.gaussian_filter(smooth, 1) > 2),
]


def best(look, library=LIBRARY):
    scores = assess_label_free(library, PICTURES, TWO, NOISE, look=look)
    means = {method_key(each.ref): scores.mean(method_key(each.ref)) for each in library}
    return scores.metric, max(means, key=means.get), means


def test_the_stated_look_turns_the_choice():
    assert best(None)[:2] == (Metric.PLAUSIBILITY, "bright@1")
    metric, chosen, means = best(Look.DARK)
    assert (metric, chosen) == (Metric.PLAUSIBILITY_STATED, "dark@1")
    assert means["bright@1"] == means["brighter@1"] == means["less-bright@1"] == 0
    assert best(Look.BRIGHT)[1] == "bright@1"


def test_one_that_alone_finds_the_stated_look_needs_nobody_to_agree():
    _, chosen, means = best(Look.DARK, LIBRARY[:4])
    assert chosen == "dark@1"
    assert means["dark@1"] > 0.3


def test_stated_or_not_the_other_measures_are_the_same():
    def measured(look):
        scenes = [Scene(*picture, look=look) for picture in PICTURES]
        return assess_all_label_free(LIBRARY, scenes, TWO, NOISE)

    bare, stated = measured(None), measured(Look.DARK)
    assert set(stated) - set(bare) == {Metric.PLAUSIBILITY_STATED}
    assert all(stated[metric].values == scores.values for metric, scores in bare.items())
