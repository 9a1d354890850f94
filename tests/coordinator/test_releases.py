"""The TUF repository of a coordinator: what it publishes, when it signs again, what a crash leaves."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from tuf.api.metadata import Metadata

from coordinator.errors import NotFounded
from coordinator.releases.repository import ReleaseRepository, found
from coordinator.releases.roles import ROLES, load_keys, make_keys

NOW = 1_800_000_000.0
DAY = 86_400.0


@pytest.fixture
def repository(tmp_path: Path) -> ReleaseRepository:
    (tmp_path / "keys").mkdir()
    found(tmp_path / "releases", make_keys(tmp_path / "keys"), NOW)
    return ReleaseRepository(tmp_path / "releases", load_keys(tmp_path / "keys"))


def read(repository: ReleaseRepository, name: str) -> Metadata:
    return Metadata.from_file(str(repository.metadata_file(name)))


def test_every_role_is_signed_as_the_root_asks(repository: ReleaseRepository) -> None:
    root = Metadata.from_bytes(repository.root().encode())
    assert root.signed.roles["root"].threshold == 2
    root.verify_delegate("root", root)
    for role, name in (
        ("targets", "1.targets.json"),
        ("snapshot", "1.snapshot.json"),
        ("timestamp", "timestamp.json"),
    ):
        root.verify_delegate(role, read(repository, name))
        assert len(root.signed.roles[role].keyids) == len(ROLES[role].keys)


def test_a_published_file_lies_under_its_digest_and_is_listed(repository: ReleaseRepository) -> None:
    assert repository.publish({"channels/a.json": b"{}"}, NOW)
    listed = read(repository, "2.targets.json").signed.targets["channels/a.json"]
    assert repository.target_file(f"channels/{listed.hashes['sha256']}.a.json").read_bytes() == b"{}"


def test_publishing_the_same_again_writes_nothing(repository: ReleaseRepository) -> None:
    repository.publish({"channels/a.json": b"{}"}, NOW)
    before = repository.metadata_file("timestamp.json").read_bytes()
    assert not repository.publish({"channels/a.json": b"{}"}, NOW + 5)
    assert repository.metadata_file("timestamp.json").read_bytes() == before


def test_simultaneous_publications_all_arrive(repository: ReleaseRepository) -> None:
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda n: repository.publish({f"channels/{n}.json": b"%d" % n}, NOW), range(16)))
    timestamp = read(repository, "timestamp.json").signed
    assert timestamp.version == 17
    assert len(read(repository, "17.targets.json").signed.targets) == 16


def test_a_crash_before_the_timestamp_leaves_the_state_before(
    repository: ReleaseRepository, monkeypatch: pytest.MonkeyPatch
) -> None:
    from coordinator.releases import repository as module

    write = module.write_durably

    def fail_at_the_end(path: Path, content: bytes) -> None:
        if path.name == "timestamp.json":
            raise OSError("power cut")
        write(path, content)

    monkeypatch.setattr(module, "write_durably", fail_at_the_end)
    with pytest.raises(OSError, match="power cut"):
        repository.publish({"channels/a.json": b"1"}, NOW)
    monkeypatch.undo()
    assert read(repository, "timestamp.json").signed.version == 1
    assert repository.publish({"channels/a.json": b"2"}, NOW)
    assert read(repository, "timestamp.json").signed.version == 2


@pytest.mark.parametrize(
    ("after_days", "renewed"),
    [
        (0.5, ()),
        (1.5, ("timestamp",)),
        (20, ("snapshot", "timestamp")),
        (300, ("targets", "snapshot", "timestamp")),
    ],
)
def test_metadata_is_signed_again_in_its_second_half_of_life(
    repository: ReleaseRepository, after_days: float, renewed: tuple[str, ...]
) -> None:
    now = NOW + after_days * DAY
    assert repository.renew(now) == renewed
    assert repository.expires_at() > now + 0.4 * DAY
    root = Metadata.from_bytes(repository.root().encode())
    root.verify_delegate("timestamp", read(repository, "timestamp.json"))
    assert repository.renew(now) == ()


def test_a_second_founding_is_refused(repository: ReleaseRepository, tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    with pytest.raises(NotFounded, match="found a repository"):
        found(tmp_path / "releases", make_keys(tmp_path / "other"), NOW)
