"""A folder of a site's own frames: read, checked, and parted by field of view into learned and held out."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod
from pathlib import Path

from model_library.degradation.noise import NoiseModel, estimate_noise
from model_library.errors import ImageError, RecipeError
from model_library.images.contents import FOLDER_SUFFIXES, read_contents, read_grey_frame
from model_library.images.data_bar import without_data_bar
from model_library.images.frame import Frame
from model_library.signing.digests import sha256_bytes, sha256_file

_HELD_OUT_SHARE = 5
"""One field of view in so many is held out."""

_FIELDS_FOR_NOISE = 16


@dataclass(frozen=True, slots=True)
class OwnField:
    """One field of view.

    Attributes
    ----------
    name
        Of the file or folder, or the stage label that its files tell.
    files
        Where its frames lie, with their SHA-256.
    frames
        One, or repeats of one size.
    """

    name: str
    files: tuple[tuple[Path, str], ...]
    frames: tuple[Frame, ...]

    @property
    def digests(self) -> tuple[str, ...]:
        """SHA-256 of its files."""
        return tuple(digest for _, digest in self.files)


@dataclass(frozen=True, slots=True)
class OwnFrames:
    """What a folder holds.

    Attributes
    ----------
    learned, held_out
        Fields of view to learn from, and those to judge on.
    left_out
        File -> why it cannot be used.
    """

    learned: tuple[OwnField, ...]
    held_out: tuple[OwnField, ...]
    left_out: dict[str, str]

    @property
    def sha256(self) -> str:
        """Digest of what is learned from: a checkpoint is continued with the very same frames only."""
        return sha256_bytes("".join(digest for each in self.learned for digest in each.digests).encode())


def read_own_frames(folder: Path, *, repeated: bool) -> OwnFrames:
    """Read a folder.

    Parameters
    ----------
    folder
        Files of any format that `read_contents` takes, in it or below. A stage label that files tell,
        else the file, says which field of view they show.
    repeated
        Whether several frames of each field are wanted: the pages of a stack, or the files of a
        subfolder.

    Raises
    ------
    RecipeError
        There is no such folder, or fewer than two fields of view in it: one is to be held out.
    """
    if not folder.is_dir():
        raise RecipeError(f"expected a folder of frames, found no {folder}; name the one that holds them")
    files = sorted(
        path for path in folder.rglob("*") if path.suffix.lower() in FOLDER_SUFFIXES and path.is_file()
    )
    left_out: dict[str, str] = {}
    found: dict[str, OwnField] = {}
    for file in files:
        name = file.relative_to(folder).as_posix()
        try:
            frames = _planes(file) if repeated else (read_grey_frame(file),)
        except (ImageError, OSError) as refusal:
            left_out[name] = str(refusal)
            continue
        key = _field(file, folder, frames, repeated=repeated)
        known = found.get(key, OwnField(key, (), ()))
        found[key] = OwnField(key, (*known.files, (file, sha256_file(file))), (*known.frames, *frames))
    fields = _usable(found, left_out, repeated=repeated)
    if len(fields) < 2:
        why = "; ".join(left_out.values()) or f"{len(files)} files"
        raise RecipeError(
            f"{folder}: expected frames of at least two fields of view, one of them to be held out, found "
            f"{len(fields)} ({why}); add frames"
        )
    # By digest, so that neighbours in time are not all on one side.
    ranked = sorted(fields, key=lambda each: sha256_bytes("".join(each.digests).encode()))
    most = max(1, len(ranked) // _HELD_OUT_SHARE)
    return OwnFrames(tuple(ranked[most:]), tuple(ranked[:most]), left_out)


def noise_of(fields: Sequence[OwnField]) -> NoiseModel:
    """Measure the instrument's noise, in counts, on the first frame of each of some fields."""
    return estimate_noise([each.frames[0].grey for each in fields[:_FIELDS_FOR_NOISE]])


def _planes(file: Path) -> tuple[Frame, ...]:
    recordings = read_contents(file).recordings
    return tuple(frame for recording in recordings for frame in without_data_bar(recording).frames(file.name))


def _field(file: Path, folder: Path, frames: Sequence[Frame], *, repeated: bool) -> str:
    if repeated:
        inner = file.parent != folder and len(frames) == 1
        return (file.parent if inner else file).relative_to(folder).as_posix()
    return frames[0].field or file.relative_to(folder).as_posix()


def _usable(found: dict[str, OwnField], left_out: dict[str, str], *, repeated: bool) -> list[OwnField]:
    """Leave out fields without a repeat of the same size, where repeats are wanted."""
    usable = []
    for name, each in found.items():
        shapes = {frame.pixels.shape for frame in each.frames}
        if repeated and (len(each.frames) < 2 or len(shapes) > 1):
            left_out[name] = (
                f"{name}: expected at least two frames of one size, found {len(each.frames)} of "
                f"{sorted(shapes, key=prod)}; add repeats, or learn from single frames (noise2void)"
            )
        else:
            usable.append(each)
    return usable
