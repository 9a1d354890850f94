"""Child process that reconstructs: the only part of a site that loads networks.

Run by the daemon as `python -m site_client.worker --threads N --nice N`.
"""

import argparse
import time
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, get_args

from numpy.typing import NDArray
from pydantic import TypeAdapter

from benchmark.method import Method
from model_library.cards.card import CARD_FILE, NetworkCard
from model_library.images.colour import ColourPolicy
from model_library.images.contents import read_grey_planes
from model_library.images.frame import Frame
from model_library.images.pixel_fit import PixelPolicy
from model_library.images.pixel_size import PixelSize
from model_library.images.recording import Recording
from model_library.images.result_file import ResultFile
from model_library.images.writers import write_result
from model_library.inference.gpu_share import cap_gpu_memory
from model_library.inference.precision import PrecisionPolicy
from model_library.measurement.objects import measure_classes
from model_library.processes.answering import Tell, answer_questions
from model_library.processes.operating_system import limit_memory, lower_priority
from model_library.signing.digests import sha256_file
from model_library.wire.methods import MethodRef
from model_library.wire.tasks import Segment, Task
from model_library.zoo.serving.reconstruction import Wishes
from model_library.zoo.serving.reconstruction import reconstruct as stream
from model_library.zoo.shipped import shipped_network
from site_client.errors import SourceChanged, SourceMissing
from site_client.objects import figures_of, write_objects
from site_client.reconstruct import Result, decide_fit, load_method, reconstruct_planes
from site_client.serving import ServedMethod
from site_client.trial import try_method

_METHOD: TypeAdapter[MethodRef] = TypeAdapter(MethodRef)
_TASK: TypeAdapter[Task] = TypeAdapter(Task)
_POLICY: TypeAdapter[PixelPolicy] = TypeAdapter(PixelPolicy)


class Worker:
    """Answers the questions `check`, `library` and `reconstruct`; keeps the last method loaded.

    Parameters
    ----------
    threads
        That methods may use.
    cache
        Where networks are prepared for serving; None to compute them with torch in float32.
    precision
        What such networks may be computed in.
    """

    def __init__(
        self, threads: int, cache: Path | None = None, precision: PrecisionPolicy = "float32"
    ) -> None:
        self._threads, self._cache, self._precision = threads, cache, precision
        self._loaded: tuple[str, Method] | None = None
        self._tell: Tell = lambda _: None

    def report_to(self, tell: Tell) -> None:
        """Tell of progress from now on, where a question asks for it."""
        self._tell = tell

    def answer(self, question: dict[str, Any]) -> dict[str, Any]:
        """Answer one question; refusals are raised."""
        match question["op"]:
            case "check":
                return self._check(question)
            case "library":
                return _look_up(question["id"])
            case "reconstruct":
                return self._reconstruct(question)
            case other:
                raise ValueError(f"unknown question {other!r}")

    def _check(self, question: dict[str, Any]) -> dict[str, Any]:
        """Load a method afresh and try it; raises `WeightsError` where it does not work."""
        stored = question.get("stored_frame")
        try_method(self._load(question), None if stored is None else Path(stored))
        return {"ok": True}

    def _reconstruct(self, question: dict[str, Any]) -> dict[str, Any]:
        key = repr((question["method"], question["network_folder"], question["task"]))
        if self._loaded is None or self._loaded[0] != key:
            self._loaded = key, self._load(question)
        method = self._loaded[1]
        begun = time.perf_counter()
        source, result = Path(question["source"]), Path(question["result"])
        about = question["about"] | {"sha256": _digest(source, question["about"]["sha256"])}
        task = _TASK.validate_python(question["task"])
        if isinstance(method, ServedMethod):
            return self._stream(method, question, about) | {"busy_s": time.perf_counter() - begun}
        colour: ColourPolicy = "luminance" if isinstance(task, Segment) else "channels"
        recording, frames = _read(source, colour, question["pixel_size_nm"])
        about |= {"colour": colour} if recording.is_colour else {}
        folder = question["network_folder"]
        policy = _POLICY.validate_python(question.get("pixel_policy", "resample"))
        fit = decide_fit(frames[0], method.ref, None if folder is None else Path(folder), policy)
        made = reconstruct_planes(
            (recording, frames), method, task, source=about, clock=lambda: datetime.now(UTC), fit=fit
        )
        made = replace(made, provenance=made.provenance | question["provenance"])
        result.parent.mkdir(parents=True, exist_ok=True)
        objects = None
        if isinstance(task, Segment) and made.axes == "YX":
            statistics = measure_classes(made.pixels, task.classes, made.pixel_size_nm)
            # Before the result: where the label image is, its statistics are.
            write_objects(result, statistics, made.pixel_size_nm, made.provenance)
            objects = figures_of(statistics)
        _write(result, made, recording.pixel_size.z_nm)
        return {"ok": True, "busy_s": time.perf_counter() - begun, "objects": objects}

    def _stream(
        self, method: ServedMethod, question: dict[str, Any], about: dict[str, Any]
    ) -> dict[str, Any]:
        """Reconstruct from file to file, however large."""
        wishes = Wishes(
            pixel_size_nm=question["pixel_size_nm"],
            pixel_policy=_POLICY.validate_python(question.get("pixel_policy", "resample")),
            source=about,
            provenance=question["provenance"],
        )
        network = method.network.of_eight(question.get("ensemble"))
        result, card = Path(question["result"]), network.card
        measured: dict[str, Any] = {}

        def measure(labels: NDArray[Any], size_nm: float | None, provenance: dict[str, Any]) -> None:
            if isinstance(card.task, Segment) and labels.ndim == 2:
                statistics = measure_classes(labels, card.task.classes, size_nm)
                # Before the result: where the label image is, its statistics are.
                write_objects(result, statistics, size_nm, provenance)
                measured.update(figures_of(statistics))

        told: Tell = self._tell if question.get("progress") else lambda _: None
        stream(Path(question["source"]), result, network, wishes, told=told, finished=measure)
        return {"ok": True, "objects": measured or None}

    def _load(self, question: dict[str, Any]) -> Method:
        folder = question["network_folder"]
        return load_method(
            _METHOD.validate_python(question["method"]),
            _TASK.validate_python(question["task"]),
            None if folder is None else Path(folder),
            threads=self._threads,
            cache=self._cache,
            precision=self._precision,
        )


def _read(source: Path, colour: ColourPolicy, told_nm: float | None) -> tuple[Recording, tuple[Frame, ...]]:
    """Read a frame, stack or series; `told_nm` is the side of its pixels where the file does not say it."""
    recording, frames = read_grey_planes(source, colour=colour)
    if frames[0].pixel_size_nm is None:
        frames = tuple(replace(frame, pixel_size_nm=told_nm) for frame in frames)
    return recording, frames


def _write(path: Path, made: Result, z_nm: float | None) -> None:
    if made.axes == "YX":
        write_result(path, made.pixels, pixel_size_nm=made.pixel_size_nm, provenance=made.provenance)
        return
    size, pixels = replace(PixelSize.square(made.pixel_size_nm), z_nm=z_nm), made.pixels
    with ResultFile(
        path, pixels.shape, pixels.dtype, axes=made.axes, pixel_size=size, provenance=made.provenance
    ) as file:
        file.pixels[...] = pixels
        file.finish()


def _digest(source: Path, expected: str | None) -> str:
    """Digest of the source; with `expected`, only that one."""
    try:
        found = sha256_file(source)
    except OSError as error:
        raise SourceMissing(f"{source}: {error.strerror}") from error
    if expected is not None and found != expected:
        raise SourceChanged(f"{source.name}: expected the file that was accepted ({expected}), found {found}")
    return found


def _look_up(network_id: str) -> dict[str, Any]:
    folder = shipped_network(network_id)
    card = NetworkCard.model_validate_json((folder / CARD_FILE).read_bytes())
    return {
        "method": card.ref.model_dump(mode="json"),
        "network_folder": str(folder),
        "task": card.task.model_dump(mode="json"),
    }


def main() -> None:
    """Answer the daemon's questions, politely."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--threads", type=int, required=True)
    parser.add_argument("--nice", type=int, required=True)
    parser.add_argument("--cache", type=Path, default=None)
    parser.add_argument("--precision", choices=get_args(PrecisionPolicy), default="float32")
    parser.add_argument("--gpu-share", type=float, default=None)
    parser.add_argument("--memory-bytes", type=int, default=None)
    arguments = parser.parse_args()
    lower_priority(arguments.nice)
    if arguments.memory_bytes is not None:
        limit_memory(arguments.memory_bytes)
    if arguments.gpu_share is not None:
        cap_gpu_memory(arguments.gpu_share)
    worker = Worker(arguments.threads, arguments.cache, arguments.precision)
    answer_questions(worker.answer, ready=worker.report_to)


if __name__ == "__main__":
    main()
