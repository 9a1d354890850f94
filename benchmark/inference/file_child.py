"""One reconstruction from file to file in a process of its own, which tells what it took.

Run as `python -m benchmark.inference.file_child SOURCE TARGET FOLDER CACHE BACKEND PRECISION --threads N`.
"""

import argparse
import json
import sys
import time
from dataclasses import replace
from pathlib import Path

from model_library.inference.backends.port import Backend, Windows
from model_library.inference.prepared import read_prepared
from model_library.zoo.serving.opening import open_choice
from model_library.zoo.serving.reconstruction import reconstruct


class Timed:
    """A backend that counts its CPU seconds."""

    def __init__(self, backend: Backend) -> None:
        self._backend = backend
        self.name, self.precision, self.elsewhere = backend.name, backend.precision, backend.elsewhere
        self.cpu_s = 0.0

    def __call__(self, windows: Windows) -> Windows:
        """Compute; see `backends.port.Backend`."""
        begun = time.process_time()
        found = self._backend(windows)
        self.cpu_s += time.process_time() - begun
        return found


def main() -> None:
    """Reconstruct, and print JSON."""
    parser = argparse.ArgumentParser()
    for name in ("source", "target", "folder", "cache"):
        parser.add_argument(name, type=Path)
    parser.add_argument("backend")
    parser.add_argument("precision")
    parser.add_argument("--threads", type=int, required=True)
    told = parser.parse_args()
    started_mb = _status_mb("VmRSS")
    found = read_prepared(told.folder, told.cache, told.threads)
    assert found is not None
    record, place = found
    choice = next(
        each for each in record.measured if (each.backend, each.precision) == (told.backend, told.precision)
    )
    network = open_choice(told.folder, place, record, choice)
    timed = Timed(network.backend)
    wall, cpu = time.perf_counter(), time.process_time()
    reconstruct(told.source, told.target, replace(network, backend=timed))
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    print(
        json.dumps(
            {
                "peak_rss_mb": _status_mb("VmHWM"),
                "rss_above_start_mb": _status_mb("VmHWM") - started_mb,
                "wall_s": wall,
                "cpu_s": cpu,
                "io_share": 1 - timed.cpu_s / cpu,
                "torch_loaded": "torch" in sys.modules,
            }
        )
    )


def _status_mb(name: str) -> float:
    """Read a figure of this process from Linux; 0 elsewhere."""
    try:
        lines = Path("/proc/self/status").read_text().splitlines()
    except OSError:
        return 0.0
    return next((int(line.split()[1]) / 1000 for line in lines if line.startswith(f"{name}:")), 0.0)


if __name__ == "__main__":
    main()
