"""Narrowing: what could not serve the instrument is not run, and the record says why."""

import numpy as np
import pytest

from benchmark.cases import score
from benchmark.metrics import Metric
from benchmark.selection.narrowing import InstrumentFacts, narrow
from benchmark.selection.pairs import pair_cases, places
from benchmark.selection.tolerance import near_tie
from model_library.cards.acquisition import AcquisitionRange
from model_library.cards.card import NetworkCard, TrainingData
from model_library.degradation.noise import NoiseModel
from model_library.networks.config import UNetConfig
from model_library.networks.facts import facts
from model_library.wire.images import AcquisitionFacts
from model_library.wire.methods import NetworkRef
from model_library.wire.tasks import Denoise

GREY = UNetConfig(widths=(4, 8))
STACK = UNetConfig(widths=(4, 8), in_channels=3, channels="slices")


def card(network_id, **told):
    config = told.pop("config", GREY)
    return NetworkCard(
        id=network_id,
        version="1",
        purpose="a test",
        task=Denoise(),
        config=config,
        facts=facts(config),
        weights_sha256="0" * 64,
        **told,
    )


def trained_on(*digests):
    return (TrainingData(source="here", terms="MIT", images=1, digests=digests, simulated=False),)


def names(narrowed):
    return {card.id for card in narrowed.eligible}


@pytest.mark.parametrize(
    ("size", "kept"),
    [(10.0, True), (21.0, True), (25.0, True), (39.0, True), (41.0, False), (4.0, False), (None, True)],
)
def test_pixels_that_a_site_would_refuse_leave_a_network_out(size, kept):
    found = narrow([card("sized", pixel_size_nm=(10.0, 20.0)), card("any")], InstrumentFacts(size))
    assert ("sized" in names(found)) == kept
    assert "any" in names(found)
    if not kept:
        assert "network made for 10 to 20 nm" in found.left_out["sized@1"]


def test_networks_of_other_microscopes_are_run_only_if_none_of_this_kind_remains():
    cards = [card("sem", modality=("sem",)), card("tem", modality=("tem", "stem")), card("any")]
    found = narrow(cards, InstrumentFacts(modality="tem"))
    assert names(found) == {"tem", "any"}
    assert found.left_out == {"sem@1": "is for sem, and the images are tem"}
    assert names(narrow(cards[:1], InstrumentFacts(modality="tem"))) == {"sem"}
    assert names(narrow(cards, InstrumentFacts())) == {"sem", "tem", "any"}


def at(**told):
    return AcquisitionRange.of([AcquisitionFacts(**told)])


def test_networks_tuned_at_another_voltage_or_dose_are_run_only_if_none_else_remains():
    slow, fast = card("slow", acquisition=at(beam_kv=5)), card("fast", acquisition=at(beam_kv=200))
    images = InstrumentFacts(acquisition=at(beam_kv=10, detector="ETD"))
    found = narrow([slow, fast, card("any")], images)
    assert names(found) == {"slow", "any"}
    assert found.left_out == {"fast@1": "learned from a beam of 200 kV, and the images have 10 kV"}
    assert names(narrow([fast], images)) == {"fast"}
    faint, strong = (card(name, acquisition=at(dose_e_per_A2=dose)) for name, dose in (("f", 2), ("s", 30)))
    found = narrow([faint, strong], InstrumentFacts(acquisition=at(dose_e_per_A2=7.9)))
    assert names(found) == {"f", "s"}
    found = narrow([faint, strong], InstrumentFacts(acquisition=at(dose_e_per_A2=119)))
    assert found.left_out == {"f@1": "learned from a dose of 2 e/Å², and the images have 119 e/Å²"}


def test_a_planted_dose_is_held_against_the_files_where_the_pixel_size_is_known():
    low, high = (
        card(name, acquisition=AcquisitionRange(dose_e_per_px=dose))
        for name, dose in (("low", (5, 50)), ("high", (400, 2000)))
    )
    told = at(dose_e_per_A2=40)
    found = narrow([low, high], InstrumentFacts(acquisition=told, pixel_size_nm=0.1))
    assert found.left_out == {
        "high@1": "learned from a dose of 400 to 2000 electrons per pixel,"
        " and the images have 40 electrons per pixel"
    }
    assert names(narrow([low, high], InstrumentFacts(acquisition=told))) == {"low", "high"}
    assert names(narrow([low, high], InstrumentFacts(acquisition=told, pixel_size_nm=0.4))) == {"high"}


@pytest.mark.parametrize("told", [None, at(dwell_us=3), at(dose_e_per_A2=3)])
def test_an_unknown_voltage_narrows_nothing(told):
    cards = [card("slow", acquisition=at(beam_kv=5)), card("fast", acquisition=at(beam_kv=200))]
    assert names(narrow(cards, InstrumentFacts(acquisition=told))) == {"slow", "fast"}
    assert names(narrow([card("any")], InstrumentFacts(acquisition=at(beam_kv=5)))) == {"any"}


def test_a_range_spans_what_images_tell():
    told = [AcquisitionFacts(beam_kv=5, detector="ETD"), None, AcquisitionFacts(beam_kv=10, dwell_us=2)]
    found = AcquisitionRange.of(told)
    assert found == AcquisitionRange(beam_kv=(5, 10), dwell_us=(2, 2), detectors=("ETD",))
    assert found.told == "5 to 10 kV, 2 us per pixel, detector ETD"
    assert AcquisitionRange.of([None, AcquisitionFacts(magnification=100)]) is None


def test_a_network_that_saw_the_images_is_not_judged_on_them():
    seen = "a" * 64
    cards = [card("fair", training_data=trained_on("b" * 64)), card("saw", training_data=trained_on(seen))]
    found = narrow(cards, InstrumentFacts(digests=frozenset({seen, "c" * 64})))
    assert names(found) == {"fair"}
    assert found.left_out == {"saw@1": "saw 1 of the 2 images in its training"}


def test_a_network_of_stacks_is_not_run_on_single_images():
    found = narrow([card("stack", config=STACK)], InstrumentFacts())
    assert found.left_out == {"stack@1": "works on slices, not on single grey images"}


def test_crops_do_not_overlap_and_lie_within_the_image():
    covered = np.zeros((200, 130), int)
    found = places(covered.shape, 60, 50, np.random.default_rng(0))
    for window in found:
        covered[window] += 1
        assert covered[window].shape == (60, 60)
    assert covered.max() == 1
    assert len(found) == 6
    assert places((40, 50), 60, 3, np.random.default_rng(0)) == [(slice(0, 40), slice(0, 50))]


def acquired(seed, side=256):
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:side, :side] / 18.0
    clean = 60 + 25 * np.sin(y) * np.cos(x * 1.3)
    return clean.astype(np.float32), rng.poisson(clean).astype(np.float32)


def binned_truth(clean):
    return clean.reshape(clean.shape[0] // 2, 2, -1, 2).mean(axis=(1, 3))


def test_a_coarse_input_is_as_noisy_as_the_instrument_would_make_it():
    clean, image = acquired(1)
    [case] = pair_cases([("f", image)], NoiseModel(1.0, 0.0), np.random.default_rng(2), scale=2, crop_px=256)
    assert case.input.shape == (128, 128)
    noise = case.input - binned_truth(clean)
    assert np.mean(noise**2) == pytest.approx(clean.mean(), rel=0.05)
    assert abs(noise.mean()) < 0.3


def test_pairs_rank_enlargements_as_the_hidden_truth_does_and_reward_no_kept_noise():
    clean, image = acquired(3)
    [case] = pair_cases([("f", image)], NoiseModel(1.0, 0.0), np.random.default_rng(4), scale=2, crop_px=256)
    worse = {
        "truth": clean,
        "blurred": clean * 0.9 + clean.mean() * 0.1,
        "kept": np.kron(case.input, [[1, 1]] * 2),
    }
    told = {
        name: score(made.astype(np.float32), case.reference, Metric.PSNR_REPEAT)
        for name, made in worse.items()
    }
    hidden = {name: -float(np.mean((made - clean) ** 2)) for name, made in worse.items()}
    assert sorted(told, key=told.get) == sorted(hidden, key=hidden.get)


def test_a_near_tie_shrinks_by_what_the_noise_of_the_repeat_hides():
    clean, image = acquired(5)
    [case] = pair_cases([("f", image)], NoiseModel(1.0, 0.0), np.random.default_rng(6), crop_px=256)
    slightly = clean + np.float32(3) * np.sin(np.arange(256, dtype=np.float32))
    value = score(slightly, case.reference, Metric.PSNR_REPEAT)
    error, noise = float(np.mean((slightly - clean) ** 2)), clean.mean()
    limit = near_tie(Metric.PSNR_REPEAT, [case.reference], [value])
    assert limit == pytest.approx(0.05 * error / (error + noise), rel=0.2)


class Smoothing:
    scale = 1
    ref = NetworkRef(id="smooth", version="1", weights_sha256="0" * 64)

    def __call__(self, pixels):
        return pixels
