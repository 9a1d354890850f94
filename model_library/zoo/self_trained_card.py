"""The card of a denoiser that learned a site's own noisy frames."""

from dataclasses import dataclass
from typing import Literal

from model_library.cards.acquisition import AcquisitionRange
from model_library.cards.card import Lineage, NetworkCard, TrainingData
from model_library.images.acquisition_facts import acquisition_of
from model_library.networks.config import NetworkConfig
from model_library.networks.facts import facts
from model_library.wire.tasks import Denoise
from model_library.zoo.own_frames import OwnFrames

MethodName = Literal["noise2void", "noise2self", "noise2noise"]

_NO_DIGEST = "0" * 64
_ONE_INSTRUMENT = "Learned the frames of one instrument; nothing is known of it on others."
_BLIND = "Noise that is correlated between pixels (scan lines, resampled frames) is taken for the specimen."
_LIMITS: dict[MethodName, tuple[str, ...]] = {
    "noise2void": (_ONE_INSTRUMENT, _BLIND),
    "noise2self": (_ONE_INSTRUMENT, _BLIND),
    "noise2noise": (_ONE_INSTRUMENT, "Repeats that are not registered to each other teach it to blur."),
}


@dataclass(frozen=True, slots=True)
class About:
    """What was asked for: id of the network, method, name of the folder, how it was made, seed."""

    network_id: str
    method: MethodName
    folder: str
    recipe: str
    seed: int


def card_of(
    about: About, frames: OwnFrames, before: NetworkCard | None, config: NetworkConfig
) -> NetworkCard:
    """Describe the network; `before` is the card of the one that training began with.

    Its pixel sizes, beam and dose are those of the frames, whatever its parent's: it saw them as acquired.
    """
    learned = [frame for each in frames.learned for frame in each.frames]
    sizes = [frame.pixel_size_nm for frame in learned if frame.pixel_size_nm is not None]
    data = TrainingData(
        source=f"own frames of {about.folder}, by {about.method}",
        terms="of the site; not distributed",
        images=len(learned),
        digests=tuple(digest for each in frames.learned for digest in each.digests),
        simulated=False,
    )
    return NetworkCard(
        id=about.network_id,
        version="1",
        purpose="Removes the noise of one instrument, learned from its own noisy frames.",
        task=Denoise(),
        modality=() if before is None else before.modality,
        config=config,
        facts=facts(config),
        weights_sha256=_NO_DIGEST,
        pixel_size_nm=(min(sizes), max(sizes)) if sizes else None,
        acquisition=AcquisitionRange.of(acquisition_of(frame.metadata) for frame in learned),
        training_data=(*(() if before is None else before.training_data), data),
        recipe=about.recipe,
        seed=about.seed,
        limits=_LIMITS[about.method],
        licence="Apache-2.0" if before is None else before.licence,
        lineage=None if before is None else _lineage(before, about.method),
    )


def _lineage(before: NetworkCard, method: MethodName) -> Lineage:
    return Lineage(
        parent_id=before.id,
        parent_version=before.version,
        parent_weights_sha256=before.weights_sha256,
        campaign=f"library train, {method}",
        tuned_fields=() if before.lineage is None else before.lineage.tuned_fields,
    )
