"""Daemons of one site share what one of them has fetched, and believe none of it unseen."""

import threading
import time
from pathlib import Path

import pytest

from model_library.signing.digests import sha256_bytes
from site_client.release_cache import ReleaseCache

CONTENT = b"weights" * 1000
SHA256 = sha256_bytes(CONTENT)


class Site:
    """One instrument's daemon, as far as it fetches."""

    def __init__(self, folder: Path, cache: ReleaseCache, *, takes_s: float = 0.0) -> None:
        folder.mkdir()
        self.folder, self.cache, self.takes_s = folder, cache, takes_s
        self.downloads = 0

    def download(self) -> Path:
        time.sleep(self.takes_s)
        self.downloads += 1
        path = self.folder / "downloaded"
        path.write_bytes(CONTENT)
        return path

    def fetch(self) -> bytes:
        return self.cache.fetch(SHA256, len(CONTENT), self.folder / "copied", self.download).read_bytes()


def test_what_one_daemon_fetched_no_other_fetches(tmp_path: Path) -> None:
    sites = [Site(tmp_path / name, ReleaseCache(tmp_path / "shared")) for name in "abc"]
    assert [site.fetch() for site in sites] == [CONTENT] * 3
    assert [site.downloads for site in sites] == [1, 0, 0]


def test_nor_when_all_ask_at_the_same_time(tmp_path: Path) -> None:
    sites = [Site(tmp_path / name, ReleaseCache(tmp_path / "shared"), takes_s=0.2) for name in "abcd"]
    asking = [threading.Thread(target=site.fetch) for site in sites]
    for thread in asking:
        thread.start()
    for thread in asking:
        thread.join(20)
    assert sum(site.downloads for site in sites) == 1
    assert sum((site.folder / "copied").exists() for site in sites) == 3


@pytest.mark.parametrize(
    "found", [b"", CONTENT[:-1], CONTENT[:-1] + b"x", CONTENT + b"x"], ids=["empty", "short", "other", "long"]
)
def test_what_lies_there_damaged_is_fetched_again_and_put_right(tmp_path: Path, found: bytes) -> None:
    (tmp_path / "shared").mkdir()
    (tmp_path / "shared" / SHA256).write_bytes(found)
    site, other = (Site(tmp_path / name, ReleaseCache(tmp_path / "shared")) for name in "ab")
    assert (site.fetch(), other.fetch()) == (CONTENT, CONTENT)
    assert (site.downloads, other.downloads) == (1, 0)


def test_a_folder_that_cannot_be_used_costs_a_download(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    site = Site(tmp_path / "a", ReleaseCache(tmp_path / "file"))
    assert site.fetch() == CONTENT
    assert site.downloads == 1


def test_nor_does_one_that_takes_nothing_more_cost_a_second(tmp_path: Path) -> None:
    (tmp_path / "shared" / SHA256).mkdir(parents=True)
    site = Site(tmp_path / "a", ReleaseCache(tmp_path / "shared"))
    assert site.fetch() == CONTENT
    assert site.downloads == 1


def test_a_daemon_that_hangs_holds_no_other_up_for_ever(tmp_path: Path) -> None:
    hanging = Site(tmp_path / "a", ReleaseCache(tmp_path / "shared"), takes_s=3.0)
    other = Site(tmp_path / "b", ReleaseCache(tmp_path / "shared", wait_s=0.1))
    thread = threading.Thread(target=hanging.fetch)
    thread.start()
    while not list((tmp_path / "shared").glob(".*.lock")):
        time.sleep(0.01)
    assert other.fetch() == CONTENT
    assert (other.downloads, hanging.downloads) == (1, 0)
    thread.join(20)


@pytest.mark.parametrize("failure", [LookupError, OSError])
def test_a_download_that_fails_fails_once_as_without_the_folder(
    tmp_path: Path, failure: type[Exception]
) -> None:
    tried = []

    def refused() -> Path:
        tried.append(failure)
        raise failure

    cache = ReleaseCache(tmp_path / "shared")
    with pytest.raises(failure):
        cache.fetch(SHA256, len(CONTENT), tmp_path / "copied", refused)
    assert len(tried) == 1
    assert Site(tmp_path / "a", cache).fetch() == CONTENT
