"""Child process that adapts networks to this site's frames; torch stays loaded from round to round.

Run by the daemon as `python -m site_client.trainer --threads N --nice N`, while a federation lasts.
"""

import argparse
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import structlog
import torch
from safetensors import SafetensorError
from safetensors.numpy import load_file

from model_library.cards.adaptation import AdaptationPlan
from model_library.errors import ImageError, WeightsError
from model_library.images.contents import read_middle_plane
from model_library.processes.answering import answer_questions
from model_library.processes.operating_system import lower_priority
from model_library.signing.digests import sha256_file
from model_library.wire.delta_coding import pack
from model_library.wire.methods import NetworkRef
from site_client.adapt import Material, TrainingFrame, adapt
from site_client.between_layers import asked_between_layers
from site_client.errors import AdaptationRefused
from site_client.federation.desk import UPDATE_FILE, WEIGHTS_FILE
from site_client.federation.kept import Kept, KeptArrays
from site_client.federation.noising import privatise, silent

_MOST_PIXELS = 64 << 20
"""Held at four bytes each."""
_HELD_LOOK_S = 0.1
_LOG = structlog.get_logger("trainer")


class Trainer:
    """Answers `prepare`, `adapt` and `adapt_locally`; keeps the last frames of a federation in memory."""

    def __init__(self) -> None:
        self._prepared: tuple[str, Material] | None = None

    def answer(self, question: dict[str, Any]) -> dict[str, Any]:
        """Answer one question; refusals are raised."""
        with _giving_way(question) as stop:
            match question["op"]:
                case "prepare":
                    frames = len(self._material(question["frames"], stop).frames)
                    _step_once()
                    return {"frames": frames}
                case "adapt":
                    return self._adapt(question, stop)
                case "adapt_locally":
                    return _adapt_locally(question, stop)
                case other:
                    raise ValueError(f"unknown question {other!r}")

    def _adapt(self, question: dict[str, Any], stop: Callable[[], bool]) -> dict[str, Any]:
        exchange = Path(question["exchange"])
        material = self._material(question["frames"], stop)
        try:
            weights = load_file(exchange / WEIGHTS_FILE)
        except SafetensorError as error:
            raise WeightsError(f"expected weights as safetensors, found {error}") from None
        plan = AdaptationPlan.model_validate(question["plan"])
        room = KeptArrays(Path(question["kept"]), plan.federation_id)
        before = room.before(plan.number, weights)
        came = dict(weights)
        weights |= {key: array for key, array in before.own.items() if key in plan.keeps}
        # The monotonic clock is the machine's, the same in the daemon that set the end.
        update, report = adapt(material, weights, plan, stop=stop, clock=time.monotonic)
        own = {key: weights[key] + update[key] for key in plan.keeps if key in update}
        leaving = {key: np.asarray(weights[key] + update[key] - came[key]) for key in plan.sends(weights)}
        if plan.privacy is None:
            packed = pack(leaving, plan.encoding, before.residual if plan.kind == "update" else {})
            residual = packed.residual
        else:
            # Seeded by the operating system. Rounding is paid back to no private update: what is added to
            # it has to be noise, and rounding is far below that.
            leaving, report = privatise(leaving, plan.privacy, np.random.default_rng()), silent(report)
            packed, residual = pack(leaving, plan.encoding), {}
        room.keep(plan.number, Kept(residual, own))
        (exchange / UPDATE_FILE).write_bytes(packed.content)
        return {"report": report.model_dump(mode="json"), "update_bytes": len(packed.content)}

    def _material(self, files: Sequence[dict[str, str]], stop: Callable[[], bool]) -> Material:
        key = repr(files)
        if self._prepared is None or self._prepared[0] != key:
            self._prepared = None
            self._prepared = key, Material.of(read_frames(files, wait=stop))
        return self._prepared[1]


def _adapt_locally(question: dict[str, Any], stop: Callable[[], bool]) -> dict[str, Any]:
    # What checks networks is not needed in a federation.
    from site_client.local_training import LocalTask, adapt_locally

    task = LocalTask(
        ref=NetworkRef.model_validate(question["ref"]),
        folder=Path(question["folder"]),
        networks=Path(question["networks"]),
        steps=question["steps"],
        seed=question["seed"],
        look=question["look"],
    )
    frames = read_frames(question["frames"], min(question["most_pixels"], _MOST_PIXELS), stop)
    result = adapt_locally(task, frames, stop=stop, clock=time.monotonic)
    return {**result.model_dump(mode="json"), "told": result.told()}


@contextmanager
def _giving_way(question: dict[str, Any]) -> Iterator[Callable[[], bool]]:
    """Wait after each layer while the microscope acquires; give what is asked before steps and files.

    That waits as well, and says whether time is up.
    """
    hold, until = Path(question["hold"]), float(question["until"])

    def stop() -> bool:
        return not wait_while_held(hold, until)

    with asked_between_layers(stop):
        yield stop


def wait_while_held(hold: Path, until: float) -> bool:
    """Wait until a file is gone: the microscope acquires while it is there.

    Parameters
    ----------
    until
        Monotonic seconds, the machine's; nothing is awaited beyond.

    Returns
    -------
    Whether there is time left.
    """
    while time.monotonic() <= until:
        if not hold.exists():
            return True
        time.sleep(_HELD_LOOK_S)
    return False


def read_frames(
    files: Sequence[dict[str, str]],
    most_pixels: int = _MOST_PIXELS,
    wait: Callable[[], object] = lambda: None,
) -> list[TrainingFrame]:
    """Read frames that are still the ones that were accepted, until memory is used up.

    Of a stack or series the middle plane is taken, of colour the luminance: what leaves the site as well.

    Parameters
    ----------
    files
        `path`, `sha256` and `field` of each.
    most_pixels
        No further frame is read beyond this many pixels.
    wait
        Called before each: to wait while the microscope acquires.

    Raises
    ------
    AdaptationRefused
        None of the files is readable any more.
    """
    frames: list[TrainingFrame] = []
    pixels = 0
    for file in files:
        wait()
        path = Path(file["path"])
        try:
            if sha256_file(path) != file["sha256"]:
                _LOG.info("frame-changed", path=str(path))
                continue
            frame = read_middle_plane(path)[1]
        except (OSError, ImageError) as error:
            _LOG.info("frame-left-out", path=str(path), reason=str(error))
            continue
        frames.append(TrainingFrame(frame.grey, file["field"], frame.pixel_size_nm))
        pixels += frame.grey.size
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
    lower_priority(arguments.nice)
    torch.set_num_threads(arguments.threads)
    answer_questions(Trainer().answer)


if __name__ == "__main__":
    main()
