"""Networks tuned on a case's tuning images: better there, and their cards say what they saw."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from benchmark import assessment
from benchmark.metrics import Metric
from benchmark.real import tuned
from benchmark.real.acquired import clean_windows
from benchmark.real.build import build_cases
from benchmark.real.finished import Finished
from benchmark.real.judging import Terms
from benchmark.real.seen import Seen, case_digests
from benchmark.real.sources import LOW_DOSE_TEM, Part
from benchmark.real.suite import fingerprint, run_suite
from benchmark.real.table import Coarse, Form, Labelled, Pairing, RealCase, SecondFrame
from benchmark.real.tuned import PlantedPairs, TuneConfig, tuned_network
from model_library.images.raster import encode_png
from model_library.training.checkpoint import Checkpointing
from model_library.wire.methods import NetworkRef
from model_library.wire.tasks import Denoise, Segment, SuperResolve

TUNE = TuneConfig(steps=100, batch=8, learning_rate=1e-2)


@pytest.fixture(autouse=True)
def one_rival(monkeypatch):
    genuine = assessment.classical_methods
    monkeypatch.setattr(assessment, "classical_methods", lambda task: genuine(task)[:1])


def tune(case, data, library, how=TUNE):
    network = library.load("small")
    digests = case_digests(case, data)
    return network, tuned_network(network, case, data, how, tuple(sorted(digests.tuning)))


def test_tuning_on_planted_noise_pays_and_both_versions_are_reported(superalloy, noise_case, small_library):
    terms = Terms(superalloy, small_library(), tune=TUNE)
    found = run_suite([noise_case], terms, Finished(None), lambda _: None)
    leading = {row.method: row for row in found.rows if row.metric is noise_case.metrics[0]}
    before, after = leading["small@1.0.0"], leading["small@1.0.0+tuned"]
    assert (before.kind, after.kind) == ("network", "tuned network")
    assert (before.saw, after.saw) == (Seen.NOTHING, Seen.TUNING)
    assert after.value > before.value + 2


@pytest.fixture
def frames_case(tmp_path):
    """Two noisy frames of one place: the left half teaches, the right half judges."""
    rng = np.random.default_rng(0)
    truth = 128 + 60 * np.tanh(2 * gaussian_filter(rng.standard_normal((128, 256)), 4) / 0.07)
    for number in (1, 2):
        path = tmp_path / LOW_DOSE_TEM.folder / f"train_frame{number}.png"
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(encode_png((truth + rng.normal(0, 15, truth.shape)).clip(0, 255).astype(np.uint8)))
    source = LOW_DOSE_TEM.model_copy(update=dict.fromkeys(("tuning", "scored"), ("train_frame[12].png",)))
    return RealCase(
        name="frames",
        source=source,
        task=Denoise(),
        how=SecondFrame(pairing=Pairing.FILES),
        crop_px=64,
        tuning_px=64,
        windows=2,
    )


def test_repeated_frames_teach_a_network_without_any_truth(frames_case, small_library, tmp_path, noise_case):
    terms = Terms(tmp_path, small_library(), own_frames=TUNE)
    found = run_suite([frames_case], terms, Finished(None), lambda _: None)
    rows = {row.method: row for row in found.rows}
    before, after = rows["small@1.0.0"], rows["small@1.0.0+tuned"]
    assert (before.kind, after.kind) == ("network", "tuned on own frames")
    assert after.saw is Seen.TUNING
    assert after.value < 0.5 * before.value
    assert terms.tuning_of(noise_case) is None
    assert fingerprint(frames_case, terms) != fingerprint(frames_case, replace(terms, own_frames=None))


def test_the_card_of_a_tuned_network_names_what_it_saw_and_where_it_began(
    superalloy, noise_case, small_library
):
    how = TUNE.model_copy(update={"steps": 2})
    network, better = tune(noise_case, superalloy, small_library(), how)
    assert better.card.training_data[:-1] == network.card.training_data
    assert set(better.card.training_data[-1].digests) == case_digests(noise_case, superalloy).tuning
    assert better.card.lineage.parent_weights_sha256 == network.card.weights_sha256
    assert better.card.weights_sha256 != network.card.weights_sha256


def test_equal_seeds_give_equal_weights_and_the_parent_stays_as_it_is(superalloy, noise_case, small_library):
    how = TUNE.model_copy(update={"steps": 2})
    library = small_library()
    network, one = tune(noise_case, superalloy, library, how)
    _, same = tune(noise_case, superalloy, library, how)
    _, other = tune(noise_case, superalloy, library, how.model_copy(update={"seed": 1}))
    assert one.card.weights_sha256 == same.card.weights_sha256 != other.card.weights_sha256
    before = {key: value.clone() for key, value in library.load("small").module.state_dict().items()}
    assert all(np.array_equal(before[key], value) for key, value in network.module.state_dict().items())


def test_an_interrupted_tuning_goes_on_in_the_folder_of_work(
    superalloy, noise_case, small_library, tmp_path, monkeypatch
):
    how = TUNE.model_copy(update={"steps": 6})
    network = small_library().load("small")
    whole = tuned_network(network, noise_case, superalloy, how, ("d" * 64,))
    genuine, drawn = PlantedPairs.batch, []

    def breaking(self, size, patch_px, rng):
        if len(drawn) == 4:
            raise KeyboardInterrupt
        drawn.append(1)
        return genuine(self, size, patch_px, rng)

    monkeypatch.setattr(tuned, "Checkpointing", lambda folder, digest, **_: Checkpointing(folder, digest, 1))
    monkeypatch.setattr(PlantedPairs, "batch", breaking)
    with pytest.raises(KeyboardInterrupt):
        tuned_network(network, noise_case, superalloy, how, ("d" * 64,), tmp_path / "work")
    monkeypatch.setattr(PlantedPairs, "batch", genuine)
    again = tuned_network(network, noise_case, superalloy, how, ("d" * 64,), tmp_path / "work")
    assert again.card.weights_sha256 == whole.card.weights_sha256
    assert len(drawn) == 4


def test_images_on_which_the_last_step_is_tuned_are_not_learned_from(
    superalloy, precipitate_case, small_library, monkeypatch
):
    case = precipitate_case.model_copy(
        update={"how": Labelled(target="precipitate", form=Form.CELLS), "tuning_images": 2}
    )
    library = small_library(task=Segment(classes=("background", "precipitate")))
    learned = []
    genuine = tuned.AnnotatedPairs
    monkeypatch.setattr(
        tuned, "AnnotatedPairs", lambda images, *rest: learned.extend(images) or genuine(images, *rest)
    )
    tune(case, superalloy, library, TUNE.model_copy(update={"steps": 1}))
    assert len(learned) == 3
    reserved = build_cases(case, superalloy, Part.TUNING)
    whole = build_cases(case.model_copy(update={"tuning_images": 5}), superalloy, Part.TUNING)
    names = {each.field for each in whole} - {each.field for each in reserved}
    assert len(names) == 3


@pytest.mark.parametrize("form", list(Form))
def test_labels_of_every_form_are_learned_from(superalloy, precipitate_case, small_library, form):
    case = precipitate_case.model_copy(update={"how": Labelled(target="precipitate", form=form)})
    library = small_library(task=Segment(classes=("background", "precipitate")))
    _, better = tune(case, superalloy, library, TUNE.model_copy(update={"steps": 2}))
    assert better.card.version == "1.0.0+tuned"


def test_the_network_that_does_best_on_the_tuning_images_is_the_one_that_is_tuned(
    superalloy, noise_case, small_library
):
    from benchmark.real.judging import _best_first

    class Blurring:
        scale = 1

        def __init__(self, sigma_px):
            self.ref = NetworkRef(id=f"blur-{sigma_px}", version="1", weights_sha256="0" * 64)
            self.sigma_px = sigma_px

        def __call__(self, pixels):
            return gaussian_filter(pixels, self.sigma_px)

    tuning = build_cases(noise_case, superalloy, Part.TUNING)
    methods = [Blurring(sigma_px) for sigma_px in (0, 9, 1)]
    found = _best_first(methods, tuning, Metric.PSNR)
    assert [method.sigma_px for method in found] == [1, 0, 9]


def test_pairs_of_a_coarse_case_have_its_scale(superalloy, noise_case):
    case = noise_case.model_copy(update={"how": Coarse(scale=2), "task": SuperResolve(scale=2)})
    rng = np.random.default_rng(0)
    clean = [pixels for _, _, pixels in clean_windows(case, 1, superalloy, Part.TUNING, rng)]
    inputs, targets = PlantedPairs(clean, case.how).batch(3, 16, rng)
    assert inputs.shape == (3, 1, 16, 16)
    assert targets.shape == (3, 1, 32, 32)
