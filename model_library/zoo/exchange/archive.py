"""The files of a zip: written so that equal files give equal bytes, read without believing a word."""

import stat
from collections.abc import Mapping
from io import BytesIO
from pathlib import Path, PurePosixPath
from types import MappingProxyType
from zipfile import ZIP_DEFLATED, BadZipFile, ZipFile, ZipInfo

from model_library.errors import ExchangeError

MOST_FILES = 256
MOST_BYTES = 2 * 1024**3
MOST_EXPANSION = 200
SMALL_BYTES = 1024**2
"""A file below this may expand as much as it likes: text and flat test images compress well."""


def archive_bytes(files: Mapping[str, bytes]) -> bytes:
    """Pack files, in the order given, without dates: equal files give equal bytes."""
    buffer = BytesIO()
    with ZipFile(buffer, "w", ZIP_DEFLATED, compresslevel=6) as archive:
        for name, content in files.items():
            info = ZipInfo(name, date_time=(1980, 1, 1, 0, 0, 0))
            info.compress_type = ZIP_DEFLATED
            info.external_attr = 0o644 << 16
            archive.writestr(info, content)
    return buffer.getvalue()


def read_archive(path: Path) -> Mapping[str, bytes]:
    """Read every file of a package into memory; nothing is written anywhere.

    Parameters
    ----------
    path
        A zip file, of whatever origin.

    Returns
    -------
    Contents by name, as the archive spells it.

    Raises
    ------
    ExchangeError
        No zip, damaged, encrypted, too large when unpacked, or with a name that leaves the package.
    """
    try:
        with ZipFile(path) as archive:
            members = [info for info in archive.infolist() if not info.is_dir()]
            _refuse_hostile(path, members)
            return MappingProxyType({info.filename: archive.read(info) for info in members})
    except OSError as failure:
        raise ExchangeError(
            f"{path}: expected a bioimage.io package, found {failure.strerror or failure}; correct the path"
        ) from failure
    except (BadZipFile, NotImplementedError, RuntimeError, EOFError, ValueError) as failure:
        raise ExchangeError(
            f"{path}: expected a whole zip file without a password, found {failure}; fetch the package again"
        ) from failure


def _refuse_hostile(path: Path, members: list[ZipInfo]) -> None:
    total = sum(info.file_size for info in members)
    if len(members) > MOST_FILES or total > MOST_BYTES:
        raise ExchangeError(
            f"{path}: expected at most {MOST_FILES} files and {MOST_BYTES} bytes unpacked, found "
            f"{len(members)} and {total}; do not use this package"
        )
    seen: set[str] = set()
    for info in members:
        reason = _objection(info)
        if reason is None and info.filename in seen:
            reason = "a name that occurs twice"
        if reason is not None:
            raise ExchangeError(
                f"{path}: expected plain files inside the package, found {reason}: {info.filename!r}; "
                "do not use this package"
            )
        seen.add(info.filename)


def _objection(info: ZipInfo) -> str | None:
    name = PurePosixPath(info.filename)
    if name.is_absolute() or ".." in name.parts or "\\" in info.filename or ":" in info.filename:
        return "a path that leaves the package"
    kind = stat.S_IFMT(info.external_attr >> 16)
    if kind not in (0, stat.S_IFREG):
        return "a link or device"
    if info.file_size > max(SMALL_BYTES, MOST_EXPANSION * info.compress_size):
        return f"a file that expands {info.file_size // max(info.compress_size, 1)} times"
    return None
