"""Child process that adapts networks to this site's frames; torch stays loaded from round to round.

Run by the daemon as `python -m site_client.trainer --threads N --nice N`, while a federation lasts.
"""

import argparse
import os
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import structlog
import torch
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file

from model_library.cards.adaptation import AdaptationPlan
from model_library.errors import ImageError, WeightsError
from model_library.images.contents import read_grey_frame
from model_library.processes.answering import answer_questions
from model_library.signing.digests import sha256_file
from site_client.adapt import Material, TrainingFrame, adapt
from site_client.errors import AdaptationRefused
from site_client.federation.desk import UPDATE_FILE, WEIGHTS_FILE

_MOST_PIXELS = 64 << 20
"""Held at four bytes each."""
_LOG = structlog.get_logger("trainer")


class Trainer:
    """Answers the questions `prepare` and `adapt`; keeps the last frames in memory."""

    def __init__(self) -> None:
        self._prepared: tuple[str, Material] | None = None

    def answer(self, question: dict[str, Any]) -> dict[str, Any]:
        """Answer one question; refusals are raised."""
        match question["op"]:
            case "prepare":
                frames = len(self._material(question["frames"]).frames)
                _step_once()
                return {"frames": frames}
            case "adapt":
                return self._adapt(question)
            case other:
                raise ValueError(f"unknown question {other!r}")

    def _adapt(self, question: dict[str, Any]) -> dict[str, Any]:
        exchange = Path(question["exchange"])
        material = self._material(question["frames"])
        try:
            weights = load_file(exchange / WEIGHTS_FILE)
        except SafetensorError as error:
            raise WeightsError(f"expected weights as safetensors, found {error}") from None
        # The monotonic clock is the machine's, the same in the daemon that set the end.
        update, report = adapt(
            material,
            weights,
            AdaptationPlan.model_validate(question["plan"]),
            stop=lambda: time.monotonic() > question["until"],
            clock=time.monotonic,
        )
        save_file(update, exchange / UPDATE_FILE)
        return {
            "report": report.model_dump(mode="json"),
            "update_bytes": (exchange / UPDATE_FILE).stat().st_size,
        }

    def _material(self, files: Sequence[dict[str, str]]) -> Material:
        key = repr(files)
        if self._prepared is None or self._prepared[0] != key:
            self._prepared = None
            self._prepared = key, Material.of(read_frames(files))
        return self._prepared[1]


def read_frames(files: Sequence[dict[str, str]], most_pixels: int = _MOST_PIXELS) -> list[TrainingFrame]:
    """Read frames that are still the ones that were accepted, until memory is used up.

    Parameters
    ----------
    files
        `path`, `sha256` and `field` of each.
    most_pixels
        No further frame is read beyond this many pixels.

    Raises
    ------
    AdaptationRefused
        None of the files is readable any more.
    """
    frames: list[TrainingFrame] = []
    pixels = 0
    for file in files:
        path = Path(file["path"])
        try:
            if sha256_file(path) != file["sha256"]:
                _LOG.info("frame-changed", path=str(path))
                continue
            grey = read_grey_frame(path).grey
        except (OSError, ImageError) as error:
            _LOG.info("frame-left-out", path=str(path), reason=str(error))
            continue
        frames.append(TrainingFrame(grey, file["field"]))
        pixels += grey.size
        if pixels >= most_pixels:
            break
    if not frames:
        raise AdaptationRefused(
            f"expected frames to train on, found that none of {len(files)} is readable any more"
        )
    return frames


def _step_once() -> None:
    # Torch loads a good part of itself at the first step of an optimiser: seconds of the first round.
    module = torch.nn.Conv2d(1, 1, 1)
    optimiser = torch.optim.Adam(module.parameters())
    module(torch.zeros(1, 1, 4, 4)).sum().backward()
    optimiser.step()


def main() -> None:
    """Answer the daemon's questions, politely."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--threads", type=int, required=True)
    parser.add_argument("--nice", type=int, required=True)
    arguments = parser.parse_args()
    os.nice(arguments.nice)
    torch.set_num_threads(arguments.threads)
    answer_questions(Trainer().answer)


if __name__ == "__main__":
    main()
