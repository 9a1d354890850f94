"""Child process that prepares a network unless it is prepared; torch is loaded only where there is work.

Run as `python -m model_library.zoo.serving.prepare_once FOLDER CACHE --threads N --nice N [--gpu-share S]`.
"""

import argparse
import sys
from pathlib import Path

from model_library.errors import SynopticError
from model_library.inference.gpu_share import cap_gpu_memory
from model_library.inference.prepared import gives_instances, place_of, read_prepared
from model_library.processes.operating_system import lower_priority
from model_library.processes.turns import turn

LONGEST_TURN_S = 300.0


def prepare_once(folder: Path, cache: Path, threads: int) -> None:
    """Prepare a network unless it is; several processes that want the same one take turns.

    Raises
    ------
    CardError, WeightsError
        The network is not whole, or does not answer as its card says.
    """
    if gives_instances(folder):
        return
    place = place_of(folder, cache, threads)
    with turn(cache / "turns" / place.name, LONGEST_TURN_S):
        if read_prepared(folder, cache, threads) is not None:
            return
        from model_library.zoo.serving.prepare import prepare

        prepare(folder, cache, threads)


def main() -> None:
    """Prepare one network; a refusal is told by the exit code and the last line of standard error."""
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    parser.add_argument("cache", type=Path)
    parser.add_argument("--threads", type=int, required=True)
    parser.add_argument("--nice", type=int, default=0)
    parser.add_argument("--gpu-share", type=float, default=None)
    arguments = parser.parse_args()
    lower_priority(arguments.nice)
    if arguments.gpu_share is not None:
        cap_gpu_memory(arguments.gpu_share)
    try:
        prepare_once(arguments.folder, arguments.cache, arguments.threads)
    except SynopticError as refusal:
        sys.exit(f"{type(refusal).__name__}: {refusal}")


if __name__ == "__main__":
    main()
