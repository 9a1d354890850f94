"""OME-Zarr (NGFF 0.4 in zarr 2, 0.5 in zarr 3): the first image of a folder at its full resolution.

Runs in the child process of `vendor_formats`; the library comes with the extra `zarr`.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np

from model_library.errors import NotAnImage, UnsupportedImage
from model_library.images.limits import ReadLimits, refuse_oversized
from model_library.images.pixel_size import PixelSize, nanometres

_LETTERS = {"t": "T", "z": "Z", "c": "C", "y": "Y", "x": "X"}


def decode(path: Path, folder: Path, limits: ReadLimits) -> dict[str, Any]:
    """Decode the full resolution of the first multiscale image, as `vendor_child.decode` promises.

    Raises
    ------
    NotAnImage
        No OME-Zarr image.
    UnsupportedImage
        Axes that no microscope image has, complex values, or too large.
    """
    import zarr

    try:
        group = zarr.open_group(path, mode="r")
    except Exception as error:
        raise NotAnImage(
            f"{path.name}: expected a folder with an OME-Zarr image, found {str(error)[:99]}; name the image"
        ) from error
    scales = _multiscales(dict(group.attrs))
    if not scales:
        raise NotAnImage(f"{path.name}: expected `multiscales` in its attributes, found none; name the image")
    scale = scales[0]
    level = scale["datasets"][0]
    inside = PurePosixPath(str(level["path"]))
    if inside.is_absolute() or ".." in inside.parts:
        raise NotAnImage(
            f"{path.name}: expected an array inside of the folder, found {inside}; export it again"
        )
    array = group[str(inside)]
    if not isinstance(array, zarr.Array):
        raise NotAnImage(f"{path.name}: expected an array at {inside}, found a group; export it again")
    letters, units = _axes(scale["axes"], path.name)
    if array.dtype.kind not in "iufb":
        raise UnsupportedImage(f"{path.name}: expected numbers, found {array.dtype}; export the modulus")
    refuse_oversized(array.shape, array.dtype.itemsize, path.name, limits)
    refuse_oversized(array.chunks, array.dtype.itemsize, path.name, limits)
    factors = _factors(scale, level, len(letters))
    pixels = np.asarray(array[...])
    kept = [index for index, axis in enumerate(letters) if axis in "YX" or pixels.shape[index] > 1]
    np.save(folder / "0.npy", np.ascontiguousarray(pixels.reshape([pixels.shape[index] for index in kept])))
    sizes = {
        axis: nanometres(factor, unit) for axis, factor, unit in zip(letters, factors, units, strict=True)
    }
    size = PixelSize.of(sizes["Y"], sizes["X"], sizes.get("Z") if "Z" in (letters[i] for i in kept) else None)
    recording: dict[str, Any] = {
        "file": "0.npy",
        "axes": "".join(letters[index] for index in kept),
        "pixel_size_nm": [size.y_nm, size.x_nm, size.z_nm],
        "name": str(scale["name"]) if scale.get("name") else None,
        "metadata": {},
    }
    left_out = [f"{other['path']}: a smaller copy" for other in scale["datasets"][1:]]
    return {"recordings": [recording], "left_out": left_out}


def _multiscales(attributes: Mapping[str, Any]) -> Sequence[Mapping[str, Any]]:
    # 0.5 moved everything below "ome".
    found: Sequence[Mapping[str, Any]] = attributes.get("ome", attributes).get("multiscales", [])
    return found


def _axes(axes: Sequence[Mapping[str, Any]], name: str) -> tuple[str, list[str]]:
    letters = "".join(_LETTERS.get(str(axis.get("name")).lower(), "?") for axis in axes)
    if "?" in letters or letters[-2:] != "YX" or len(set(letters)) != len(letters):
        raise UnsupportedImage(
            f"{name}: expected axes out of t, c, z, y, x, found {[axis.get('name') for axis in axes]}; "
            "export it with these"
        )
    return letters, [str(axis.get("unit", "")) for axis in axes]


def _factors(scale: Mapping[str, Any], level: Mapping[str, Any], dimensions: int) -> list[float]:
    """Product of the level's and the image's `scale` transformations, one factor per axis."""
    factors = np.ones(dimensions)
    for owner in (level, scale):
        for transformation in owner.get("coordinateTransformations", []):
            if transformation.get("type") == "scale":
                factors = factors * np.asarray(transformation["scale"], dtype=float)
    return [float(factor) for factor in factors]
