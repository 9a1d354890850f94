"""Back to an earlier method: because a person says so, or because the new one fails where it did not."""

import re
import shutil
from collections.abc import Sequence
from pathlib import Path

from model_library.wire.methods import NetworkRef
from site_client.errors import NothingToReturnTo
from site_client.journal import InService, InstalledRelease, Journal

KEPT = 3
"""Earlier methods that can be returned to without the coordinator."""

_DIGEST = re.compile(r"[0-9a-f]{64}")


def earlier(history: Sequence[InstalledRelease], current: InService) -> tuple[InstalledRelease, ...]:
    """List releases with other methods that came before the one in service, the latest first.

    Before it the first time: whoever goes back twice comes to the one before, not forward again.

    Parameters
    ----------
    history
        Every release that was put in service, oldest first; one that was returned to appears again.
    """
    first: dict[str, InstalledRelease] = {}
    for release in history:
        first.setdefault(release.release_id, release)
    before: list[InstalledRelease] = []
    for release in first.values():
        if release.release_id == current.release_id:
            break
        if release.method != current.method:
            before = [each for each in before if each.method != release.method] + [release]
    return tuple(reversed(before))


class Fallback:
    """Chooses and puts in service what there was before.

    Parameters
    ----------
    journal
        Holds the history.
    networks
        Folder of installed networks, each under its digest.
    """

    def __init__(self, journal: Journal, networks: Path) -> None:
        self._journal = journal
        self._networks = networks

    def previous(self) -> InstalledRelease | None:
        """Tell the release to fall back to: the latest earlier one that is still whole on disk."""
        current = self._journal.in_service()
        if current is None:
            return None
        kept = earlier(self._journal.releases(), current)[:KEPT]
        return next((release for release in kept if self._is_whole(release)), None)

    def fall_back(self, reason: str, *, decline: bool = True) -> InstalledRelease:
        """Put the previous release back in service.

        Parameters
        ----------
        reason
            For the history and, as an alarm, for people.
        decline
            Whether the release in service stays out until the coordinator publishes another one.

        Raises
        ------
        NothingToReturnTo
            There is none.
        """
        release, current = self.previous(), self._journal.in_service()
        if release is None or current is None:
            raise NothingToReturnTo(
                "expected an earlier release on this computer, found none; wait for a new one"
            )
        self._journal.return_to(release, reason, declined=current.release_id if decline else None)
        return release

    def return_to(self, release_id: str, reason: str) -> InstalledRelease:
        """Put a certain release in service, earlier or later.

        Raises
        ------
        NothingToReturnTo
            It never was in service here, or is no longer whole on disk.
        """
        current = self._journal.in_service()
        history = {release.release_id: release for release in self._journal.releases()}
        release = history.get(release_id)
        if release is None or current is None or not self._is_whole(release):
            kept = [each.release_id for each in history.values() if self._is_whole(each)]
            raise NothingToReturnTo(
                f"expected one of {', '.join(kept) or 'none'}, found {release_id}; choose one of these"
            )
        self._journal.return_to(release, reason, declined=current.release_id)
        return release

    def prune(self) -> None:
        """Remove networks that are neither in service nor among the last ones before it."""
        newest_first = [release.method for release in reversed(self._journal.releases())]
        methods = list(dict.fromkeys(method for method in newest_first if isinstance(method, NetworkRef)))
        kept = {method.weights_sha256 for method in methods[: KEPT + 1]}
        current = self._journal.in_service()
        if current is not None and isinstance(current.method, NetworkRef):
            kept.add(current.method.weights_sha256)
        for folder in self._networks.glob("*") if self._networks.is_dir() else ():
            if _DIGEST.fullmatch(folder.name) and folder.name not in kept:
                shutil.rmtree(folder, ignore_errors=True)

    def _is_whole(self, release: InstalledRelease) -> bool:
        method = release.method
        return not isinstance(method, NetworkRef) or (self._networks / method.weights_sha256).is_dir()
