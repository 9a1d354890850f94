"""Fine-tune a network to an instrument's own images: on recorrupted pairs, or on labels.

The same input gives the same weights, bit for bit, also after a crash.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from model_library.images.frame import Grey

if TYPE_CHECKING:
    from model_library.cards.card import NetworkCard, TrainingData
    from model_library.degradation.noise import NoiseModel
    from model_library.training.fit import FitConfig, FitProgress
    from model_library.training.pairs import PairSource


@dataclass(frozen=True)
class Material:
    """What a restoring network is tuned on; pairs come from recorruption (R2R, Pang et al., CVPR 2021).

    Attributes
    ----------
    images
        Acquired images, float32 [Y, X] in counts.
    noise
        Noise of the instrument, in counts.
    data
        How the card will describe these images.
    fields
        Their fields of view, on which the result must not be scored.
    """

    images: Sequence[Grey]
    noise: "NoiseModel"
    data: "TrainingData"
    fields: tuple[str, ...]

    def pairs(self) -> "PairSource":
        """Pairs of recorrupted images."""
        from model_library.training.pairs import RecorruptedPairs

        return RecorruptedPairs(images=self.images, noise=self.noise)


@dataclass(frozen=True)
class LabelledMaterial:
    """What a segmenting network is tuned on.

    Attributes
    ----------
    images
        Acquired images, float32 [Y, X] in counts.
    classes
        Class indices of their pixels, uint8 [Y, X].
    data, fields
        See `Material`.
    """

    images: Sequence[Grey]
    classes: Sequence[NDArray[np.uint8]]
    data: "TrainingData"
    fields: tuple[str, ...]

    def pairs(self) -> "PairSource":
        """Acquired images with their labels."""
        from model_library.training.labelled import AnnotatedPairs

        return AnnotatedPairs(images=self.images, classes=self.classes)


def fine_tune(
    parent: Path,
    material: Material | LabelledMaterial,
    config: "FitConfig",
    *,
    threads: int,
    progress: "Callable[[FitProgress], None] | None" = None,
    stop: Callable[[], bool] | None = None,
) -> bytes:
    """Tune the network in a folder.

    The result is a function of the network, the material, the configuration and `threads`.

    Returns
    -------
    bytes
        The tuned weights, as a safetensors file.
    """
    import torch

    from model_library.inference.engine import load_network
    from model_library.training.fit import fit
    from model_library.zoo.store import weights_bytes

    # Per thread, and workflow threads are made anew; a sum over another number of threads rounds differently.
    torch.set_num_threads(threads)
    start = load_network(parent).module.requires_grad_(True)
    return weights_bytes(fit(start, material.pairs(), config, progress=progress, stop=stop).module)


def keep(
    parent: Path, weights: bytes, material: Material | LabelledMaterial, campaign: str, folder: Path
) -> "NetworkCard":
    """Write a tuned network with a card that tells its descent; writing it twice is writing it once.

    Parameters
    ----------
    parent
        Folder of the network that was tuned.
    folder
        In which the version gets a folder named by the digest of its weights.
    """
    from model_library.inference.weights import assemble, read_card
    from model_library.signing.digests import sha256_bytes
    from model_library.zoo.derive import derived_card
    from model_library.zoo.store import save_network

    before = read_card(parent)
    sha256 = sha256_bytes(weights)
    card = derived_card(
        before,
        version=f"{before.version}+{sha256[:8]}",
        weights_sha256=sha256,
        campaign=campaign,
        tuned_fields=material.fields,
        training_data=(material.data,),
    )
    module = assemble(card, weights, source=f"fine-tuning in {campaign}").module
    return save_network(folder / sha256, module, card)
