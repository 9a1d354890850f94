"""A real stack with numbered cells: membranes between them, learned from neighbouring slices."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from torch import Tensor

from model_library.cards.card import TrainingData
from model_library.errors import RecipeError
from model_library.images.frame import Grey
from model_library.images.intensity import Scaling
from model_library.images.readers import read_stack
from model_library.networks.channels import neighbouring_slices
from model_library.signing.digests import sha256_bytes
from model_library.training.pairs import Pair, cut_batch
from model_library.training.variations import Variations
from model_library.zoo.pools import to_unit
from model_library.zoo.recipe import StackSource

_CROSS = np.array([[0, 1, 0], [1, 1, 1], [0, 1, 0]], dtype=bool)


@dataclass(frozen=True, slots=True)
class LabelledStack:
    """Consecutive slices and where the membranes are.

    Attributes
    ----------
    first
        Number of the first slice in its file.
    pixels
        float32 [Z, Y, X], counts.
    membrane
        bool [Z, Y, X].
    digests
        SHA-256 of every slice's pixels as stored, row by row.
    """

    first: int
    pixels: Grey
    membrane: NDArray[np.bool_]
    digests: tuple[str, ...]


def labelled_stack(source: StackSource, data: Path | None, *, held_out: bool) -> LabelledStack:
    """Read the slices that training sees, or those that it never sees.

    Raises
    ------
    RecipeError
        No data folder was given, a stack is missing, or they are of different shapes or too short.
    """
    first, last = source.held_out if held_out else source.slices
    image, labels = (_path(source, data, name) for name in (source.image, source.labels))
    pages, numbers = read_stack(image), read_stack(labels)
    shapes = [page.pixels.shape for page in pages], [page.pixels.shape for page in numbers]
    if shapes[0] != shapes[1] or len(set(shapes[0])) != 1 or last >= len(pages):
        raise RecipeError(
            f"{image}: expected {last + 1} or more slices of one shape, with labels for each, found "
            f"{len(pages)} and {len(numbers)}; correct the recipe"
        )
    seen = pages[first : last + 1]
    borders = [membrane(page.pixels, source.width_px) for page in numbers[first : last + 1]]
    return LabelledStack(
        first,
        np.stack([page.grey for page in seen]),
        np.stack(borders),
        tuple(sha256_bytes(page.pixels.tobytes()) for page in seen),
    )


def membrane(numbers: NDArray[np.uint16], width_px: int) -> NDArray[np.bool_]:
    """Find the line [Y, X] along which cells of different numbers meet, about `width_px` wide."""
    meets = ndimage.grey_dilation(numbers, footprint=_CROSS) != ndimage.grey_erosion(
        numbers, footprint=_CROSS
    )
    wider = width_px // 2 - 1
    return np.asarray(ndimage.binary_dilation(meets, _CROSS, iterations=wider) if wider else meets)


def stack_data(source: StackSource, stack: LabelledStack) -> TrainingData:
    """Tell the card about the slices that training saw, each by the digest of its pixels."""
    return TrainingData(
        source=f"{source.folder}/{source.image}, labelled, slices {source.slices[0]} to {source.slices[1]}",
        terms=source.terms,
        images=len(stack.digests),
        digests=stack.digests,
        simulated=False,
    )


@dataclass(frozen=True, slots=True)
class SlicePairs:
    """Slices with their neighbours, acquired anew, and the class of each pixel of the middle one.

    Attributes
    ----------
    stack
        float32 [Z, Y, X], in [0, 1].
    classes
        Class indices [Z, Y, X].
    places
        Slices that are drawn.
    count
        Slices that the network sees at once.
    variations
        The ranges from which each degradation is drawn; one for all slices of a draw.
    """

    stack: Grey
    classes: Grey
    places: tuple[int, ...]
    count: int
    variations: Variations

    def batch(self, size: int, patch_px: int, rng: np.random.Generator) -> tuple[Tensor, Tensor]:
        """See `PairSource`; inputs [N, count, patch, patch], targets are class indices as float32."""

        def draw() -> Pair:
            z = self.places[int(rng.integers(len(self.places)))]
            seen = neighbouring_slices(self.stack, z, self.count)
            # One below the other they are one image: the same optics, dose and detector for all of them.
            below = seen.reshape(-1, seen.shape[-1])
            acquired, _ = self.variations.acquire(self.variations.restyle(below, rng), rng)
            return Pair(Scaling.of(acquired).apply(acquired).reshape(seen.shape), self.classes[z])

        return cut_batch(draw, size, patch_px, 1, rng)


def slice_pairs(
    stack: LabelledStack, places: Sequence[int], count: int, variations: Variations
) -> SlicePairs:
    """Make pairs of some slices of a stack; neighbours come from the whole of it."""
    classes = stack.membrane.astype(np.float32)
    return SlicePairs(to_unit(stack.pixels), classes, tuple(places), count, variations)


def _path(source: StackSource, data: Path | None, name: str) -> Path:
    path = (data or Path()) / source.folder / name
    if data is None or not path.is_file():
        raise RecipeError(
            f"expected the stack {source.folder}/{name} in the data folder, found none in "
            f"{data or 'no folder at all'}; name the folder with --data"
        )
    return path
