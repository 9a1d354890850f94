"""The child of `isolated`: limits itself, reads one file, leaves pixels and facts in a folder."""

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np

from model_library.errors import ImageError
from model_library.images.isolated import FACTS_FILE, PIXELS_FILE
from model_library.images.readers import ReadLimits, read_frame


def limit_resources(memory_bytes: int, cpu_s: int) -> None:
    """Bound this process's address space, CPU time, files and core dumps (POSIX)."""
    try:
        import resource
    except ImportError:  # Windows has no such limits; the parent's deadline remains.
        return
    resource.setrlimit(resource.RLIMIT_AS, (memory_bytes, memory_bytes))
    resource.setrlimit(resource.RLIMIT_FSIZE, (memory_bytes, memory_bytes))
    resource.setrlimit(resource.RLIMIT_CPU, (cpu_s, cpu_s))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def main(request: dict[str, Any]) -> None:
    """Read the file of a request and write what was found into its folder."""
    limit_resources(request["memory_bytes"], request["cpu_s"])
    folder = Path(request["folder"])
    try:
        frame = read_frame(Path(request["path"]), ReadLimits(request["max_pixels"], request["max_pages"]))
        np.save(folder / PIXELS_FILE, frame.pixels, allow_pickle=False)
        facts = {"pixel_size_nm": frame.pixel_size_nm, "field": frame.field, "metadata": frame.metadata}
    except ImageError as error:
        facts = {"error": type(error).__name__, "message": str(error)}
    (folder / FACTS_FILE).write_text(json.dumps(facts), "utf-8")


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
