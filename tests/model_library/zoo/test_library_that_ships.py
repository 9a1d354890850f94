"""The networks under `model_library/zoo/weights`, as they are."""

from pathlib import Path

import numpy as np
import pytest

from model_library.inference.engine import NetworkMethod, segment
from model_library.signing.digests import sha256_file
from model_library.specimens import SpecimenKind, render
from model_library.wire.tasks import Denoise, Segment, SuperResolve
from model_library.zoo.labelled import labelled_micrographs
from model_library.zoo.pools import simulated
from model_library.zoo.recipe import read_recipe, recipe_path
from model_library.zoo.registry import Library
from model_library.zoo.stacks import labelled_stack
from model_library.zoo.store import shortfalls

LIBRARY = Library()
DENOISERS = [card.id for card in LIBRARY.for_task(Denoise())]
STACK = "unet-segment-membranes-stack"
every_network = pytest.mark.parametrize("network_id", LIBRARY.ids())
NON_COMMERCIAL = ("isbi", "cdeep3m")
# Nothing that restores has seen them (decision 5); what segments may learn from their labels (decision 12).
SOURCES_OF_THE_DEMO = ("axons", "oxide", "fib25")
LABELLED = sorted(
    card.id for card in map(LIBRARY.card, LIBRARY.ids()) if read_recipe(recipe_path(card.id)).labelled
)


def test_every_task_of_the_house_is_served():
    assert len(LIBRARY.ids()) >= 12
    assert len(DENOISERS) >= 2
    assert len(LIBRARY.for_task(SuperResolve(scale=2))) >= 2
    assert LIBRARY.for_task(SuperResolve(scale=4))


def test_the_structures_of_the_field_are_found_by_some_network():
    tasks = [LIBRARY.card(network_id).task for network_id in LIBRARY.ids()]
    known = {name for task in tasks if isinstance(task, Segment) for name in task.classes[1:]}
    assert known >= {"membrane", "cell-border", "axon", "precipitate", "particle", "crack"}
    assert known >= {"dislocation-loop", "dislocation-line", "cavity", "cryo-particle"}


@every_network
def test_card_and_weights_agree(network_id: str):
    card = LIBRARY.verify(network_id)
    assert card.id == network_id
    assert card.facts.exact_tiling
    assert card.facts.parameters <= 1_200_000
    assert card.facts.flops_per_pixel <= 1_000_000


@every_network
def test_the_card_names_the_very_recipe_that_ships(network_id: str):
    card, path = LIBRARY.card(network_id), recipe_path(network_id)
    recipe = read_recipe(path)
    assert sha256_file(path) in card.recipe
    assert (card.config, card.task, card.seed) == (recipe.network, recipe.task, recipe.fit.seed)
    assert card.limits
    assert card.training_data


@every_network
def test_a_card_states_the_dose_that_its_recipe_plants(network_id: str):
    planted = read_recipe(recipe_path(network_id)).variations.electrons_per_pixel
    told = LIBRARY.card(network_id).acquisition
    assert (None if told is None else told.dose_e_per_px) == planted
    assert told is None or told.beam_kv is None


@every_network
def test_nothing_was_trained_on_what_its_terms_or_the_demo_forbid(network_id: str):
    card = LIBRARY.card(network_id)
    unwanted = NON_COMMERCIAL if isinstance(card.task, Segment) else NON_COMMERCIAL + SOURCES_OF_THE_DEMO
    for data in card.training_data:
        assert not any(word in data.source for word in unwanted)
        assert data.simulated or (
            data.terms.startswith(("MIT", "CC BY")) and len(data.digests) >= data.images
        )


@pytest.mark.parametrize("network_id", LABELLED)
def test_no_image_that_a_card_is_scored_on_was_seen_in_training(network_id: str, shared_data: Path):
    card, recipe = LIBRARY.card(network_id), read_recipe(recipe_path(network_id))
    seen = {digest for data in card.training_data for digest in data.digests}
    for source in recipe.labelled:
        kept = labelled_micrographs(source, recipe.label or "", shared_data, held_out=True)
        assert not seen & {sha256_file(image.path) for image in kept}
    assert all("real micrographs" in score.suite and "--data" in score.command for score in card.scores)
    assert card.scores


def test_no_slice_that_a_card_is_scored_on_was_seen_in_training(shared_data: Path):
    card, recipe = LIBRARY.card(STACK), read_recipe(recipe_path(STACK))
    assert recipe.stack is not None
    seen = {digest for data in card.training_data for digest in data.digests}
    assert seen == set(labelled_stack(recipe.stack, shared_data, held_out=False).digests)
    assert not seen & set(labelled_stack(recipe.stack, shared_data, held_out=True).digests)


@every_network
def test_a_network_that_loses_to_a_classical_algorithm_says_so(network_id: str):
    card = LIBRARY.card(network_id)
    assert set(shortfalls(card.scores)) <= set(card.limits)


@pytest.mark.parametrize("network_id", DENOISERS)
def test_denoisers_bring_an_unseen_specimen_closer_to_its_truth(network_id: str):
    rng = np.random.default_rng(20_261)
    truth = render(SpecimenKind.PRECIPITATES, (128, 128), rng).intensity * 200
    noisy = (truth + rng.normal(0, 20, truth.shape)).astype(np.float32)
    restored = NetworkMethod(LIBRARY.load(network_id))(noisy)
    assert np.mean((restored - truth) ** 2) < 0.4 * np.mean((noisy - truth) ** 2)


@pytest.mark.parametrize(
    ("network_id", "least"),
    [
        ("unet-segment-membranes", 0.75),
        ("unet-segment-precipitates", 0.75),
        ("unet-segment-dislocation-loops", 0.75),
        ("unet-segment-dislocation-lines", 0.4),
        ("unet-segment-cavities", 0.6),
        ("unet-segment-cryo-particles", 0.75),
    ],
)
def test_structures_are_found_in_unseen_specimens(network_id: str, least: float):
    recipe, loaded = read_recipe(recipe_path(network_id)), LIBRARY.load(network_id)
    rng = np.random.default_rng(20_261)
    assert recipe.specimens is not None
    pool = recipe.specimens.model_copy(update={"images": 3, "side_px": 160})
    found, truth = [], []
    for specimen in simulated(pool, rng):
        noisy = (specimen.intensity * 200 + rng.normal(0, 6, (160, 160))).astype(np.float32)
        found.append(segment(noisy, loaded) == 1)
        truth.append(specimen.labels[recipe.label or ""])
    dice = 2 * np.sum(np.logical_and(found, truth)) / (np.sum(found) + np.sum(truth))
    assert dice > least
