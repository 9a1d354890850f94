"""Clean images to train on: simulated specimens, and micrographs whose terms allow it."""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from skimage.transform import resize

from model_library.cards.card import TrainingData
from model_library.degradation.operators import block_mean
from model_library.errors import RecipeError
from model_library.images.frame import Frame, Grey
from model_library.images.readers import read_micrograph
from model_library.signing.digests import sha256_file
from model_library.specimens import Specimen, fitted, render
from model_library.training.material import Demand, MaterialImage, refuse_unfit
from model_library.zoo.recipe import MicrographSource, SpecimenPool

LOW_PERCENTILE, HIGH_PERCENTILE = 0.1, 99.9
MOST_DRAWS = 60
LEAST_CONTRAST = 0.05


def simulated(pool: SpecimenPool, rng: np.random.Generator) -> tuple[Specimen, ...]:
    """Render a pool, kinds in turn, each specimen at a magnification of its own; sides `side_px`.

    Raises
    ------
    RecipeError
        Hardly a specimen looks as `only_dark` or `only_bright` wants it.
    """
    specimens: list[Specimen] = []
    for _ in range(MOST_DRAWS * pool.images):
        if len(specimens) == pool.images:
            break
        zoom = float(rng.uniform(*pool.zoom))
        side = max(32, round(pool.side_px / zoom))
        kind = pool.kinds[len(specimens) % len(pool.kinds)]
        specimen = _magnified(render(kind, (side, side), rng), pool.side_px)
        if _wanted(specimen, pool.only_dark, -1) and _wanted(specimen, pool.only_bright, 1):
            specimens.append(specimen)
    if len(specimens) < pool.images:
        raise RecipeError(
            f"expected {pool.images} specimens that look as wanted, found {len(specimens)} in "
            f"{MOST_DRAWS * pool.images}; correct only_dark or only_bright"
        )
    return tuple(specimens)


def _wanted(specimen: Specimen, name: str | None, sign: int) -> bool:
    if name is None:
        return True
    mask = specimen.labels.get(name)
    if mask is None or not 0 < mask.mean() < 0.5:
        return False
    difference = specimen.intensity[mask].mean() - specimen.intensity[~mask].mean()
    return bool(sign * difference > LEAST_CONTRAST)


def simulated_data(pool: SpecimenPool) -> TrainingData:
    """Tell the card about a simulated pool."""
    kinds = ", ".join(pool.kinds)
    return TrainingData(
        source=f"simulated specimens: {kinds}", terms="Apache-2.0", images=pool.images, simulated=True
    )


def micrographs(
    sources: Sequence[MicrographSource],
    data: Path | None,
    side_px: int,
    *,
    choose: Callable[[Sequence[Frame]], Sequence[Frame]] = tuple,
) -> tuple[tuple[Grey, ...], tuple[TrainingData, ...]]:
    """Read, check, bin and cut micrographs into squares [side_px, side_px] in [0, 1], and say which files.

    Parameters
    ----------
    sources
        Where they lie under `data`; the pixel sizes of one source must agree.
    data
        The folder of micrographs.
    side_px
        Side of the squares, after binning.
    choose
        Which of a source's images to cut, in the order of their names.

    Raises
    ------
    RecipeError
        No data folder was given, a source is not in it, or an image cannot be trained on.
    """
    squares: list[Grey] = []
    facts: list[TrainingData] = []
    for source in sources:
        files = _files(source, data)
        frames = [read_micrograph(file) for file in files]
        refuse_unfit(
            [
                MaterialImage(str(file), frame.pixels, frame.pixel_size_nm)
                for file, frame in zip(files, frames, strict=True)
            ],
            Demand(side_px=side_px * source.bin),
        )
        for frame in choose(frames):
            squares += _squares(to_unit(block_mean(frame.grey, source.bin)), side_px)
        facts.append(
            TrainingData(
                source=source.folder,
                terms=source.terms,
                images=len(files),
                digests=tuple(sha256_file(file) for file in files),
                simulated=False,
            )
        )
    return tuple(squares), tuple(facts)


def _files(source: MicrographSource, data: Path | None) -> list[Path]:
    files = sorted((data / source.folder).glob(source.pattern)) if data is not None else []
    if not files:
        raise RecipeError(
            f"expected micrographs {source.folder}/{source.pattern} in the data folder, found none in "
            f"{data or 'no folder at all'}; name the folder with --data"
        )
    return files


def to_unit(pixels: Grey) -> Grey:
    """Stretch a micrograph [Y, X] to [0, 1], a thousandth of its pixels clipped at either end."""
    low, high = np.percentile(pixels, (LOW_PERCENTILE, HIGH_PERCENTILE))
    unit: Grey = np.clip((pixels - low) / max(high - low, 1e-6), 0, 1).astype(np.float32)
    return unit


def _squares(image: Grey, side_px: int) -> list[Grey]:
    rows, columns = image.shape[0] // side_px, image.shape[1] // side_px
    return [
        image[row * side_px : (row + 1) * side_px, column * side_px : (column + 1) * side_px]
        for row in range(rows)
        for column in range(columns)
    ]


def _magnified(specimen: Specimen, side_px: int) -> Specimen:
    if specimen.intensity.shape == (side_px, side_px):
        return specimen
    labels = {
        name: _resized(mask.astype(np.float32), side_px) > 0.5 for name, mask in specimen.labels.items()
    }
    nearest = ((np.arange(side_px) + 0.5) * specimen.intensity.shape[0] / side_px).astype(np.intp)
    instances = {
        name: fitted(layers[:, nearest][:, :, nearest], labels[name])
        for name, layers in specimen.instances.items()
    }
    return Specimen(np.clip(_resized(specimen.intensity, side_px), 0, 1), labels, instances)


def _resized(image: Grey, side_px: int) -> Grey:
    smaller = image.shape[0] > side_px
    resized: Grey = resize(  # type: ignore[no-untyped-call]
        image, (side_px, side_px), order=1 if smaller else 3, anti_aliasing=smaller
    ).astype(np.float32)
    return resized
