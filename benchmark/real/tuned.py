"""Networks fine-tuned on a case's tuning images, as a site would before it judges them."""

import copy
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from pydantic import Field
from torch import Tensor

from benchmark.cases import Case, inside, target_of
from benchmark.real.acquired import Planted, clean_windows, degrade
from benchmark.real.build import build_cases
from benchmark.real.contestants import class_index
from benchmark.real.sources import Part
from benchmark.real.table import Coarse, Form, Labelled, PlantedNoise, RealCase, SecondFrame
from benchmark.real.windows import spread
from model_library.cards.card import Lineage, NetworkCard, TrainingData
from model_library.images.frame import Grey
from model_library.images.intensity import Scaling
from model_library.inference.weights import LoadedNetwork
from model_library.networks.config import MaskRCNNConfig
from model_library.signing.digests import sha256_bytes
from model_library.training.borders import border_weights
from model_library.training.checkpoint import Checkpointing
from model_library.training.fit import FitConfig, fit
from model_library.training.labelled import AnnotatedPairs
from model_library.training.losses import LossName
from model_library.training.pairs import Pair, PairSource, cut_batch
from model_library.wire.base import Message
from model_library.wire.tasks import Segment
from model_library.zoo.store import weights_bytes

MOST_IMAGES = 20
"""A site tunes on at most so many images of its instrument."""


class TuneConfig(Message):
    """How networks are fine-tuned.

    Of each case the `networks` that do best on its tuning images are tuned, on at most `images` of them, for
    `steps` steps of the one training loop.
    """

    networks: int = Field(default=1, ge=1)
    images: int = Field(default=MOST_IMAGES, ge=1, le=MOST_IMAGES)
    steps: int = Field(default=300, ge=1)
    batch: int = Field(default=12, ge=1)
    learning_rate: float = Field(default=6e-4, gt=0)
    seed: int = 0


def can_be_tuned(card: NetworkCard) -> bool:
    """Whether a case's tuning images teach a network: not one of slices, of rims, or that detects objects."""
    classes = len(card.task.classes) if isinstance(card.task, Segment) else 0
    pixelwise = not isinstance(card.config, MaskRCNNConfig)
    return pixelwise and card.config.channels == "grey" and classes in (0, 2)


def tuned_network(
    network: LoadedNetwork,
    case: RealCase,
    data: Path,
    how: TuneConfig,
    digests: tuple[str, ...],
    work: Path | None = None,
) -> LoadedNetwork:
    """Fine-tune a network on the tuning images of a case; with `work`, an interrupted training goes on.

    Planted degradations are drawn anew in every batch; of repeated frames, one is the target of the other;
    of labelled images, the labels are. The images on which what follows the network is tuned are left out
    where there are others: a network is too sure of those that it learned from. The card tells the digests.
    """
    wide = case.model_copy(update={"tuning_images": how.images, "tuning_px": max(case.tuning_px, 256)})
    reserved = frozenset(each.field for each in _after_the_network(case, data, how.seed))
    pairs = _pairs(wide, data, how.seed, network, reserved)
    config = FitConfig(
        steps=how.steps,
        batch=how.batch,
        patch_px=_patch_px(case),
        learning_rate=how.learning_rate,
        seed=how.seed,
        loss=_loss(case),
        precision="auto",
    )
    start = copy.deepcopy(network.module).requires_grad_(True)
    kept = _checkpointing(work, network.card, wide, config, digests)
    module = fit(start, pairs, config, checkpointing=kept).module.requires_grad_(False)
    seen = TrainingData(
        source=case.source.folder,
        terms=case.source.terms,
        images=len(digests),
        digests=digests,
        simulated=False,
    )
    card = network.card.model_copy(
        update={
            "version": f"{network.card.version}+tuned",
            "weights_sha256": sha256_bytes(weights_bytes(module)),
            "training_data": (*network.card.training_data, seen),
            "scores": (),
            "lineage": Lineage(
                parent_id=network.card.id,
                parent_version=network.card.version,
                parent_weights_sha256=network.card.weights_sha256,
                campaign=f"benchmark suite, case {case.name}",
            ),
        }
    )
    return LoadedNetwork(card, module.eval())


@dataclass(frozen=True, slots=True)
class PlantedPairs:
    """Clean windows [Y, X] in counts, degraded anew for every batch."""

    clean: Sequence[Grey]
    how: Planted

    def batch(self, size: int, patch_px: int, rng: np.random.Generator) -> tuple[Tensor, Tensor]:
        """See `PairSource`."""

        def draw() -> Pair:
            acquired, truth = degrade(self.clean[int(rng.integers(len(self.clean)))], self.how, rng)
            scaling = Scaling.of(acquired)
            return Pair(scaling.apply(acquired), scaling.apply(truth))

        scale = self.how.scale if isinstance(self.how, Coarse) else 1
        return cut_batch(draw, size, patch_px, scale, rng)


@dataclass(frozen=True, slots=True)
class FramePairs:
    """Two acquisitions [Y, X] of each place, in counts: noise to noise (Lehtinen et al. 2018)."""

    frames: Sequence[tuple[Grey, Grey]]

    def batch(self, size: int, patch_px: int, rng: np.random.Generator) -> tuple[Tensor, Tensor]:
        """See `PairSource`; the target is the other frame, on the grey scale of the first."""

        def draw() -> Pair:
            first, second = self.frames[int(rng.integers(len(self.frames)))]
            scaling = Scaling.of(first)
            return Pair(scaling.apply(first), scaling.apply(second))

        return cut_batch(draw, size, patch_px, 1, rng)


def _after_the_network(case: RealCase, data: Path, seed: int) -> tuple[Case, ...]:
    """Cases on which what makes cells or objects of a probability is tuned."""
    if not isinstance(case.how, Labelled) or case.how.form is Form.MASK:
        return ()
    return build_cases(case.for_parameters, data, Part.TUNING, seed)


def _pairs(
    case: RealCase, data: Path, seed: int, network: LoadedNetwork, reserved: frozenset[str]
) -> PairSource:
    rng = np.random.default_rng(seed)
    match case.how:
        case PlantedNoise() | Coarse():
            windows = clean_windows(case, case.how.bin, data, Part.TUNING, rng)
            return PlantedPairs([pixels for _, _, pixels in windows], case.how)
        case SecondFrame():
            cases = build_cases(case, data, Part.TUNING, seed)
            return FramePairs([(each.input, target_of(each.reference)) for each in cases])
        case Labelled():
            every = case.model_copy(update={"tuning_images": case.tuning_images + len(reserved)})
            cases = build_cases(every, data, Part.TUNING, seed)
            free = [each for each in cases if each.field not in reserved]
            return _labelled(spread(free or cases, case.tuning_images), case.how, network)


def _labelled(cases: Sequence[Case], how: Labelled, network: LoadedNetwork) -> AnnotatedPairs:
    index = class_index(network.card, how)
    assert index is not None
    images = [each.input for each in cases]
    classes = [np.where(inside(each.reference), np.uint8(index), np.uint8(0)) for each in cases]
    if how.form is not Form.CELLS:
        return AnnotatedPairs(images, classes)
    cells = [target_of(each.reference) for each in cases]
    weights = [border_weights(mask, apart) for mask, apart in zip(classes, cells, strict=True)]
    return AnnotatedPairs(images, classes, weights)


def _checkpointing(
    work: Path | None, card: NetworkCard, case: RealCase, config: FitConfig, digests: tuple[str, ...]
) -> Checkpointing | None:
    """Keep a training in a folder of its own for everything that it depends on."""
    if work is None:
        return None
    terms = "\n".join((card.weights_sha256, case.model_dump_json(), config.model_dump_json(), *digests))
    digest = sha256_bytes(terms.encode())
    return Checkpointing(work / "tuning" / f"{case.name}-{card.id}-{digest[:12]}", digest, every_s=30.0)


def _loss(case: RealCase) -> LossName:
    """Squared error for restoration: the figures are PSNR, and the other frame is itself noisy.

    Cells that leak into each other cost the most: pixels between near ones weigh more (U-Net).
    """
    if not isinstance(case.how, Labelled):
        return "mse"
    return "border_cross_entropy" if case.how.form is Form.CELLS else "cross_entropy"


def _patch_px(case: RealCase) -> int:
    """Side of an input patch: 96, less where the case's windows are smaller."""
    side = min(case.tuning_px, case.crop_px) // (case.how.scale if isinstance(case.how, Coarse) else 1)
    return min(96, side // 32 * 32)
