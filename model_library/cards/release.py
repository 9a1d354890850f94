"""What is published for an instrument; the file is a TUF target, so it arrives signed or not at all."""

from datetime import datetime

from model_library.cards.card import NetworkCard
from model_library.wire.base import Message
from model_library.wire.methods import MethodRef
from model_library.wire.tasks import Task


class ReleaseManifest(Message):
    """The method that one instrument is to use from now on.

    `card` and `weights_target` (the TUF target path of the safetensors file) are present exactly
    when `method` is a network. `reasons` are the gate's, in words.
    """

    release_id: str
    instrument_id: str
    task: Task
    method: MethodRef
    card: NetworkCard | None = None
    weights_target: str | None = None
    reasons: tuple[str, ...]
    supersedes: str | None = None
    created_at: datetime


def channel_target(instrument_id: str) -> str:
    """TUF target path of the manifest in force for an instrument."""
    return f"channels/{instrument_id}.json"


def weights_target(sha256: str) -> str:
    """TUF target path of a weights file, named by its content."""
    return f"weights/{sha256}.safetensors"
