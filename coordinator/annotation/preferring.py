"""Which network the library's own measures prefer while nobody has labelled, and what it finds."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from benchmark.look import Look
from benchmark.method import Method
from benchmark.scores import method_key
from benchmark.selection import select
from benchmark.selection.folder import OBJECTS_PX
from benchmark.selection.label_free import label_free
from benchmark.selection.narrowing import InstrumentFacts
from benchmark.selection.pairs import pair_cases
from coordinator.annotation.cvat import export_task, to_label
from coordinator.annotation.labels import segmenting
from coordinator.annotation.matching import exported_name
from coordinator.contenders import contenders_for
from coordinator.store.values import Instrument, StoredImage
from coordinator.stored_frames import pixels_of, read_stored
from coordinator.workplace import Workplace
from model_library.annotations.predictions import draw_classes
from model_library.annotations.shapes import AnnotatedImage
from model_library.cards.acquisition import AcquisitionRange
from model_library.degradation.noise import estimate_noise

RANKED_ON = 3
"""Images, of as many fields of view as there are."""


@dataclass(frozen=True)
class Preferred:
    """The network that the library's own measures prefer; a guess to correct, not a release.

    Attributes
    ----------
    plausibility
        Network -> how plausible and steady what it finds is, in [0, 1], best first.
    left_out
        Network -> why it was not tried.
    """

    method: Method
    plausibility: dict[str, float]
    left_out: dict[str, str]


def prefer(
    place: Workplace, instrument: Instrument, images: Sequence[StoredImage], look: Look | None = None
) -> Preferred:
    """Rank the networks for an instrument's classes without labels (docs/decisions/0020, 0034).

    Parameters
    ----------
    images
        Of the instrument; the first `RANKED_ON` of different fields are ranked on.
    look
        Of what is to be labelled, where whoever asks stated it.

    Raises
    ------
    AnnotationError
        The instrument does not segment.
    CannotAssess
        No network of the library fits.
    """
    task = segmenting(instrument)
    size_nm = images[0].pixel_size_nm or instrument.pixel_size_nm
    facts = InstrumentFacts(
        pixel_size_nm=size_nm,
        digests=frozenset(each.sha256 for each in images),
        acquisition=AcquisitionRange.of(each.acquisition for each in images),
    )
    contenders = contenders_for(place, task, facts, "export without --predict")
    of_fields: dict[str, StoredImage] = {}
    for image in images:
        of_fields.setdefault(image.field, image)
    shown = pixels_of(place.objects, tuple(of_fields.values())[:RANKED_ON])
    noise = estimate_noise([pixels for _, pixels in shown])
    selection = select(
        contenders.ranked,
        pair_cases(shown, noise, place.rng("preferring"), crop_px=OBJECTS_PX),
        seed=place.settings.seed,
        assess=label_free(task, noise, seed=place.settings.seed, look=look),
    )
    chosen = next(one.method for one in contenders.ranked if method_key(one.method.ref) == selection.winner)
    plausibility = {one.key: one.score for one in selection.ranking}
    return Preferred(chosen, plausibility, contenders.left_out)


def export_predicted(
    place: Workplace,
    instrument: Instrument,
    out: Path,
    most: int | None = None,
    *,
    look: Look | None = None,
) -> tuple[int, Preferred]:
    """Write a CVAT task as `export_task` does, with what the preferred network finds on every image.

    Returns
    -------
    How many images it holds, and which network was preferred.
    """
    classes = segmenting(instrument).classes
    preferred = prefer(place, instrument, to_label(place, instrument, most), look)

    def predict(image: StoredImage) -> AnnotatedImage:
        found = preferred.method(read_stored(place.objects, image).grey)
        drawn = draw_classes(exported_name(image), found.astype(np.uint8), classes, "polygon")
        # A network looked for every class; whether the annotator did, the annotator tells.
        return replace(drawn, searched=frozenset())

    return export_task(place, instrument, out, most, predict), preferred
