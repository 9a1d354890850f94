"""The curve of a training, one JSON object a line, complete however often training was interrupted."""

import json
from collections.abc import Sequence
from pathlib import Path

from pydantic import ValidationError

from model_library.images.durable import write_durably
from model_library.training.config import FitConfig
from model_library.training.progress import FitProgress, Judgement
from model_library.training.schedules import learning_rate_at
from model_library.wire.base import Message


class CurvePoint(Message):
    """One step: the loss of its batch, and the held-out loss where one was due."""

    step: int
    loss: float
    learning_rate: float
    validation: float | None = None


class LiveCurve:
    """Writes every step down as it is told.

    Parameters
    ----------
    path
        Of the file; what it holds of steps before the first one told is kept.
    """

    def __init__(self, path: Path) -> None:
        self._path, self._begun = path, False

    def tell(self, now: FitProgress) -> None:
        """Append a step."""
        if not self._begun:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            write_curve(self._path, [point for point in read_curve(self._path) if point.step < now.step])
            self._begun = True
        point = CurvePoint(
            step=now.step, loss=now.loss, learning_rate=now.learning_rate, validation=now.validation
        )
        with self._path.open("a", encoding="utf-8") as file:
            file.write(_line(point))


def points_of(
    losses: Sequence[float], judgements: Sequence[Judgement], config: FitConfig
) -> list[CurvePoint]:
    """Put the curve of a whole training together from its result."""
    judged = dict(judgements)
    return [
        CurvePoint(
            step=step,
            loss=loss,
            learning_rate=learning_rate_at(step - 1, config),
            validation=judged.get(step),
        )
        for step, loss in enumerate(losses, start=1)
    ]


def write_curve(path: Path, points: Sequence[CurvePoint]) -> None:
    """Write a curve, durably."""
    write_durably(path, "".join(map(_line, points)).encode())


def read_curve(path: Path) -> list[CurvePoint]:
    """Read a curve up to the first line that is none: a kill can cut the last one short."""
    points: list[CurvePoint] = []
    if path.exists():
        for line in path.read_text(encoding="utf-8").splitlines():
            try:
                points.append(CurvePoint.model_validate_json(line))
            except ValidationError:
                break
    return points


def _line(point: CurvePoint) -> str:
    return json.dumps(point.model_dump(mode="json")) + "\n"
