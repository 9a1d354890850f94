"""Child process that looks at untrusted files: whole or not, an image or not, its digest and its header.

Run as `python -m model_library.images.inspector MEMORY_BYTES`; needs no torch.
"""

import sys
from pathlib import Path
from typing import Any

from model_library.images.completeness import is_complete
from model_library.images.readers import read_frame
from model_library.processes.answering import answer_questions
from model_library.processes.operating_system import limit_memory
from model_library.signing.digests import sha256_file


def inspect(path: Path, *, last_look: bool) -> dict[str, Any]:
    """Look at one file.

    Parameters
    ----------
    path
        The file; any content.
    last_look
        The file has been incomplete for so long that it is read, and so refused, all the same.

    Returns
    -------
    `{"complete": False}`, or the header of a readable frame.

    Raises
    ------
    ImageError
        The file is no image that Synoptic can use; its class tells why.
    """
    if not last_look and not is_complete(path):
        return {"complete": False}
    sha256 = sha256_file(path)
    frame = read_frame(path)
    return {
        "complete": True,
        "sha256": sha256,
        "pixels": int(frame.pixels.size),
        "pixel_size_nm": frame.pixel_size_nm,
        "field": frame.field,
    }


def main() -> None:
    """Answer the daemon's questions under a memory limit."""
    memory = int(sys.argv[1])
    limit_memory(memory)
    answer_questions(lambda question: inspect(Path(question["path"]), last_look=question["last_look"]))


if __name__ == "__main__":
    main()
