"""A coordinator whose instruments have their networks, ready to learn together."""

import shutil
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from coordinator.founding import found
from coordinator.store.values import Instrument
from coordinator.workplace import Workplace

from .microscopes import BAD, MEMBERS, beat, enrol, opened, serve, weights_of


@pytest.fixture(scope="session")
def ended_campaigns(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three instruments with disturbed networks, and one that takes no part and has the best."""
    data = tmp_path_factory.mktemp("ended") / "data"
    found(data, ["127.0.0.1"], 0, time.time())
    text = (data / "settings.toml").read_text()
    text = text.replace("crop_px = 256", "crop_px = 48").replace("rounds = 3", "rounds = 2\nlook_s = 0.05")
    (data / "settings.toml").write_text(text)
    with opened(data) as place:
        for seed, name in enumerate((*MEMBERS, "archive")):
            serve(place, enrol(place, name), weights_of(0.0 if name == "archive" else BAD, seed))
    return data


@pytest.fixture
def place(ended_campaigns: Path, tmp_path: Path) -> Iterator[Workplace]:
    with opened(shutil.copytree(ended_campaigns, tmp_path / "data")) as place:
        for instrument in place.identities.all():
            beat(place, instrument, federates=instrument.site_name in MEMBERS)
        yield place


@pytest.fixture
def cohort(place: Workplace) -> dict[str, Instrument]:
    return {instrument.site_name: instrument for instrument in place.identities.all()}
