"""The networks under `model_library/zoo/weights`, as they are."""

import numpy as np
import pytest

from model_library.inference.engine import NetworkMethod, segment
from model_library.signing.digests import sha256_file
from model_library.specimens import SpecimenKind, render
from model_library.wire.tasks import Denoise, SuperResolve
from model_library.zoo.pools import simulated
from model_library.zoo.recipe import read_recipe, recipe_path
from model_library.zoo.registry import Library

LIBRARY = Library()
DENOISERS = [card.id for card in LIBRARY.for_task(Denoise())]
every_network = pytest.mark.parametrize("network_id", LIBRARY.ids())
# Unseen sources of the demo, and sources whose terms forbid weights that ship.
FORBIDDEN = ("axons", "oxide", "fib25", "isbi", "cdeep3m")


def test_every_task_of_the_house_is_served():
    assert len(LIBRARY.ids()) >= 8
    assert len(DENOISERS) >= 2
    assert len(LIBRARY.for_task(SuperResolve(scale=2))) >= 2
    assert LIBRARY.for_task(SuperResolve(scale=4))


@every_network
def test_card_and_weights_agree(network_id: str):
    card = LIBRARY.verify(network_id)
    assert card.id == network_id
    assert card.facts.exact_tiling
    assert card.facts.parameters <= 1_200_000
    assert card.facts.flops_per_pixel <= 200_000


@every_network
def test_the_card_names_the_very_recipe_that_ships(network_id: str):
    card, path = LIBRARY.card(network_id), recipe_path(network_id)
    recipe = read_recipe(path)
    assert sha256_file(path) in card.recipe
    assert (card.config, card.task, card.seed) == (recipe.network, recipe.task, recipe.fit.seed)
    assert card.limits
    assert card.training_data


@every_network
def test_nothing_was_trained_on_what_its_terms_or_the_demo_forbid(network_id: str):
    for data in LIBRARY.card(network_id).training_data:
        assert not any(word in data.source for word in FORBIDDEN)
        assert data.simulated or (data.terms == "MIT" and len(data.digests) == data.images)


@pytest.mark.parametrize("network_id", DENOISERS)
def test_denoisers_bring_an_unseen_specimen_closer_to_its_truth(network_id: str):
    rng = np.random.default_rng(20_261)
    truth = render(SpecimenKind.PRECIPITATES, (128, 128), rng).intensity * 200
    noisy = (truth + rng.normal(0, 20, truth.shape)).astype(np.float32)
    restored = NetworkMethod(LIBRARY.load(network_id))(noisy)
    assert np.mean((restored - truth) ** 2) < 0.4 * np.mean((noisy - truth) ** 2)


@pytest.mark.parametrize("network_id", ["unet-segment-membranes", "unet-segment-precipitates"])
def test_structures_are_found_in_unseen_specimens(network_id: str):
    recipe, loaded = read_recipe(recipe_path(network_id)), LIBRARY.load(network_id)
    rng = np.random.default_rng(20_261)
    pool = recipe.specimens.model_copy(update={"images": 3, "side_px": 160})
    found, truth = [], []
    for specimen in simulated(pool, rng):
        noisy = (specimen.intensity * 200 + rng.normal(0, 6, (160, 160))).astype(np.float32)
        found.append(segment(noisy, loaded) == 1)
        truth.append(specimen.labels[recipe.label or ""])
    dice = 2 * np.sum(np.logical_and(found, truth)) / (np.sum(found) + np.sum(truth))
    assert dice > 0.75
