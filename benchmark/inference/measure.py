"""The contest: rounds in which everybody runs in turn, then errors, seams and processes of their own."""

import json
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from benchmark.errors import BenchmarkError
from benchmark.inference.contestants import Contestant, Wide, engine, peers, plant
from benchmark.inference.roof import roof_flop_per_s
from benchmark.inference.rows import (
    BIOIMAGEIO,
    MONAI,
    MONAI_TUNED,
    FileRun,
    InferenceReport,
    InferenceRow,
    NetworkName,
    Seconds,
    speed_ratio,
)
from model_library.images.frame import Frame
from model_library.images.intensity import Scaling
from model_library.images.writers import encode_acquisition
from model_library.inference.backends.port import Backend
from model_library.inference.backends.torch_backend import TorchBackend
from model_library.inference.prepared import Measured, Prepared, prepared_network, this_machine
from model_library.inference.served import ServedNetwork
from model_library.inference.weights import load_network
from model_library.inference.windows import Tiling, computed
from model_library.zoo.serving.opening import open_choice
from model_library.zoo.serving.prepare import folded, prepare

_FILE_DEADLINE_S = 1800.0
_SEAM_SIDE_PX = {"unet": 1024, "edsr-x2": 384}
_SLOW = (MONAI, BIOIMAGEIO)
Tell = Callable[[str], None]
Key = str


@dataclass(frozen=True)
class Contest:
    """What is asked.

    Attributes
    ----------
    sizes
        Sides of square images, by network.
    rounds
        In which the engine and the tuned peer take turns.
    slow_rounds
        In the first so many of them the slow peers take part as well.
    with_peers
        Whether there are any peers.
    threads
        Of the processes that reconstruct from file to file; the rounds run on one.
    file_sizes
        Sides of images that are reconstructed from file to file only.
    only
        Names of backends and peers that take part in the rounds; none for all of them.
    """

    sizes: dict[NetworkName, tuple[int, ...]]
    rounds: int = 5
    slow_rounds: int = 1
    with_peers: bool = True
    threads: int = 2
    file_sizes: tuple[int, ...] = ()
    only: tuple[str, ...] = ()

    def asks(self, contestant: Contestant) -> bool:
        """Whether somebody takes part in the rounds."""
        return not self.only or contestant.name in self.only


@dataclass(frozen=True)
class Planted:
    """A network of the benchmark: its name, its folder, what was prepared of it and where."""

    name: NetworkName
    folder: Path
    record: Prepared
    place: Path

    def choices(self) -> list[Measured]:
        """Give what agrees with torch."""
        return [each for each in self.record.measured if each.agreement.holds(each.precision)]

    def opened(self, choice: Measured) -> ServedNetwork:
        """Open one of them."""
        return open_choice(self.folder, self.place, self.record, choice)


def run_contest(contest: Contest, folder: Path, tell: Tell) -> InferenceReport:
    """Run a contest on one thread; networks, images and results go to a folder."""
    torch.set_num_threads(1)
    roofs = raised({})
    rows: list[InferenceRow] = []
    files: list[FileRun] = []
    for name, sizes in contest.sizes.items():
        tell(f"{name}: preparing")
        network = plant(name, folder / name)
        planted = Planted(name, folder / name, *prepared_network(folder / name, folder / "cache", 1, prepare))
        own = [engine(planted.folder, planted.record, planted.place, each) for each in planted.choices()]
        rivals = peers(name, network, planted.folder) if contest.with_peers else []
        own, rivals = [list(filter(contest.asks, each)) for each in (own, rivals)]
        for size in sizes:
            image = scene(size)
            seconds, results = race(contest, [*own, *rivals], image, partial(_told_of, tell, name, size))
            roofs = raised(roofs)
            rows += _rows(planted, image, [*own, *rivals], (seconds, results), roofs)
        # The process that measures would count as memory of its children's machine.
        del own, rivals
        # The other network has ten times the arithmetic.
        extra = contest.file_sizes if name == "unet" else ()
        for size in dict.fromkeys([*sizes, *extra]):
            files += file_runs(planted, size, contest.threads, tell)
    peaks = {(each.network, each.size, each.backend, each.dtype): each.peak_rss_mb for each in files}
    rows = [
        row.model_copy(update={"peak_rss_mb": peaks.get((row.network, row.size, row.backend, row.dtype))})
        for row in rows
    ]
    machine = this_machine(1)
    return InferenceReport(
        processor=machine.processor,
        cores=machine.cores,
        versions=machine.versions,
        rounds=contest.rounds,
        roof_gflop_per_s={name: value / 1e9 for name, value in roofs.items()},
        rows=tuple(rows),
        files=tuple(files),
    )


def raised(roofs: dict[str, float]) -> dict[str, float]:
    """Measure the roof of each precision again, and keep what was best in this run."""
    found: dict[str, float] = {each: roof_flop_per_s(each) for each in ("float32", "bfloat16")}
    return {each: max(value, roofs.get(each, 0.0)) for each, value in found.items()}


def _told_of(tell: Tell, name: NetworkName, size: int, text: str) -> None:
    tell(f"{name} {size}: {text}")


def scene(size: int) -> Wide:
    """Draw a 16-bit image [size, size]: waves under shot noise, the same for a size."""
    y, x = np.mgrid[:size, :size].astype(np.float32)
    waves = 2000 + 1500 * np.sin(x / 37) * np.cos(y / 53)
    image: Wide = np.random.default_rng(size).poisson(waves).astype(np.uint16)
    return image


def race(
    contest: Contest, contestants: Sequence[Contestant], image: Wide, tell: Tell
) -> tuple[Seconds, dict[Key, NDArray[np.uint16]]]:
    """Let everybody restore the image in turn, round by round; CPU seconds and the last results."""
    seconds: Seconds = {}
    results: dict[Key, NDArray[np.uint16]] = {}
    for contestant in contestants:
        # Compiling, and memory that is had for the first time, are nobody's speed.
        contestant.restore(image[:640, :640])
    for number in range(contest.rounds):
        for contestant in contestants:
            if contestant.name in _SLOW and number >= contest.slow_rounds:
                continue
            begun = time.process_time()
            results[key(contestant)] = contestant.restore(image)
            seconds.setdefault(key(contestant), []).append(time.process_time() - begun)
            tell(f"round {number + 1}: {key(contestant)} {seconds[key(contestant)][-1]:.2f} CPU s")
    return seconds, results


def key(contestant: Contestant) -> Key:
    """Tell backends of several precisions apart."""
    return f"{contestant.name} {contestant.precision}"


def _rows(
    planted: Planted,
    image: Wide,
    contestants: Sequence[Contestant],
    raced: tuple[Seconds, dict[Key, NDArray[np.uint16]]],
    roofs: dict[str, float],
) -> list[InferenceRow]:
    seconds, results = raced
    exact = unit_result(planted, TorchBackend(folded(load_network(planted.folder).module)), image)
    choices: dict[tuple[str, str], Measured] = {
        (each.backend, each.precision): each for each in planted.choices()
    }
    rows = []
    for each in contestants:
        choice = choices.get((each.name, each.precision))
        if choice is None:
            counts = results[key(each)].astype(np.float32)
            error, seam = _distance(Scaling.of(image).apply(counts), exact), None
        else:
            backend = planted.opened(choice).backend
            error, seam = _distance(unit_result(planted, backend, image), exact), _seam(planted, backend)
        speed = image.size / median(seconds[key(each)])
        rows.append(
            InferenceRow(
                network=planted.name,
                size=image.shape[0],
                backend=each.name,
                dtype=each.precision,
                mpix_per_s=speed / 1e6,
                ratio_to_monai=speed_ratio(seconds, key(each), f"{MONAI} float32"),
                ratio_to_monai_tuned=speed_ratio(seconds, key(each), f"{MONAI_TUNED} bfloat16"),
                ratio_to_bioimageio=speed_ratio(seconds, key(each), f"{BIOIMAGEIO} float32"),
                fraction_of_roof=speed * planted.record.flops_per_pixel / roofs[each.precision],
                max_error_over_std=error,
                seam_over_std=seam,
            )
        )
    return rows


def unit_result(planted: Planted, backend: Backend, image: Wide, tile_px: int = 1024) -> NDArray[np.float32]:
    """Restore an image in float32, unit scaled, [Y * scale, X * scale]."""
    unit = Scaling.of(image).apply(image)[None]
    result: NDArray[np.float32] = computed(unit, backend, planted.record.geometry, Tiling(tile_px))[0]
    return result


def _distance(found: NDArray[np.float32], expected: NDArray[np.float32]) -> float:
    return float(np.abs(found - expected).max() / expected.std(dtype=np.float64))


def _seam(planted: Planted, backend: Backend) -> float:
    """Compare windows with the whole image, of a size that fits in one piece."""
    side = _SEAM_SIDE_PX[planted.name]
    image = scene(side)
    whole = unit_result(planted, backend, image, side)
    return _distance(unit_result(planted, backend, image, side // 2), whole)


def file_runs(planted: Planted, size: int, threads: int, tell: Tell) -> list[FileRun]:
    """Reconstruct from file to file by what calibration chose, and by its best in float32.

    Raises
    ------
    BenchmarkError
        Such a process failed.
    """
    source = planted.folder / f"{size}.tif"
    source.write_bytes(encode_acquisition(Frame(scene(size), 4.0)))
    record, _ = prepared_network(planted.folder, planted.folder.parent / "cache", threads, prepare)
    runs = []
    for each in dict.fromkeys([record.choice("auto"), record.choice("float32")]):
        tell(f"{planted.name} {size}: from file to file, {each.backend} {each.precision}")
        told = _child(planted, source, each, threads)
        runs.append(
            FileRun(
                network=planted.name,
                size=size,
                backend=each.backend,
                dtype=each.precision,
                threads=threads,
                **told,
            )
        )
    return runs


def _child(planted: Planted, source: Path, choice: Measured, threads: int) -> dict[str, Any]:
    command = [
        *(sys.executable, "-m", "benchmark.inference.file_child", str(source)),
        *(str(source.with_suffix(".ome.tif")), str(planted.folder), str(planted.folder.parent / "cache")),
        *(choice.backend, choice.precision, "--threads", str(threads)),
    ]
    begun = time.perf_counter()
    run = subprocess.run(command, capture_output=True, timeout=_FILE_DEADLINE_S, check=False)
    if run.returncode:
        raise BenchmarkError(
            f"expected a reconstruction by {choice.backend}, found: {run.stderr.decode()[-300:]}"
        )
    told: dict[str, Any] = json.loads(run.stdout)
    return {**told, "first_frame_s": time.perf_counter() - begun}
