"""Any file of a microscope -> what it holds, with axes, dtype and pixel size told.

What an instrument hands to a site are files with one grey plane, `read_grey_frame`, or with several,
`read_grey_planes`, or in colour; one grey plane of whatever it is gives `read_middle_plane`.
"""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from model_library.errors import MissingReader, NotAnImage, UnsupportedImage
from model_library.images import czi, mrc, vendor_formats
from model_library.images.colour import ColourPolicy
from model_library.images.data_bar import bar_rows, cropped
from model_library.images.directory import is_tiff
from model_library.images.frame import Frame
from model_library.images.limits import DEFAULT_LIMITS, ReadLimits
from model_library.images.raster import is_jpeg, is_raster, read_raster
from model_library.images.recording import Contents, Recording, checked
from model_library.images.tiff_contents import read_tiff
from model_library.images.tiff_pages import described, read_head

__all__ = [
    "FOLDER_SUFFIXES",
    "Contents",
    "MissingReader",
    "ReadLimits",
    "Recording",
    "read_acquisition",
    "read_contents",
    "read_grey_frame",
    "read_grey_planes",
    "read_middle_plane",
    "read_recording",
]

FOLDER_SUFFIXES = frozenset(
    {
        ".tif",
        ".tiff",
        ".png",
        ".jpg",
        ".jpeg",
        ".mrc",
        ".mrcs",
        ".czi",
        ".dm3",
        ".dm4",
        ".ser",
        ".emd",
        ".hspy",
    }
)
"""Files that are looked for in a folder of images: what `read_grey_frame` reads, without suffixes that other
programs use as well."""


def read_contents(path: Path, limits: ReadLimits = DEFAULT_LIMITS, *, in_file: bool = False) -> Contents:
    """Read a TIFF, PNG, JPEG, MRC, CZI, DM3, DM4, EMD, SER, EMI, HSPY file or an OME-Zarr folder.

    The first bytes decide the format, not the name, where they can. DM3 to HSPY and OME-Zarr are
    decoded in a child process, by libraries of the extras `vendor-formats` and `zarr`.

    Parameters
    ----------
    path
        The file, or the folder of an OME-Zarr image.
    limits
        What is refused before decoding.
    in_file
        Leave the pixels of a TIFF's only page in the file where it is plain (`mapping.release` frees what was
        touched): nobody may overwrite it meanwhile.

    Raises
    ------
    EmptyImage
        No bytes.
    NotAnImage
        Another format, or a damaged file.
    TruncatedImage
        The file ends too early.
    UnsupportedImage
        Too large, complex, 4-D, or of another kind that no network takes.
    NonFinitePixels
        NaN or infinity among the pixels.
    MissingReader
        The format's library is not installed; the message names the extra.
    OSError
        The file cannot be read at all.
    """
    if path.is_dir():
        return vendor_formats.read_vendor(path, vendor_formats.OME_ZARR, limits)
    head = read_head(path)
    suffix = path.suffix.lower()
    if is_tiff(head):
        return read_tiff(path, limits, in_file=in_file)
    if is_raster(head):
        return _read_picture(path, head, limits)
    if czi.is_czi(head):
        return czi.read_czi(path, limits)
    if mrc.is_mrc(head) or suffix in mrc.SUFFIXES:
        return mrc.read_mrc(path, limits)
    found = vendor_formats.recognise(head, suffix)
    if found is not None:
        return vendor_formats.read_vendor(path, found, limits)
    raise NotAnImage(f"{path.name}: expected an image, found {described(head[:16])}; export it as TIFF")


def read_recording(
    path: Path, index: int | None = None, limits: ReadLimits = DEFAULT_LIMITS, *, in_file: bool = False
) -> Recording:
    """Read the one image that is meant.

    Parameters
    ----------
    path
        As in `read_contents`.
    index
        Which of several, from 0; None where there is one, or one grey image beside colour overviews.
    limits, in_file
        As in `read_contents`.

    Raises
    ------
    UnsupportedImage
        There are several, and none was chosen; or none of this number. Else as `read_contents`.
    """
    recordings = read_contents(path, limits, in_file=in_file).recordings
    if index is not None and 0 <= index < len(recordings):
        return recordings[index]
    meant = _only_one(recordings) if index is None else None
    if meant is not None:
        return meant
    raise UnsupportedImage(
        f"{path.name}: expected one image, found {_listed(recordings)} and "
        f"{'no choice' if index is None else f'choice {index}'}; choose one of these numbers"
    )


def read_grey_frame(path: Path, limits: ReadLimits = DEFAULT_LIMITS) -> Frame:
    """Read the one grey plane that an acquired file of any format holds, without its data bar.

    Parameters
    ----------
    path
        As in `read_contents`.
    limits
        What is refused before decoding.

    Returns
    -------
    Frame
        uint8, uint16 and float32 as stored, other dtypes as float32 (see `Recording.frames`).

    Raises
    ------
    UnsupportedImage
        Several images, a stack or series, colour, or pixels that are not square. Else as
        `read_contents`.
    """
    recording, frames = read_grey_planes(path, limits)
    if len(frames) != 1:
        raise UnsupportedImage(
            f"{path.name}: expected one plane, found {len(frames)} (axes {recording.axes}), a stack or "
            "series; save each plane as a file of its own"
        )
    return frames[0]


def read_grey_planes(
    path: Path, limits: ReadLimits = DEFAULT_LIMITS, colour: ColourPolicy = "refuse"
) -> tuple[Recording, tuple[Frame, ...]]:
    """Read the one grey image, stack or series of an acquired file of any format, without its data bar.

    Parameters
    ----------
    path, limits
        As in `read_contents`.
    colour
        What becomes of a colour image; see `Recording.frames`.

    Returns
    -------
    tuple
        What was recorded, as `read_acquisition` gives it, and each plane as `read_grey_frame` gives it, the
        last of the axes before Y running fastest.

    Raises
    ------
    UnsupportedImage
        Several images, colour to be refused, or pixels that are not square. Else as `read_contents`.
    """
    recording, rows = read_acquisition(path, limits)
    frames = recording.frames(path.name, colour)
    return recording, tuple(replace(frame, data_bar_rows=rows) for frame in frames)


def read_middle_plane(path: Path, limits: ReadLimits = DEFAULT_LIMITS) -> tuple[Recording, Frame]:
    """Read what stands for an acquired file where one grey plane is wanted: the middle one, its luminance.

    What was recorded comes before it, as `read_acquisition` gives it. Refusals as in `read_grey_planes`.
    """
    recording, rows = read_acquisition(path, limits)
    [frame] = recording.middle().frames(path.name, "luminance")
    return recording, replace(frame, data_bar_rows=rows)


def read_acquisition(path: Path, limits: ReadLimits = DEFAULT_LIMITS) -> tuple[Recording, int]:
    """Read the one image, stack or series that an acquired file holds.

    Returns
    -------
    tuple
        Without its data bar, in true colour (see `Recording.in_true_colour`); and the rows of that bar.

    Raises
    ------
    UnsupportedImage
        Several images. Else as `read_contents`.
    """
    recordings = read_contents(path, limits).recordings
    recording = _only_one(recordings)
    if recording is None:
        raise UnsupportedImage(
            f"{path.name}: expected one image, found {_listed(recordings)}; save each as a file of its own"
        )
    rows = bar_rows(recording)
    return cropped(recording, rows).in_true_colour(), rows


def _only_one(recordings: Sequence[Recording]) -> Recording | None:
    """Give the recording that is meant without a choice: the only one, or the only grey one; else None."""
    grey = [recording for recording in recordings if not (recording.axes.endswith("S") or recording.lossy)]
    return next((found[0] for found in (recordings, grey) if len(found) == 1), None)


def _listed(recordings: Sequence[Recording]) -> str:
    """List number and shape of each of several recordings."""
    listed = ", ".join(
        f"{number}: {recording.axes} {recording.pixels.shape}" for number, recording in enumerate(recordings)
    )
    return f"{len(recordings)} ({listed})"


def _read_picture(path: Path, head: bytes, limits: ReadLimits) -> Contents:
    pixels = read_raster(path.read_bytes(), path.name, limits.max_pixels)
    lossy = is_jpeg(head)
    recording = Recording(pixels, "YX" if pixels.ndim == 2 else "YXS", lossy=lossy)
    return Contents("JPEG" if lossy else "PNG", (checked(recording, path.name),))
