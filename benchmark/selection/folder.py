"""A library ranked for the images of a folder, without a coordinator."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np

from benchmark.cases import Case, Labels
from benchmark.errors import BenchmarkError
from benchmark.look import Look
from benchmark.method import Method
from benchmark.micrographs import Micrograph, read_folder
from benchmark.networks import sized_method
from benchmark.scores import method_key
from benchmark.selection.fit import Pace
from benchmark.selection.label_free import label_free, race_on_itself, race_on_labels
from benchmark.selection.narrowing import InstrumentFacts, Narrowed, narrow
from benchmark.selection.pairs import pair_cases
from benchmark.selection.select import Assess, Contender, fitted, select
from benchmark.selection.throughput import throughputs
from benchmark.selection.told import FolderSelection, doubt_of, rows_of
from benchmark.served import served
from model_library.annotations.reading import read_annotations
from model_library.annotations.targets import target_map
from model_library.cards.acquisition import AcquisitionRange
from model_library.cards.card import Modality, NetworkCard
from model_library.degradation.noise import NoiseModel, estimate_noise
from model_library.images.frame import Grey
from model_library.wire.methods import MethodRef
from model_library.wire.tasks import UNKNOWN_CLASS, Denoise, Segment, Task, task_in_words
from model_library.zoo.registry import Library

GIVEN_PX = 192
"""Side of a crop as a network is given it, more where a crop is binned: twice most receptive fields."""

OBJECTS_PX = 512
"""Side of the one crop of an image on which networks segment without labels: it has to hold objects."""

MOST_CROPS = 128
"""Of all images together: what a race may spend on the last two networks."""


@dataclass(frozen=True)
class FolderQuestion:
    """What is asked.

    Attributes
    ----------
    labels
        CVAT, VIA or COCO; None where there are none.
    structure
        How what is to be segmented looks, where there are no labels that tell.
    pixel_size_nm
        Instead of what the files tell.
    rate_mpix_per_s
        Of the acquisition.
    libraries
        Folders of networks; empty for those that ship.
    """

    images: Path
    task: Task
    labels: Path | None = None
    structure: Look | None = None
    pixel_size_nm: float | None = None
    modality: Modality | None = None
    rate_mpix_per_s: float | None = None
    libraries: tuple[Path, ...] = ()
    at_most: int = 20
    seed: int = 0


class _Owned(NamedTuple):
    card: NetworkCard
    library: Library


class _Evidence(NamedTuple):
    """What networks are judged on; `assess` is None for the usual race."""

    cases: tuple[Case, ...]
    noise: NoiseModel | None = None
    assess: Assess | None = None


def select_for_folder(
    asked: FolderQuestion, tell: Callable[[str], None], *, clock: Callable[[], float] = time.perf_counter
) -> FolderSelection:
    """Narrow the library, race the rest on the images, and fit the choice to the instrument.

    Raises
    ------
    SynopticError
        The images or labels do not suffice, or no network is left.
    """
    folder = read_folder(asked.images, at_most=asked.at_most)
    images = folder.images[: asked.at_most]
    facts = InstrumentFacts(
        pixel_size_nm=asked.pixel_size_nm or _pixel_size(images),
        modality=asked.modality,
        digests=frozenset(image.sha256 for image in images),
        acquisition=AcquisitionRange.of(image.acquisition for image in images),
    )
    owned = _owned(asked.libraries, asked.task)
    narrowed = narrow([each.card for each in owned], facts)
    if not narrowed.eligible:
        raise BenchmarkError(_none_fits(asked, narrowed))
    evidence = _evidence(asked, images)
    shelves = {each.card.ref: each.library for each in owned}
    methods = [
        served(sized_method(shelves[card.ref].load(card.id)), facts.pixel_size_nm)
        for card in narrowed.eligible
    ]
    tell(f"{len(methods)} networks, {len(evidence.cases)} crops of {len(images)} images")
    contenders = [
        Contender(_Announced(method, tell), card.facts.flops_per_pixel)
        for method, card in zip(methods, narrowed.eligible, strict=True)
    ]
    ranked = select(contenders, evidence.cases, seed=asked.seed, assess=evidence.assess)
    kept = {one.key for one in ranked.ranking}
    kinds = {method_key(card.ref): f"{card.config} {card.pixel_size_nm}" for card in narrowed.eligible}
    timed = [method for method in methods if method_key(method.ref) in kept]
    pace = Pace(
        rate_mpix_per_s=asked.rate_mpix_per_s,
        mpix_per_s=throughputs(timed, evidence.cases[0].input, kinds, clock),
    )
    selection = fitted(ranked, pace)
    noise = evidence.noise
    return FolderSelection(
        task=asked.task,
        structure=asked.structure,
        images=tuple(image.name for image in images),
        refused=folder.refused,
        pixel_size_nm=facts.pixel_size_nm,
        modality=facts.modality,
        acquisition=facts.acquisition,
        noise=None if noise is None else {"gain": noise.gain, "read_variance": noise.read_variance},
        left_out=narrowed.left_out,
        doubt=doubt_of(selection, evidence.cases),
        rows=rows_of(selection, narrowed.left_out),
        selection=selection,
    )


def _none_fits(asked: FolderQuestion, narrowed: Narrowed) -> str:
    """Word why nothing is left: all were left out, or no network does the task, and what there is instead."""
    wanted = task_in_words(asked.task)
    if narrowed.left_out:
        why = "; ".join(f"{key}, which {words}" for key, words in narrowed.left_out.items())
        return f"expected a network for {wanted} that fits, found {why}; give another --library"
    cards = [shelf.card(key) for shelf in _shelves(asked.libraries) for key in shelf.ids()]
    there = sorted({task_in_words(card.task) for card in cards})
    return (
        f"expected a network for {wanted}, found those for {', '.join(there) or 'nothing'}; ask for one of"
        " these with --task, or give another --library"
    )


class _Announced:
    """A `Method` that tells when it first runs."""

    def __init__(self, method: Method, tell: Callable[[str], None]) -> None:
        self._method, self._tell, self._told = method, tell, False

    @property
    def ref(self) -> MethodRef:
        return self._method.ref

    @property
    def scale(self) -> int:
        return self._method.scale

    def __call__(self, pixels: Grey) -> Grey:
        if not self._told:
            self._tell(f"{method_key(self.ref)} runs")
            self._told = True
        return self._method(pixels)


def _owned(folders: Sequence[Path], task: Task) -> list[_Owned]:
    """List the networks of all libraries that do the task; equal weights once."""
    found: dict[str, _Owned] = {}
    for library in _shelves(folders):
        for card in library.for_task(task):
            found.setdefault(card.weights_sha256, _Owned(card, library))
    return list(found.values())


def _shelves(folders: Sequence[Path]) -> list[Library]:
    return [Library(folder) for folder in folders] or [Library()]


def _pixel_size(images: Sequence[Micrograph]) -> float | None:
    """Side of the pixels, where all files that tell one agree within 1 %."""
    sizes = [image.pixel_size_nm for image in images if image.pixel_size_nm is not None]
    if sizes and max(sizes) > 1.01 * min(sizes):
        raise BenchmarkError(
            f"expected images of one pixel size, found {min(sizes):.4g} to {max(sizes):.4g} nm; choose for"
            " one magnification at a time, or state the size (--pixel-size-nm)"
        )
    return sizes[0] if sizes else None


def _evidence(asked: FolderQuestion, images: Sequence[Micrograph]) -> _Evidence:
    segments = isinstance(asked.task, Segment)
    if asked.structure is not None and (asked.labels is not None or not segments):
        raise BenchmarkError(
            "expected --structure to segment without labels only; leave it out with labels, and to restore"
        )
    if isinstance(asked.task, Segment) and asked.labels is not None:
        cases = _labelled(asked.task, asked.labels, asked.images, images)
        noise = estimate_noise([case.input for case in cases])
        return _Evidence(cases, noise, race_on_labels(noise, seed=asked.seed))
    if asked.labels is not None:
        raise BenchmarkError("expected labels for a segmentation only; leave --labels out to restore images")
    noise = estimate_noise([image.pixels for image in images])
    cases = pair_cases(
        [(image.field, image.pixels) for image in images],
        noise,
        np.random.default_rng([asked.seed, 1]),
        scale=asked.task.scale,
        crop_px=OBJECTS_PX if segments else GIVEN_PX * asked.task.scale // min(asked.task.scale, 2),
        crops=1 if segments else max(1, MOST_CROPS // len(images)),
    )
    return _Evidence(cases, noise, _without_truth(asked, noise))


def _without_truth(asked: FolderQuestion, noise: NoiseModel) -> Assess | None:
    """Find how networks are ranked on acquired images alone; None for the usual race, on pairs of them."""
    if isinstance(asked.task, Segment):
        return label_free(asked.task, noise, seed=asked.seed, look=asked.structure)
    return race_on_itself(noise, seed=asked.seed) if isinstance(asked.task, Denoise) else None


def _labelled(task: Segment, labels: Path, folder: Path, images: Sequence[Micrograph]) -> tuple[Case, ...]:
    """Make a case of each whole image on which every class is known."""
    drawn = {Path(each.name).stem: each for each in read_annotations(labels, folder).images}
    cases = []
    for image in images:
        if image.name not in drawn:
            continue
        classes = target_map(drawn[image.name], task.classes)
        if classes.shape == image.pixels.shape and not (classes == UNKNOWN_CLASS).any():
            cases.append(Case(image.field, image.name, image.pixels, Labels(classes > 0)))
    if not cases:
        raise BenchmarkError(
            f"expected images of {folder} on which {', '.join(task.classes[1:])} is drawn in {labels.name},"
            f" found {', '.join(sorted(drawn)[:5]) or 'none'} there and"
            f" {', '.join(image.name for image in images[:5])} here; export the labels of these images"
        )
    return tuple(cases)
