"""Flower's client side: one message in, one update out; the work is the daemon's trainer's.

This process lives for one message, so it must start fast: it imports neither torch nor scipy.
"""

import os
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
from flwr.app import Array, ArrayRecord, ConfigRecord, Context, Error, Message, RecordDict
from flwr.clientapp import ClientApp
from pydantic import ValidationError

from model_library.cards.adaptation import PACKED, AdaptationPlan, AdaptationReport
from model_library.errors import SynopticError
from site_client.federation.desk import (
    DESK_VARIABLE,
    EXCHANGE_VARIABLE,
    UPDATE_FILE,
    WEIGHTS_FILE,
    ask_desk,
)

REFUSED = 2
"""Flower's number for an application that raised an exception."""

Work = Callable[[Path, AdaptationPlan], AdaptationReport]

app = ClientApp()


@app.train()
def train(message: Message, context: Context) -> Message:  # noqa: ARG001
    """Adapt the weights of a message, as its plan says.

    Parameters
    ----------
    message
        `weights`: the bytes of a safetensors file (`PACKED`); `plan`: `json` holds an `AdaptationPlan`.
    context
        Flower's; unused.

    Returns
    -------
    Message
        `update`: what to add to each array, packed likewise; `report`: `json` holds an
        `AdaptationReport`. Or an error whose reason says why there is none.
    """
    desk = Path(os.environ[DESK_VARIABLE])
    return answered(message, Path(os.environ[EXCHANGE_VARIABLE]), partial(ask_desk, desk))


def answered(message: Message, room: Path, work: Work) -> Message:
    """Answer a message with what `work` makes of it; its refusals become errors that say why.

    Parameters
    ----------
    room
        Folder in which the exchange gets a folder of its own for as long as this takes.
    work
        Given that folder with `WEIGHTS_FILE`, and the plan, leaves `UPDATE_FILE` there.
    """
    try:
        return Message(_adapted(message.content, room, work), reply_to=message)
    except (SynopticError, ValidationError, ValueError, KeyError, TypeError, OSError) as refusal:
        kind = "" if isinstance(refusal, SynopticError) else f"{type(refusal).__name__}: "
        return Message(Error(code=REFUSED, reason=f"{kind}{refusal}"), reply_to=message)


def _adapted(content: RecordDict, room: Path, work: Work) -> RecordDict:
    plan = AdaptationPlan.model_validate_json(str(content.config_records["plan"]["json"]))
    weights = content.array_records["weights"][PACKED]
    with tempfile.TemporaryDirectory(dir=room) as folder:
        exchange = Path(folder)
        (exchange / WEIGHTS_FILE).write_bytes(weights.numpy().tobytes())
        report = work(exchange, plan)
        update = np.fromfile(exchange / UPDATE_FILE, np.uint8)
    return RecordDict(
        {
            "update": ArrayRecord({PACKED: Array(update)}),
            "report": ConfigRecord({"json": report.model_dump_json()}),
        }
    )
