"""Child process that makes what leaves the site of what was acquired: the same bytes every time.

Run by the daemon as `python -m site_client.outgoing MEMORY_BYTES`.
"""

import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from model_library.images.contents import read_middle_plane
from model_library.images.durable import write_durably
from model_library.images.frame import Frame
from model_library.images.writers import encode_acquisition
from model_library.processes.answering import answer_questions
from model_library.processes.operating_system import limit_memory
from model_library.signing.digests import sha256_bytes, sha256_file
from site_client.errors import SourceChanged
from site_client.send_policy import Made, SendPolicy


def reduced(frame: Frame, policy: SendPolicy) -> Frame:
    """Apply a policy to a frame.

    Parameters
    ----------
    frame
        uint8, uint16 or float32, axes [Y, X].

    Returns
    -------
    The middle of it, in uint8 where 8 bits of 16 are kept; with pixel size and field, and without the
    other pairs that its file holds.
    """
    pixels = frame.pixels
    if policy.crop_px is not None:
        rows, columns = (_middle(side, policy.crop_px) for side in pixels.shape)
        pixels = np.ascontiguousarray(pixels[rows, columns])
    if policy.bits is not None and pixels.dtype == np.uint16:
        pixels = pixels >> (16 - policy.bits)
        pixels = pixels.astype(np.uint8) if policy.bits == 8 else pixels
    return replace(frame, pixels=pixels, metadata={}, data_bar_rows=0)


def make(source: Path, target: Path, expected_sha256: str, policy: SendPolicy) -> Made:
    """Write what leaves.

    Raises
    ------
    SourceChanged
        The source is not the file that was accepted.
    ImageError
        It cannot be read.
    OSError
        It is gone, or the target cannot be written.
    """
    found = sha256_file(source)
    if found != expected_sha256:
        raise SourceChanged(f"{source.name}: expected the accepted file ({expected_sha256}), found {found}")
    recording, frame = read_middle_plane(source)
    content = encode_acquisition(reduced(frame, policy))
    write_durably(target, content)
    return Made(
        sha256=sha256_bytes(content),
        bytes=len(content),
        policy=policy.told(recording.planes, colour=recording.is_colour),
    )


def main() -> None:
    """Make what is asked for, under a memory limit."""
    limit_memory(int(sys.argv[1]))

    def answer(question: dict[str, Any]) -> dict[str, Any]:
        policy = SendPolicy.model_validate(question["policy"])
        made = make(Path(question["source"]), Path(question["target"]), question["sha256"], policy)
        return made.model_dump()

    answer_questions(answer)


def _middle(side: int, at_most: int) -> slice:
    kept = min(side, at_most)
    start = (side - kept) // 2
    return slice(start, start + kept)


if __name__ == "__main__":
    main()
