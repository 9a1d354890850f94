"""Zip files of strangers."""

import stat
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from zipfile import ZIP_DEFLATED, ZipFile, ZipInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from model_library.errors import ExchangeError
from model_library.zoo.exchange import archive
from model_library.zoo.exchange.archive import archive_bytes, read_archive

NAMES = st.text("abcdefgh-_/", min_size=1).map(lambda name: f"f{name}f")


@given(st.dictionaries(NAMES, st.binary(max_size=100), max_size=5))
def test_what_is_packed_comes_back(files: dict[str, bytes]):
    with TemporaryDirectory() as folder:
        path = Path(folder) / "package.zip"
        path.write_bytes(archive_bytes(files))
        assert dict(read_archive(path)) == files


def entry(name: str, content: bytes = b"x", mode: int = stat.S_IFREG | 0o644) -> Callable[[ZipFile], None]:
    def write(target: ZipFile) -> None:
        info = ZipInfo(name)
        info.external_attr = mode << 16
        info.compress_type = ZIP_DEFLATED
        target.writestr(info, content)

    return write


HOSTILE = {
    "up and away": (entry("../evil.txt"), "leaves the package"),
    "absolute": (entry("/etc/passwd"), "leaves the package"),
    "of another system": (entry("..\\evil.txt"), "leaves the package"),
    "of a drive": (entry("C:evil.txt"), "leaves the package"),
    "a link": (entry("link", b"/etc/passwd", stat.S_IFLNK | 0o777), "a link or device"),
    "a bomb": (entry("zeros.bin", bytes(8 * 1024**2)), "expands"),
}


@pytest.mark.parametrize("case", HOSTILE)
def test_an_archive_that_means_harm_is_refused(case: str, tmp_path: Path):
    write, reason = HOSTILE[case]
    with ZipFile(tmp_path / "package.zip", "w") as target:
        write(target)
    with pytest.raises(ExchangeError, match=reason):
        read_archive(tmp_path / "package.zip")


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_a_name_that_occurs_twice_is_refused(tmp_path: Path):
    with ZipFile(tmp_path / "package.zip", "w") as target:
        entry("same.txt", b"one")(target)
        entry("same.txt", b"two")(target)
    with pytest.raises(ExchangeError, match="twice"):
        read_archive(tmp_path / "package.zip")


def test_too_many_files_and_too_many_bytes_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    path = tmp_path / "package.zip"
    path.write_bytes(archive_bytes({"a": b"12345", "b": b"12345"}))
    monkeypatch.setattr(archive, "MOST_BYTES", 9)
    with pytest.raises(ExchangeError, match="found 2 and 10"):
        read_archive(path)
    monkeypatch.setattr(archive, "MOST_BYTES", 10)
    read_archive(path)
    monkeypatch.setattr(archive, "MOST_FILES", 1)
    with pytest.raises(ExchangeError, match="at most 1 files"):
        read_archive(path)


@pytest.mark.parametrize("keep", [0, 10, 60, -30])
def test_a_damaged_archive_is_refused(keep: int, tmp_path: Path):
    path = tmp_path / "package.zip"
    path.write_bytes(archive_bytes({"a": bytes(range(256))})[:keep])
    with pytest.raises(ExchangeError, match="whole zip file"):
        read_archive(path)


def test_a_flipped_byte_is_noticed(tmp_path: Path):
    content = bytearray(archive_bytes({"a": bytes(range(256))}))
    content[50] ^= 1
    (tmp_path / "package.zip").write_bytes(content)
    with pytest.raises(ExchangeError, match="whole zip file"):
        read_archive(tmp_path / "package.zip")


def test_a_path_that_is_not_there_is_told(tmp_path: Path):
    with pytest.raises(ExchangeError, match="correct the path"):
        read_archive(tmp_path / "none.zip")
