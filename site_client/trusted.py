"""Files that the coordinator signed (TUF), believed only when everything about them verifies."""

import json
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote

from tuf.api.exceptions import DownloadError, DownloadHTTPError, DownloadLengthMismatchError, RepositoryError
from tuf.api.metadata import Metadata, TargetFile  # type: ignore[attr-defined]
from tuf.ngclient.config import UpdaterConfig
from tuf.ngclient.fetcher import FetcherInterface
from tuf.ngclient.updater import Updater

from model_library.images.durable import sync_folder
from site_client.coordinator_client import CoordinatorClient
from site_client.errors import CoordinatorRefused, CoordinatorUnreachable, ReleaseRefused
from site_client.identity import Identity
from site_client.journal import Journal
from site_client.release_cache import ReleaseCache

_FLOORS = "tuf_floors"
_ROLES = ("timestamp", "snapshot", "targets")


class CoordinatorFetcher(FetcherInterface):
    """python-tuf's door to the network: our client, with its identity, trust and deadlines."""

    def __init__(self, client: CoordinatorClient) -> None:
        self._client = client

    def _fetch(self, url: str) -> Iterator[bytes]:
        try:
            yield from self._client.download(url)
        except CoordinatorRefused as refusal:
            raise DownloadHTTPError(str(refusal), refusal.status) from refusal
        except CoordinatorUnreachable as absence:
            raise DownloadError(str(absence)) from absence


class Snapshot:
    """The repository as one refresh found it; made by `TrustedTargets.refresh`."""

    def __init__(
        self, updater: Updater, lock: threading.Lock, targets: Path, cache: ReleaseCache | None
    ) -> None:
        self._updater = updater
        self._lock = lock
        self._targets = targets
        self._cache = cache

    def download(self, target: str) -> Path | None:
        """Fetch and verify a target; None where the repository has none of this name.

        Raises
        ------
        ReleaseRefused
            The file is not the one that was signed.
        CoordinatorUnreachable
            The repository did not answer.
        """
        with self._lock, _told():
            found = self._updater.get_targetinfo(target)
            return None if found is None else self._download(found)

    def _download(self, target: TargetFile) -> Path:
        def download() -> Path:
            return Path(self._updater.download_target(target))

        sha256 = target.hashes.get("sha256")
        if self._cache is None or sha256 is None:
            return download()
        into = self._targets / quote(target.path, safe="")
        self._targets.mkdir(parents=True, exist_ok=True)
        return self._cache.fetch(sha256, target.length, into, download)


class TrustedTargets:
    """The site's copy of the coordinator's TUF repository; usable from several threads.

    Parameters
    ----------
    folder
        The site's folder; uses `releases/` in it.
    identity
        The root of trust from enrolment.
    url
        Address of the repository.
    cache
        Shared with other daemons of the site; None: with nobody.
    """

    def __init__(
        self,
        folder: Path,
        identity: Identity,
        *,
        url: str,
        fetcher: FetcherInterface,
        journal: Journal,
        cache: ReleaseCache | None = None,
    ) -> None:
        self._metadata = folder / "releases" / "metadata"
        self._targets = folder / "releases" / "targets"
        self._root = identity.tuf_root
        self._url = url
        self._fetcher = fetcher
        self._journal = journal
        self._cache = cache
        self._lock = threading.Lock()

    def refresh(self) -> Snapshot:
        """Fetch and verify the metadata.

        Raises
        ------
        ReleaseRefused
            The metadata does not verify, or is older than what was seen before.
        CoordinatorUnreachable
            The repository did not answer.
        """
        with self._lock, _told():
            self._metadata.mkdir(parents=True, exist_ok=True)
            updater = Updater(
                str(self._metadata),
                f"{self._url}/metadata/",
                str(self._targets),
                f"{self._url}/targets/",
                fetcher=self._fetcher,
                config=UpdaterConfig(max_root_rotations=32),
                bootstrap=self._root.encode(),
            )
            updater.refresh()
            self._hold_floors()
        return Snapshot(updater, self._lock, self._targets, self._cache)

    def _hold_floors(self) -> None:
        """Refuse metadata older than any seen before, and make what was seen durable.

        python-tuf keeps its own floors in files that it does not sync: after a power cut, or with
        those files deleted, it would take an old repository for the first one.
        """
        found = {
            role: int(Metadata.from_file(str(self._metadata / f"{role}.json")).signed.version)
            for role in _ROLES
        }
        floors: dict[str, int] = json.loads(self._journal.fact(_FLOORS) or "{}")
        for role, version in found.items():
            if version < floors.get(role, 0):
                raise ReleaseRefused(
                    f"expected {role} metadata of version {floors[role]} or later, found {version}: "
                    "an old repository is being replayed"
                )
        for path in self._metadata.rglob("*.json"):
            with path.open("rb") as file:
                os.fsync(file.fileno())
        sync_folder(self._metadata)
        if found != floors:
            self._journal.remember(_FLOORS, json.dumps(found))


@contextmanager
def _told() -> Iterator[None]:
    """Tell python-tuf's refusals in the site's own words: disbelieved, or not there."""
    try:
        yield
    except (RepositoryError, DownloadLengthMismatchError) as error:
        raise ReleaseRefused(f"{type(error).__name__}: {error}") from error
    except DownloadError as error:
        raise CoordinatorUnreachable(
            f"releases: expected the repository, found {error}; later again"
        ) from error
