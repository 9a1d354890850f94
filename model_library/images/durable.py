"""Writing so that a power cut leaves either the old file or the new one, whole."""

import os
from pathlib import Path
from uuid import uuid4

TEMPORARY_SUFFIX = ".part"
"""Ends the name of every file that is not finished; after a crash, such files can be deleted."""


def write_durably(path: Path, content: bytes, *, mode: int = 0o666) -> None:
    """Write a file atomically and durably (temporary file, fsync, rename, fsync of the folder).

    Parameters
    ----------
    path
        The file; its folder exists. An earlier file of this name is replaced.
    content
        All of its bytes.
    mode
        Permissions before the umask; 0o600 for keys.
    """
    temporary = path.with_name(f".{path.name}.{uuid4().hex}{TEMPORARY_SUFFIX}")
    handle = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0), mode)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
        replace_durably(temporary, path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def replace_durably(temporary: Path, final: Path) -> None:
    """Give a finished file its final name, durably; both are in one file system."""
    _fsync(temporary, os.O_RDWR)
    temporary.replace(final)
    sync_folder(final.parent)


def sync_folder(folder: Path) -> None:
    """Make names that were created, renamed or deleted in a folder durable."""
    # Windows can neither open nor sync a folder; NTFS journals names itself.
    if os.name != "nt":
        _fsync(folder, os.O_RDONLY)


def _fsync(path: Path, flags: int) -> None:
    handle = os.open(path, flags)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
