"""What a method must do before it is put in service: answer as its card says, and survive a frame."""

import subprocess
import sys
from pathlib import Path

import numpy as np

from benchmark.method import Method
from model_library.errors import ImageError, WeightsError
from model_library.images.contents import read_grey_frame
from model_library.images.frame import Grey

_PROBE_SIDE_PX = 64
_FRAME_SIDE_PX = 512
_ANSWER_DEADLINE_S = 180.0


def try_method(method: Method, stored_frame: Path | None) -> None:
    """Run a method on noise, and on a frame of the instrument where there is one.

    Parameters
    ----------
    stored_frame
        A frame of this instrument that was reconstructed before; only its middle is used, and where it is
        gone or unreadable by now the method is not to blame.

    Raises
    ------
    WeightsError
        The result has another shape than it should, or is not finite.
    """
    probe = np.random.default_rng(0).poisson(100, (_PROBE_SIDE_PX, _PROBE_SIDE_PX)).astype(np.float32)
    _run(method, probe, "noise")
    if stored_frame is None:
        return
    try:
        pixels = read_grey_frame(stored_frame).grey
    except (ImageError, OSError):
        return
    _run(method, _middle(pixels), stored_frame.name)


def check_answer(network_folder: Path) -> None:
    """Hold a network against the answer that its card keeps, in a process of its own: torch is left there.

    Raises
    ------
    WeightsError
        It gives another answer, or does not load: card and weights are not those that the coordinator judged.
    """
    asked = subprocess.run(
        [sys.executable, "-m", "site_client.trial", str(network_folder)],
        capture_output=True,
        text=True,
        timeout=_ANSWER_DEADLINE_S,
        check=False,
    )
    if asked.returncode != 0:
        last = (asked.stderr.strip().splitlines() or [f"exit code {asked.returncode}"])[-1]
        raise WeightsError(last)


def _run(method: Method, pixels: Grey, name: str) -> None:
    found = method(pixels)
    expected = tuple(side * method.scale for side in pixels.shape)
    if found.shape != expected or not np.isfinite(found).all():
        raise WeightsError(
            f"{method.ref.id}: expected finite pixels of shape {expected} for {name}, found shape"
            f" {found.shape}; do not use this network"
        )


def _middle(pixels: Grey) -> Grey:
    top, left = (max(0, (side - _FRAME_SIDE_PX) // 2) for side in pixels.shape)
    return np.ascontiguousarray(pixels[top : top + _FRAME_SIDE_PX, left : left + _FRAME_SIDE_PX])


def main() -> None:
    """Check the network of a folder; exit code 1 and a line on standard error where it is refused."""
    from model_library.errors import SynopticError
    from model_library.inference.self_test import check_self_test
    from model_library.inference.weights import load_network

    try:
        check_self_test(load_network(Path(sys.argv[1])))
    except SynopticError as refusal:
        sys.exit(str(refusal))


if __name__ == "__main__":
    main()
