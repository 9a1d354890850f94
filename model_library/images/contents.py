"""Any file of a microscope -> what it holds, with axes, dtype and pixel size told.

`readers.read_frame` is for what instruments hand to a site: one grey TIFF. This is for people's files.
"""

from pathlib import Path

from model_library.errors import MissingReader, NotAnImage, UnsupportedImage
from model_library.images import czi, mrc, vendor_formats
from model_library.images.directory import is_tiff
from model_library.images.limits import DEFAULT_LIMITS, ReadLimits
from model_library.images.raster import is_jpeg, is_raster, read_raster
from model_library.images.recording import Contents, Recording, checked
from model_library.images.tiff_contents import read_tiff
from model_library.images.tiff_pages import described, read_head

__all__ = ["Contents", "MissingReader", "ReadLimits", "Recording", "read_contents", "read_recording"]


def read_contents(path: Path, limits: ReadLimits = DEFAULT_LIMITS) -> Contents:
    """Read a TIFF, PNG, JPEG, MRC, CZI, DM3, DM4, EMD, SER, EMI, HSPY file or an OME-Zarr folder.

    The first bytes decide the format, not the name, where they can. DM3 to HSPY and OME-Zarr are
    decoded in a child process, by libraries of the extras `vendor-formats` and `zarr`.

    Parameters
    ----------
    path
        The file, or the folder of an OME-Zarr image.
    limits
        What is refused before decoding.

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
        return read_tiff(path, limits)
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


def read_recording(path: Path, index: int | None = None, limits: ReadLimits = DEFAULT_LIMITS) -> Recording:
    """Read the one image that is meant.

    Parameters
    ----------
    path
        As in `read_contents`.
    index
        Which of several, from 0; None where there is one, or one grey image beside colour overviews.
    limits
        What is refused before decoding.

    Raises
    ------
    UnsupportedImage
        There are several, and none was chosen; or none of this number. Else as `read_contents`.
    """
    recordings = read_contents(path, limits).recordings
    if index is not None and 0 <= index < len(recordings):
        return recordings[index]
    if index is None:
        grey = [
            recording for recording in recordings if not (recording.axes.endswith("S") or recording.lossy)
        ]
        for candidates in (recordings, grey):
            if len(candidates) == 1:
                return candidates[0]
    listed = ", ".join(
        f"{number}: {recording.axes} {recording.pixels.shape}" for number, recording in enumerate(recordings)
    )
    raise UnsupportedImage(
        f"{path.name}: expected one image, found {len(recordings)} ({listed}) and "
        f"{'no choice' if index is None else f'choice {index}'}; choose one of these numbers"
    )


def _read_picture(path: Path, head: bytes, limits: ReadLimits) -> Contents:
    pixels = read_raster(path.read_bytes(), path.name, limits.max_pixels)
    lossy = is_jpeg(head)
    recording = Recording(pixels, "YX" if pixels.ndim == 2 else "YXS", lossy=lossy)
    return Contents("JPEG" if lossy else "PNG", (checked(recording, path.name),))
