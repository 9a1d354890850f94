"""What RosettaSciIO says about a signal, judged without it."""

import numpy as np
import pytest

from model_library.errors import UnsupportedImage
from model_library.images.vendor_signals import signal_facts


def axis(name="x", scale=1.0, units="nm", navigate=False):
    return {"name": name, "scale": scale, "units": units, "navigate": navigate}


def facts(shape, axes, dtype=np.uint16, metadata=None):
    return signal_facts({"data": np.zeros(shape, dtype), "axes": axes, "metadata": metadata or {}}, "a.emd")


@pytest.mark.parametrize(
    ("scale", "units", "expected"),
    [
        (2.0, "nm", 2.0),
        (2.0, "n_m", 2.0),
        (2.0, "[n_m]", 2.0),
        (2.0, "A", 0.2),
        (2.0, "\u00c5", 0.2),
        (2.0, "um", 2000.0),
        (2.0, "\u00b5m", 2000.0),
        (2.0, "\u03bcm", 2000.0),
        (2.0, "pm", 0.002),
        (2e-9, "m", 2.0),
        (2.0, "1/nm", None),
        (2.0, "1 / nm", None),
        (2.0, "mrad", None),
        (2.0, "px", None),
        (2.0, "", None),
        (2.0, None, None),
        (-2.0, "nm", None),
        (0.0, "nm", None),
        (float("nan"), "nm", None),
    ],
)
def test_only_lengths_are_pixel_sizes(scale, units, expected):
    found = facts((4, 5), [axis("y", scale, units), axis("x", scale, units)]).pixel_size
    assert found.x_nm == found.y_nm == (None if expected is None else pytest.approx(expected))


@pytest.mark.parametrize(
    ("lead", "axes"),
    [
        (axis("z", 5.0, "nm"), "ZYX"),
        (axis("time", 1.0, "s", navigate=True), "TYX"),
        (axis("Time", 1.0, None, navigate=True), "TYX"),
        (axis(None, 1.0, None, navigate=True), "IYX"),
        (axis("frame", 1.0, "ms"), "TYX"),
    ],
)
def test_the_axis_of_a_stack_is_named_by_what_it_measures(lead, axes):
    found = facts((3, 4, 5), [lead, axis("y"), axis("x")])
    assert found.axes == axes
    assert found.shape == (3, 4, 5)
    assert found.pixel_size.z_nm == (5.0 if axes == "ZYX" else None)


def test_axes_of_length_one_vanish():
    assert facts((1, 1, 4, 5), [axis("t"), axis("z"), axis("y"), axis("x")]).axes == "YX"


def test_colours_become_samples():
    colour = np.dtype([(name, "u1") for name in "RGB"])
    found = facts((4, 5), [axis("y"), axis("x")], colour)
    assert (found.axes, found.shape) == ("YXS", (4, 5, 3))


@pytest.mark.parametrize(
    ("shape", "axes", "dtype", "reason"),
    [
        ((7,), [axis("E")], np.uint16, "a signal of shape"),
        ((4, 5, 6), [axis("y", navigate=True), axis("x", navigate=True), axis("E")], np.uint16, "spectra"),
        (
            (2, 3, 4, 5),
            [axis("sy", navigate=True), axis("sx", navigate=True), axis("ky"), axis("kx")],
            np.uint16,
            "4-D data of shape",
        ),
        ((4, 5), [axis("y"), axis("x")], np.complex64, "complex64"),
        ((4, 5), [axis("y"), axis("x")], np.dtype([("a", "u1"), ("b", "f4")]), "values made of"),
    ],
)
def test_what_is_no_image_is_refused_in_words(shape, axes, dtype, reason):
    with pytest.raises(UnsupportedImage, match=reason) as refusal:
        facts(shape, axes, dtype)
    assert str(refusal.value).startswith("a.emd: expected an image or a stack of images, found ")


def test_titles_and_metadata_become_text():
    found = facts(
        (4, 5), [axis("y"), axis("x")], metadata={"General": {"title": "grains", "time": 3}, "bulk": [1]}
    )
    assert found.name == "grains"
    assert found.metadata["General.time"] == "3"
    assert found.metadata["axis.y"] == "1 nm"
    assert "bulk" not in found.metadata
