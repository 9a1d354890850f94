"""What this site's computer can do: kept by `synoptic site calibrate`, told by the heartbeat."""

from pathlib import Path

from pydantic import ValidationError

from model_library.images.durable import write_durably
from model_library.wire.compute import ComputeFacts

FILE_NAME = "compute.json"


def keep_compute(folder: Path, facts: ComputeFacts) -> None:
    """Keep what was measured in the site's folder."""
    write_durably(folder / FILE_NAME, (facts.model_dump_json(indent=2) + "\n").encode())


def read_compute(folder: Path) -> ComputeFacts | None:
    """Recall what was measured; None where nothing was, or another version of this program wrote it."""
    try:
        return ComputeFacts.model_validate_json((folder / FILE_NAME).read_bytes())
    except (OSError, ValidationError):
        return None
