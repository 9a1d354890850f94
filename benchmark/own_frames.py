"""A denoiser that learned a site's own frames, judged on those it did not see, without truth."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from benchmark.assessment import Assessment, assess
from benchmark.card_scores import row_scores
from benchmark.cases import Case, repeat_cases
from benchmark.errors import BenchmarkError
from benchmark.networks import sized_method
from model_library.cards.card import CardScore
from model_library.degradation.noise import NoiseModel
from model_library.inference.weights import LoadedNetwork
from model_library.wire.tasks import Denoise
from model_library.zoo.own_frames import OwnField, noise_of, read_own_frames
from model_library.zoo.registry import Library

_LEAST_FIELDS = 2
"""Without two, there is no interval."""


@dataclass(frozen=True)
class OwnFramesRun:
    """What is asked.

    Attributes
    ----------
    images
        Folder of frames, those among them that the network learned.
    repeated
        Whether it holds stacks, or subfolders, of repeats of each field.
    crop_px
        Side of the crop of each field that is scored.
    """

    library: Library
    network_id: str
    images: Path
    repeated: bool = False
    crop_px: int = 256
    seed: int = 0


def judge_own_frames(asked: OwnFramesRun) -> tuple[tuple[CardScore, ...], Assessment]:
    """Score a network, the one it began with, and classical algorithms tuned on what it learned from.

    Files whose digests are on the card were learned; the noise is measured on them, too. Everything
    else in the folder is scored: by recorruption, so that differences are unbiased though no clean
    image is known.

    Returns
    -------
    tuple
        The scores for the card, and the whole assessment.

    Raises
    ------
    BenchmarkError
        Fewer than one field that was learned or two that were not; or the network fails on some.
    """
    network = asked.library.load(asked.network_id)
    frames = read_own_frames(asked.images, repeated=asked.repeated)
    known = {digest for data in network.card.training_data for digest in data.digests}
    fields = frames.learned + frames.held_out
    learned = [each for each in fields if known.intersection(each.digests)]
    unseen = [each for each in fields if not known.intersection(each.digests)]
    if not learned or len(unseen) < _LEAST_FIELDS:
        raise BenchmarkError(
            f"{asked.images}: expected fields that {asked.network_id} learned and at least {_LEAST_FIELDS} "
            f"that it did not, found {len(learned)} and {len(unseen)}; give the folder that it was trained "
            "on, or add frames"
        )
    noise = noise_of(learned)
    entrants = [network, *_start(asked, network)]
    found = assess(
        [sized_method(each) for each in entrants],
        Denoise(),
        _cases(asked, learned, noise),
        _cases(asked, unseen, noise),
        seed=asked.seed,
    )
    return _scores(asked, network, found), found


def _start(asked: OwnFramesRun, network: LoadedNetwork) -> list[LoadedNetwork]:
    """Load the network that training began with, where it is still at hand."""
    lineage = network.card.lineage
    if lineage is None:
        return []
    shelves = (asked.library, Library())
    found = (shelf.load(lineage.parent_id) for shelf in shelves if lineage.parent_id in shelf.ids())
    return [each for each in found if each.card.weights_sha256 == lineage.parent_weights_sha256][:1]


def _cases(asked: OwnFramesRun, fields: Sequence[OwnField], noise: NoiseModel) -> tuple[Case, ...]:
    first = [(each.name, each.frames[0]) for each in fields]
    made = repeat_cases(
        [(name, frame.grey) for name, frame in first],
        noise,
        np.random.default_rng(asked.seed),
        crop_px=asked.crop_px,
    )
    return tuple(
        replace(case, pixel_size_nm=frame.pixel_size_nm) for case, (_, frame) in zip(made, first, strict=True)
    )


def _scores(asked: OwnFramesRun, network: LoadedNetwork, found: Assessment) -> tuple[CardScore, ...]:
    ref = network.card.ref
    rival = next(row for row in found.rows if row.method == found.best_classical)
    repeated = " --repeated" if asked.repeated else ""
    about = (
        f"held-out frames of {asked.images.name}, judged without truth",
        f"synoptic benchmark own-frames {asked.network_id} --images DIR --library LIBRARY"
        f" --crop-px {asked.crop_px} --seed {asked.seed}{repeated}",
    )
    scores = [
        score
        for row in found.rows
        if row.ref == ref and row.method not in found.failures
        for score in row_scores(row, rival, about, gain=True)
    ]
    if not scores:
        why = "; ".join(found.failures.values()) or "no finite score"
        raise BenchmarkError(
            f"expected a score of {asked.network_id} on every frame, found {why}; leave these frames out"
        )
    return tuple(scores)
