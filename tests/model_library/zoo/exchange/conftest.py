import json
from collections.abc import Callable
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
import torch
from bioimageio.spec.utils import read_yaml, write_yaml

from model_library.cards.card import CardScore, NetworkCard, TrainingData
from model_library.networks.build import build
from model_library.networks.config import (
    EDSRConfig,
    NetworkConfig,
    PSSRUNetConfig,
    ResidualDenoiserConfig,
    UNetConfig,
)
from model_library.networks.facts import facts
from model_library.wire.tasks import Denoise, Segment, SuperResolve, Task
from model_library.zoo.exchange.archive import archive_bytes, read_archive
from model_library.zoo.exchange.export import export_package
from model_library.zoo.registry import Library
from model_library.zoo.store import save_network

NETWORKS: dict[str, tuple[NetworkConfig, Task]] = {
    "unet-slices": (
        UNetConfig(widths=(4, 6), in_channels=3, channels="slices", out_channels=2, residual=False),
        Segment(classes=("background", "membrane")),
    ),
    "denoiser": (ResidualDenoiserConfig(depth=4, width=4), Denoise()),
    "edsr-x3": (EDSRConfig(blocks=1, width=4, scale=3), SuperResolve(scale=3)),
    "pssr-rgb": (
        PSSRUNetConfig(blocks=(1, 1), width=4, scale=2, in_channels=3, channels="rgb"),
        SuperResolve(scale=2),
    ),
}
"""One of each architecture, and each kind of channels."""


@pytest.fixture(scope="session")
def library(tmp_path_factory: pytest.TempPathFactory) -> Library:
    folder = tmp_path_factory.mktemp("library")
    for number, (network_id, (config, task)) in enumerate(NETWORKS.items()):
        torch.manual_seed(number)
        card = NetworkCard(
            id=network_id,
            version="1.2.0",
            purpose="Show that networks travel.",
            task=task,
            modality=("sem",),
            config=config,
            facts=facts(config),
            weights_sha256="0" * 64,
            pixel_size_nm=(2.0, 8.0),
            training_data=(TrainingData(source="planted", terms="MIT", images=3, simulated=True),),
            scores=(
                CardScore(
                    suite="planted", metric="psnr", value=30.0, ci95=(29.0, 31.0), fields=3, command="measure"
                ),
            ),
            limits=("Good for nothing.",),
        )
        save_network(folder / network_id, build(config), card)
    return Library(folder)


@pytest.fixture(scope="session")
def package_of(library: Library, tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """Exports a network when it is first asked for: exporting takes seconds."""
    folder = tmp_path_factory.mktemp("packages")

    def exported(network_id: str) -> Path:
        path = folder / f"{network_id}.zip"
        if not path.exists():
            export_package(library.load(network_id), path)
        return path

    return exported


Change = Callable[[dict[str, bytes]], None]


@pytest.fixture
def repacked(package_of: Callable[[str], Path], tmp_path: Path) -> Callable[[Change], Path]:
    """A package whose files were changed on the way."""

    def repack(change: Change, network_id: str = "denoiser") -> Path:
        files = dict(read_archive(package_of(network_id)))
        change(files)
        path = tmp_path / "changed.zip"
        path.write_bytes(archive_bytes(files))
        return path

    return repack


@pytest.fixture
def redescribed(repacked: Callable[[Change], Path]) -> Callable[[Callable[[dict[str, Any]], None]], Path]:
    """A package whose description was changed on the way."""

    def redescribe(change: Callable[[dict[str, Any]], None]) -> Path:
        def rewrite(files: dict[str, bytes]) -> None:
            content = json.loads(json.dumps(read_yaml(files["bioimageio.yaml"].decode())))
            change(content)
            text = StringIO()
            write_yaml(content, text)
            files["bioimageio.yaml"] = text.getvalue().encode()

        return repacked(rewrite)

    return redescribe
