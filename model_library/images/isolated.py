"""Reading an untrusted image in a process of its own, which may hang, crash or be killed.

A file of 17 kB can keep a decoder busy for minutes; no guard inside the process helps against that.
On POSIX the child also limits its own memory, CPU time and size of files; on Windows only the
deadline holds.
"""

import dataclasses
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

from model_library import errors
from model_library.errors import ImageError, NotAnImage
from model_library.images.frame import Frame
from model_library.images.tiff_pages import DEFAULT_LIMITS, ReadLimits

PIXELS_FILE, FACTS_FILE = "pixels.npy", "facts.json"
_KEPT_ENVIRONMENT = ("PATH", "SYSTEMROOT", "LD_LIBRARY_PATH", "TMPDIR")


def read_isolated(
    path: Path,
    limits: ReadLimits = DEFAULT_LIMITS,
    deadline_s: float = 20.0,
    memory_bytes: int = 3 << 30,
) -> Frame:
    """Read as `readers.read_frame` does, in a child process with limits.

    Parameters
    ----------
    path
        The file.
    limits
        What is refused before decoding.
    deadline_s
        Seconds of wall-clock time (and, on POSIX, of CPU time) after which the child is killed.
    memory_bytes
        Address space of the child (POSIX).

    Raises
    ------
    ImageError
        As `readers.read_frame`; a child that was killed or died is `NotAnImage`.
    OSError
        The file is not there.
    """
    path.stat()  # A file that is not there is no image that refuses to decode.
    with tempfile.TemporaryDirectory(prefix="synoptic-read-") as name:
        folder = Path(name)
        request = {"path": str(path.absolute()), "folder": name, "memory_bytes": memory_bytes}
        request |= {"cpu_s": int(deadline_s) + 1} | dataclasses.asdict(limits)
        environment = {key: os.environ[key] for key in _KEPT_ENVIRONMENT if key in os.environ}
        try:
            child = subprocess.run(
                [sys.executable, "-I", "-m", "model_library.images.isolated_child", json.dumps(request)],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                # Each thread of a linear algebra library would reserve address space.
                env=environment | {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"},
                timeout=deadline_s,
                check=False,
            )
        except subprocess.TimeoutExpired as error:
            raise NotAnImage(
                f"{path.name}: expected an image that decodes within {deadline_s:g} s, found none; its "
                "reader was killed after that time; export the image again"
            ) from error
        return _received(folder, path.name, child.returncode)


def _received(folder: Path, name: str, status: int) -> Frame:
    facts_file = folder / FACTS_FILE
    if status != 0 or not facts_file.is_file():
        raise NotAnImage(
            f"{name}: expected an image that decodes, found one that ended its reader (killed after "
            f"it used its memory or CPU time, or crashed; status {status}); export the image again"
        )
    facts = json.loads(facts_file.read_text("utf-8"))
    if "error" in facts:
        kind = getattr(errors, facts["error"], NotAnImage)
        raise (kind if issubclass(kind, ImageError) else NotAnImage)(facts["message"])
    pixels = np.load(folder / PIXELS_FILE, allow_pickle=False)
    return Frame(pixels, facts["pixel_size_nm"], facts["field"], facts["metadata"])
