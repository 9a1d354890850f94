"""Every kind of specimen: varied, repeatable, in range, its structures visible where the labels say."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from model_library.specimens import SpecimenKind, fitted, render
from model_library.specimens.specimen import stacked

KINDS = list(SpecimenKind)
SOMETIMES_ABSENT = {"loop", "line", "crack"}


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
        ("dislocations", "loop"),
        ("dislocations", "line"),
        ("cavities", "cavity"),
        ("cracks", "crack"),
    ],
)
def test_labelled_structures_differ_from_their_surroundings(kind, structure):
    visible = []
    for seed in range(8):
        specimen = render(SpecimenKind(kind), (256, 256), np.random.default_rng(seed))
        mask = specimen.labels[structure]
        if structure in SOMETIMES_ABSENT and not mask.any():
            continue
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


@pytest.mark.parametrize("kind", ["particles", "cryo_em", "dislocations", "cavities"])
@settings(max_examples=6, deadline=None)
@given(seed=st.integers(0, 2**32 - 1))
def test_objects_are_numbered_without_gaps_and_cover_exactly_their_mask(kind, seed):
    specimen = render(SpecimenKind(kind), (128, 96), np.random.default_rng(seed))
    assert specimen.instances
    for name, layers in specimen.instances.items():
        assert layers.dtype == np.int32
        assert layers.shape[1:] == (128, 96)
        assert np.array_equal((layers > 0).any(axis=0), specimen.labels[name])
        assert set(np.unique(layers)) - {0} == set(range(1, layers.max() + 1))


@pytest.mark.parametrize("kind", ["dislocations", "cavities"])
def test_objects_that_overlap_stay_whole_on_layers_of_their_own(kind):
    overlapping = 0
    for seed in range(6):
        (layers,) = render(SpecimenKind(kind), (160, 160), np.random.default_rng(seed)).instances.values()
        homes = [(layers == number).any(axis=(1, 2)).sum() for number in range(1, layers.max() + 1)]
        assert all(home == 1 for home in homes)
        overlapping += int(((layers > 0).sum(axis=0) > 1).any())
    assert overlapping > 0


def test_a_cavity_turns_with_the_defocus_and_a_dislocation_is_dark():
    """Fresnel contrast has either sign; diffraction contrast takes electrons away."""
    contrast = {"cavity": [], "line": [], "loop": []}
    for kind, names in (("cavities", ["cavity"]), ("dislocations", ["line", "loop"])):
        for seed in range(40):
            specimen = render(SpecimenKind(kind), (160, 160), np.random.default_rng(seed))
            for name in names:
                mask = specimen.labels[name]
                if mask.any():
                    core = ndimage.binary_erosion(mask) if name == "cavity" else mask
                    ring = ndimage.binary_dilation(mask, iterations=5) & ~ndimage.binary_dilation(mask)
                    contrast[name].append(
                        specimen.intensity[core].mean() - specimen.intensity[ring].mean() if core.any() else 0
                    )
    assert min(contrast["cavity"]) < 0 < max(contrast["cavity"])
    assert np.mean(np.array(contrast["line"]) < 0) > 0.9
    assert np.mean(np.array(contrast["loop"]) < 0) > 0.9


def test_cracks_lie_in_the_layer_more_than_elsewhere_and_are_no_pores():
    inside = []
    for seed in range(12):
        labels = render(SpecimenKind.CRACKS, (160, 160), np.random.default_rng(seed)).labels
        assert not (labels["crack"] & labels["pore"]).any()
        if labels["crack"].any():
            inside.append(labels["layer"][labels["crack"]].mean())
    assert np.median(inside) > 0.5


def test_masks_become_layers_that_keep_each_object_whole():
    masks = np.zeros((4, 8, 8), dtype=bool)
    masks[0, :4], masks[1, 2:6], masks[2, 6:] = True, True, True
    layers = stacked(list(masks), (8, 8))
    assert layers.shape == (2, 8, 8)
    assert layers.max() == 3
    for number, mask in enumerate(masks[:3], start=1):
        assert np.array_equal(mask, (layers == number).any(axis=0))


def test_objects_grow_and_shrink_to_fit_a_mask():
    layers = np.zeros((1, 6, 6), dtype=np.int32)
    layers[0, 0, 0], layers[0, 5, 5], layers[0, 0, 5] = 4, 7, 9
    mask = np.zeros((6, 6), dtype=bool)
    mask[:2, :2], mask[4:, 4:] = True, True
    found = fitted(layers, mask)
    assert np.array_equal(found[0] > 0, mask)
    assert (found[0, 1, 1], found[0, 4, 4]) == (1, 2)
