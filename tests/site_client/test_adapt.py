"""What a site adds to a network: learnt from its own frames, the same every time, within its time."""

import itertools

import numpy as np
import pytest
import torch

from model_library.cards.adaptation import AdaptationPlan
from model_library.degradation.noise import NoiseModel
from model_library.errors import WeightsError
from model_library.networks.build import build
from model_library.networks.config import EDSRConfig, ResidualDenoiserConfig, UNetConfig
from model_library.wire.tasks import Denoise, Segment, SuperResolve
from site_client.adapt import Material, TrainingFrame, adapt
from site_client.errors import AdaptationRefused

CONFIG = ResidualDenoiserConfig(depth=3, width=8)


def weights_of(config) -> dict[str, np.ndarray]:
    torch.manual_seed(0)
    return {key: tensor.numpy().copy() for key, tensor in build(config).state_dict().items()}


def plan_of(**changes) -> AdaptationPlan:
    given = {
        "federation_id": "fed-1",
        "number": 2,
        "rounds": 3,
        "task": Denoise(),
        "config": CONFIG,
        "steps": 5,
        "batch": 2,
        "patch_px": 32,
        "learning_rate": 1e-3,
        "deadline_s": 60.0,
    }
    return AdaptationPlan.model_validate(given | changes)


def material_of(sides=(64, 64, 64), fields=("stage:a", "stage:b", "stage:a")) -> Material:
    rng = np.random.default_rng(7)
    ramp = np.linspace(50, 250, 64, dtype=np.float32)
    frames = [
        TrainingFrame(rng.poisson(np.add.outer(ramp, ramp)[:side, :side]).astype(np.float32), field)
        for side, field in zip(sides, fields, strict=True)
    ]
    return Material.of(frames)


def adapted(material=None, weights=None, plan=None, stop=lambda: False):
    ticks = itertools.count()
    plan = plan or plan_of()
    return adapt(
        material or material_of(),
        weights or weights_of(plan.config),
        plan,
        stop=stop,
        clock=lambda: float(next(ticks)),
    )


def test_the_update_has_the_arrays_of_the_network_and_is_not_nothing() -> None:
    weights = weights_of(CONFIG)
    update, report = adapted(weights=weights)
    assert update.keys() == weights.keys()
    for key, values in update.items():
        assert (values.shape, values.dtype) == (weights[key].shape, np.float32)
        assert values.flags.c_contiguous
        assert np.isfinite(values).all()
    assert sum(np.abs(values).sum() for values in update.values()) > 0
    assert (report.federation_id, report.number, report.steps) == ("fed-1", 2, 5)
    assert (report.examples, report.fields) == (3, ("stage:a", "stage:b"))
    assert report.train_s == 1.0


def test_the_weights_that_came_are_left_as_they_are() -> None:
    weights = weights_of(CONFIG)
    before = {key: values.copy() for key, values in weights.items()}
    adapted(weights=weights)
    for key, values in before.items():
        np.testing.assert_array_equal(weights[key], values)


def test_the_same_input_gives_the_same_update_and_another_round_another() -> None:
    torch.set_num_threads(1)
    first, again, later = (adapted(plan=plan_of(number=number))[0] for number in (1, 1, 2))
    for key in first:
        np.testing.assert_array_equal(first[key], again[key])
    assert any((first[key] != later[key]).any() for key in first)


def test_training_brings_the_loss_down() -> None:
    _, report = adapted(plan=plan_of(steps=60, batch=8, learning_rate=3e-3))
    assert report.loss_last < report.loss_first


def test_a_super_resolving_network_is_adapted_at_the_sampling_of_the_frames() -> None:
    config = EDSRConfig(blocks=1, width=4, scale=2)
    update, _ = adapted(plan=plan_of(config=config, task=SuperResolve(scale=2)))
    assert update.keys() == weights_of(config).keys()


def test_the_statistics_of_batch_normalisation_are_left_as_they_came() -> None:
    config = UNetConfig(widths=(4, 8), normalisation="batch")
    weights = weights_of(config)
    update, _ = adapted(weights=weights, plan=plan_of(config=config))
    statistics = {key for key in weights if "running" in key}
    assert len(statistics) == 2 * 6
    assert not any(update[key].any() for key in statistics)
    assert any(update[key].any() for key in weights.keys() - statistics)


def test_it_stops_when_time_is_up_and_says_how_far_it_came() -> None:
    asked = itertools.count()
    _, report = adapted(plan=plan_of(steps=1000), stop=lambda: next(asked) >= 3)
    assert report.steps == 3


def test_without_time_for_a_step_there_is_no_update() -> None:
    with pytest.raises(AdaptationRefused, match="at least one step"):
        adapted(stop=lambda: True)


def test_frames_smaller_than_a_patch_are_left_out() -> None:
    _, report = adapted(material_of(sides=(64, 40, 64)), plan=plan_of(patch_px=48))
    assert (report.examples, report.fields) == (2, ("stage:a",))
    with pytest.raises(AdaptationRefused, match="64 x 64 pixels, found none among 3"):
        adapted(material_of(sides=(40, 40, 40)), plan=plan_of(patch_px=64))


def test_no_more_frames_are_used_than_the_plan_says() -> None:
    _, report = adapted(plan=plan_of(most_frames=2))
    assert report.examples == 2


def test_noise_is_measured_on_the_frames() -> None:
    noise = material_of().noise
    assert isinstance(noise, NoiseModel)
    assert noise.gain == pytest.approx(1.0, rel=0.5)


@pytest.mark.parametrize(
    "spoil",
    [
        lambda weights: weights.pop(next(iter(weights))),
        lambda weights: weights.update(extra=np.zeros(1, np.float32)),
        lambda weights: weights.update({next(iter(weights)): np.zeros((1, 2), np.float32)}),
        lambda weights: next(iter(weights.values())).fill(np.nan),
        lambda weights: weights.update({key: v.astype(np.float64) for key, v in weights.items()}),
    ],
    ids=["missing", "unknown", "shape", "nan", "dtype"],
)
def test_weights_of_another_architecture_are_refused(spoil) -> None:
    weights = weights_of(CONFIG)
    spoil(weights)
    with pytest.raises(WeightsError):
        adapted(weights=weights)


@pytest.mark.parametrize(
    ("task", "config"),
    [
        (Segment(classes=("background", "cell")), UNetConfig(widths=(4, 8), out_channels=2, residual=False)),
        (SuperResolve(scale=2), CONFIG),
        (Denoise(), EDSRConfig(blocks=1, width=4, scale=2)),
        (Denoise(), UNetConfig(widths=(4, 8), in_channels=3, channels="slices")),
    ],
)
def test_a_network_for_another_task_is_refused(task, config) -> None:
    with pytest.raises(AdaptationRefused, match="for its own task"):
        adapted(plan=plan_of(task=task, config=config))


def test_frames_of_another_dose_than_the_newest_are_left_out() -> None:
    rng = np.random.default_rng(3)
    ramp = np.linspace(40, 120, 128, dtype=np.float32)
    clean = np.add.outer(ramp, ramp)

    def frame(dose: float, number: int) -> TrainingFrame:
        return TrainingFrame((rng.poisson(clean * dose) / dose).astype(np.float32), f"stage:{number}")

    doses = (1.0, 1.0, 0.3, 1.0, 0.3)
    material = Material.of([frame(dose, number) for number, dose in enumerate(doses)])

    assert [each.field for each in material.frames] == ["stage:0", "stage:1", "stage:3"]
    assert material.noise.gain == pytest.approx(1.0, rel=0.15)


def test_a_frame_whose_noise_the_detector_cuts_off_is_left_out() -> None:
    rng = np.random.default_rng(3)
    ramp = np.linspace(40, 120, 128, dtype=np.float32)
    clean = np.add.outer(ramp, ramp)
    blown_out = np.clip(rng.normal(255, 20, clean.shape), 0, 255).astype(np.float32)
    pixels = [rng.poisson(clean).astype(np.float32), blown_out, rng.poisson(clean).astype(np.float32)]

    material = Material.of([TrainingFrame(each, f"stage:{number}") for number, each in enumerate(pixels)])

    assert [each.field for each in material.frames] == ["stage:0", "stage:2"]


def test_a_site_that_is_held_near_the_network_moves_less() -> None:
    moved = [
        sum(float(np.square(values).sum()) for values in adapted(plan=plan_of(proximal=mu))[0].values())
        for mu in (0.0, 1e4)
    ]
    assert moved[1] < moved[0]


def test_the_network_is_judged_before_and_after_on_frames_that_are_spared() -> None:
    material = material_of((64,) * 16, tuple(f"stage:{number}" for number in range(16)))
    _, few = adapted(material)
    _, many = adapted(material, plan=plan_of(steps=60, learning_rate=3e-3))
    assert (many.examples, many.judged_frames) == (14, 2)
    assert many.judged_before == few.judged_before
    assert many.judged_after < many.judged_before
    assert "stage:15" in many.fields


def test_of_few_frames_none_is_spared() -> None:
    _, report = adapted()
    assert (report.judged_frames, report.judged_before, report.judged_after) == (0, None, None)
