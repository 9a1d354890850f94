"""The strip of text below SEM images is found, cropped or refused, and nothing else is taken for one."""

import csv

import imagecodecs
import numpy as np
import pytest
import tifffile
from hypothesis import given, settings
from hypothesis import strategies as st

from model_library.errors import UnsupportedImage
from model_library.images.contents import read_contents, read_recording
from model_library.images.data_bar import bar_rows, data_bar, without_data_bar
from model_library.images.readers import read_frame, read_micrograph
from model_library.images.recording import Recording


def specimen(seed, shape=(256, 320)):
    """Grains of many grey values, with noise."""
    rng = np.random.default_rng(seed)
    coarse = rng.uniform(40, 200, (shape[0] // 16 + 1, shape[1] // 16 + 1))
    grains = np.kron(coarse, np.ones((16, 16)))[: shape[0], : shape[1]]
    return np.clip(grains + rng.normal(0, 12, shape), 0, 255).astype(np.uint8)


def with_bar(image, *, rows, ground, ink, lines=True, seed=0):
    """The image with a bar of `rows` below it: words of random glyphs, a scale, lines around fields."""
    rng = np.random.default_rng(seed)
    width = image.shape[1]
    bar = np.full((rows, width), ground, np.uint8)
    top = max(2, rows // 2 - 4)
    for start in range(8, width - 60, 70):
        for letter in range(rng.integers(4, 7)):
            glyph = rng.random((7, 5)) < 0.45
            bar[top : top + 7, start + 7 * letter : start + 7 * letter + 5][glyph] = ink
    bar[top + 3 : top + 5, width - 56 : width - 16] = ink
    if lines:
        bar[0] = bar[-1] = ink
        bar[:, [0, -1]] = ink
    return np.concatenate([image, bar])


@settings(derandomize=True, deadline=None, max_examples=60)
@given(
    st.integers(0, 10**6),
    st.integers(14, 40),
    st.sampled_from([(0, 255), (255, 0), (10, 240), (243, 0), (60, 250)]),
    st.booleans(),
    st.sampled_from([np.uint8, np.uint16, np.float32]),
)
def test_a_bar_is_found_to_the_row(seed, rows, colours, lines, dtype):
    image = specimen(seed)
    ground, ink = colours
    found = with_bar(image, rows=rows, ground=ground, ink=ink, lines=lines, seed=seed).astype(dtype)
    if dtype != np.uint8:
        found = found * dtype(100)
    assert data_bar(found) == rows
    assert data_bar(image.astype(dtype)) is None


def test_a_bar_below_an_image_as_dark_as_itself_is_found_by_its_line():
    dark = np.zeros((256, 320), np.uint8)
    assert data_bar(with_bar(dark, rows=24, ground=0, ink=255)) == 24


def test_a_bar_in_a_jpeg_is_found():
    stored = with_bar(specimen(4), rows=32, ground=0, ink=255)
    decoded = imagecodecs.jpeg8_decode(imagecodecs.jpeg8_encode(stored, level=80))
    assert data_bar(decoded) in range(30, 35)


def black_border(image):
    image[-30:] = 0


def resin_with_dust(image):
    image[-60:] = 0
    image[-40:-36, 100:104] = 255


def bright_layer_with_grains(image):
    rng = np.random.default_rng(1)
    image[-60:] = 220
    for row, column in zip(rng.integers(200, 250, 40), rng.integers(0, 310, 40), strict=True):
        image[row : row + 5, column : column + 8] = rng.integers(120, 215)


def saturated_bottom(image):
    image[128:][image[128:] > 60] = 255


def flat(image):
    image[:] = 7


def diagonal_edge(image):
    y, x = np.mgrid[: image.shape[0], : image.shape[1]]
    image[y > 180 + x // 8] = 0
    image[240:244, 200:260:3] = 255


@pytest.mark.parametrize(
    "change", [black_border, resin_with_dust, bright_layer_with_grains, saturated_bottom, flat, diagonal_edge]
)
def test_what_only_resembles_a_bar_is_left_alone(change):
    image = specimen(9)
    change(image)
    assert data_bar(image) is None


@pytest.mark.parametrize("shape", [(1, 1), (8, 8), (20, 400), (400, 20), (3, 3000)])
def test_images_too_small_for_a_bar_have_none(shape):
    assert data_bar(np.random.default_rng(1).integers(0, 255, shape)) is None


@pytest.mark.parametrize(
    ("name", "rows", "told"),
    [
        ("tiff_fei/FEI-Helios-Ebeam-8bits.tif", 29, True),
        ("tiff_zeiss_sem/test_tiff_Zeiss_SEM_512pix.tif", 34, False),
    ],
    ids=["FEI", "Zeiss"],
)
def test_instruments_bars_are_found_by_tags_and_by_looks(shared_data, name, rows, told):
    path = shared_data / "vendor_formats" / name
    recording = read_recording(path)
    assert (recording.image_rows is not None) == told
    assert data_bar(recording.pixels) == rows
    assert bar_rows(recording) == rows
    image = without_data_bar(recording)
    assert np.array_equal(image.pixels, recording.pixels[:-rows])
    assert not bar_rows(image)
    frame = read_frame(path)
    assert frame.data_bar_rows == rows
    assert np.array_equal(frame.pixels, image.pixels)
    with pytest.raises(UnsupportedImage, match=f"found one of {rows} rows; crop it"):
        without_data_bar(recording, "refuse")


def test_every_plane_of_a_stack_loses_its_bar():
    planes = np.stack([with_bar(specimen(seed), rows=20, ground=0, ink=255) for seed in range(3)])
    assert without_data_bar(Recording(planes, "ZYX")).pixels.shape == (3, 256, 320)
    colour = np.stack([planes[0]] * 3, axis=-1)
    assert without_data_bar(Recording(colour, "YXS")).pixels.shape == (256, 320, 3)


def test_published_pictures_lose_their_bar_too(tmp_path):
    path = tmp_path / "a.png"
    path.write_bytes(imagecodecs.png_encode(with_bar(specimen(2), rows=20, ground=255, ink=0)))
    frame = read_micrograph(path)
    assert (frame.pixels.shape, frame.data_bar_rows) == ((256, 320), 20)


@pytest.mark.parametrize(
    ("columns_told", "rows"), [(320, 56), (640, 0)], ids=["told", "told of another image"]
)
def test_a_height_is_believed_where_the_width_fits(tmp_path, columns_told, rows):
    path = tmp_path / "a.tif"
    told = (
        f"[Scan]\r\nPixelWidth=4e-9\r\n[Image]\r\nResolutionX={columns_told}\r\nResolutionY=200\r\n".encode()
    )
    tags = [(34682, 2, len(told), told, True)]
    tifffile.imwrite(path, specimen(3), metadata=None, extratags=tags)
    frame = read_frame(path)
    assert (frame.pixel_size_nm, frame.data_bar_rows) == (pytest.approx(4.0), rows)


def micrographs(folder):
    with (folder / "MANIFEST.csv").open() as manifest:
        paths = [folder / row["path"] for row in csv.DictReader(manifest)]
    return [path for path in paths if path.suffix in (".png", ".tif", ".jpg")]


def test_no_published_micrograph_or_mask_raises_a_false_alarm(shared_data):
    alarms = {}
    planes = 0
    for path in micrographs(shared_data):
        for recording in read_contents(path).recordings:
            pixels = recording.pixels[..., 0] if recording.axes.endswith("S") else recording.pixels
            for plane in pixels.reshape(-1, *recording.shape)[::40]:
                planes += 1
                if data_bar(plane):
                    alarms[path.name] = data_bar(plane)
    assert planes > 250
    # These two have one.
    assert alarms == {"FEI-Helios-Ebeam-8bits.tif": 29, "test_tiff_Zeiss_SEM_512pix.tif": 34}
