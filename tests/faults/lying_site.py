"""A site whose trainer lies, another lie in every round: `python lying_site.py FOLDER`.

Everything but the trainer is the real daemon; the lies travel the whole way through real Flower.
"""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from imagecodecs import zstd_encode
from numpy.typing import NDArray
from safetensors.numpy import load_file, save

from model_library.processes.answering import answer_questions
from model_library.processes.child import Child
from site_client.daemon import run_daemon
from site_client.federation import session
from site_client.federation.desk import UPDATE_FILE, WEIGHTS_FILE

Update = dict[str, NDArray[np.float32]]
FRAMES = 8


def small(weights: Update) -> Update:
    """An update that would be accepted."""
    return {key: np.full_like(array, 1e-4) for key, array in weights.items()}


def not_a_number(weights: Update) -> Update:
    """One value of one array is NaN."""
    update = small(weights)
    update[min(update)].flat[0] = np.nan
    return update


def another_shape(weights: Update) -> Update:
    """One array has an axis too many."""
    update = small(weights)
    return update | {min(update): update[min(update)][None]}


def other_keys(weights: Update) -> Update:
    """The arrays of another network."""
    return {f"other.{key}": array for key, array in small(weights).items()}


LIES: dict[int, tuple[Callable[[Update], Update], int]] = {
    1: (not_a_number, FRAMES),
    2: (another_shape, FRAMES),
    3: (other_keys, FRAMES),
    4: (small, 10**12),
}
"""By round: what the update is, and how many examples it claims to rest on."""


def answer(question: dict[str, Any]) -> dict[str, Any]:
    """Lie as the round asks."""
    if question["op"] == "prepare":
        return {"frames": FRAMES}
    exchange, plan = Path(question["exchange"]), question["plan"]
    lie, examples = LIES[plan["number"]]
    # Packed by hand: the site's own packing refuses NaN.
    (exchange / UPDATE_FILE).write_bytes(zstd_encode(save(lie(load_file(exchange / WEIGHTS_FILE))), 1))
    report = {
        "federation_id": plan["federation_id"],
        "number": plan["number"],
        "examples": examples,
        "fields": ["stage:nowhere"],
        "steps": plan["steps"],
        "loss_first": 1.0,
        "loss_last": 0.5,
        "train_s": 0.1,
    }
    return {"report": report, "update_bytes": (exchange / UPDATE_FILE).stat().st_size}


def main() -> None:
    """Run the daemon, or be its trainer."""
    if sys.argv[1] == "--trainer":
        answer_questions(answer)
    command = [sys.executable, __file__, "--trainer"]
    session.trainer_child = lambda _settings, log: Child(command, log=log)
    run_daemon(Path(sys.argv[1]))


if __name__ == "__main__":
    main()
