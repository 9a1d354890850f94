"""Bad material is refused by name, with a remedy, before any training starts."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from model_library.errors import RecipeError
from model_library.training.material import (
    Demand,
    MaterialImage,
    refuse_shared,
    refuse_unfit,
    shortcomings,
)
from model_library.wire.tasks import UNKNOWN_CLASS

RESTORE = Demand(side_px=16, images=2)
SEGMENT = Demand(side_px=16, images=2, classes=("background", "crack"))


def image(name: str, **changes: object) -> MaterialImage:
    rng = np.random.default_rng(sum(name.encode()))
    classes = np.zeros((20, 30), np.uint8)
    classes[4:8, 5:20] = 1
    good = MaterialImage(name, rng.integers(0, 4000, (20, 30), np.uint16), 5.0, classes)
    return replace(good, **changes)


def spoiled(value: float) -> np.ndarray:
    pixels = np.ones((20, 30), np.float32)
    pixels[3, 4:6] = value
    return pixels


def labels(value: int) -> np.ndarray:
    return np.full((20, 30), value, np.uint8)


GOOD = (image("a.tif"), image("b.tif"))
CASES = [
    ("too few images", RESTORE, (GOOD[0],), ["at least 2 images", "a.tif", "add images"]),
    ("no images", RESTORE, (), ["found 0 (none)"]),
    (
        "colour",
        RESTORE,
        (*GOOD, image("c.tif", pixels=np.zeros((3, 20, 30), np.uint8))),
        ["c.tif: expected 1 channel(s), found the shape (3, 20, 30)", "convert"],
    ),
    (
        "grey for a network of colour",
        Demand(side_px=16, channels=3),
        (GOOD[0],),
        ["a.tif: expected 3 channel(s), found the shape (20, 30)"],
    ),
    ("NaN", RESTORE, (*GOOD, image("c.tif", pixels=spoiled(np.nan))), ["c.tif: ", "2 of 600 NaN", "leave"]),
    ("infinity", RESTORE, (*GOOD, image("c.tif", pixels=spoiled(np.inf))), ["c.tif: ", "2 of 600"]),
    ("a patch too large", Demand(side_px=24), (GOOD[0],), ["a.tif", "20 x 30", "smaller patch"]),
    (
        "mixed pixel sizes",
        RESTORE,
        (*GOOD, image("c.tif", pixel_size_nm=5.6)),
        ["c.tif: expected one pixel size", "5.6 nm, and 5 nm in a.tif", "resample"],
    ),
    ("missing labels", SEGMENT, (*GOOD, image("c.tif", classes=None)), ["c.tif: expected labels", "label"]),
    ("nothing drawn", SEGMENT, (*GOOD, image("c.tif", classes=labels(0))), ["c.tif: expected an annotation"]),
    (
        "nothing known",
        SEGMENT,
        (*GOOD, image("c.tif", classes=labels(UNKNOWN_CLASS))),
        ["c.tif: expected an annotation", "leave this image out"],
    ),
    (
        "labels of another size",
        SEGMENT,
        (*GOOD, image("c.tif", classes=labels(1)[:10])),
        ["c.tif: expected labels of 20 x 30 pixels, found 10 x 30"],
    ),
    (
        "an unknown class",
        SEGMENT,
        (*GOOD, image("c.tif", classes=labels(7))),
        ["c.tif: expected class indices below 2 (background, crack), found 7"],
    ),
    (
        "a class that nobody drew",
        Demand(side_px=16, classes=("background", "crack", "pore")),
        GOOD,
        ["the class pore, found none in 2 images"],
    ),
]


@pytest.mark.parametrize(
    ("demand", "images", "told"), [case[1:] for case in CASES], ids=[c[0] for c in CASES]
)
def test_bad_material_is_refused_with_file_and_remedy(
    demand: Demand, images: tuple[MaterialImage, ...], told: list[str]
):
    with pytest.raises(RecipeError) as refusal:
        refuse_unfit(images, demand)
    assert len(shortcomings(images, demand)) == 1
    assert "; " in str(refusal.value)
    for words in told:
        assert words in str(refusal.value)


@pytest.mark.parametrize("demand", [RESTORE, SEGMENT])
def test_good_material_passes(demand: Demand):
    refuse_unfit(GOOD, demand)
    assert shortcomings(GOOD, demand) == ()


def test_unlabelled_parts_and_unknown_sizes_are_no_fault():
    partly = labels(UNKNOWN_CLASS)
    partly[:5] = 1
    refuse_unfit((*GOOD, image("c.tif", classes=partly, pixel_size_nm=None)), SEGMENT)


@given(ratio=st.floats(1.0, 3.0))
def test_pixel_sizes_may_differ_by_the_ratio_and_no_more(ratio: float):
    images = (GOOD[0], image("b.tif", pixel_size_nm=5.0 * ratio))
    assert bool(shortcomings(images, RESTORE)) == (5.0 * ratio > RESTORE.pixel_size_ratio * 5.0)


def test_the_first_few_faults_are_told_and_the_others_counted():
    many = [image(f"{number}.tif", classes=None) for number in range(8)]
    with pytest.raises(RecipeError, match=r"(?s)0\.tif.*4\.tif.*\(3 more\)"):
        refuse_unfit(many, SEGMENT)


def test_an_image_that_training_sees_cannot_be_held_out_under_another_name():
    refuse_shared(GOOD, [image("c.tif")])
    with pytest.raises(RecipeError, match=r"z\.tif: .*pixels of b\.tif"):
        refuse_shared(GOOD, [replace(GOOD[1], name="z.tif")])
