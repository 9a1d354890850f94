"""Reconstructing files without a coordinator, with a network of the library."""

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

from model_library.errors import ChildDied, ChildRefused
from model_library.images.pixel_fit import PixelPolicy
from model_library.inference.self_ensemble import Ensemble
from model_library.processes.child import Child
from model_library.wire.base import Message
from site_client.candidate import MICROGRAPHS, is_wanted
from site_client.errors import SiteError, SourceMissing

_DEADLINE_S = 3600.0


class OfflineResult(Message):
    """What became of one file: a result, or the reason for none."""

    source: str
    result: str | None
    reason: str | None = None


def plan(source: Path, target: Path | None) -> list[tuple[Path, Path]]:
    """Pairs of source and result.

    Parameters
    ----------
    source
        A file, or a folder whose micrographs (not those of subfolders, nor PNG or JPEG) are meant.
    target
        A file for a file; a folder; None for a name beside the source, or a folder beside it.

    Raises
    ------
    SourceMissing
        There is nothing to reconstruct.
    """
    if source.is_file():
        if target is None:
            return [(source, source.with_name(_result_name(source)))]
        return [(source, target / _result_name(source) if target.is_dir() else target)]
    files = sorted(path for path in source.glob("*") if path.is_file() and is_wanted(path.name, MICROGRAPHS))
    if not files:
        raise SourceMissing(
            f"{source}: expected a micrograph or a folder of them, found none; check the path"
        )
    folder = target or source.with_name(f"{source.resolve().name}-reconstructed")
    names = Counter(map(_result_name, files))
    # `a.mrc` beside `a.tif`: each keeps its suffix, lest one result replaces the other.
    return [(path, folder / _result_name(path, twins=names[_result_name(path)] > 1)) for path in files]


@dataclass(frozen=True, slots=True)
class Wanted:
    """How files are reconstructed.

    Attributes
    ----------
    pixel_size_nm
        Side of a pixel, for files that do not say it.
    pixel_policy
        What becomes of files whose pixels do not fit the network.
    ensemble
        What of the eight ways to turn and mirror an image; None for the image as it is.
    """

    pixel_size_nm: float | None = None
    pixel_policy: PixelPolicy = "resample"
    ensemble: Ensemble | None = None


def beside(pairs: list[tuple[Path, Path]]) -> list[tuple[Path, Path]]:
    """Pairs of source and uncertainty: `a.ome.tif` has its own in `a-uncertainty.ome.tif`."""
    return [
        (
            source,
            result.with_name(f"{result.name.removesuffix('.tif').removesuffix('.ome')}-uncertainty.ome.tif"),
        )
        for source, result in pairs
    ]


def reconstruct_files(
    worker: Child,
    network_id: str,
    pairs: list[tuple[Path, Path]],
    *,
    told: Callable[[Path, float], None],
    wanted: Wanted | None = None,
) -> Iterator[OfflineResult]:
    """Reconstruct file by file; one that is refused does not stop the others.

    Parameters
    ----------
    pairs
        What `plan` gives.
    told
        Told of each file before it is read (0), and then what share of it is done more.

    Raises
    ------
    SiteError
        The network is not in the library, or does not load.
    """
    wanted = wanted or Wanted()
    network = _ask(worker, {"op": "library", "id": network_id})
    method = {name: network[name] for name in ("method", "network_folder", "task")}
    _ask(worker, {"op": "check", **method})
    for source, result in pairs:
        told(source, 0.0)
        question = {
            "op": "reconstruct",
            **method,
            "source": str(source),
            "result": str(result),
            **asdict(wanted),
            "provenance": {"release_id": None},
            "about": {"file_name": source.name, "sha256": None},
            "progress": True,
        }
        try:
            worker.ask(question, _DEADLINE_S, partial(told, source))
        except (ChildRefused, ChildDied) as refusal:
            yield OfflineResult(source=str(source), result=None, reason=str(refusal))
        else:
            yield OfflineResult(source=str(source), result=str(result))


def _ask(worker: Child, question: dict[str, Any]) -> dict[str, Any]:
    try:
        return worker.ask(question, _DEADLINE_S)
    except ChildDied as death:
        raise SiteError(f"the worker that loads networks did not answer: {death}") from death


def _result_name(source: Path, *, twins: bool = False) -> str:
    name = source.name if twins else source.stem.removesuffix(".ome")
    return f"{name}-reconstructed.ome.tif"
