"""A segmenting network is tuned on labels, kept with its descent, and the same input gives the same bytes."""

import numpy as np
import pytest
import torch

from benchmark.cases import Case, Labels
from benchmark.evaluate import evaluate
from benchmark.networks import SegmentingMethod
from coordinator.finetune.tuning import LabelledMaterial, fine_tune, keep
from model_library.cards.card import NetworkCard, TrainingData
from model_library.inference.engine import load_network
from model_library.networks.build import build
from model_library.networks.config import UNetConfig
from model_library.networks.facts import facts
from model_library.training.fit import FitConfig
from model_library.training.material import MaterialImage
from model_library.wire.tasks import Segment
from model_library.zoo.store import save_network


@pytest.fixture
def parent(tmp_path):
    config = UNetConfig(widths=(8, 16), out_channels=2, residual=False)
    torch.manual_seed(1)
    card = NetworkCard(
        id="tiny-segment",
        version="1",
        purpose="Tests.",
        task=Segment(classes=("background", "void")),
        config=config,
        facts=facts(config),
        weights_sha256="0" * 64,
    )
    save_network(tmp_path / "parent", build(config), card)
    return tmp_path / "parent"


def labelled(seed, side=64):
    """Bright squares on a noisy dark ground, in counts, with their labels."""
    rng = np.random.default_rng(seed)
    classes = np.zeros((side, side), np.uint8)
    for top, left in rng.integers(0, side - 12, (4, 2)):
        classes[top : top + 12, left : left + 12] = 1
    return (300 + 200.0 * classes + rng.normal(0, 30, (side, side))).astype(np.float32), classes


def material(count=3):
    images = [
        MaterialImage(f"{seed}.tif", pixels, 4.0, classes)
        for seed, (pixels, classes) in enumerate(labelled(seed) for seed in range(count))
    ]
    data = TrainingData(source="labels", terms="of the site", images=count, simulated=True)
    return LabelledMaterial(images, data, fields=("bench-1/stage:A1",))


def dice_of(folder):
    pairs = [labelled(seed) for seed in range(100, 104)]
    cases = [Case(f"f{n}", f"{n}", image, Labels(classes > 0)) for n, (image, classes) in enumerate(pairs)]
    method = SegmentingMethod(load_network(folder))
    scores = evaluate([method], cases)
    return scores.mean(next(iter(scores.values)))


def test_labels_improve_a_network_on_other_fields_and_the_card_tells_from_what(parent, tmp_path):
    config = FitConfig(steps=60, batch=8, patch_px=32, learning_rate=5e-3, seed=0, loss="cross_entropy")
    weights = fine_tune(parent, material(), config, threads=1)
    card = keep(parent, weights, material(), "campaign-bench-1", tmp_path / "networks")
    tuned = tmp_path / "networks" / card.weights_sha256
    assert dice_of(tuned) > max(0.9, dice_of(parent) + 0.1)
    assert card.lineage.parent_id == "tiny-segment"
    assert card.lineage.tuned_fields == ("bench-1/stage:A1",)
    assert card.training_data[-1].source == "labels"


def test_the_same_labels_give_the_same_weights(parent):
    config = FitConfig(steps=2, batch=2, patch_px=32, seed=0, loss="cross_entropy")
    assert fine_tune(parent, material(), config, threads=1) == fine_tune(
        parent, material(), config, threads=1
    )
