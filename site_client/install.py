"""From signed metadata to a network on disk that is known to load; whatever fails, nothing changes."""

import shutil
from collections.abc import Callable
from pathlib import Path

from pydantic import ValidationError

from model_library.cards.card import CARD_FILE, WEIGHTS_FILE
from model_library.cards.release import ReleaseManifest, channel_target, weights_target
from model_library.errors import ChildDied, ChildRefused, WeightsError
from model_library.images.durable import sync_folder, write_durably
from model_library.wire.methods import NetworkRef
from site_client.errors import ReleaseRefused
from site_client.fallback import Fallback
from site_client.journal import Journal
from site_client.trusted import Snapshot, TrustedTargets

Check = Callable[[ReleaseManifest, Path | None], None]
"""Loads a method and runs it once; raises `WeightsError`, `ChildRefused` or `ChildDied`."""

_DOES_NOT_WORK = (WeightsError, ChildRefused, ChildDied)

_ALARM = "release"


class Installer:
    """Installs what the instrument's channel holds.

    Parameters
    ----------
    folder
        The site's folder; uses `networks/` in it.
    instrument_id
        Whose channel it is.
    targets
        The coordinator's repository.
    check
        See `Check`.
    """

    def __init__(
        self, folder: Path, instrument_id: str, *, targets: TrustedTargets, journal: Journal, check: Check
    ) -> None:
        self._networks = folder / "networks"
        self._instrument_id = instrument_id
        self._targets = targets
        self._journal = journal
        self._check = check
        self._fallback = Fallback(journal, self._networks)

    def refresh(self) -> ReleaseManifest | None:
        """Fetch, verify, install and put in service; returns the release if it is a new one.

        Raises
        ------
        ReleaseRefused
            Something does not verify or does not load; an alarm is up, what is in service stays.
        CoordinatorUnreachable
            The repository did not answer.
        """
        try:
            installed = self._install_channel()
        except (ValidationError, *_DOES_NOT_WORK) as error:
            kind = error.code if isinstance(error, ChildRefused) else type(error).__name__
            raise self._refusal(f"{kind}: {error}") from error
        except ReleaseRefused as refusal:
            raise self._refusal(str(refusal)) from refusal
        self._journal.clear_alarm(_ALARM)
        return installed

    @property
    def networks(self) -> Path:
        """Folder of installed networks."""
        return self._networks

    def network_folder(self, ref: NetworkRef) -> Path:
        """Where a network is, or would be, installed."""
        return self._networks / ref.weights_sha256

    def is_whole(self) -> bool:
        """Whether the method in service needs nothing that is missing on disk."""
        service = self._journal.in_service()
        return (
            service is None
            or not isinstance(service.method, NetworkRef)
            or self.network_folder(service.method).is_dir()
        )

    def distrust(self, ref: NetworkRef, reason: str) -> None:
        """Move a network that no longer loads out of the way, so that it is installed anew."""
        folder = self.network_folder(ref)
        aside = folder.with_name(f"{folder.name}.damaged")
        shutil.rmtree(aside, ignore_errors=True)
        if folder.is_dir():
            folder.replace(aside)
        self._journal.raise_alarm("network", f"{ref.id} {ref.version} no longer loads: {reason}")

    def _install_channel(self) -> ReleaseManifest | None:
        repository = self._targets.refresh()
        channel = repository.download(channel_target(self._instrument_id))
        if channel is None:
            return None
        manifest = ReleaseManifest.model_validate_json(channel.read_bytes())
        self._refuse_contradictions(manifest)
        service = self._journal.in_service()
        if service is not None and service.released == manifest.release_id and self.is_whole():
            return None
        if manifest.release_id == self._journal.declined():
            return None
        self._install(repository, manifest)
        if service is not None and service.release_id == manifest.release_id:
            self._journal.clear_alarm("network")
            return None
        self._journal.put_in_service(manifest)
        self._fallback.prune()
        return manifest

    def _install(self, repository: Snapshot, manifest: ReleaseManifest) -> None:
        if not isinstance(manifest.method, NetworkRef):
            self._check(manifest, None)
            return
        final = self.network_folder(manifest.method)
        if final.is_dir():
            self._check(manifest, final)
            return
        assert manifest.card is not None
        downloaded = repository.download(weights_target(manifest.method.weights_sha256))
        if downloaded is None:
            raise ReleaseRefused(f"expected weights of {manifest.release_id} in the repository, found none")
        self._networks.mkdir(exist_ok=True)
        incoming = self._networks / f".incoming-{manifest.method.weights_sha256}"
        shutil.rmtree(incoming, ignore_errors=True)
        incoming.mkdir()
        write_durably(incoming / WEIGHTS_FILE, downloaded.read_bytes())
        write_durably(incoming / CARD_FILE, manifest.card.model_dump_json(indent=2).encode())
        try:
            self._check(manifest, incoming)
        except _DOES_NOT_WORK:
            shutil.rmtree(incoming, ignore_errors=True)
            raise
        incoming.replace(final)
        sync_folder(self._networks)
        downloaded.unlink()

    def _refuse_contradictions(self, manifest: ReleaseManifest) -> None:
        if manifest.instrument_id != self._instrument_id:
            raise ReleaseRefused(
                f"expected a release for {self._instrument_id}, found one for {manifest.instrument_id}"
            )
        if not isinstance(manifest.method, NetworkRef):
            return
        sha256 = manifest.method.weights_sha256
        if (
            manifest.card is None
            or manifest.card.weights_sha256 != sha256
            or manifest.weights_target != weights_target(sha256)
        ):
            raise ReleaseRefused(
                f"{manifest.release_id}: expected card and weights of digest {sha256}, found others"
            )

    def _refusal(self, text: str) -> ReleaseRefused:
        self._journal.raise_alarm(_ALARM, f"not installed: {text}")
        return ReleaseRefused(f"release not installed: {text}; what is in service stays")
