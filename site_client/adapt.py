"""Adapting a network to a site's own frames, without truth: weights in, what to add to them out."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from benchmark.observation import observe, relative_noise
from model_library.cards.adaptation import AdaptationPlan, AdaptationReport
from model_library.degradation.noise import NoiseModel, estimate_noise
from model_library.errors import ImageError, WeightsError
from model_library.images.frame import Grey
from model_library.networks.build import build, in_channels, out_channels, scale
from model_library.networks.normalisation import freeze_statistics
from model_library.training.fit import FitConfig, fit
from model_library.training.objectives import PairObjective
from model_library.training.pairs import RecorruptedPairs
from model_library.training.proximal import ProximalObjective
from model_library.wire.tasks import Segment
from site_client.errors import AdaptationRefused

Weights = Mapping[str, NDArray[np.float32]]
"""Arrays of a module's state by key."""

_FRAMES_FOR_NOISE = 16
_FRAMES_PER_SPARED = 8
"""One frame in so many is never trained on in a federation: the networks of its rounds are judged there."""
_JUDGED_PATCHES = 32
_NOISE_TOLERANCE = 1.25
"""Noise measured on single frames of 320 x 320 pixels scatters by a few per cent; half the dose is 1.41."""


@dataclass(frozen=True, slots=True)
class TrainingFrame:
    """A frame to train on: pixels [Y, X], float32, in counts; `field` names its field of view."""

    pixels: Grey
    field: str
    pixel_size_nm: float | None = None


@dataclass(frozen=True, slots=True)
class Material:
    """Frames, the newest first, and the noise of the instrument now, in counts."""

    frames: tuple[TrainingFrame, ...]
    noise: NoiseModel

    @classmethod
    def of(cls, frames: Sequence[TrainingFrame]) -> Self:
        """Keep the frames that were acquired as the newest one was, and measure the noise on them.

        Settings change over time. Frames under half the dose have another noise; to train on both
        with one noise model would blur everything (measured: 5 dB lost in three rounds).

        Raises
        ------
        UnsupportedImage, NonFinitePixels
            See `estimate_noise`.
        """
        last = observe(frames[0].pixels)
        reference = NoiseModel(gain=last.gain, read_variance=last.read_variance)
        alike = (frames[0], *(frame for frame in frames[1:] if _is_alike(frame, reference)))
        return cls(alike, estimate_noise([frame.pixels for frame in alike[:_FRAMES_FOR_NOISE]]))


def _is_alike(frame: TrainingFrame, reference: NoiseModel) -> bool:
    """Whether the noise at the same grey values can be measured, and is about that of the reference."""
    try:
        ratio = relative_noise(observe(frame.pixels), reference)
    except ImageError:
        return False
    return 1 / _NOISE_TOLERANCE < ratio < _NOISE_TOLERANCE


def adapt(
    material: Material,
    weights: Weights,
    plan: AdaptationPlan,
    *,
    stop: Callable[[], bool],
    clock: Callable[[], float],
) -> tuple[dict[str, NDArray[np.float32]], AdaptationReport]:
    """Train on recorrupted pairs of a site's frames (R2R, Pang et al., CVPR 2021).

    Parameters
    ----------
    material
        What to learn from; at most `plan.most_frames` of it are used.
    weights
        Of the network that `plan.config` describes.
    plan
        How.
    stop
        Asked before every step; once it says yes, what was reached is the result.
    clock
        Seconds, for the report.

    Returns
    -------
    tuple
        What to add to each array of `weights` that is trained - those that the plan lets travel and
        those that it keeps here -, float32, and the report.

    Raises
    ------
    WeightsError
        The weights are not finite, or not those of the architecture.
    AdaptationRefused
        The plan is not for restoration, no frame holds a patch, or there was no time for a step.
    RecipeError
        Training diverges.
    """
    frames = _usable(material, plan)
    begun, start = clock(), _module(weights, plan)
    examples = len(frames) - len(frames) // _FRAMES_PER_SPARED
    objective = _objective(frames[:examples], frames[examples:], material.noise)
    held = ProximalObjective(objective, start, plan.proximal) if plan.proximal else objective
    fitted = fit(start, held, _fit_config(plan), stop=stop)
    if not fitted.losses:
        raise AdaptationRefused("expected time for at least one step, found none left")
    report = AdaptationReport(
        federation_id=plan.federation_id,
        number=plan.number,
        examples=examples,
        fields=tuple(sorted({frame.field for frame in frames})),
        steps=len(fitted.losses),
        loss_first=fitted.losses[0],
        loss_last=fitted.losses[-1],
        train_s=max(0.0, clock() - begun),
        **_judged(objective, plan, start, fitted.module, len(frames) - examples),
    )
    return _change(weights, fitted.module, plan), report


def _change(weights: Weights, reached: nn.Module, plan: AdaptationPlan) -> dict[str, NDArray[np.float32]]:
    state, trained = reached.state_dict(), _trained(weights, plan)
    return {
        key: np.ascontiguousarray(state[key].detach().numpy() - before)
        for key, before in weights.items()
        if key in trained
    }


def _trained(weights: Weights, plan: AdaptationPlan) -> frozenset[str]:
    return frozenset({*plan.sends(weights), *plan.keeps})


def _objective(
    frames: Sequence[TrainingFrame], judged: Sequence[TrainingFrame], noise: NoiseModel
) -> PairObjective:
    pairs = RecorruptedPairs(images=[frame.pixels for frame in frames], noise=noise)
    if not judged:
        return PairObjective(pairs)
    return PairObjective(pairs, RecorruptedPairs(images=[frame.pixels for frame in judged], noise=noise))


def _judged(
    objective: PairObjective, plan: AdaptationPlan, start: nn.Module, reached: nn.Module, frames: int
) -> dict[str, float]:
    """Judge both networks on the same patches of spared frames, in every round the same ones."""
    if not frames:
        return {}
    config = _fit_config(plan).model_copy(update={"seed": 0, "batch": _JUDGED_PATCHES})
    with torch.no_grad():
        before, after = objective.judge(start, config), objective.judge(reached, config)
    return {"judged_before": before, "judged_after": after, "judged_frames": frames}


def _usable(material: Material, plan: AdaptationPlan) -> Sequence[TrainingFrame]:
    """Choose the frames that hold a patch; refuse plans for other networks than one can train here."""
    if (
        isinstance(plan.task, Segment)
        or (in_channels(plan.config), out_channels(plan.config)) != (1, 1)
        or scale(plan.config) != plan.task.scale
    ):
        raise AdaptationRefused(
            f"expected a restoring network of grey images for its own task, found {plan.config.kind} for "
            f"{plan.task}; without labels nothing else can be trained"
        )
    frames = [frame for frame in material.frames if min(frame.pixels.shape) >= plan.patch_px]
    if not frames:
        raise AdaptationRefused(
            f"expected frames of at least {plan.patch_px} x {plan.patch_px} pixels, found none among "
            f"{len(material.frames)}"
        )
    return frames[: plan.most_frames]


def _fit_config(plan: AdaptationPlan) -> FitConfig:
    # Every round draws other patches, else later rounds learn nothing that the first did not.
    seed = int(np.random.SeedSequence([plan.seed, plan.number]).generate_state(1)[0])
    return FitConfig(
        steps=plan.steps,
        batch=plan.batch,
        patch_px=plan.patch_px,
        learning_rate=plan.learning_rate,
        loss=plan.loss,
        seed=seed,
    )


def _module(weights: Weights, plan: AdaptationPlan) -> nn.Module:
    with torch.device("meta"):
        module = build(plan.config)
    expected = {key: tuple(tensor.shape) for key, tensor in module.state_dict().items()}
    found = {key: values.shape for key, values in weights.items()}
    if expected != found:
        differing = sorted(
            key for key in expected.keys() | found.keys() if expected.get(key) != found.get(key)
        )
        raise WeightsError(
            f"expected the arrays of {plan.config.kind}, found {len(differing)} that differ: {differing[:3]}"
        )
    for key, values in weights.items():
        if values.dtype != np.float32 or not np.isfinite(values).all():
            raise WeightsError(f"expected finite float32 weights, found others in {key}")
    state = {key: torch.from_numpy(values.copy()) for key, values in weights.items()}
    module.load_state_dict(state, strict=True, assign=True)
    trained = _trained(weights, plan)
    for key, parameter in module.named_parameters():
        parameter.requires_grad_(key in trained)
    # Statistics of one site are those of no other: where they are averaged, they are left alone.
    return (
        module if set(plan.keeps) & {key for key, _ in module.named_buffers()} else freeze_statistics(module)
    )
