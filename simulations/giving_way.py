"""How soon adaptation stops when the microscope's software says that it acquires.

`python -m simulations.giving_way --times 15 --json giving-way.json` (Linux)

A site's trainer adapts a network of the library; the wish is noted in a site's database, as `synoptic site
acquiring on` notes it, and the daemon's own look at it holds the trainer. It has stopped when it uses no
processor any more.
"""

import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from model_library.errors import ChildDied
from model_library.images.frame import Frame
from model_library.images.writers import encode_acquisition
from model_library.processes.child import Child
from model_library.signing.digests import sha256_bytes
from model_library.wire.tasks import Denoise
from simulations.measurement import parser_of, say, tell
from simulations.periodic import periodically
from simulations.processes import usage
from site_client.control import Controls
from site_client.database import Database
from site_client.federation.session import hold_file, trainer_child
from site_client.memory import LEDGER_FILE, Memory
from site_client.settings import SiteSettings
from site_client.yielding import LOOK_S, Yielding

_SIDE_PX, _FRAMES = 512, 8
_STEPS = 1_000_000
_STARTED_WITHIN_S, STOPPED_WITHIN_S = 120.0, 10.0
_PREPARED_CPU_S, _AGAIN_CPU_S = 6.0, 1.0
"""Processor time after which it trains: from its start, loading torch and measuring noise; after a wait."""
_STILL_S = 1.5
"""Without processor time for so long: it has stopped. One that waits for a busy processor has some sooner."""
_LOOKING_S = 0.015
"""Processor time that counts as work, told in hundredths: one that waits only looks whether it may go on."""
_SAMPLED_S = 0.01


def measure(network: str, times: int, seed: int) -> dict[str, Any]:
    """Let a trainer begin, say at random moments that the microscope acquires, and see when it stops."""
    from model_library.zoo.registry import Library

    chance = np.random.default_rng([seed, 7])
    with TemporaryDirectory() as temporary:
        folder = Path(temporary)
        settings = SiteSettings(
            coordinator_url="https://localhost",
            site_name="giving-way",
            task=Denoise(),
            acquisitions=folder / "acquisitions",
            results=folder / "results",
        )
        question = _question(folder, Library(), network, np.random.default_rng(seed))
        memory = Memory(Database(folder / LEDGER_FILE))
        trainer = trainer_child(settings, folder / "trainer.log")
        yielding = Yielding(hold_file(folder), memory.controls, 0.0, time.monotonic)
        with (
            closing(memory.database),
            _training(trainer, question) as training,
            periodically(yielding.look, LOOK_S),
        ):
            took = []
            for number in range(times):
                _await_training(trainer, training, _AGAIN_CPU_S if number else _PREPARED_CPU_S)
                time.sleep(chance.uniform(0.0, 2.0))
                took.append(_seconds_until_still(trainer, memory.controls))
                memory.controls.idle()
                say(f"{number + 1} of {times}: {took[-1]:.2f} s")
    low, high = np.quantile(took, [0.5, 0.95])
    return {
        "network": network,
        "times": times,
        "median_s": float(low),
        "p95_s": float(high),
        "longest_s": max(took),
        "seconds": took,
    }


def _question(folder: Path, library: Any, network: str, rng: np.random.Generator) -> dict[str, Any]:  # noqa: ANN401
    """Ask for more steps than there is time for, on frames of noise: what is learnt does not matter here."""
    from safetensors.numpy import save_file

    from simulations.small_federation import plan_of, weights_of
    from site_client.federation.desk import WEIGHTS_FILE

    start = library.load(network)
    save_file(dict(weights_of(start)), folder / WEIGHTS_FILE)
    frames = []
    for number in range(_FRAMES):
        pixels = rng.poisson(200, (_SIDE_PX, _SIDE_PX)).astype(np.uint16)
        content = encode_acquisition(Frame(pixels, 4.0, f"field {number}"))
        path = folder / f"frame-{number}.tif"
        path.write_bytes(content)
        frames.append({"path": str(path), "sha256": sha256_bytes(content), "field": f"field {number}"})
    return {
        "op": "adapt",
        "plan": plan_of(start, rounds=1, steps=_STEPS).model_dump(mode="json"),
        "exchange": str(folder),
        "kept": str(folder / "kept"),
        "frames": frames,
        "hold": str(hold_file(folder)),
        "until": float("inf"),
    }


@contextmanager
def _training(trainer: Child, question: dict[str, Any]) -> Iterator[threading.Thread]:
    def ask() -> None:
        try:
            trainer.ask(question, 3600.0)
        except ChildDied as death:
            say(f"the trainer has ended: {death}")

    thread = threading.Thread(target=ask)
    thread.start()
    try:
        yield thread
    finally:
        trainer.retire()
        thread.join()


def _await_training(trainer: Child, training: threading.Thread, enough_s: float) -> None:
    """Wait until the trainer has had so much more processor time."""
    deadline = time.monotonic() + _STARTED_WITHIN_S
    begun: float | None = None
    while begun is None or _processor_s(trainer) < begun + enough_s:
        if not training.is_alive() or time.monotonic() > deadline:
            raise SystemExit("expected a trainer that computes, found none; see what it said above")
        time.sleep(0.05)
        begun = _processor_s(trainer) if begun is None else begun


def _seconds_until_still(trainer: Child, controls: Controls) -> float:
    said = time.monotonic()
    controls.acquiring(600.0)
    used, moved = _processor_s(trainer), said
    while (now := time.monotonic()) < min(moved + _STILL_S, said + STOPPED_WITHIN_S):
        if (now_used := _processor_s(trainer)) > used + _LOOKING_S:
            used, moved = now_used, now
        time.sleep(_SAMPLED_S)
    return moved - said


def _processor_s(trainer: Child) -> float:
    return 0.0 if trainer.pid is None else usage(trainer.pid).cpu_s


def main() -> None:
    """Measure, and tell."""
    parser = parser_of(__doc__)
    parser.add_argument("--network", default="unet-denoise-shot", help="of the library (unet-denoise-shot)")
    parser.add_argument("--times", type=int, default=15, help="how often it has to stop (15)")
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    tell(measure(arguments.network, arguments.times, arguments.seed), arguments.json)


if __name__ == "__main__":
    main()
