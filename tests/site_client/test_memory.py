"""A site's memory, seen from another process: whole, or not there yet."""

import threading
from pathlib import Path

import pytest

from site_client.database import Database
from site_client.errors import EnrolmentError
from site_client.memory import LEDGER_FILE, seen_memory


def test_a_memory_that_a_daemon_is_only_about_to_make_is_none(tmp_path: Path):
    for make in (lambda: None, (tmp_path / LEDGER_FILE).touch):
        make()
        with pytest.raises(EnrolmentError, match="the daemon never ran"), seen_memory(tmp_path):
            pass
    Database(tmp_path / LEDGER_FILE).close()
    with seen_memory(tmp_path) as memory:
        assert memory.ledger.counts().acquired == 0


def test_whoever_looks_sees_all_tables_or_none(tmp_path: Path):
    seen: set[int] = set()
    files = [tmp_path / f"{number}.sqlite" for number in range(20)]
    for file in files:
        file.touch()

    def look() -> None:
        for file in files:
            count = 0
            while not count:
                reader = Database(file, read_only=True)
                rows = reader.rows("SELECT count(*) FROM sqlite_master WHERE type = 'table'")
                reader.close()
                count = rows[0][0]
                seen.add(count)

    looking = threading.Thread(target=look)
    looking.start()
    for file in files:
        Database(file).close()
    looking.join(timeout=60)
    assert not looking.is_alive()
    assert len(seen - {0}) == 1
