"""Only a release that verifies and loads is put in service; whatever fails changes nothing."""

import shutil
from pathlib import Path

import pytest

from model_library.cards.card import NetworkCard
from model_library.cards.release import weights_target
from model_library.networks.build import build
from model_library.networks.config import ResidualDenoiserConfig
from model_library.networks.facts import facts
from model_library.wire.methods import ClassicalRef, NetworkRef
from model_library.wire.tasks import Denoise
from model_library.zoo.store import save_network
from site_client.children import worker_child
from site_client.coordinator_client import CoordinatorClient
from site_client.errors import CoordinatorUnreachable, ReleaseRefused
from site_client.identity import read_identity
from site_client.install import Installer
from site_client.release_cache import ReleaseCache
from site_client.trusted import CoordinatorFetcher, TrustedTargets


@pytest.fixture
def network(tmp_path: Path) -> tuple[NetworkCard, bytes]:
    config = ResidualDenoiserConfig(depth=3, width=4)
    card = NetworkCard(
        id="tiny",
        version="1",
        purpose="tests",
        task=Denoise(),
        config=config,
        facts=facts(config),
        weights_sha256="0" * 64,
    )
    card = save_network(tmp_path / "tiny", build(config), card)
    return card, (tmp_path / "tiny" / "weights.safetensors").read_bytes()


def trusted_targets(site, client: CoordinatorClient) -> TrustedTargets:
    return TrustedTargets(
        site.folder,
        read_identity(site.folder),
        url=client.releases_url,
        fetcher=CoordinatorFetcher(client),
        journal=site.journal,
    )


def ref_of(card: NetworkCard) -> NetworkRef:
    return NetworkRef(id=card.id, version=card.version, weights_sha256=card.weights_sha256)


@pytest.fixture
def installer(enrolled) -> Installer:
    identity = read_identity(enrolled.folder)
    client = CoordinatorClient(enrolled.settings, identity, enrolled.journal.count_bytes)
    yield Installer(
        enrolled.folder,
        identity.instrument_id,
        targets=trusted_targets(enrolled, client),
        journal=enrolled.journal,
        check=lambda manifest, folder: None,
    )
    client.close()


def flipped(content: bytes) -> bytes:
    middle = len(content) // 2
    return content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1 :]


def test_an_empty_channel_installs_nothing(enrolled, installer) -> None:
    assert installer.refresh() is None
    assert enrolled.journal.in_service() is None


def test_a_network_is_installed_and_put_in_service_once(enrolled, installer, coordinator, network) -> None:
    card, weights = network
    coordinator.release("r-1", ref_of(card), card=card, weights=weights)
    assert installer.refresh().release_id == "r-1"
    assert installer.refresh() is None
    assert enrolled.journal.in_service().method == ref_of(card)
    folder = enrolled.folder / "networks" / card.weights_sha256
    assert (folder / "weights.safetensors").read_bytes() == weights
    assert [release.release_id for release in enrolled.journal.releases()] == ["r-1"]


@pytest.mark.parametrize(
    "part", [".safetensors", "channels/", "timestamp.json", ".snapshot.json", ".targets.json"]
)
def test_one_flipped_byte_is_refused_and_what_is_in_service_stays(
    enrolled, installer, coordinator, network, gaussian, part
) -> None:
    coordinator.release("r-1", gaussian)
    installer.refresh()
    card, weights = network
    coordinator.release("r-2", ref_of(card), card=card, weights=weights)
    coordinator.tampered = {part: flipped}
    with pytest.raises(ReleaseRefused):
        installer.refresh()
    assert enrolled.journal.in_service().release_id == "r-1"
    assert "not installed" in enrolled.journal.alarms()["release"]
    assert not list((enrolled.folder / "networks").glob("[0-9a-f]*"))
    coordinator.tampered = {}
    assert installer.refresh().release_id == "r-2"
    assert enrolled.journal.alarms() == {}


def test_a_repository_of_the_past_is_refused_even_with_the_clients_files_wiped(
    enrolled, installer, coordinator, gaussian, tmp_path
) -> None:
    coordinator.release("r-1", gaussian)
    past = tmp_path / "past"
    shutil.copytree(coordinator.folder / "releases", past)
    coordinator.release("r-2", ClassicalRef(id="median", parameters={"size_px": 3.0}))
    installer.refresh()
    shutil.rmtree(coordinator.folder / "releases")
    shutil.copytree(past, coordinator.folder / "releases")
    shutil.rmtree(enrolled.folder / "releases")
    with pytest.raises(ReleaseRefused, match="old repository"):
        installer.refresh()
    assert enrolled.journal.in_service().release_id == "r-2"


def test_a_release_for_another_instrument_is_refused(installer, coordinator, gaussian) -> None:
    coordinator.release("r-1", gaussian, instrument_id="instrument-2")
    with pytest.raises(ReleaseRefused, match="instrument-2"):
        installer.refresh()


def test_a_repository_that_does_not_answer_is_no_alarm(enrolled, installer, coordinator) -> None:
    coordinator.down = True
    with pytest.raises(CoordinatorUnreachable):
        installer.refresh()
    assert enrolled.journal.alarms() == {}


def test_a_network_that_does_not_load_is_refused_by_the_worker(
    enrolled, coordinator, network, tmp_path
) -> None:
    """The signature holds, but the card promises another architecture than the weights have."""
    card, weights = network
    config = ResidualDenoiserConfig(depth=4, width=4)
    lying = card.model_copy(update={"config": config, "facts": facts(config)})
    coordinator.release("r-1", ref_of(lying), card=lying, weights=weights)
    worker = worker_child(1, 0, tmp_path / "worker.log")
    identity = read_identity(enrolled.folder)
    client = CoordinatorClient(enrolled.settings, identity, enrolled.journal.count_bytes)

    def check(manifest, folder: Path | None) -> None:
        question = {"op": "check", "network_folder": str(folder), "task": {"kind": "denoise"}}
        worker.ask(question | {"method": manifest.method.model_dump(mode="json")}, 60.0)

    installer = Installer(
        enrolled.folder,
        identity.instrument_id,
        targets=trusted_targets(enrolled, client),
        journal=enrolled.journal,
        check=check,
    )
    with pytest.raises(ReleaseRefused, match="WeightsError"):
        installer.refresh()
    assert enrolled.journal.in_service() is None
    coordinator.release("r-2", ref_of(card), card=card, weights=weights)
    assert installer.refresh().release_id == "r-2"
    worker.stop()
    client.close()


def test_a_release_that_another_instrument_of_the_site_has_is_not_downloaded_again(
    enrolled, coordinator, network, tmp_path
) -> None:
    card, weights = network
    coordinator.release("r-1", ref_of(card), card=card, weights=weights)
    fetched = []
    for name in ("one", "two"):
        client = CoordinatorClient(
            enrolled.settings, read_identity(enrolled.folder), enrolled.journal.count_bytes
        )
        download = client.download

        def counted(url: str, download=download) -> object:
            fetched.append(url)
            return download(url)

        client.download = counted
        shutil.rmtree(enrolled.folder / "releases", ignore_errors=True)
        targets = TrustedTargets(
            enrolled.folder,
            read_identity(enrolled.folder),
            url=client.releases_url,
            fetcher=CoordinatorFetcher(client),
            journal=enrolled.journal,
            cache=ReleaseCache(tmp_path / "shared"),
        )
        path = targets.refresh().download(weights_target(card.weights_sha256))
        assert path.read_bytes() == weights, name
        client.close()
    assert len([url for url in fetched if url.endswith("safetensors")]) == 1


def test_a_network_adapted_here_stays_in_the_place_of_its_release_while_it_is_whole(
    enrolled, installer, coordinator, network
) -> None:
    card, weights = network
    ref = ref_of(card)
    coordinator.release("r-1", ref, card=card, weights=weights)
    installer.refresh()
    local = ref.model_copy(update={"version": "1+local.0", "weights_sha256": "0" * 64})
    installer.network_folder(local).mkdir()
    assert enrolled.journal.serve_locally(enrolled.journal.in_service(), local, "better")
    assert installer.refresh() is None
    assert enrolled.journal.in_service().method == local
    installer.network_folder(local).rmdir()
    assert installer.refresh().release_id == "r-1"
    assert enrolled.journal.in_service().method == ref
