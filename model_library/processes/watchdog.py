"""Ends the process groups of a parent that died: `python -m model_library.processes.watchdog`, fed by a pipe.

Its standard input holds lines `+GROUP` and `-GROUP`. When the pipe ends, which it does however the
parent dies, every group still listed is ended.
"""

import signal
import sys
import time
from collections.abc import Iterable
from contextlib import suppress

from model_library.processes.operating_system import ask_group, end_signals, group_lives, kill_group

GRACE_S = 5.0


def listed(lines: Iterable[str]) -> set[int]:
    """Read until the pipe ends; the groups that were never taken off the list."""
    groups: set[int] = set()
    for line in lines:
        group = int(line[1:])
        if line.startswith("+"):
            groups.add(group)
        else:
            groups.discard(group)
    return groups


def end_groups(groups: Iterable[int], grace_s: float = GRACE_S) -> None:
    """Ask groups to end, and after a while end those that did not."""
    left = [group for group in groups if ask_group(group)]
    deadline = time.monotonic() + grace_s
    while left and time.monotonic() < deadline:
        time.sleep(0.05)
        left = [group for group in left if group_lives(group)]
    for group in left:
        kill_group(group)


if __name__ == "__main__":
    for ignored in end_signals():
        with suppress(ValueError):
            signal.signal(ignored, signal.SIG_IGN)
    end_groups(listed(sys.stdin))
