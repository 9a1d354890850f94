"""Looking at something at intervals while something else goes on."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager


@contextmanager
def periodically(look: Callable[[], None], every_s: float) -> Iterator[None]:
    """Call a function at intervals, in a thread of its own, for as long as the block lasts."""
    ended = threading.Event()

    def watch() -> None:
        while not ended.wait(every_s):
            look()

    thread = threading.Thread(target=watch, name="periodic", daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()
