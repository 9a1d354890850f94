"""Which of an instrument's frames are kept in mind to train on: few, spread over fields of view and time.

Only names are kept: a frame's file stays where the microscope wrote it, and drops out when it is gone.
"""

from collections import Counter
from collections.abc import Callable, Iterable

from pydantic import Field

from model_library.signing.digests import sha256_bytes
from model_library.wire.base import Message


class BufferedFrame(Message):
    """A frame: its number, the path in the acquisition folder, digest, field of view, bytes of its file."""

    sequence: int = Field(ge=1)
    path: str
    sha256: str
    field: str
    bytes: int = Field(ge=0)


class BufferLimits(Message):
    """The most that a buffer holds: frames, and bytes of their files together."""

    frames: int = Field(ge=1)
    bytes: int = Field(ge=1)


class ReplayBuffer(Message):
    """Frames in ascending order of their number; `through` is the last frame that was looked at."""

    through: int = Field(default=0, ge=0)
    frames: tuple[BufferedFrame, ...] = ()

    def admit(self, new: Iterable[BufferedFrame], limits: BufferLimits, seed: int = 0) -> "ReplayBuffer":
        """Take in frames, one after another, and let others go where that is too much.

        Out goes a frame of the field of view with most frames, and of these the one whose neighbours in
        time lie closest to each other; the newest frame stays. Equals are told apart by a digest with
        `seed`, so the same frames in the same order give the same buffer, also in another process.

        Parameters
        ----------
        new
            In ascending order; those that were looked at before are passed over. One that is larger than
            the buffer is left out.
        """
        buffer = self
        for frame in new:
            if frame.sequence <= buffer.through:
                continue
            held = buffer.frames if frame.bytes > limits.bytes else (*buffer.frames, frame)
            buffer = ReplayBuffer(through=frame.sequence, frames=held).within(limits, seed)
        return buffer

    def within(self, limits: BufferLimits, seed: int = 0) -> "ReplayBuffer":
        """Let frames go until the rest is within the limits."""
        frames = list(self.frames)
        size = sum(each.bytes for each in frames)
        while frames and (len(frames) > limits.frames or size > limits.bytes):
            gone = _superfluous(frames, seed)
            size -= gone.bytes
            frames.remove(gone)
        return self.model_copy(update={"frames": tuple(frames)})

    def present(self, is_there: Callable[[BufferedFrame], bool]) -> "ReplayBuffer":
        """Drop the frames whose files are gone."""
        return self.model_copy(update={"frames": tuple(each for each in self.frames if is_there(each))})


def _superfluous(frames: list[BufferedFrame], seed: int) -> BufferedFrame:
    """Choose the frame that is missed least; `frames` is in ascending order and not empty."""
    counts = Counter(each.field for each in frames)
    most = max(counts.values())
    pool = frames if most == 1 else [each for each in frames if counts[each.field] == most]
    gaps: dict[int, float] = {}
    for field in {each.field for each in pool} if most > 1 else {None}:
        same = [each for each in pool if field in (None, each.field)]
        for place, each in enumerate(same):
            ends = place in (0, len(same) - 1)
            gaps[each.sequence] = (
                float("inf") if ends else same[place + 1].sequence - same[place - 1].sequence
            )
    candidates = [each for each in pool if each is not frames[-1]] or pool
    return min(candidates, key=lambda each: (gaps[each.sequence], _lot(each, seed)))


def _lot(frame: BufferedFrame, seed: int) -> str:
    return sha256_bytes(f"{seed}:{frame.sha256}:{frame.sequence}".encode())
