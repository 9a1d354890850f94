"""A file of any format that its writer has not finished is waited for; one that stays so is refused."""

from collections.abc import Callable
from pathlib import Path

import imagecodecs
import mrcfile
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from model_library.errors import ImageError, MissingReader, NotAnImage, UnsupportedImage
from model_library.images.frame import Frame
from model_library.images.inspector import inspect
from model_library.images.writers import encode_acquisition

from .written_formats import czi

PIXELS = np.random.default_rng(0).poisson(300, (40, 50)).astype(np.uint16)


def mrc(path: Path) -> None:
    with mrcfile.new(path) as file:
        file.set_data(PIXELS)
        file.voxel_size = 20.0


WRITERS: dict[str, Callable[[Path], object]] = {
    "a.tif": lambda path: path.write_bytes(encode_acquisition(Frame(PIXELS, 2.0))),
    "a.mrc": mrc,
    "a.png": lambda path: path.write_bytes(imagecodecs.png_encode(PIXELS)),
    "a.jpg": lambda path: path.write_bytes(imagecodecs.jpeg8_encode(PIXELS.astype(np.uint8))),
    "a.czi": lambda path: path.write_bytes(czi({(0, 0, 0): PIXELS}, 1).replace(b"5E-9", b"4E-9")),
}


@pytest.fixture(params=WRITERS)
def whole(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    path = tmp_path / request.param
    WRITERS[request.param](path)
    return path


def test_a_whole_file_tells_its_header(whole: Path) -> None:
    found = inspect(whole, last_look=False)
    assert (found["complete"], found["pixels"]) == (True, PIXELS.size)
    if whole.suffix in {".tif", ".mrc"}:
        assert found["pixel_size_nm"] == pytest.approx(2.0)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(share=st.floats(0.05, 0.9999))
def test_no_part_of_a_file_is_taken_for_the_whole(whole: Path, share: float) -> None:
    content = whole.read_bytes()
    part = whole.with_name(f"part{whole.suffix}")
    part.write_bytes(content[: max(8, int(share * len(content)))])
    assert inspect(part, last_look=False) == {"complete": False}
    with pytest.raises(ImageError, match=rf"^part\{whole.suffix}: expected .* found "):
        inspect(part, last_look=True)


def test_what_no_further_byte_makes_a_frame_is_refused_at_once(tmp_path: Path) -> None:
    path = tmp_path / "a.mrc"
    with mrcfile.new(path) as file:
        file.set_data(PIXELS)
        file.voxel_size = (1.0, 2.0, 1.0)
    with pytest.raises(UnsupportedImage, match="export it with square pixels"):
        inspect(path, last_look=False)


def test_the_planes_of_a_stack_are_counted(tmp_path: Path) -> None:
    path = tmp_path / "a.mrc"
    with mrcfile.new(path) as file:
        file.set_data(np.stack([PIXELS, PIXELS]))
    found = inspect(path, last_look=False)
    assert (found["planes"], found["pixels"]) == (2, 2 * PIXELS.size)


def test_a_format_whose_library_is_missing_names_the_extra(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "rsciio").mkdir()
    (tmp_path / "rsciio" / "__init__.py").write_text("raise ImportError('no rsciio')")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path), prepend=":")
    path = tmp_path / "a.dm3"
    path.write_bytes(b"\0\0\0\3" + bytes(64))
    with pytest.raises(MissingReader, match=r"pip install 'synoptic\[vendor-formats\]'"):
        inspect(path, last_look=False)


def test_a_letter_is_waited_for_and_then_no_image(tmp_path: Path) -> None:
    path = tmp_path / "a.tif"
    path.write_bytes(b"Dear microscope, this is a letter.")
    assert inspect(path, last_look=False) == {"complete": False}
    with pytest.raises(NotAnImage, match="found text"):
        inspect(path, last_look=True)
