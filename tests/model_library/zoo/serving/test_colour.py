"""Colour images by networks of grey ones: each channel restored, on one scale; their luminance classed."""

from collections.abc import Callable
from pathlib import Path

import imagecodecs
import numpy as np
import pytest
import tifffile
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from model_library.cards.card import NetworkCard
from model_library.images.colour import luminance
from model_library.images.contents import read_recording
from model_library.images.intensity import Scaling, to_dtype
from model_library.images.readers import read_provenance
from model_library.inference.backends.torch_backend import TorchBackend
from model_library.inference.engine import LoadedNetwork, geometry_of, restore, segment
from model_library.inference.served import ServedNetwork
from model_library.inference.windows import Tiling
from model_library.networks.build import build
from model_library.networks.config import EDSRConfig, NetworkConfig, ResidualDenoiserConfig, UNetConfig
from model_library.networks.facts import facts
from model_library.wire.tasks import Denoise, Segment, SuperResolve, Task
from model_library.zoo.serving import acquired
from model_library.zoo.serving.reconstruction import Wishes, reconstruct
from model_library.zoo.store import save_network

CLASSES = Segment(classes=("background", "cell"))
NETWORKS: dict[str, tuple[NetworkConfig, Task]] = {
    "grey": (ResidualDenoiserConfig(depth=3, width=4), Denoise()),
    "slices": (UNetConfig(widths=(4, 6), in_channels=3, channels="slices"), Denoise()),
    "double": (EDSRConfig(blocks=1, width=4, scale=2), SuperResolve(scale=2)),
    "classes": (UNetConfig(widths=(4, 6), out_channels=2, residual=False), CLASSES),
    "rgb classes": (
        UNetConfig(widths=(4, 6), out_channels=2, residual=False, in_channels=3, channels="rgb"),
        CLASSES,
    ),
}

Plant = Callable[[str], tuple[ServedNetwork, LoadedNetwork]]


@pytest.fixture(scope="module")
def plant(tmp_path_factory: pytest.TempPathFactory) -> Plant:
    """Give a drawn network, as the engine serves it and as torch loads it."""

    def planted(name: str) -> tuple[ServedNetwork, LoadedNetwork]:
        config, task = NETWORKS[name]
        torch.manual_seed(3)
        module = build(config).eval()
        card = NetworkCard(
            id="drawn",
            version="1",
            purpose="test",
            task=task,
            config=config,
            facts=facts(config),
            weights_sha256="0" * 64,
            pixel_size_nm=(4.0, 4.0) if name == "grey" else None,
        )
        card = save_network(tmp_path_factory.mktemp("network"), module, card)
        served = ServedNetwork(card, geometry_of(config), TorchBackend(module), Tiling(64))
        return served, LoadedNetwork(card, module)

    return planted


def scene(dtype: type = np.uint16, shape: tuple[int, ...] = (70, 85), seed: int = 1) -> np.ndarray:
    """Three dyes of unlike strength, under noise; [..., Y, X, 3]."""
    y, x = np.mgrid[: shape[-2], : shape[-1]]
    waves = np.stack([1 + np.sin(x / 9), 0.5 + 0.4 * np.cos(y / 5), 0.3 + 0.2 * np.sin((x + y) / 7)], axis=-1)
    counts = np.random.default_rng(seed).poisson(np.broadcast_to(80 * waves, (*shape, 3)))
    if dtype is np.uint16:
        return (counts * 250).clip(0, 65535).astype(np.uint16)
    return counts.clip(0, 255).astype(dtype)


def png(pixels: np.ndarray) -> bytes:
    return bytes(imagecodecs.png_encode(np.ascontiguousarray(pixels)))


def with_alpha(pixels: np.ndarray) -> np.ndarray:
    alpha = np.random.default_rng(2).integers(0, np.iinfo(pixels.dtype).max, (*pixels.shape[:-1], 1))
    return np.concatenate([pixels, alpha.astype(pixels.dtype)], axis=-1)


def write_tiff(path: Path, pixels: np.ndarray, **options: object) -> None:
    tifffile.imwrite(path, pixels, photometric="rgb", metadata=None, **options)


FORMATS: dict[str, tuple[str, type, Callable[[Path, np.ndarray], object]]] = {
    "PNG, 8 bit": ("a.png", np.uint8, lambda path, rgb: path.write_bytes(png(rgb))),
    "PNG, 16 bit": ("a.png", np.uint16, lambda path, rgb: path.write_bytes(png(rgb))),
    "PNG, 8 bit, alpha": ("a.png", np.uint8, lambda path, rgb: path.write_bytes(png(with_alpha(rgb)))),
    "PNG, 16 bit, alpha": ("a.png", np.uint16, lambda path, rgb: path.write_bytes(png(with_alpha(rgb)))),
    "TIFF, 8 bit": ("a.tif", np.uint8, write_tiff),
    "TIFF, 16 bit": ("a.tif", np.uint16, write_tiff),
    "TIFF, 32 bit": ("a.tif", np.float32, write_tiff),
    "TIFF, 16 bit, planar": (
        "a.tif",
        np.uint16,
        lambda path, rgb: write_tiff(path, np.moveaxis(rgb, -1, 0), planarconfig="separate"),
    ),
    "TIFF, 8 bit, planar": (
        "a.tif",
        np.uint8,
        lambda path, rgb: write_tiff(path, np.moveaxis(rgb, -1, 0), planarconfig="separate"),
    ),
    "TIFF, 16 bit, tiled, alpha": (
        "a.tif",
        np.uint16,
        lambda path, rgb: write_tiff(path, with_alpha(rgb), tile=(32, 32), extrasamples=["unassalpha"]),
    ),
}


def close(found: np.ndarray, expected: np.ndarray) -> bool:
    """Whether counts agree but for rounding at a half."""
    return bool(np.abs(found.astype(np.float64) - to_dtype(expected, found.dtype)).max() <= 1)


def by_channel(network: LoadedNetwork, pixels: np.ndarray) -> np.ndarray:
    scaling, floats = Scaling.of(pixels), pixels.astype(np.float32)
    return np.stack([restore(floats[None, ..., each], network, scaling=scaling)[0] for each in range(3)], -1)


@pytest.mark.parametrize("kind", FORMATS)
def test_each_channel_is_restored_on_the_scale_of_the_image(kind: str, plant: Plant, tmp_path: Path):
    name, dtype, write = FORMATS[kind]
    (served, loaded), rgb, shares = plant("grey"), scene(dtype), []
    write(tmp_path / name, rgb)
    target = tmp_path / "out.ome.tif"
    reconstruct(tmp_path / name, target, served, told=shares.append)
    found = read_recording(target)
    assert (found.axes, found.pixels.shape, found.pixels.dtype) == ("YXS", rgb.shape, dtype)
    assert close(found.pixels, by_channel(loaded, rgb))
    assert sum(shares) == pytest.approx(1)
    told = read_provenance(target)["source"]
    assert (told["colour"], told["shape"]) == ("channels", list(rgb.shape))
    with tifffile.TiffFile(target) as tiff:
        assert tiff.pages[0].photometric == tifffile.PHOTOMETRIC.RGB
        assert (tiff.series[0].axes, tiff.is_ome) == ("YXS", True)


@pytest.mark.parametrize("kind", FORMATS)
def test_grey_in_the_guise_of_colour_is_grey(kind: str, plant: Plant, tmp_path: Path):
    name, dtype, write = FORMATS[kind]
    served, grey = plant("grey")[0], scene(dtype)[..., 0]
    write(tmp_path / name, np.stack([grey] * 3, axis=-1))
    tifffile.imwrite(tmp_path / "grey.tif", grey, photometric="minisblack")
    made = []
    for source in (name, "grey.tif"):
        reconstruct(tmp_path / source, tmp_path / "out.ome.tif", served)
        made.append(read_recording(tmp_path / "out.ome.tif"))
        assert "colour" not in read_provenance(tmp_path / "out.ome.tif")["source"]
    assert (made[0].axes, made[1].axes) == ("YX", "YX")
    np.testing.assert_array_equal(made[0].pixels, made[1].pixels)


@pytest.mark.parametrize(
    "kind", ["TIFF, 8 bit", "TIFF, 16 bit", "TIFF, 16 bit, big-endian", "TIFF, 16 bit, alpha", "TIFF, 32 bit"]
)
def test_large_colour_stays_in_its_file_and_gives_the_same(
    kind: str, plant: Plant, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    dtype = np.uint8 if "8" in kind else np.float32 if "32" in kind else np.uint16
    served, rgb = plant("grey")[0], scene(dtype)
    more = {"byteorder": ">"} if "endian" in kind else {}
    write_tiff(tmp_path / "a.tif", with_alpha(rgb) if "alpha" in kind else rgb, **more)
    made = []
    for least in (acquired._MAPPED_BYTES, 0):
        monkeypatch.setattr(acquired, "_MAPPED_BYTES", least)
        pixels = acquired.read_acquired(tmp_path / "a.tif", "channels").pixels
        while pixels.base is not None and not isinstance(pixels, np.memmap):
            pixels = pixels.base
        assert isinstance(pixels, np.memmap) == (least == 0 and "endian" not in kind)
        reconstruct(tmp_path / "a.tif", tmp_path / "out.ome.tif", served)
        made.append(read_recording(tmp_path / "out.ome.tif").pixels)
    assert close(made[0], by_channel(plant("grey")[1], rgb))
    np.testing.assert_array_equal(*made)


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(order=st.permutations(range(3)), seed=st.integers(0, 99), dtype=st.sampled_from([np.uint8, np.uint16]))
def test_colours_that_change_places_do_so_in_the_result(plant: Plant, tmp_path: Path, order, seed, dtype):
    served, rgb = plant("grey")[0], scene(dtype, (20, 31), seed)
    made = []
    for pixels in (rgb, rgb[..., order]):
        write_tiff(tmp_path / "a.tif", pixels)
        reconstruct(tmp_path / "a.tif", tmp_path / "out.ome.tif", served)
        made.append(read_recording(tmp_path / "out.ome.tif").pixels)
    np.testing.assert_array_equal(made[0][..., order], made[1])


@pytest.mark.parametrize("name", ["grey", "double"])
def test_where_a_dye_is_not_nothing_is_invented(name: str, plant: Plant, tmp_path: Path):
    (served, loaded), rgb, shares = plant(name), scene(), []
    rgb[..., 0], rgb[..., 2] = 0, 7
    write_tiff(tmp_path / "a.tif", rgb)
    reconstruct(tmp_path / "a.tif", tmp_path / "out.ome.tif", served, told=shares.append)
    found = read_recording(tmp_path / "out.ome.tif").pixels
    assert [np.unique(found[..., each]).tolist() for each in (0, 2)] == [[0], [7]]
    assert close(found[..., 1], by_channel(loaded, rgb)[..., 1])
    assert sum(shares) == pytest.approx(1)


def test_what_is_left_as_it_is_has_no_uncertainty(plant: Plant, tmp_path: Path):
    served, _ = plant("grey")
    pixels = scene()
    pixels[..., 1] = 300
    tifffile.imwrite(tmp_path / "in.tif", pixels, photometric="rgb")
    reconstruct(tmp_path / "in.tif", tmp_path / "out.ome.tif", served.of_eight("spread"))
    spread = read_recording(tmp_path / "out.ome.tif").pixels
    assert not spread[..., 1].any()
    assert spread[..., 0].all()


def test_super_resolution_enlarges_every_channel_and_divides_the_pixel_size(plant: Plant, tmp_path: Path):
    (served, loaded), rgb = plant("double"), scene()
    write_tiff(tmp_path / "a.tif", rgb)
    target = tmp_path / "out.ome.tif"
    assert reconstruct(tmp_path / "a.tif", target, served, Wishes(pixel_size_nm=4.0)).pixel_size_nm == 2.0
    found = read_recording(target)
    assert (found.pixels.shape, found.pixel_size.side_nm) == ((140, 170, 3), 2.0)
    assert close(found.pixels, by_channel(loaded, rgb))


def test_pixels_that_do_not_fit_are_sampled_anew_in_every_channel(plant: Plant, tmp_path: Path):
    served, rgb = plant("grey")[0], scene()
    write_tiff(tmp_path / "a.tif", rgb)
    target = tmp_path / "out.ome.tif"
    assert reconstruct(tmp_path / "a.tif", target, served, Wishes(pixel_size_nm=8.0)).pixel_size_nm == 4.0
    found = read_recording(target).pixels
    assert found.shape == (140, 170, 3)
    means = rgb.mean(axis=(0, 1))
    assert np.abs(found.mean(axis=(0, 1)) - means).max() < 0.1 * means.min()


@pytest.mark.parametrize("name", ["grey", "slices"])
def test_a_series_in_colour_keeps_its_axes(name: str, plant: Plant, tmp_path: Path):
    """A network of neighbouring slices sees those of one colour."""
    (served, loaded), rgb = plant(name), scene(shape=(4, 50, 61))
    tifffile.imwrite(tmp_path / "a.ome.tif", rgb, photometric="rgb", metadata={"axes": "TYXS"})
    reconstruct(tmp_path / "a.ome.tif", tmp_path / "out.ome.tif", served)
    found = read_recording(tmp_path / "out.ome.tif")
    assert (found.axes, found.pixels.shape) == ("TYXS", rgb.shape)
    scaling, floats = Scaling.of(rgb), np.moveaxis(rgb, -1, 1).astype(np.float32)
    beside = [0, 1, 2] if name == "slices" else [1]
    for each in range(3):
        expected = restore(floats[beside, each], loaded, scaling=scaling)[0]
        assert close(found.pixels[1, ..., each], expected)


def test_a_network_of_grey_classes_the_luminance(plant: Plant, tmp_path: Path):
    (served, loaded), rgb = plant("classes"), scene()
    write_tiff(tmp_path / "a.tif", rgb)
    reconstruct(tmp_path / "a.tif", tmp_path / "out.ome.tif", served)
    found = read_recording(tmp_path / "out.ome.tif")
    assert (found.axes, found.pixels.dtype) == ("YX", np.uint8)
    np.testing.assert_array_equal(found.pixels, segment(luminance(rgb).astype(np.float32), loaded))
    assert read_provenance(tmp_path / "out.ome.tif")["source"]["colour"] == "luminance"


def test_a_network_of_colour_classes_the_colours(plant: Plant, tmp_path: Path):
    (served, loaded), rgb = plant("rgb classes"), scene()
    write_tiff(tmp_path / "a.tif", rgb)
    reconstruct(tmp_path / "a.tif", tmp_path / "out.ome.tif", served)
    found = read_recording(tmp_path / "out.ome.tif")
    assert found.axes == "YX"
    np.testing.assert_array_equal(found.pixels, segment(rgb.transpose(2, 0, 1).astype(np.float32), loaded))
    assert read_provenance(tmp_path / "out.ome.tif")["source"]["colour"] == "rgb"
