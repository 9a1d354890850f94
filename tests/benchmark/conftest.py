"""A small folder of micrographs in the layout of the real one, and libraries of one small network."""

import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter

from benchmark.real.sources import SUPERALLOY
from benchmark.real.table import Form, Labelled, PlantedNoise, RealCase
from model_library.cards.card import NetworkCard, TrainingData
from model_library.images.raster import encode_png
from model_library.networks.build import build
from model_library.networks.config import UNetConfig
from model_library.networks.facts import facts
from model_library.wire.tasks import Denoise, Segment
from model_library.zoo.registry import Library
from model_library.zoo.store import save_network

SIDE = 96


@pytest.fixture
def superalloy(tmp_path):
    """Seven labelled spots; numbers 6 and 7 are scored."""
    data = tmp_path / "data"
    for number in range(1, 8):
        field = gaussian_filter(np.random.default_rng(number).standard_normal((SIDE, SIDE)), 5, mode="wrap")
        inside = field > 0.3 * field.std()
        grey = gaussian_filter(np.where(inside, 180, 70).astype(np.float32), 0.7)
        for kind, pixels in (("images", grey), ("labels", inside)):
            path = data / SUPERALLOY.folder / "spots" / kind / f"spot{number}_0d_0.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(encode_png(pixels.astype(np.uint8)))
    return data


@pytest.fixture
def noise_case():
    return RealCase(
        name="noise",
        source=SUPERALLOY,
        task=Denoise(),
        how=PlantedNoise(bin=1, electrons_per_pixel=30, read_sigma=0.05),
        crop_px=64,
        tuning_px=64,
    )


@pytest.fixture
def precipitate_case():
    return RealCase(
        name="precipitates",
        source=SUPERALLOY,
        task=Segment(classes=("background", "precipitate")),
        how=Labelled(target="precipitate", form=Form.MASK),
        crop_px=64,
        tuning_px=64,
    )


@pytest.fixture
def small_library(tmp_path):
    """Add an untrained network whose card names the digests that it saw; returns the library."""

    def add(network_id="small", digests=(), task=None, seed=0, config=None, acquisition=None, **inputs):
        task = task or Denoise()
        segments = isinstance(task, Segment)
        channels = len(task.classes) if segments else 1
        config = config or UNetConfig(widths=(4, 8), out_channels=channels, residual=not segments, **inputs)
        torch.manual_seed(seed)
        seen = TrainingData(source="here", terms="MIT", images=1, digests=tuple(digests), simulated=False)
        card = NetworkCard(
            id=network_id,
            version="1.0.0",
            purpose="a test",
            task=task,
            config=config,
            facts=facts(config),
            weights_sha256="0" * 64,
            training_data=(seen,),
            acquisition=acquisition,
        )
        save_network(tmp_path / "library" / network_id, build(config), card)
        return Library(tmp_path / "library")

    return add
