"""Waiting for what other processes and threads do, never for ever."""

import time
from collections.abc import Callable
from typing import Any


def until(
    condition: Callable[[], Any], seconds: float = 200.0, what: str = "something", *, every_s: float = 0.05
) -> Any:
    """Await a condition, and return what it gave."""
    deadline = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < deadline, f"expected {what} within {seconds:.0f} s, waited in vain"
        time.sleep(every_s)
    return found
