"""Fine-tune a network to an instrument's own images: on recorrupted pairs, or on labels.

The same input gives the same weights, bit for bit, also after a crash.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from model_library.wire.tasks import Segment

if TYPE_CHECKING:
    from model_library.cards.acquisition import AcquisitionRange
    from model_library.cards.card import NetworkCard, TrainingData
    from model_library.degradation.noise import NoiseModel
    from model_library.training.fit import FitConfig, FitProgress
    from model_library.training.material import MaterialImage
    from model_library.training.pairs import PairSource

LEAST_IMAGES = 2
"""One image shows a network one place and nothing else."""


@dataclass(frozen=True)
class Material:
    """What a restoring network is tuned on; pairs come from recorruption (R2R, Pang et al., CVPR 2021).

    Attributes
    ----------
    images
        Acquired images, float32 [Y, X] in counts, at the instrument's own pixel size: noise of resampled
        pixels is not independent, which recorruption rests on.
    noise
        Noise of the instrument, in counts.
    data
        How the card will describe these images.
    fields
        Their fields of view, on which the result must not be scored.
    acquisition
        Beam, dose, dwell and detectors of these images; None where their files told nothing.
    """

    images: "Sequence[MaterialImage]"
    noise: "NoiseModel"
    data: "TrainingData"
    fields: tuple[str, ...]
    acquisition: "AcquisitionRange | None" = None

    def pairs(self) -> "PairSource":
        """Pairs of recorrupted images."""
        from model_library.training.pairs import RecorruptedPairs

        return RecorruptedPairs(images=[image.pixels for image in self.images], noise=self.noise)


@dataclass(frozen=True)
class LabelledMaterial:
    """What a segmenting network is tuned on.

    Attributes
    ----------
    images
        Acquired images, float32 [Y, X] in counts, at their own pixel size, with their classes.
    data, fields, acquisition
        See `Material`.
    """

    images: "Sequence[MaterialImage]"
    data: "TrainingData"
    fields: tuple[str, ...]
    acquisition: "AcquisitionRange | None" = None

    def pairs(self) -> "PairSource":
        """Acquired images with their labels."""
        from model_library.training.labelled import AnnotatedPairs

        labelled = [(image.pixels, image.classes) for image in self.images if image.classes is not None]
        return AnnotatedPairs(
            images=[pixels for pixels, _ in labelled], classes=[classes for _, classes in labelled]
        )


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

    Raises
    ------
    RecipeError
        The material is not fit to train this network on; nothing was trained.
    """
    import torch

    from model_library.inference.engine import load_network
    from model_library.training.fit import fit
    from model_library.zoo.store import weights_bytes

    # Per thread, and workflow threads are made anew; a sum over another number of threads rounds differently.
    torch.set_num_threads(threads)
    network = load_network(parent)
    refuse_material(material, network.card, config)
    start = network.module.requires_grad_(True)
    return weights_bytes(fit(start, material.pairs(), config, progress=progress, stop=stop).module)


def refuse_material(material: Material | LabelledMaterial, card: "NetworkCard", config: "FitConfig") -> None:
    """Refuse images or labels that a network cannot be tuned on.

    Raises
    ------
    RecipeError
        Which images, what is wrong with each, and what to do.
    """
    from model_library.networks.build import in_channels
    from model_library.training.material import Demand, refuse_unfit

    demand = Demand(
        channels=in_channels(card.config),
        side_px=config.patch_px,
        images=LEAST_IMAGES,
        classes=card.task.classes if isinstance(card.task, Segment) else None,
        # An image was imported without a shape only where somebody said that nothing is there.
        negatives=True,
    )
    refuse_unfit(material.images, demand)


def pixel_range(images: "Sequence[MaterialImage]") -> tuple[float, float] | None:
    """Smallest and largest pixel among images, in nanometres; None where none tells its size."""
    sizes = [image.pixel_size_nm for image in images if image.pixel_size_nm is not None]
    return (min(sizes), max(sizes)) if sizes else None


def keep(
    parent: Path, weights: bytes, material: Material | LabelledMaterial, campaign: str, folder: Path
) -> "NetworkCard":
    """Write a tuned network with a card that tells its descent; writing it twice is writing it once.

    Whatever pixels, beam and dose its parent was made for, it saw those of the instrument: the card says so.

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
    ).model_copy(update={"pixel_size_nm": pixel_range(material.images), "acquisition": material.acquisition})
    module = assemble(card, weights, source=f"fine-tuning in {campaign}").module
    return save_network(folder / sha256, module, card)
