"""Where a site stands with federations, as `site status` tells it."""

from typing import Literal

from pydantic import ValidationError

from model_library.wire.base import Message
from site_client.journal import Journal

_FACT = "federation"


class Standing(Message):
    """The federation that the site was last invited to, and how it goes.

    `state`: `apart` (nothing of Flower's runs), `joining` (invited, something is still missing) or
    `taking_part`. `rounds_done` is the last round that this site answered with an update. `cause`
    is why joining or a round failed last; None after a success.
    """

    state: Literal["apart", "joining", "taking_part"] = "apart"
    federation_id: str | None = None
    rounds: int = 0
    rounds_done: int = 0
    cause: str | None = None


def read_standing(journal: Journal) -> Standing:
    """Recall the standing; the default one where none was ever kept."""
    fact = journal.fact(_FACT)
    try:
        return Standing() if fact is None else Standing.model_validate_json(fact)
    except ValidationError:  # written by another version of this program
        return Standing()


def keep_standing(journal: Journal, standing: Standing) -> None:
    """Remember the standing, if it is another one."""
    if read_standing(journal) != standing:
        journal.remember(_FACT, standing.model_dump_json())
