"""What is judged is what a site runs: pixels resampled for the network, its result back on their grid."""

from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmark.cases import Case, Labels, Truth
from benchmark.evaluate import evaluate
from benchmark.served import Sized, served
from model_library.errors import UnfitPixelSize
from model_library.images.frame import Frame, Grey
from model_library.images.pixel_fit import fit_pixels, resample
from model_library.wire.methods import ClassicalRef
from model_library.wire.tasks import Denoise
from site_client.reconstruct import reconstruct

MADE_FOR = (2.0, 4.0)
NOW = datetime(2026, 1, 1, tzinfo=UTC)


@dataclass
class Watching:
    """Gives back what it sees, `scale` times as fine, and remembers its shape."""

    scale: int = 1
    seen: tuple[int, ...] = ()
    ref = ClassicalRef(id="watching")

    def __call__(self, pixels: Grey) -> Grey:
        self.seen = pixels.shape
        return np.repeat(np.repeat(pixels, self.scale, 0), self.scale, 1)


def smooth(height: int, width: int) -> Grey:
    """Waves that are long enough for half as many pixels."""
    rows, columns = np.mgrid[:height, :width]
    return (500 + 100 * np.sin(rows / 9) + 80 * np.cos(columns / 11)).astype(np.float32)


@pytest.mark.parametrize(
    ("pixel_size_nm", "seen"),
    [(3.0, (60, 84)), (4.3, (60, 84)), (1.9, (60, 84)), (8.0, (120, 168)), (1.0, (30, 42)), (None, (60, 84))],
)
def test_a_network_sees_pixels_of_the_size_that_it_was_made_for(pixel_size_nm, seen) -> None:
    method = Watching()
    assert served(Sized(method, MADE_FOR), pixel_size_nm)(smooth(60, 84)).shape == (60, 84)
    assert method.seen == seen


def test_what_a_site_would_refuse_has_no_score_and_the_reason_is_kept() -> None:
    with pytest.raises(UnfitPixelSize, match="expected pixels of 2 to 4 nm, found 9 nm"):
        served(Sized(Watching(), MADE_FOR), 9.0)
    pixels = smooth(60, 84)
    case = Case("a", "a", pixels, Truth.of(pixels), pixel_size_nm=9.0)
    scores = evaluate([Sized(Watching(), MADE_FOR)], [case])
    [key] = scores.values
    assert scores.values[key] == (None,)
    assert "expected pixels of 2 to 4 nm, found 9 nm" in scores.failures[key]


def test_each_case_is_run_at_its_own_pixel_size() -> None:
    pixels = smooth(60, 84)
    cases = [Case(f"{size}", f"{size}", pixels, Truth.of(pixels), size) for size in (3.0, 8.0, None)]
    scores = evaluate([Sized(Watching(), MADE_FOR)], cases)
    first, resampled, unknown = scores.values["watching"]
    assert first == unknown == 120.0
    assert 40 < resampled < 120


def test_classical_algorithms_run_on_any_pixels() -> None:
    method = Watching()
    assert served(method, 900.0) is method


@settings(max_examples=40, deadline=None)
@given(
    height=st.integers(24, 70),
    width=st.integers(24, 70),
    pixel_size_nm=st.floats(1.0, 8.0),
    scale=st.sampled_from([1, 2, 4]),
)
def test_results_come_back_to_the_grid_of_the_image(height, width, pixel_size_nm, scale) -> None:
    pixels = smooth(height, width)
    found = served(Sized(Watching(scale), MADE_FOR), pixel_size_nm)(pixels)
    assert found.shape == (scale * height, scale * width)
    coarse = found.reshape(height, scale, width, scale).mean(axis=(1, 3))
    inner = slice(4, -4), slice(4, -4)
    assert np.abs(coarse - pixels)[inner].max() < 12


def test_class_numbers_stay_class_numbers() -> None:
    classes = np.zeros((60, 84), np.float32)
    classes[20:40, 30:60] = 2
    case = Case("a", "a", classes, Labels(classes > 0), pixel_size_nm=6.0)
    method = Sized(threshold(), MADE_FOR, gives_labels=True)
    found = served(method, 6.0)(classes)
    assert set(np.unique(found)) <= {0.0, 2.0}
    assert evaluate([method], [case]).mean("watching") > 0.97


def threshold():
    """A segmentation by a threshold, whatever the grid."""

    @dataclass
    class Threshold(Watching):
        def __call__(self, pixels: Grey) -> Grey:
            return 2 * (pixels > 1).astype(np.float32)

    return Threshold()


def test_the_network_sees_exactly_what_it_sees_at_a_site() -> None:
    pixels = smooth(60, 84)
    seen: list[Grey] = []

    @dataclass
    class Keeping(Watching):
        def __call__(self, pixels: Grey) -> Grey:
            seen.append(pixels)
            return pixels

    served(Sized(Keeping(), MADE_FOR), 6.0)(pixels)
    fit = fit_pixels(6.0, MADE_FOR)
    reconstruct(
        Frame(pixels, 6.0), Keeping(), Denoise(), source={"file_name": "a"}, clock=lambda: NOW, fit=fit
    )
    assert np.array_equal(*seen)
    assert np.array_equal(seen[0], resample(pixels, 1.5))
