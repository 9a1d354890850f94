"""`synoptic benchmark trust`: every check of one method on a folder of images."""

import json
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import typer

from benchmark.method import Method
from benchmark.micrographs import Degrading, Folder, Micrograph, read_folder
from benchmark.named import Cast, cast
from benchmark.report import write_page
from benchmark.scores import method_key
from benchmark.sites import Asked, read_sites
from benchmark.splits import Split, assign
from benchmark.trust.calibration import Known, Restored, acquired_again, calibrated, coverage, restored
from benchmark.trust.checks import Checked, Specimen, check
from benchmark.trust.findings import Check, Finding, TrustLimits, failed
from benchmark.trust.learned_from import read_statistics
from benchmark.trust.likeness import distances
from benchmark.trust.page import Shown, trust_page
from model_library.degradation.noise import NoiseModel, estimate_noise
from model_library.images.frame import Grey
from model_library.images.writers import write_result
from model_library.inference.uncertainty import Calibration, spread_of
from model_library.wire.tasks import Segment, Task

_CROP_PX, _KNOWN_PX, _MOST_KNOWN = 384, 192, 4


@dataclass(frozen=True)
class TrustRun:
    """What is asked.

    Attributes
    ----------
    network
        A name as in `named.cast`.
    truth
        Folder of noise-free images of the same names, for the uncertainty; else images acquired again.
    maps
        Folder for the half widths of the 95 % intervals, one TIFF per image.
    """

    network: str
    images: Path
    library: Path | None = None
    truth: Path | None = None
    task: Task | None = None
    maps: Path | None = None
    at_most: int | None = None
    seed: int = 0


@dataclass(frozen=True)
class _Uncertainty:
    finding: Finding
    calibration: Calibration | None
    shares: tuple[float, ...]


def run_trust(asked: TrustRun, json_file: Path | None, report: Path | None) -> bool:
    """Check, print one line per finding, and write what was asked for; tells whether every check holds.

    Raises
    ------
    SynopticError
        The network or the images are refused.
    """
    folder = read_folder(asked.images, at_most=asked.at_most)
    with TemporaryDirectory() as aside:
        found = cast([asked.network], library=asked.library, aside=Path(aside), task=asked.task)
        typer.echo(f"{len(folder.images)} images read; measuring noise", err=True)
        crops = tuple(_middle(image.pixels, _CROP_PX) for image in folder.images)
        noise = estimate_noise(crops)
        method = _method(found, asked)
        typer.echo("forward consistency, invented structure, planted blobs", err=True)
        checked = check(method, Specimen(crops, noise, found.task), seed=asked.seed)
        typer.echo("uncertainty", err=True)
        sure = _uncertainty(method, folder, noise, asked, found.task)
        like, apart = _likeness(found, folder.images)
        findings = (*checked.findings, sure.finding, like)
        if asked.maps is not None and sure.calibration is not None:
            _write_maps(method, folder.images, sure.calibration, asked.maps)
        shown = Shown(folder.images, crops, noise, checked, sure.calibration, method)
        if report is not None:
            write_page(report, trust_page(method_key(method.ref), findings, shown))
    if json_file is not None:
        content = _content(asked, found, folder, noise, checked) | {
            "method": method.ref.model_dump(mode="json"),
            "holds": not failed(findings),
            "findings": [finding.model_dump(mode="json") for finding in findings],
            "calibration": None if sure.calibration is None else _numbers(sure.calibration),
            "coverage": list(sure.shares),
            "likeness": apart,
        }
        json_file.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
    _echo(method_key(method.ref), findings)
    return not failed(findings)


def _method(found: Cast, asked: TrustRun) -> Method:
    """Build the method; a classical algorithm is tuned on every image, since nothing is scored here."""
    if asked.network in found.networks:
        return found.methods(())[asked.network]
    cases = read_sites(Asked(asked.images, Degrading(asked.truth)), found.task).cases
    return found.methods(cases)[asked.network]


def _uncertainty(
    method: Method, folder: Folder, noise: NoiseModel, asked: TrustRun, task: Task
) -> _Uncertainty:
    low, high = TrustLimits().coverage
    limit = f"{low:g} to {high:g}"
    if isinstance(task, Segment):
        return _Uncertainty(
            Finding.none(Check.COVERAGE, "a segmentation gives no grey values", limit), None, ()
        )
    rng = np.random.default_rng([asked.seed, 1])
    taken: dict[str, Split] = {}
    parts: dict[bool, list[Restored]] = {True: [], False: []}
    for known, field in _known(method, folder, noise, asked, rng):
        taken[field] = assign(field, taken)
        part = parts[taken[field] is Split.TUNING]
        if len(part) < _MOST_KNOWN:
            part.append(restored(method, known))
    if not parts[True] or not parts[False]:
        told = "images of two fields of view are needed, to calibrate on one and to check on another"
        return _Uncertainty(Finding.none(Check.COVERAGE, told, limit), None, ())
    calibration = calibrated(parts[True])
    shares = coverage(parts[False], calibration)
    value = float(shares.mean())
    against = "the truth" if asked.truth is not None else "known specimens, acquired again"
    told = f"on {len(shares)} other images the 95 % interval holds {value:.1%} of {against}"
    finding = Finding(check=Check.COVERAGE, value=value, limit=limit, holds=low <= value <= high, told=told)
    return _Uncertainty(finding, calibration, tuple(map(float, shares)))


def _known(
    method: Method, folder: Folder, noise: NoiseModel, asked: TrustRun, rng: np.random.Generator
) -> "list[tuple[Known, str]]":
    images = folder.images[: 2 * _MOST_KNOWN + 2]
    if asked.truth is None:
        return [
            (acquired_again(method, _middle(image.pixels, _KNOWN_PX), noise, rng), image.field)
            for image in images
        ]
    truths = {image.name: image.pixels for image in read_folder(asked.truth).images}
    return [
        (
            Known(
                _middle(image.pixels, _KNOWN_PX),
                _middle(truths[image.name], _KNOWN_PX, method.scale, image.pixels.shape),
            ),
            image.field,
        )
        for image in images
        if image.name in truths
    ]


def _likeness(found: Cast, images: tuple[Micrograph, ...]) -> tuple[Finding, dict[str, float]]:
    most = TrustLimits().likeness
    limit = f"at most {most:g}"
    opened = next(iter(found.networks.values()), None)
    if opened is None:
        return Finding.none(Check.LIKENESS, "a classical algorithm learned from nothing", limit), {}
    statistics = read_statistics(opened.folder, opened.network.card.weights_sha256)
    if statistics is None:
        told = "unknown: there are no statistics of the data that this network learned from"
        return Finding.none(Check.LIKENESS, told, limit), {}
    apart = distances(statistics, [image.pixels for image in images])
    value = float(np.median(apart))
    told = (
        f"the images are {value:.1f} times as far from the training data as 99 % of that data are at most"
        f" ({int((apart > most).sum())} of {len(apart)} images beyond the limit)"
    )
    return Finding.at_most(Check.LIKENESS, value, most, told), {
        image.name: float(each) for image, each in zip(images, apart, strict=True)
    }


def _middle(pixels: Grey, side: int, scale: int = 1, of: tuple[int, ...] | None = None) -> Grey:
    """Cut the middle; with a scale, the same place of an image that is so many times as large as `of`."""
    shape = pixels.shape if of is None else of
    top, left = (max(0, length - side) // 2 * scale for length in shape)
    return pixels[top : top + side * scale, left : left + side * scale]


def _write_maps(
    method: Method, images: tuple[Micrograph, ...], calibration: Calibration, folder: Path
) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for image in images:
        _, spread = spread_of(method, image.pixels)
        told = {
            "what": "half width of the 95 % interval, in counts",
            "method": method.ref.model_dump(mode="json"),
        }
        path = folder / f"{image.name.replace('#', '-')}.half-width.tif"
        write_result(path, calibration.half_width(spread), pixel_size_nm=None, provenance=told)


def _content(
    asked: TrustRun, found: Cast, folder: Folder, noise: NoiseModel, checked: Checked
) -> dict[str, Any]:
    return {
        "kind": "trust",
        "network": asked.network,
        "task": found.task.model_dump(mode="json"),
        "images": [image.name for image in folder.images],
        "refused": folder.refused,
        "noise": {"gain": noise.gain, "read_variance": noise.read_variance},
        "limits": TrustLimits().model_dump(mode="json"),
        "spots": {
            image.name: [spot.model_dump(mode="json") for spot in spots]
            for image, spots in zip(folder.images, checked.seen.spots, strict=False)
            if spots
        },
        "seed": asked.seed,
    }


def _numbers(calibration: Calibration) -> dict[str, float]:
    return {"gain": calibration.gain, "floor": calibration.floor, "factor": calibration.factor}


def _echo(name: str, findings: tuple[Finding, ...]) -> None:
    for finding in findings:
        typer.echo(finding.line)
    broken = ", ".join(finding.check for finding in failed(findings))
    typer.echo(
        f"{name}: {'not to be trusted here: ' + broken if broken else 'every check that applies holds'}"
    )
