"""Without reference and labels, a sound method ranks above every damaged one, whatever the images' order."""

from dataclasses import dataclass, replace

import numpy as np
import pytest
from scipy import ndimage
from scipy.stats import spearmanr

from benchmark.cases import Case, Labels, Truth, repeat_cases
from benchmark.errors import BenchmarkError, UnusableResult
from benchmark.metrics import Metric, psnr
from benchmark.scores import method_key
from benchmark.selection import Contender, select
from benchmark.selection.label_free import (
    Scene,
    assess_all_label_free,
    assess_all_labelled,
    assess_label_free,
    label_free,
    race_on_itself,
    race_on_labels,
)
from benchmark.selection.label_free.agreement import consensus, kappa, separation
from benchmark.selection.label_free.restoring import misfit
from model_library.degradation.noise import NoiseModel
from model_library.wire.methods import NetworkRef
from model_library.wire.tasks import Denoise, Segment, SuperResolve

SIDE = 128
NOISE = NoiseModel(gain=0.0, read_variance=144.0)
TWO = Segment(classes=("background", "spot"))


@dataclass(frozen=True)
class Filter:
    """Any function of an image, under a name."""

    name: str
    apply: object
    scale: int = 1

    @property
    def ref(self):
        return NetworkRef(id=self.name, version="1", weights_sha256="0" * 64)

    def __call__(self, pixels):
        return np.asarray(self.apply(pixels), dtype=np.float32)


def scene(number):
    """Bright spots on a dim ground: the clean image in counts, and where the spots are."""
    field = ndimage.gaussian_filter(
        np.random.default_rng(number).standard_normal((SIDE, SIDE)), 7, mode="wrap"
    )
    spots = field > 0.4 * field.std()
    clean = ndimage.gaussian_filter(np.where(spots, 180.0, 80.0), 1.5).astype(np.float32)
    return clean, spots


def images(count=3):
    rng = np.random.default_rng(5)
    return [
        (f"field {number}", (scene(number)[0] + rng.normal(0, 12, (SIDE, SIDE))).astype(np.float32))
        for number in range(count)
    ]


def blur(sigma):
    return lambda pixels: ndimage.gaussian_filter(pixels, sigma)


def structured(pixels):
    y, x = np.indices(pixels.shape)
    return blur(1.2)(pixels) + 12 * (np.sin(y / 3) * np.sin(x / 3) > 0.5)


SOUND = Filter("sound", blur(1.2))
DAMAGED = (
    Filter("blurred", blur(5)),
    Filter("structured", structured),
    Filter("sharpening", lambda pixels: pixels + 0.8 * (pixels - blur(1)(pixels))),
    Filter("nothing", lambda pixels: pixels),
    Filter("flat", lambda pixels: np.full_like(pixels, pixels.mean())),
)

OUTLINING = tuple(
    Filter(name, lambda pixels, s=sigma, t=level: blur(s)(pixels) > t)
    for name, sigma, level in (("sound", 2, 130), ("low", 2, 115), ("soft", 3, 130))
)
DAMAGED_OUTLINES = (
    Filter("background", np.zeros_like),
    Filter("everything", np.ones_like),
    Filter("noise", lambda pixels: pixels - blur(1)(pixels) > 12),
    Filter("ruled", lambda pixels: np.indices(pixels.shape)[1] % 16 < 5),
    Filter("invented", lambda pixels: (blur(2)(pixels) > 130) ^ (structured(pixels) > 165)),
)


def ranking(methods, task, pictures=None):
    scores = assess_label_free(methods, pictures or images(), task, NOISE)
    means = {key.split("@")[0]: scores.mean(key) for key in scores.values}
    return sorted(means, key=lambda key: -means[key])


def test_damaged_restorers_rank_below_the_sound_one():
    order = ranking((*DAMAGED, SOUND), Denoise())
    assert order[0] == "sound"
    assert order[-1] == "flat" or order[-1] == "sharpening"


@pytest.mark.parametrize("metric", [Metric.RING_CORRELATION, Metric.FORWARD_MISFIT])
def test_the_other_evidence_tells_invented_structure_and_lost_detail(metric):
    scenes = [Scene(*image) for image in images()]
    scores = assess_all_label_free((SOUND, DAMAGED[0], DAMAGED[1]), scenes, Denoise(), NOISE)[metric]
    sign = 1 if metric.higher_is_better else -1
    means = {key: sign * scores.mean(key) for key in scores.values}
    assert means["sound@1"] > means["structured@1"]
    if metric is Metric.FORWARD_MISFIT:
        assert means["sound@1"] > means["blurred@1"]


def test_restorers_rank_as_the_hidden_truth_ranks_them():
    strengths = (0.3, 0.6, 0.9, 1.2, 1.8, 2.5, 3.5, 5.0)
    methods = [Filter(f"blur{sigma}", blur(sigma)) for sigma in strengths]
    scores = assess_label_free(methods, images(), Denoise(), NOISE)
    truth = [
        np.mean([psnr(method(pixels), scene(n)[0], 100.0) for n, (_, pixels) in enumerate(images())])
        for method in methods
    ]
    assert spearmanr([scores.mean(method_key(each.ref)) for each in methods], truth).statistic > 0.9


def test_damaged_outlines_rank_below_every_sound_one():
    order = ranking((*DAMAGED_OUTLINES, *OUTLINING), TWO)
    assert set(order[:3]) == {"sound", "low", "soft"}


def test_finding_nothing_or_everything_is_worth_nothing():
    scores = assess_label_free((*OUTLINING, *DAMAGED_OUTLINES[:2]), images(), TWO, NOISE)
    assert scores.mean("background@1") == 0
    assert scores.mean("everything@1") == 0
    assert scores.mean("sound@1") > 0.3


def test_a_finer_result_is_judged_at_two_samplings():
    def repeated(pixels):
        return pixels.repeat(2, axis=0).repeat(2, axis=1)

    methods = (
        Filter(
            "sound",
            lambda pixels: ndimage.zoom(blur(1)(pixels), 2, order=1, grid_mode=True, mode="nearest"),
            2,
        ),
        Filter("noisy", repeated, 2),
        Filter("blurred", lambda pixels: repeated(blur(6)(pixels)), 2),
    )
    assert ranking(methods, SuperResolve(scale=2))[0] == "sound"


@pytest.mark.parametrize("methods", [((*DAMAGED, SOUND), Denoise()), ((*DAMAGED_OUTLINES, *OUTLINING), TWO)])
def test_the_order_of_images_changes_no_score_and_the_seed_tells_the_noise(methods):
    pictures = images()
    given, task = methods
    first = assess_label_free(given, pictures, task, NOISE, seed=3)
    turned = assess_label_free(given, pictures[::-1], task, NOISE, seed=3)
    assert {key: values[::-1] for key, values in turned.values.items()} == first.values
    assert assess_label_free(given, pictures, task, NOISE, seed=3).values == first.values
    assert assess_label_free(given, pictures, task, NOISE, seed=4).values != first.values


def test_selection_takes_it_and_no_reference_is_looked_at():
    def cases(honest):
        return [
            Case(field, field, pixels, Truth.of(scene(n)[0] if honest else -scene(n)[0]))
            for n, (field, pixels) in enumerate(images())
        ]

    contenders = [Contender(method, 1) for method in (*DAMAGED, SOUND)]
    chosen, fooled = (
        select(contenders, cases(honest), assess=label_free(Denoise(), NOISE)) for honest in (True, False)
    )
    assert chosen.winner == "sound@1"
    assert [one.model_dump(exclude={"seconds"}) for one in chosen.ranking] == [
        one.model_dump(exclude={"seconds"}) for one in fooled.ranking
    ]
    assert chosen.metric is Metric.PSNR_SELF


def test_of_a_case_by_recorruption_the_image_as_acquired_is_judged():
    made = repeat_cases(images(), NOISE, np.random.default_rng(1), SIDE)
    bare = [
        Case(case.field, case.name, pixels, Labels(pixels > 0))
        for case, (_, pixels) in zip(made, images(), strict=True)
    ]
    assess = label_free(Denoise(), NOISE)
    assert assess([SOUND], made).values == assess([SOUND], bare).values


def test_a_method_that_fails_has_no_score_and_does_not_disturb_the_others():
    def refuse(pixels):
        raise UnusableResult("expected luck, found none; try again")

    broken = Filter("broken", refuse)
    infinite = Filter("infinite", lambda pixels: np.full_like(pixels, np.nan))
    alone = assess_label_free([SOUND], images(1), Denoise(), NOISE)
    scores = assess_label_free([broken, SOUND, infinite], images(1), Denoise(), NOISE)
    assert scores.mean("broken@1") is None
    assert scores.mean("infinite@1") is None
    assert "found none" in scores.failures["broken@1"]
    assert "finite" in scores.failures["infinite@1"]
    assert scores.values["sound@1"] == alone.values["sound@1"]
    outlines = assess_label_free([replace(broken), *OUTLINING], images(1), TWO, NOISE)
    assert outlines.mean("broken@1") is None
    assert outlines.mean("sound@1") > 0


def test_nothing_to_judge_is_refused():
    with pytest.raises(BenchmarkError, match="at least one image"):
        assess_label_free([SOUND], [], Denoise())
    with pytest.raises(BenchmarkError, match="different names"):
        assess_label_free([SOUND, SOUND], images(1), Denoise())


def test_kappa_takes_off_what_chance_gives():
    rng = np.random.default_rng(2)
    first, second = (rng.integers(0, 2, (200, 200)).astype(np.int32) for _ in range(2))
    assert kappa(first, first) == pytest.approx(1)
    assert abs(kappa(first, second)) < 0.02
    assert kappa(first, 1 - first) == pytest.approx(-1, abs=0.02)
    assert kappa(first * 0, first * 0) == 0
    labels = rng.integers(0, 4, (50, 50)).astype(np.int32)
    assert kappa(labels, labels) == pytest.approx(1)


def test_separation_is_the_share_of_variance_between_classes():
    clean, spots = scene(0)
    assert separation(clean, spots.astype(np.int32)) > 0.8
    assert separation(clean, np.zeros(clean.shape, np.int32)) == pytest.approx(0)
    assert separation(clean, np.random.default_rng(0).integers(0, 2, clean.shape).astype(np.int32)) < 0.01
    assert separation(np.ones((32, 32), np.float32), np.eye(32, dtype=np.int32)) == 0


def test_consensus_is_with_the_others_that_can_be_trusted():
    spots = scene(0)[1].astype(np.int32)
    shares = consensus([spots, spots, 1 - spots], [1, 1, 1])
    assert shares[0] == shares[1] > shares[2]
    crowd = [np.zeros_like(spots)] * 5
    assert consensus([spots, spots, *crowd], [0.9, 0.8, 0, 0, 0, 0, 0])[0] == pytest.approx(1)
    assert consensus([spots], [0.5]) == [1.0]


def test_one_that_alone_is_trusted_needs_no_consensus_and_two_that_disagree_have_none():
    spots = scene(0)[1].astype(np.int32)
    assert consensus([spots, 1 - spots, 1 - spots], [0.9, 0, 0]) == [1, 0, 0]
    assert consensus([spots, 1 - spots], [0.9, 0.9]) == [0, 0]


def test_white_noise_of_unit_variance_is_no_misfit():
    noise = np.random.default_rng(0).standard_normal((256, 256)).astype(np.float32)
    assert misfit(noise) < 0.05
    assert misfit(3 * noise) == pytest.approx(np.log(9), abs=0.05)
    assert misfit(ndimage.gaussian_filter(noise, 1.0)) > 1


def test_a_race_on_the_images_themselves_scores_as_the_whole_assessment_does_and_runs_less():
    pictures = images(12)
    cases = repeat_cases(pictures, NOISE, np.random.default_rng(1), SIDE)
    contenders = [Contender(method, 1) for method in (*DAMAGED, SOUND)]
    raced = select(contenders, cases, assess=race_on_itself(NOISE))
    whole = select(contenders, cases, assess=label_free(Denoise(), NOISE))
    assert raced.winner == whole.winner == "sound@1"
    assert raced.metric is Metric.PSNR_SELF
    assert raced.cost.network_crops < whole.cost.network_crops
    places = [whole.scores.names.index(name) for name in raced.scores.names]
    for key, values in raced.scores.values.items():
        ran = [
            (value, whole.scores.values[key][place])
            for value, place in zip(values, places, strict=True)
            if value is not None
        ]
        assert len(ran) >= 8
        assert all(value == expected for value, expected in ran)


def test_a_near_tie_shrinks_with_the_share_of_the_repeats_noise():
    cases = repeat_cases(images(), NOISE, np.random.default_rng(1), SIDE)
    chosen = select([Contender(SOUND, 1), Contender(DAMAGED[0], 1)], cases, assess=race_on_itself(NOISE))
    assert 0 < chosen.near_tie < 0.5 * 0.05


def test_one_that_fails_in_a_race_on_the_images_is_left_out_with_its_reason():
    def refuse(pixels):
        raise UnusableResult("expected luck, found none; try again")

    cases = repeat_cases(images(), NOISE, np.random.default_rng(1), SIDE)
    methods = (
        SOUND,
        Filter("broken", refuse),
        Filter("infinite", lambda pixels: np.full_like(pixels, np.nan)),
    )
    chosen = select([Contender(each, 1) for each in methods], cases, assess=race_on_itself(NOISE))
    assert "try again" in chosen.excluded["broken@1"]
    assert "finite" in chosen.excluded["infinite@1"]


def labelled(count=3):
    return [
        Case(field, f"{number}", pixels, Labels(scene(number)[1]))
        for number, (field, pixels) in enumerate(images(count))
    ]


def recalls(pixels):
    """What was drawn, on the very images that were drawn on; nothing on any other."""
    for number, (_, known) in enumerate(images()):
        if pixels.shape == known.shape and np.array_equal(pixels, known):
            return scene(number)[1]
    return np.zeros_like(pixels)


@pytest.mark.parametrize("count", [1, 3])
def test_a_network_that_only_fits_the_labelled_images_is_not_chosen(count):
    fitting = Filter("fitting", recalls)
    contenders = [Contender(method, 1) for method in (fitting, *OUTLINING)]
    assert select(contenders, labelled(count)).winner == "fitting@1"
    chosen = select(contenders, labelled(count), assess=race_on_labels(NOISE, seed=2))
    assert chosen.metric is Metric.DICE_EXPECTED
    assert chosen.winner == "sound@1"
    assert chosen.ranking[-1].key == "fitting@1"


def test_a_race_on_labels_scores_what_is_measured_of_all_together():
    methods = (*OUTLINING, *DAMAGED_OUTLINES)
    raced = race_on_labels(NOISE, seed=2)(methods, labelled(2))
    whole = assess_all_labelled(methods, labelled(2), NOISE, seed=2)
    for key, values in raced.values.items():
        together = dict(
            zip(whole[Metric.DICE_EXPECTED].names, whole[Metric.DICE_EXPECTED].values[key], strict=True)
        )
        assert dict(zip(raced.names, values, strict=True)) == together
    assert whole[Metric.DICE].mean("sound@1") > whole[Metric.DICE_EXPECTED].mean("ruled@1")


def test_without_labels_there_is_no_race_on_labels():
    bare = [Case("field", "0", pixels, Truth.of(pixels)) for _, pixels in images(1)]
    with pytest.raises(BenchmarkError, match="label one image"):
        race_on_labels()([SOUND], bare)
    with pytest.raises(BenchmarkError, match="found none"):
        race_on_labels()([SOUND], [])
