"""`synoptic library degradation-fit`: an instrument's degradation, recovered from its images."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import numpy as np
import typer

from model_library.errors import RecipeError
from model_library.images.frame import Frame, Grey

if TYPE_CHECKING:
    from model_library.degradation.fitted import DegradationFit
    from model_library.degradation.pair_fitting import ImagePair

_SUFFIXES = {".tif", ".tiff", ".png", ".jpg", ".jpeg"}
DEGRADATION_FIT_EXAMPLE = (
    "Example: synoptic library degradation-fit --images noisy/ --clean clean/ --out sem.toml"
)
Progress = Callable[[str], None]


def degradation_fit(
    images: Annotated[Path, typer.Option(help="Folder of low-quality images of one instrument and setting.")],
    clean: Annotated[
        Path | None, typer.Option(help="Folder of their clean partners, of the same names.")
    ] = None,
    offset: Annotated[
        float | None, typer.Option(help="Grey value without electrons, of a dark frame (without --clean).")
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="Write the recipe there: TOML, or JSON if it ends in .json.")
    ] = None,
    json_file: Annotated[
        Path | None, typer.Option("--json", help="Write the figures and the recipe there as JSON.")
    ] = None,
) -> None:
    """Recover gain, offset, dose, read noise and, from pairs, blur and down-sampling; print the recipe."""
    from model_library.degradation.recipe_files import as_toml, write_recipe_file

    def tell(text: str) -> None:
        typer.echo(text, err=True)

    found = fit_folder(images, clean, offset, tell)
    recipe = found.recipe()
    if out is not None:
        write_recipe_file(out, recipe, remarks(found))
    if json_file is not None:
        content = found.model_dump_json(indent=2)[: -len("\n}")]
        json_file.write_text(f'{content},\n  "recipe": {recipe.model_dump_json()}\n}}\n', encoding="utf-8")
    typer.echo(as_toml(recipe, remarks(found)), nl=False)


def fit_folder(images: Path, clean: Path | None, offset: float | None, tell: Progress) -> "DegradationFit":
    """Read a folder, or two of the same names, and fit.

    Raises
    ------
    RecipeError
        A folder is empty, a partner is missing, or see `fit_images` and `fit_pairs`.
    ImageError
        A file is no image, or holds NaN; the message names it.
    """
    files = _files(images)
    if clean is None:
        from model_library.degradation.fitting import fit_images

        greys = [frame.grey for frame in _read(files, tell)]
        tell("measuring noise")
        return fit_images(greys, offset=offset)
    from model_library.degradation.pair_fitting import fit_pairs

    if offset is not None:
        raise RecipeError(
            f"expected --offset or --clean, found both; leave --offset {offset:g} out, pairs tell the offset"
        )
    pairs = _pairs(files, clean, tell)
    return fit_pairs(pairs, progress=lambda tried: tell(f"blur tried {tried} times"))


def remarks(found: "DegradationFit") -> tuple[str, ...]:
    """Tell, above the recipe, where it comes from and how far it is to be trusted."""
    kind = "pairs" if found.paired else "images without partners"
    lines = [
        f"Fitted to {found.images} {kind}.",
        f"Gain {found.gain_counts_per_electron:.4g} counts per electron,",
        f"read noise {found.read_sigma_counts:.4g} counts,",
        f"offset {found.offset_counts:.4g} counts ({found.offset_from}),",
        f"all noise {found.noise_sigma_counts:.4g} counts at a grey value of {found.level_counts:.4g}.",
    ]
    if found.offset_from == "assumed":
        lines.append("The offset is assumed: give --offset from a dark frame to part shot and read noise.")
    return tuple(lines)


def _files(folder: Path) -> list[Path]:
    files = sorted(path for path in folder.glob("*") if path.suffix.lower() in _SUFFIXES and path.is_file())
    if not files:
        raise RecipeError(
            f"expected images (.tif, .png, .jpg) in {folder}, found none; name the folder that holds them"
        )
    return files


def _read(files: Sequence[Path], tell: Progress) -> list[Frame]:
    from model_library.images.readers import read_micrograph

    frames = []
    for number, path in enumerate(files, start=1):
        tell(f"reading {path.name} ({number} of {len(files)})")
        frames.append(read_micrograph(path))
    return frames


def _pairs(files: Sequence[Path], clean: Path, tell: Progress) -> "list[ImagePair]":
    from model_library.degradation.pair_fitting import ImagePair

    partners = {path.stem: path for path in _files(clean)}
    alone = [path.name for path in files if path.stem not in partners]
    if alone:
        raise RecipeError(
            f"expected a clean partner in {clean} for every image, found none for {', '.join(alone)}; name "
            "partners alike, or leave these images out"
        )
    frames = _read(files, tell)
    units = _unit(_read([partners[path.stem] for path in files], tell))
    return [
        ImagePair(path.name, frame.grey, unit) for path, frame, unit in zip(files, frames, units, strict=True)
    ]


def _unit(frames: Sequence[Frame]) -> list[Grey]:
    """Map clean images to [0, 1]: 8-bit ones by their range, others by the range of all together."""
    if all(frame.pixels.dtype == np.uint8 for frame in frames):
        return [frame.grey / np.float32(255) for frame in frames]
    low = min(float(frame.grey.min()) for frame in frames)
    high = max(float(frame.grey.max()) for frame in frames)
    return [(frame.grey - np.float32(low)) / np.float32(max(high - low, 1e-12)) for frame in frames]
