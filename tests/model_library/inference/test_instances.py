from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import torch

from model_library.cards.card import NetworkCard
from model_library.errors import NonFinitePixels, UnsupportedImage
from model_library.inference.engine import LoadedNetwork, forward_tiled, segment
from model_library.inference.instances import instances
from model_library.networks.config import MaskRCNNConfig, ResidualDenoiserConfig
from model_library.networks.mask_rcnn import Detections, MaskRCNN

CONFIG = MaskRCNNConfig(width=8, proposals=16, detections=8, classes=3)
Plant = Callable[..., LoadedNetwork]
SHAPE = (60, 80)


class _Sees(MaskRCNN):
    """Finds what it was told to find."""

    def __init__(self, found: Detections) -> None:
        torch.nn.Module.__init__(self)
        self.found = found
        self.seen: list[torch.Tensor] = []

    def detections(self, images: torch.Tensor) -> list[Detections]:
        self.seen.append(images)
        return [self.found]


def squares(*boxes: tuple[int, int, int, int], scores: list[float], labels: list[int]) -> Detections:
    return Detections(
        boxes=torch.tensor(boxes, dtype=torch.float32).reshape(-1, 4),
        labels=torch.tensor(labels, dtype=torch.int64),
        scores=torch.tensor(scores),
        masks=torch.ones(len(boxes), 1, 28, 28),
    )


def that_sees(card: NetworkCard, found: Detections) -> LoadedNetwork:
    return LoadedNetwork(card, _Sees(found))


@pytest.fixture
def card(plant: Plant) -> NetworkCard:
    return plant(CONFIG).card


def test_instances_are_painted_best_first_and_stay_apart(card: NetworkCard):
    found = squares((10, 10, 30, 30), (25, 10, 45, 30), scores=[0.9, 0.8], labels=[2, 1])
    result = instances(np.zeros(SHAPE, np.float32), that_sees(card, found))
    assert (result.labels.dtype, result.labels.shape) == (np.int32, SHAPE)
    assert result.scores.tolist() == pytest.approx([0.9, 0.8])
    assert result.classes.tolist() == [2, 1]
    # The overlap, columns 25 to 29, is the better one's.
    assert (result.labels[12:28, 12:28] == 1).all()
    assert (result.labels[12:28, 32:43] == 2).all()
    assert result.labels[20, 29] == 1
    assert result.labels[40:].max() == 0


def test_what_better_instances_have_mostly_taken_is_left_out(card: NetworkCard):
    found = squares(
        (10, 10, 30, 30), (12, 12, 30, 30), (50, 30, 70, 50), scores=[0.9, 0.8, 0.7], labels=[1, 1, 1]
    )
    result = instances(np.zeros(SHAPE, np.float32), that_sees(card, found))
    assert result.scores.tolist() == pytest.approx([0.9, 0.7])
    assert result.labels[40, 60] == 2
    assert result.labels.max() == 2


def test_doubtful_instances_are_left_out(card: NetworkCard):
    found = squares((10, 10, 30, 30), (50, 30, 70, 50), scores=[0.6, 0.4], labels=[1, 1])
    network, pixels = that_sees(card, found), np.zeros(SHAPE, np.float32)
    assert instances(pixels, network).labels.max() == 1
    assert instances(pixels, network, least_score=0.3).labels.max() == 2
    assert instances(pixels, network, least_score=0.7).labels.max() == 0


def test_segmenting_gives_each_pixel_the_class_of_its_instance(card: NetworkCard):
    found = squares((10, 10, 30, 30), (50, 30, 70, 50), scores=[0.9, 0.8], labels=[2, 1])
    labels = segment(np.zeros(SHAPE, np.float32), that_sees(card, found))
    assert labels.dtype == np.uint8
    assert (labels[20, 20], labels[40, 60], labels[0, 0]) == (2, 1, 0)


def test_the_network_sees_the_image_on_the_unit_scale(card: NetworkCard):
    network = that_sees(card, squares(scores=[], labels=[]))
    pixels = np.random.default_rng(0).normal(3000, 200, SHAPE).astype(np.float32)
    result = instances(pixels, network)
    assert result.labels.max() == 0
    assert len(result.scores) == 0
    assert isinstance(network.module, _Sees)
    (seen,) = network.module.seen
    assert seen.shape == (1, 1, *SHAPE)
    assert np.percentile(seen.numpy(), [1, 99]) == pytest.approx([0, 1], abs=1e-5)


def test_a_network_from_its_folder_finds_instances_in_images_of_any_size(plant: Plant):
    loaded = plant(CONFIG)
    pixels = np.random.default_rng(0).normal(3000, 200, (45, 71)).astype(np.float32)
    result = instances(pixels, loaded, least_score=0.0)
    assert result.labels.shape == pixels.shape
    assert result.labels.max() == len(result.scores) == len(result.classes)
    again = instances(pixels, loaded, least_score=0.0)
    assert np.array_equal(again.labels, result.labels)


def test_other_networks_and_other_images_are_refused(plant: Plant, card: NetworkCard):
    detector = that_sees(card, squares(scores=[], labels=[]))
    with pytest.raises(UnsupportedImage, match="an image of 3"):
        instances(np.zeros((3, 32, 32), np.float32), detector)
    with pytest.raises(UnsupportedImage, match="`instances` for instances"):
        forward_tiled(detector, np.zeros((1, 32, 32), np.float32))
    denoiser = replace(plant(ResidualDenoiserConfig(depth=3, width=4)))
    with pytest.raises(UnsupportedImage, match="expected a mask_rcnn"):
        instances(np.zeros((32, 32), np.float32), denoiser)
    with pytest.raises(NonFinitePixels):
        instances(np.full((32, 32), np.nan, np.float32), detector)
