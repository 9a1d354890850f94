"""Child process that looks at untrusted files: whole or not, an image or not, its digest and its header.

Run as `python -m model_library.images.inspector MEMORY_BYTES DEADLINE_S`; needs no torch.
"""

import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

from model_library.errors import NotAnImage, TruncatedImage
from model_library.images.acquisition_facts import acquisition_of
from model_library.images.completeness import is_complete
from model_library.images.contents import read_grey_planes
from model_library.images.directory import is_tiff
from model_library.images.limits import DEFAULT_LIMITS, ReadLimits
from model_library.images.tiff_pages import read_head
from model_library.processes.answering import answer_questions
from model_library.processes.operating_system import limit_memory
from model_library.signing.digests import sha256_file

_SHARE_OF_DEADLINE = 0.8
"""A decoder's own child is ended before whoever asked ends this process, which could not clean up."""


def inspect(path: Path, *, last_look: bool, limits: ReadLimits = DEFAULT_LIMITS) -> dict[str, Any]:
    """Look at one file.

    Parameters
    ----------
    path
        The file; any content.
    last_look
        The file has been incomplete for so long that it is read, and so refused, all the same.
    limits
        What is refused before decoding.

    Returns
    -------
    `{"complete": False}`, or the header of a readable frame; of a stack or series, `planes` is above 1.
    `pixels` counts those of all planes, each in colour once.

    Raises
    ------
    ImageError
        The file is no image that Synoptic can use; its class tells why.
    """
    if not last_look and not is_complete(path):
        return {"complete": False}
    sha256 = sha256_file(path)
    try:
        recording, frames = read_grey_planes(path, limits, "channels")
    except (TruncatedImage, NotAnImage):
        # Only a TIFF tells its end without being decoded: any other file that is still written looks damaged.
        if last_look or is_tiff(read_head(path)):
            raise
        return {"complete": False}
    frame = frames[0]
    acquisition = acquisition_of(frame.metadata)
    return {
        "complete": True,
        "sha256": sha256,
        "pixels": recording.planes * int(frame.pixels.size),
        "planes": recording.planes,
        "colour": recording.is_colour,
        "pixel_size_nm": frame.pixel_size_nm,
        "field": frame.field,
        "acquisition": None if acquisition is None else acquisition.model_dump(mode="json"),
    }


def main() -> None:
    """Answer the daemon's questions under a memory limit."""
    memory, deadline_s = int(sys.argv[1]), float(sys.argv[2])
    limit_memory(memory)
    limits = replace(DEFAULT_LIMITS, max_seconds=_SHARE_OF_DEADLINE * deadline_s)
    answer_questions(
        lambda question: inspect(Path(question["path"]), last_look=question["last_look"], limits=limits)
    )


if __name__ == "__main__":
    main()
