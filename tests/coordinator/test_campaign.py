"""One campaign from first image to monitoring, ended twice on the way: in peace, and with kill -9."""

import json
import signal
import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
import torch
from tuf.api.exceptions import DownloadHTTPError, DownloadLengthMismatchError, RepositoryError
from tuf.ngclient import FetcherInterface, Updater, UpdaterConfig

from coordinator.finetune.look_ahead import starting_network
from coordinator.finetune.stage import fit_config, material_of
from coordinator.finetune.tuning import fine_tune
from coordinator.methods import network_folder
from coordinator.services import open_place
from coordinator.settings import read_settings
from coordinator.store.database import Database
from model_library.cards.card import tuned_field
from model_library.cards.release import ReleaseManifest, channel_target
from model_library.signing.digests import sha256_bytes
from model_library.wire.images import ImagePurpose
from model_library.wire.methods import NetworkRef
from model_library.wire.tasks import Denoise

from ..waiting import until
from .conftest import Coordinator, Instrument, acquisition, enrol, found

FIRST = 14
STAGES = (
    "gathering images",
    "measuring noise",
    "tuning classical algorithms",
    "selecting a network",
    "gate before the first release",
    "first release",
    "fine-tuning",
    "gate before the final release",
    "final release",
    "monitoring",
)

pytestmark = pytest.mark.timeout(480)


@dataclass
class Run:
    """What was seen of a campaign."""

    coordinator: Coordinator
    instrument: Instrument
    interrupted: dict[str, Any]
    ended: dict[str, Any]


def campaign(coordinator: Coordinator) -> dict[str, Any]:
    [found_one] = coordinator.overview()["campaigns"]
    return found_one


def texts(seen: dict[str, Any], stage: str) -> list[str]:
    return [event["text"] for event in seen["events"] if event["stage"] == stage]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory, library: Path) -> Iterator[Run]:
    data = tmp_path_factory.mktemp("campaign") / "data"
    served = found(data, library, first_images=FIRST, crop_px=64, steps=150, batch=4, patch_px=32)
    served.start()
    instrument = enrol(served, "scope")
    for sequence in range(1, FIRST + 1):
        assert instrument.deliver(acquisition(sequence), sequence).status_code == 204
    until(lambda: texts(campaign(served), "measuring noise"))
    assert served.end(signal.SIGTERM) == 0
    assert not (data / "serving.json").exists()
    served.start()
    until(lambda: any("step" in text for text in texts(campaign(served), "fine-tuning")))
    interrupted = campaign(served)
    served.end(signal.SIGKILL)
    served.start()
    until(lambda: campaign(served)["stage"] in ("monitoring", "failed"))
    # Port 0 gave another port at every start.
    instrument = Instrument(served, instrument.key, instrument.id, instrument.tuf_root)
    yield Run(served, instrument, interrupted, campaign(served))
    served.close()
    assert served.end() == 0


def test_a_campaign_performs_every_stage_once_and_in_order(run: Run) -> None:
    assert run.ended["stage"] == "monitoring", run.ended["failure"]
    begun = [event["stage"] for event in run.ended["events"] if event["text"] == "begins"]
    assert tuple(begun) == STAGES[:-1]
    times = [event["at"] for event in run.ended["events"]]
    assert times == sorted(times)


def test_after_a_kill_it_resumes_at_the_interrupted_stage(run: Run) -> None:
    assert run.interrupted["stage"] == "fine-tuning"
    assert run.interrupted["first"] == run.ended["first"]
    assert run.interrupted["selection"] == run.ended["selection"]
    before = len(run.interrupted["events"])
    assert run.ended["events"][:before] == run.interrupted["events"]
    assert "the coordinator started again and resumes fine-tuning" in texts(run.ended, "fine-tuning")


def test_the_weights_are_those_of_a_tuning_that_was_never_interrupted(run: Run) -> None:
    settings = read_settings(run.coordinator.data)
    database = Database(settings.database)
    place = open_place(settings, database, lambda: 0.0)
    seen = place.campaigns.get(run.ended["id"])
    assert seen is not None
    start = starting_network(place, seen)
    threads = torch.get_num_threads()
    weights = fine_tune(
        network_folder(place, start),
        material_of(place, seen),
        fit_config(place.settings, Denoise()),
        threads=settings.threads,
    )
    torch.set_num_threads(threads)
    database.close()
    assert sha256_bytes(weights) == run.ended["tuned"]["method"]["weights_sha256"]


def test_a_look_ahead_at_the_leading_networks_is_a_finding_made_once(run: Run) -> None:
    seen = run.ended["look_ahead"]
    assert seen["steps"] == 30
    assert seen["winner"] in seen["after"]
    assert sorted(seen["before"]) == sorted(seen["after"])
    assert 2 <= len(seen["before"]) <= 3
    told = [text for text in texts(run.ended, "fine-tuning") if text.startswith("look ahead:")]
    assert told == [f"look ahead: {seen['reason']}"]
    assert run.interrupted["look_ahead"] == seen


def test_a_tuned_version_tells_its_descent_and_what_it_was_tuned_on(run: Run) -> None:
    digest = run.ended["tuned"]["method"]["weights_sha256"]
    card = json.loads((run.coordinator.data / "networks" / digest / "card.json").read_text())
    tuning = {
        tuned_field(run.instrument.id, image["field"])
        for image in run.ended["images"]
        if image["split"] == "tuning"
    }
    assert set(card["lineage"]["tuned_fields"]) == tuning
    begun = run.ended["look_ahead"] or run.ended["selection"]
    assert begun["winner"].startswith(card["lineage"]["parent_id"])
    assert card["training_data"][-1]["images"] == len(tuning)


def test_every_image_has_a_split_and_the_splits_are_balanced(run: Run) -> None:
    splits = [image["split"] for image in run.ended["images"]]
    assert {split: splits.count(split) for split in set(splits)} == {"tuning": 6, "gate": 4, "report": 4}


def test_the_record_shows_how_it_was_decided(run: Run) -> None:
    ranking = run.ended["selection"]["ranking"]
    assert {each["network"] for each in ranking} == {"tiny-4", "tiny-6", "tiny-8"}
    assert all(each["ci95"][0] <= each["score"] <= each["ci95"][1] for each in ranking)
    first, final = run.ended["gates"]
    assert final["looks"] == first["looks"] + 1
    assert len(first["classical"]) >= 3
    assert final["candidate"].startswith(run.ended["tuned"]["method"]["id"])
    assert final["incumbent"] is not None
    assert final["reasons"]
    assert run.ended["classical"]["best"]["kind"] == "classical"


class Fetcher(FetcherInterface):
    """Fetches with an instrument's credentials, and changes what it is told to."""

    def __init__(self, client: httpx.Client, corrupt: str = "") -> None:
        self._client, self._corrupt = client, corrupt

    def _fetch(self, url: str) -> Iterator[bytes]:
        answer = self._client.get(url)
        if answer.status_code != 200:
            raise DownloadHTTPError(url, answer.status_code)
        content = bytearray(answer.content)
        if self._corrupt and self._corrupt in url:
            content[len(content) // 2] ^= 1
        yield bytes(content)


def updater(run: Run, folder: Path, corrupt: str = "") -> Updater:
    base = f"{run.coordinator.url}/v1/releases"
    folder.mkdir()
    return Updater(
        metadata_dir=str(folder),
        metadata_base_url=f"{base}/metadata/",
        target_dir=str(folder),
        target_base_url=f"{base}/targets/",
        fetcher=Fetcher(run.instrument.client, corrupt),
        config=UpdaterConfig(),
        bootstrap=run.instrument.tuf_root.encode(),
    )


def download(client: Updater, path: str) -> bytes:
    client.refresh()
    info = client.get_targetinfo(path)
    assert info is not None
    return Path(client.download_target(info)).read_bytes()


def test_an_instrument_verifies_and_downloads_its_release(run: Run, tmp_path: Path) -> None:
    client = updater(run, tmp_path / "tuf")
    content = download(client, channel_target(run.instrument.id))
    manifest = ReleaseManifest.model_validate_json(content)
    assert manifest.release_id == run.ended["final"]["release_id"]
    assert manifest.release_id.startswith(run.instrument.id)
    assert manifest.reasons
    if isinstance(manifest.method, NetworkRef):
        assert manifest.weights_target is not None
        weights = download(updater(run, tmp_path / "weights"), manifest.weights_target)
        assert sha256_bytes(weights) == manifest.method.weights_sha256


@pytest.mark.parametrize("corrupt", ["timestamp.json", "snapshot.json", "targets.json", "channels"])
def test_one_flipped_byte_anywhere_is_refused(run: Run, tmp_path: Path, corrupt: str) -> None:
    with pytest.raises((RepositoryError, DownloadLengthMismatchError)):
        download(updater(run, tmp_path / "tuf", corrupt), channel_target(run.instrument.id))


def test_releases_can_be_resumed_by_range(run: Run) -> None:
    root = run.instrument.client.get("/v1/releases/metadata/1.root.json")
    part = run.instrument.client.get("/v1/releases/metadata/1.root.json", headers={"Range": "bytes=10-19"})
    assert part.status_code == 206
    assert part.content == root.content[10:20]


def test_returned_images_score_the_method_in_service_unless_it_was_tuned_on_them(run: Run) -> None:
    frames = {"acquired": 20, "reconstructed": 20, "waiting": 0, "set_aside": 0, "returned": 2}
    before = run.instrument.deliver(acquisition(100), 100, ImagePurpose.BENCHMARK)
    release_id = run.ended["final"]["release_id"]
    beat = run.instrument.client.post("/v1/heartbeat", json={"frames": frames, "release_id": release_id})
    assert before.status_code == 204
    assert beat.json()["release_id"] == release_id
    assert run.instrument.deliver(acquisition(101), 101, ImagePurpose.BENCHMARK).status_code == 204
    tuned = next(image["sequence"] for image in run.ended["images"] if image["split"] == "tuning")
    assert run.instrument.deliver(acquisition(tuned), tuned, ImagePurpose.BENCHMARK).status_code == 204
    until(lambda: len(campaign(run.coordinator)["monitoring"]) == 3)
    seen = {score["sequence"]: score for score in campaign(run.coordinator)["monitoring"]}
    assert "no release was in service" in seen[100]["reason"]
    assert seen[101]["score"] > 0
    assert seen[101]["release_id"] == release_id
    assert seen[101]["reference"]["kind"] == "classical"
    assert seen[101]["reference"] != seen[101]["method"]
    assert seen[101]["reference_score"] > 0
    if seen[tuned]["method"]["kind"] == "classical" or run.ended["gates"][1]["passed"]:
        assert "tuned on" in seen[tuned]["reason"]
    [installed] = [each for each in campaign(run.coordinator)["releases"] if each["release_id"] == release_id]
    assert installed["installed_at"] is not None


def test_the_database_survives_a_power_cut(run: Run) -> None:
    database = Database(run.coordinator.data / "synoptic.sqlite")
    assert (database.pragma("journal_mode"), database.pragma("synchronous")) == ("wal", "2")
    assert int(database.pragma("busy_timeout")) > 0
    database.close()
    connection = sqlite3.connect(run.coordinator.data / "dbos.sqlite")
    assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    connection.close()


def test_the_log_is_quiet(run: Run) -> None:
    assert "Traceback" not in run.coordinator.log
