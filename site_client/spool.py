"""Images that wait to be sent, kept where nobody tidies up: the microscope's folder may be emptied.

Where the site reduces what leaves, the reduced file is made here, as soon as the image is queued.
"""

import errno
import shutil
from pathlib import Path

import structlog

from model_library.errors import ChildDied, ChildRefused
from model_library.images.durable import replace_durably, sync_folder
from site_client.outbox import Outbox, OutboxItem
from site_client.send_policy import Make, SendPolicy

_LOG = structlog.get_logger("site")


class Spool:
    """A second name (a hard link) for each file that is to be sent, or a copy where that is impossible.

    Parameters
    ----------
    folder
        The spool; made if absent.
    acquisitions
        Where the files are.
    outbox
        What is to be sent.
    quota_bytes
        What the spool may take: copies, and links to files that were deleted since. Beyond it images are
        sent, or made, from where they are.
    policy, make
        What is made of an image before it leaves, and who makes it.
    """

    def __init__(
        self,
        folder: Path,
        acquisitions: Path,
        outbox: Outbox,
        quota_bytes: int,
        *,
        policy: SendPolicy | None = None,
        make: Make | None = None,
    ) -> None:
        self._folder = folder
        self._acquisitions = acquisitions
        self._outbox = outbox
        self._quota_bytes = quota_bytes
        self._policy = policy or SendPolicy()
        self._make = make
        self._seen = 0
        self._swept = False

    def fill(self) -> None:
        """Keep what was queued since the last time; the first time also drop what is no longer queued."""
        if not self._swept:
            self._sweep()
            self._swept = True
        new = self._outbox.queued(after=self._seen)
        if not new:
            return
        self._folder.mkdir(parents=True, exist_ok=True)
        room = self._quota_bytes - self._held_bytes()
        for item in new:
            room -= self._keep(item, room)
        sync_folder(self._folder)
        self._seen = new[-1].id

    def ready(self, item: OutboxItem) -> tuple[OutboxItem, Path]:
        """Tell what to send of an image, and where it lies; what is to be made and is not yet is made now.

        An upload that has begun is finished as it was begun, whatever the policy says since.

        Raises
        ------
        ChildRefused, ChildDied, OSError
            It cannot be made: the file is another one now, unreadable or gone.
        """
        wanted = self._wanted(item)
        if item.location is None and item.policy != wanted:
            item = self._made(item) if wanted else self._outbox.made(item, None)
        elif item.policy is not None and not self._made_file(item).exists():
            item = self._made(item)
        return item, self._source(item) if item.policy is None else self._made_file(item)

    def drop(self, item: OutboxItem) -> None:
        """Forget an image that was sent or given up."""
        self._kept(item).unlink(missing_ok=True)
        self._made_file(item).unlink(missing_ok=True)

    def _wanted(self, item: OutboxItem) -> str | None:
        """Say what is to be made of an image; None where it is sent as it is."""
        as_it_is = self._policy.is_plain and item.planes == 1 and not item.colour
        return None if as_it_is else self._policy.told(item.planes, colour=item.colour)

    def _made(self, item: OutboxItem) -> OutboxItem:
        assert self._make is not None
        self._folder.mkdir(parents=True, exist_ok=True)
        made = self._make(self._source(item), self._made_file(item), item.source_sha256)
        return self._outbox.made(item, made)

    def _source(self, item: OutboxItem) -> Path:
        kept = self._kept(item)
        return kept if kept.exists() else self._acquisitions / item.path

    def _kept(self, item: OutboxItem) -> Path:
        return self._folder / f"{item.id}-{item.source_sha256[:16]}"

    def _made_file(self, item: OutboxItem) -> Path:
        return self._kept(item).with_suffix(".ome.tif")

    def _keep(self, item: OutboxItem, room: int) -> int:
        """Keep one image; returns how many bytes that takes now."""
        source, kept = self._acquisitions / item.path, self._kept(item)
        if kept.exists() or self._made_file(item).exists():
            return 0
        try:
            if room < item.declaration.bytes:
                raise OSError(errno.EDQUOT, "spool_gb is used up")
            if self._wanted(item) is not None:
                return self._made(item).declaration.bytes
            return 0 if _linked(source, kept) else _copied(source, kept)
        except (OSError, ChildRefused, ChildDied) as error:
            # It is sent, or made, from where it is, as long as it is there.
            _LOG.warning("not-spooled", path=str(item.path), reason=str(error))
            return 0

    def _held_bytes(self) -> int:
        """Count what the disk would have back without the spool: copies, and links to deleted files."""
        stats = [path.stat() for path in self._folder.iterdir()]
        return sum(each.st_size for each in stats if each.st_nlink == 1)

    def _sweep(self) -> None:
        """Remove what a crash left behind: halves, and what has been sent."""
        queued = self._outbox.queued(after=0)
        wanted = {path.name for item in queued for path in (self._kept(item), self._made_file(item))}
        for path in self._folder.iterdir() if self._folder.is_dir() else ():
            if path.name not in wanted:
                path.unlink(missing_ok=True)


def _linked(source: Path, kept: Path) -> bool:
    try:
        kept.hardlink_to(source)
    except OSError as error:
        if error.errno in (errno.ENOENT, errno.ENOSPC):
            raise
        # Another file system, or one without links, such as many network shares.
        return False
    return True


def _copied(source: Path, kept: Path) -> int:
    partial = kept.with_suffix(".partial")
    try:
        shutil.copyfile(source, partial)
        replace_durably(partial, kept)
    except OSError:
        partial.unlink(missing_ok=True)
        raise
    return kept.stat().st_size
