"""Child process that writes frames as a microscope does, and measures what each write takes.

Run as `python -m simulations.replay.writer`; each question is a block of frames.
"""

import time
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any, BinaryIO

from pydantic import Field

from model_library.processes.answering import answer_questions
from model_library.signing.digests import sha256_bytes
from model_library.wire.base import Message
from simulations.replay.frames import Manner, Written, frame_bytes, manner_of

_PIECES = 4
_PAUSE_S = 0.02
"""Between the last pieces of a block, when there are no other frames to write."""


class Block(Message):
    """Frames `first` to `first + count - 1`, one every `interval_s` or as fast as it goes.

    Of `emptied`, files that nobody needs any more, at most one is removed before each frame. A virtual
    machine whose memory is lent waits for its host at every page that it has not used lately, ten times as
    long as the write takes; what a removed file leaves is at hand.
    """

    folder: Path
    emptied: tuple[Path, ...] = ()
    first: int = Field(ge=0)
    count: int = Field(ge=1)
    side_px: int = Field(ge=16)
    seed: int
    interval_s: float = Field(default=0.0, ge=0)


@dataclass
class _Open:
    """A file that is written slowly."""

    file: BinaryIO
    path: Path
    pieces: list[bytes]
    number: int
    sha256: str
    spent_s: float


class Writer:
    """Writes blocks; several slow files may be open at once, none of them longer than its block."""

    def __init__(self) -> None:
        self._open: list[_Open] = []
        self._done: list[Written] = []

    def write(self, block: Block) -> list[Written]:
        """Write a block, and tell of each frame in the order in which they were closed."""
        self._done = []
        block.folder.mkdir(parents=True, exist_ok=True)
        contents = [
            (number, frame_bytes(number, block.side_px, block.seed))
            for number in range(block.first, block.first + block.count)
        ]
        emptied = iter(block.emptied)
        due = time.monotonic()
        for number, content in contents:
            time.sleep(max(0.0, due - time.monotonic()))
            due = max(due + block.interval_s, time.monotonic())
            if (old := next(emptied, None)) is not None:
                old.unlink()
            self._begin(block, number, content)
            # Files that are written slowly go on between the others, not at the moment when one is closed.
            time.sleep(block.interval_s / 2)
            self._go_on(before=number)
        while self._open:
            time.sleep(_PAUSE_S)
            self._go_on(before=block.first + block.count)
        return self._done

    def _begin(self, block: Block, number: int, content: bytes) -> None:
        path, sha256 = block.folder / f"frame-{number:06d}.tif", sha256_bytes(content)
        match manner_of(number, block.seed):
            case Manner.SLOW:
                self._begin_slowly(path, number, content, sha256)
                return
            case Manner.RENAMED:
                hidden = path.with_name(f".{path.name}.part")
                begun = time.perf_counter()
                hidden.write_bytes(content)
                hidden.rename(path)
                manner = Manner.RENAMED
            case Manner.WHOLE:
                begun = time.perf_counter()
                path.write_bytes(content)
                manner = Manner.WHOLE
        ended, closed_at = time.perf_counter(), time.time()
        self._note(number, path, sha256, manner, (ended - begun, closed_at))

    def _begin_slowly(self, path: Path, number: int, content: bytes, sha256: str) -> None:
        cuts = (len(content) * piece // _PIECES for piece in range(_PIECES + 1))
        first, *rest = (content[start:end] for start, end in pairwise(cuts))
        begun = time.perf_counter()
        file = path.open("wb", buffering=0)
        file.write(first)
        self._open.append(_Open(file, path, rest, number, sha256, time.perf_counter() - begun))

    def _go_on(self, before: int) -> None:
        """Write the next piece of every open file of a frame before this one."""
        for slow in [each for each in self._open if each.number < before]:
            begun = time.perf_counter()
            slow.file.write(slow.pieces.pop(0))
            if not slow.pieces:
                slow.file.close()
            ended, closed_at = time.perf_counter(), time.time()
            slow.spent_s += ended - begun
            if not slow.pieces:
                self._open.remove(slow)
                self._note(slow.number, slow.path, slow.sha256, Manner.SLOW, (slow.spent_s, closed_at))

    def _note(
        self, number: int, path: Path, sha256: str, manner: Manner, spent_and_closed: tuple[float, float]
    ) -> None:
        spent_s, closed_at = spent_and_closed
        self._done.append(
            Written(
                number=number,
                name=path.name,
                sha256=sha256,
                manner=manner,
                closed_at=closed_at,
                write_ms=1e3 * spent_s,
            )
        )


def main() -> None:
    """Write what is asked for."""
    writer = Writer()

    def answer(question: dict[str, Any]) -> dict[str, Any]:
        written = writer.write(Block.model_validate(question))
        return {"written": [each.model_dump(mode="json") for each in written]}

    answer_questions(answer)


if __name__ == "__main__":
    main()
