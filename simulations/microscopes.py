"""A microscope, as a process: `python -m simulations.microscopes --plan FILE`.

It acquires frame after frame into a folder that others watch, whether or not anyone keeps up.
The truth of each frame goes to another folder, of which neither coordinator nor daemon is told.
"""

import argparse
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from pydantic import Field

from model_library.images.completeness import is_complete
from model_library.images.durable import write_durably
from model_library.images.writers import encode_acquisition
from model_library.wire.base import Message
from simulations.acquisition import acquire
from simulations.instrument_files import write_growing
from simulations.journal import Acquisition, append, read_journal
from simulations.scenario import SiteScenario

_LOOK_S = 0.1


class Session(Message):
    """A row of frames; it begins when the file `start` exists (someone pressed the button), or at once."""

    frames: int = Field(ge=0)
    start: Path | None = None


class MicroscopePlan(Message):
    """All that a microscope process is told. `rate_mpix_per_s` counts acquired pixels."""

    site: SiteScenario
    seed: int
    acquisition_folder: Path
    truth_folder: Path
    journal: Path
    rate_mpix_per_s: float = Field(gt=0)
    sessions: tuple[Session, ...]


@dataclass(frozen=True, slots=True)
class Clock:
    """Wall time in s since 1970, and a way to wait."""

    now: Callable[[], float] = time.time
    sleep: Callable[[float], None] = time.sleep


def frame_name(site: str, number: int) -> str:
    """File name of a frame; counts from 1 as instruments do."""
    return f"{site}_{number + 1:05d}.tif"


@dataclass(frozen=True, slots=True)
class _Exposed:
    """A frame in the instrument's memory, its truth already put away."""

    name: str
    field: str
    content: bytes
    pixels: int
    has_truth: bool


def run(plan: MicroscopePlan, clock: Clock) -> None:
    """Acquire every frame of the plan that is not there yet."""
    for folder in (plan.acquisition_folder, plan.truth_folder, plan.journal.parent):
        folder.mkdir(parents=True, exist_ok=True)
    done = {entry.number for entry in read_journal(plan.journal)}
    first = 0
    for session, part in enumerate(plan.sessions):
        numbers = [number for number in range(first, first + part.frames) if number not in done]
        first += part.frames
        ready: dict[int, _Exposed] = {}
        if part.start is not None:
            # Rendering takes longer than an exposure: done while waiting, it does not slow the session.
            ready = {number: _expose(plan, number) for number in numbers}
            while not part.start.exists():
                clock.sleep(_LOOK_S)
        due = clock.now()
        for number in numbers:
            exposed = ready.pop(number, None) or _expose(plan, number)
            _store(plan, number, session, exposed, clock)
            due = _pace(due, exposed.pixels, plan.rate_mpix_per_s, clock)


def _expose(plan: MicroscopePlan, number: int) -> _Exposed:
    name = frame_name(plan.site.name, number)
    acquired = acquire(plan.site, number, plan.seed)
    if acquired.truth is not None:
        write_durably(plan.truth_folder / name, encode_acquisition(acquired.truth))
    return _Exposed(
        name=name,
        field=acquired.frame.field or name,
        content=encode_acquisition(acquired.frame),
        pixels=int(acquired.frame.pixels.size),
        has_truth=acquired.truth is not None,
    )


def _store(plan: MicroscopePlan, number: int, session: int, exposed: _Exposed, clock: Clock) -> None:
    path = plan.acquisition_folder / exposed.name
    # Killed between the last byte and the journal: the frame is there, and may have been taken up.
    if not (path.exists() and is_complete(path)):
        write_growing(path, exposed.content, plan.site.writing)
    entry = Acquisition(
        number=number,
        name=exposed.name,
        field=exposed.field,
        pixels=exposed.pixels,
        session=session,
        written_at=clock.now(),
        has_truth=exposed.has_truth,
    )
    append(plan.journal, entry)


def _pace(due: float, pixels: int, rate_mpix_per_s: float, clock: Clock) -> float:
    due += pixels / (rate_mpix_per_s * 1e6)
    now = clock.now()
    if due <= now:
        return now
    clock.sleep(due - now)
    return due


def main() -> None:
    """Acquire frames until the plan is done. Example: python -m simulations.microscopes --plan plan.json."""
    parser = argparse.ArgumentParser(prog="python -m simulations.microscopes", description=__doc__)
    parser.add_argument("--plan", type=Path, required=True, help="JSON file of a MicroscopePlan")
    plan: Path = parser.parse_args().plan
    run(MicroscopePlan.model_validate_json(plan.read_text(encoding="utf-8")), Clock())


if __name__ == "__main__":
    main()
