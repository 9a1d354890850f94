"""Durable writes: synced before they are named, replaced whole, permissions as asked."""

import os
import stat

import pytest

from model_library.images import durable
from model_library.images.durable import write_durably


def test_bytes_are_synced_before_and_their_name_after_the_rename(tmp_path, monkeypatch):
    events = []
    monkeypatch.setattr(
        durable.os, "fsync", lambda handle: events.append(stat.S_ISDIR(os.fstat(handle).st_mode))
    )
    original = durable.Path.replace
    monkeypatch.setattr(
        durable.Path, "replace", lambda self, to: (events.append("rename"), original(self, to))[1]
    )
    write_durably(tmp_path / "a.bin", b"content")
    assert events == [False, "rename", True]


def test_an_earlier_file_is_replaced_whole(tmp_path):
    path = tmp_path / "a.bin"
    write_durably(path, b"a long first version")
    write_durably(path, b"second")
    assert path.read_bytes() == b"second"
    assert list(tmp_path.iterdir()) == [path]


def test_a_failed_sync_keeps_the_earlier_file(tmp_path, monkeypatch):
    path = tmp_path / "a.bin"
    write_durably(path, b"first")

    def broken(_handle):
        raise OSError("EIO")

    monkeypatch.setattr(durable.os, "fsync", broken)
    with pytest.raises(OSError, match="EIO"):
        write_durably(path, b"second")
    assert path.read_bytes() == b"first"
    assert list(tmp_path.iterdir()) == [path]


def test_keys_are_private_to_their_owner(tmp_path):
    path = tmp_path / "key.pem"
    write_durably(path, b"secret", mode=0o600)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
