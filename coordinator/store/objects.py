"""A local folder of immutable objects, named by their SHA-256."""

from pathlib import Path

from coordinator.errors import Unknown
from model_library.images.durable import replace_durably, sync_folder


class ObjectFolder:
    """Objects at `<folder>/<first two digits>/<sha256>`; put twice, kept once."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def path(self, sha256: str) -> Path:
        """Where an object lies, or would lie."""
        return self._folder / sha256[:2] / sha256

    def adopt(self, file: Path, sha256: str) -> Path:
        """Move a complete file, whose digest the caller has checked, under its name, durably."""
        target = self.path(sha256)
        if not target.exists():
            target.parent.mkdir(parents=True, exist_ok=True)
            replace_durably(file, target)
            sync_folder(self._folder)
        return target

    def get(self, sha256: str) -> Path:
        """Find an object.

        Raises
        ------
        Unknown
            It is not here.
        """
        path = self.path(sha256)
        if not path.is_file():
            message = f"expected object {sha256} in {self._folder}, found none; restore it from a backup"
            raise Unknown(message)
        return path
