"""Instances that Mask R-CNN finds, as a label image."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray

from model_library.errors import UnsupportedImage
from model_library.images.intensity import Scaling, refuse_non_finite
from model_library.inference.weights import LoadedNetwork
from model_library.networks.build import in_channels
from model_library.networks.config import MaskRCNNConfig

if TYPE_CHECKING:
    from model_library.networks.mask_rcnn import Detections

LEAST_SCORE = 0.5
_LEAST_PROBABILITY = 0.5
_MOST_TAKEN = 0.5


@dataclass(frozen=True, slots=True)
class Instances:
    """Instances of one image, best first.

    Attributes
    ----------
    labels
        int32 [Y, X]: 0 is background, instance n is n + 1.
    classes
        uint8 [K], class numbers from 1.
    scores
        float32 [K], in [0, 1], not rising.
    """

    labels: NDArray[np.int32]
    classes: NDArray[np.uint8]
    scores: NDArray[np.float32]


def instances(
    pixels: NDArray[np.float32],
    network: LoadedNetwork,
    *,
    scaling: Scaling | None = None,
    least_score: float = LEAST_SCORE,
) -> Instances:
    """Find the instances in an image, taken in one piece.

    Where instances overlap, pixels belong to the one of the higher score; one that is mostly taken
    by better ones is left out.

    Parameters
    ----------
    pixels
        float32 [Y, X] or [C, Y, X], counts.
    network
        Mask R-CNN.
    scaling
        From counts to the unit scale, one for all channels; None takes that of this image.
    least_score
        Instances below are left out.

    Raises
    ------
    NonFinitePixels
        The image holds NaN or infinity.
    UnsupportedImage
        The image has another number of channels, or the network is no Mask R-CNN.
    """
    card = network.card
    channels = pixels if pixels.ndim == 3 else pixels[None]
    if not isinstance(card.config, MaskRCNNConfig) or channels.shape[0] != in_channels(card.config):
        raise UnsupportedImage(
            f"expected a mask_rcnn and an image of its channels, found {card.id}, a {card.config.kind} "
            f"for {in_channels(card.config)} channels, and an image of {channels.shape[0]}; "
            "choose another network"
        )
    refuse_non_finite(channels, "image")
    unit = (scaling or Scaling.of(channels)).apply(channels)
    return _painted(_detections(network, unit), (unit.shape[1], unit.shape[2]), least_score)


@torch.inference_mode()
def _detections(network: LoadedNetwork, image: NDArray[np.float32]) -> "Detections":
    from model_library.networks.mask_rcnn import MaskRCNN

    assert isinstance(network.module, MaskRCNN)
    return network.module.detections(torch.from_numpy(np.ascontiguousarray(image))[None])[0]


def _painted(found: "Detections", shape: tuple[int, int], least_score: float) -> Instances:
    labels = np.zeros(shape, np.int32)
    kept: list[int] = []
    for instance in np.flatnonzero(found.scores.numpy() >= least_score):
        mask = found.pasted(int(instance), shape).numpy() > _LEAST_PROBABILITY
        free = mask & (labels == 0)
        if free.sum() > (1 - _MOST_TAKEN) * mask.sum():
            kept.append(int(instance))
            labels[free] = len(kept)
    return Instances(
        labels=labels,
        classes=found.labels.numpy()[kept].astype(np.uint8),
        scores=found.scores.numpy()[kept].astype(np.float32),
    )
