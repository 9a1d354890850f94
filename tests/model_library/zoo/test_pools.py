import numpy as np
import pytest

from model_library.errors import RecipeError
from model_library.zoo.pools import simulated
from model_library.zoo.recipe import SpecimenPool


def pool(**changes: object) -> SpecimenPool:
    return SpecimenPool(**{"kinds": ["cells", "precipitates"], "images": 4, "side_px": 64, **changes})


def test_specimens_have_the_wanted_side_at_any_magnification():
    specimens = simulated(pool(zoom=(0.5, 2.0)), np.random.default_rng(0))
    assert [specimen.intensity.shape for specimen in specimens] == [(64, 64)] * 4
    assert all(0 <= specimen.intensity.min() <= specimen.intensity.max() <= 1 for specimen in specimens)
    assert all(mask.shape == (64, 64) for specimen in specimens for mask in specimen.labels.values())


def test_kinds_take_turns():
    specimens = simulated(pool(), np.random.default_rng(0))
    assert ["membrane" in specimen.labels for specimen in specimens] == [True, False, True, False]


def test_the_same_seed_gives_the_same_pool():
    first, again = (simulated(pool(), np.random.default_rng(3)) for _ in range(2))
    assert all(np.array_equal(a.intensity, b.intensity) for a, b in zip(first, again, strict=True))


@pytest.mark.parametrize(("name", "sign"), [("only_dark", -1), ("only_bright", 1)])
def test_a_pool_may_ask_for_one_contrast(name: str, sign: int):
    wanted = pool(kinds=["precipitates"], **{name: "precipitate"})
    for specimen in simulated(wanted, np.random.default_rng(1)):
        mask = specimen.labels["precipitate"]
        assert mask.mean() < 0.5
        assert sign * (specimen.intensity[mask].mean() - specimen.intensity[~mask].mean()) > 0


def test_a_contrast_that_never_occurs_is_refused():
    with pytest.raises(RecipeError, match="only_dark"):
        simulated(pool(images=1, only_dark="no such mask"), np.random.default_rng(0))


@pytest.mark.parametrize("kind", ["particles", "dislocations"])
@pytest.mark.parametrize("zoom", [(0.5, 0.5), (1.0, 1.0), (1.9, 1.9)])
def test_objects_are_magnified_with_their_mask(kind: str, zoom: tuple[float, float]):
    for specimen in simulated(pool(kinds=[kind], images=3, side_px=96, zoom=zoom), np.random.default_rng(5)):
        for name, layers in specimen.instances.items():
            assert layers.shape[1:] == (96, 96)
            assert np.array_equal((layers > 0).any(axis=0), specimen.labels[name])
            assert set(np.unique(layers)) - {0} == set(range(1, layers.max() + 1))
