"""Processes and their descendants, as Linux tells of them."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from simulations.processes import families, family, marked, usage

MARK = "SYNOPTIC_TEST_MARK"
PARENT = """
import subprocess, sys
child = subprocess.Popen([sys.executable, "-c", "import sys; sys.stdin.read()"], stdin=subprocess.PIPE)
print(child.pid, flush=True)
sys.stdin.read()
"""


@pytest.fixture
def pair(tmp_path: Path) -> Iterator[tuple[int, int, str]]:
    """A process, its child, and the value by which both are marked."""
    process = subprocess.Popen(
        [sys.executable, "-c", PARENT],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env={**os.environ, MARK: str(tmp_path)},
        text=True,
    )
    assert process.stdout is not None
    child = int(process.stdout.readline())
    yield process.pid, child, str(tmp_path)
    # Both read until their parent is gone.
    process.communicate(timeout=20)


def test_a_family_begins_with_its_head(pair: tuple[int, int, str]) -> None:
    parent, child, _ = pair
    assert family(parent) == (parent, child)
    assert {parent, child} <= set(family(os.getpid()))
    assert families((child, parent)) == {child: (child,), parent: (parent, child)}
    assert usage(child).rss_bytes > 0


def test_a_mark_is_inherited_and_must_be_equal(pair: tuple[int, int, str]) -> None:
    parent, child, mark = pair
    assert set(marked(MARK, mark)) == {parent, child}
    assert marked(MARK, mark[:-1]) == ()
