"""Becomes Flower's SuperNode, a fault of flwr 1.41.0 made good: `... whole_messages PROGRAM ARGUMENTS`.

Where a run is stopped while a SuperNode fetches a message of it, as it is after a kill of the coordinator,
Flower forgets to take back the task that it had made of the message. The app process of that task answers
in place of the next message: from then on every answer of the site leaves one message late, until the
SuperNode ends. Here such a message fails like any other that cannot be fetched whole, with its task, and an
answer that was made of it meanwhile is dropped before the next message is fetched.

This is the one module of a site that touches private parts of Flower; a test holds it against them.
"""

import runpy
import sys
from collections.abc import Callable
from functools import partial
from importlib import import_module
from typing import Any, TypeVar

from flwr.supercore.run import RunNotRunningException

_LOOP = "flwr.supernode.start_client_internal"
_FETCH = "_pull_and_store_message"
_CALLS = ("pull_object", "confirm_message_received")

_T = TypeVar("_T")


class NotWholeError(Exception):
    """A message could not be fetched whole, since its run was stopped."""


def fetch_whole(fetch: Callable[..., int | None], **given: Any) -> int | None:  # noqa: ANN401
    """Fetch a message as Flower does; of one that it cannot finish nothing is left."""
    _drop_answers(given["state"], given["object_store"])
    return fetch(**{key: partial(_refusing, call) if key in _CALLS else call for key, call in given.items()})


def _drop_answers(state: Any, objects: Any) -> None:  # noqa: ANN401
    """Drop what nobody waits for: one message is handled at a time, and its answer leaves before the next."""
    for answer in state.get_messages_legacy(is_reply=True):
        state.delete_messages(message_ids=[answer.metadata.message_id])
        objects.delete(answer.metadata.message_id)


def _refusing(call: Callable[..., _T], *arguments: object) -> _T:
    try:
        return call(*arguments)
    except RunNotRunningException as stopped:
        # Flower's is no `Exception`, so it passes by the clause that takes back message and task.
        raise NotWholeError("its run is not running any more") from stopped


def main() -> None:
    """Run the program that is named first, with the rest of the arguments."""
    loop = import_module(_LOOP)
    setattr(loop, _FETCH, partial(fetch_whole, getattr(loop, _FETCH)))
    del sys.argv[0]
    runpy.run_path(sys.argv[0], run_name="__main__")


if __name__ == "__main__":
    main()
