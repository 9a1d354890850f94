"""Colour through the daemon: restored by channel, shown in colour; its luminance leaves and teaches."""

import base64
import io
import urllib.request
from pathlib import Path

import imagecodecs
import numpy as np
import pytest
import tifffile
import torch

from benchmark.baselines import classical
from model_library.cards.card import NetworkCard
from model_library.errors import NonFinitePixels
from model_library.images.colour import luminance
from model_library.images.contents import read_recording
from model_library.images.frame import Frame
from model_library.images.readers import read_frame, read_provenance
from model_library.images.writers import encode_acquisition
from model_library.inference.backends.torch_backend import TorchBackend
from model_library.inference.engine import geometry_of
from model_library.inference.served import ServedNetwork
from model_library.inference.windows import Tiling
from model_library.networks.build import build
from model_library.networks.config import ResidualDenoiserConfig, UNetConfig
from model_library.networks.facts import facts
from model_library.signing.digests import sha256_bytes, sha256_file
from model_library.wire.methods import ClassicalRef, NetworkRef
from model_library.wire.tasks import Denoise, Segment
from site_client.frames import FrameState, header_of
from site_client.loopback.viewer import Viewer
from site_client.outgoing import make
from site_client.send_policy import SendPolicy
from site_client.sent import read_sent
from site_client.serving import ServedMethod
from site_client.settings import FILE_NAME, write_settings
from site_client.status import read_status
from site_client.trainer import read_frames
from site_client.trial import try_method
from site_client.worker import Worker

from .test_served_releases import drawn
from .test_trial import Double


def rgb(seed: int, dtype: type = np.uint8, shape: tuple[int, ...] = (48, 64)) -> np.ndarray:
    """Three dyes of unlike strength, [..., 3]."""
    counts = np.random.default_rng(seed).poisson(np.broadcast_to((120, 60, 20), (*shape, 3)))
    return (counts.clip(0, 255) * (250 if dtype is np.uint16 else 1)).astype(dtype)


def png(pixels: np.ndarray) -> bytes:
    return bytes(imagecodecs.png_encode(np.ascontiguousarray(pixels)))


def tiff(pixels: np.ndarray, **options: object) -> bytes:
    buffer = io.BytesIO()
    tifffile.imwrite(buffer, pixels, photometric="rgb", **options)
    return buffer.getvalue()


def with_alpha(pixels: np.ndarray) -> np.ndarray:
    return np.concatenate([pixels, np.full((*pixels.shape[:-1], 1), 128, pixels.dtype)], axis=-1)


PIXELS = {
    1: rgb(1),
    2: rgb(2, np.uint16),
    3: np.repeat(rgb(3)[..., :1], 3, axis=-1),
    4: rgb(4, np.uint16),
    5: rgb(5, np.uint8, (3, 48, 64)),
}
FILES = {
    1: ("a.png", png(with_alpha(PIXELS[1]))),
    2: ("b.tif", tiff(np.moveaxis(PIXELS[2], -1, 0), planarconfig="separate", metadata=None)),
    3: ("c.png", png(PIXELS[3])),
    4: ("d.tif", tiff(PIXELS[4], metadata=None)),
    5: ("e.ome.tif", tiff(PIXELS[5], ome=True, metadata={"axes": "TYXS"})),
}


def acquire(site, number: int) -> None:
    """As an instrument that shows the file once it is whole."""
    name, content = FILES[number]
    site.settings.acquisitions.mkdir(exist_ok=True)
    hidden = site.settings.acquisitions / f".{name}.part"
    hidden.write_bytes(content)
    hidden.rename(site.settings.acquisitions / name)


def result(site, number: int) -> Path:
    return site.settings.results / site.ledger.frame(number).result


def test_frames_in_colour_live_like_any_other(
    enrolled, coordinator, start_daemon, gaussian, until, tmp_path
) -> None:
    site = enrolled
    changed = site.settings.model_copy(update={"patterns": ("*.tif", "*.png"), "pixel_size_nm": 4.0})
    (site.folder / FILE_NAME).write_text(write_settings(changed))
    coordinator.release("r-1", gaussian)
    start_daemon()
    for number in (1, 2, 3):
        acquire(site, number)
        until(lambda number=number: site.ledger.counts().reconstructed == number, 60)
    smooth = classical(gaussian, Denoise())
    for number in (1, 2):
        made = read_recording(result(site, number))
        assert (made.axes, made.pixels.dtype) == ("YXS", PIXELS[number].dtype)
        for each in range(3):
            expected = smooth(PIXELS[number][..., each].astype(np.float32))
            assert np.abs(made.pixels[..., each] - expected).max() <= 0.5
        assert read_provenance(result(site, number))["source"]["colour"] == "channels"
    assert read_recording(result(site, 3)).axes == "YX"
    # The new network is tried on a frame in colour before it is put in service.
    card, weights = drawn(tmp_path / "network", 5)
    ref = NetworkRef(id=card.id, version=card.version, weights_sha256=card.weights_sha256)
    coordinator.release("r-2", ref, card=card, weights=weights)
    until(lambda: site.journal.in_service().release_id == "r-2", 180)
    for number, axes in ((4, "YXS"), (5, "TYXS")):
        acquire(site, number)
        until(lambda number=number: site.ledger.counts().reconstructed == number, 60)
        made = read_recording(result(site, number))
        assert (made.axes, made.pixels.shape) == (axes, PIXELS[number].shape)
        assert made.pixel_size.side_nm == 4.0
        assert read_provenance(result(site, number))["method"]["id"] == card.id
    assert site.ledger.frames(FrameState.SET_ASIDE) == ()
    assert_the_luminance_leaves(site, coordinator, until)
    assert_colour_is_shown(site)


def assert_the_luminance_leaves(site, coordinator, until) -> None:
    """One grey plane each, which the coordinator reads; grey in the guise of colour leaves as it is."""
    until(lambda: coordinator.delivered("benchmark_images") == [2, 4], 60)
    assert coordinator.delivered("first_images") == [1, 2, 3]
    for upload in coordinator.uploads:
        number = upload["declaration"]["sequence"]
        if number == 3:
            assert upload["content"] == FILES[3][1]
            continue
        sent = tifffile.imread(io.BytesIO(upload["content"]))
        assert sent.dtype == PIXELS[number].dtype
        np.testing.assert_array_equal(sent, luminance(PIXELS[number]))
    until(lambda: len(read_sent(site.folder).images) == 5)
    made = {image.sequence: image.made for image in read_sent(site.folder).images}
    assert made == {n: None if n == 3 else "the luminance of its colours" for n in (1, 2, 3, 4)}


def assert_colour_is_shown(site) -> None:
    """On the page, before and after; both on one range, so that colours can be compared."""
    page = read_status(site.folder).page
    for number, kept in ((2, True), (5, True), (3, False)):
        means = []
        for side in ("before", "after"):
            with urllib.request.urlopen(f"{page}frames/{number}/{side}.png?side_px=64", timeout=30) as answer:
                picture = imagecodecs.png_decode(answer.read())
            assert picture.shape == ((48, 64, 3) if kept else (48, 64))
            means.append(picture.reshape(-1, picture.shape[-1] if kept else 1).mean(axis=0))
        assert not kept or (means[0][0] > means[0][1] > means[0][2] and means[1][0] > means[1][2])


def question(source: Path, result: Path, task: Segment | Denoise, method: ClassicalRef) -> dict:
    return {
        "op": "reconstruct",
        "method": method.model_dump(mode="json"),
        "network_folder": None,
        "task": task.model_dump(mode="json"),
        "source": str(source),
        "result": str(result),
        "pixel_size_nm": 5.0,
        "provenance": {},
        "about": {"file_name": source.name, "sha256": sha256_file(source)},
    }


def test_objects_are_told_apart_by_luminance(tmp_path: Path) -> None:
    y, x = np.mgrid[:96, :128]
    discs = sum(((y - 48) ** 2 + (x - at) ** 2 < 144) for at in (32, 90))
    pixels = np.stack([40 + 150 * discs, 60 + 120 * discs, 200 - 20 * discs], axis=-1).astype(np.uint8)
    grey = Frame(luminance(pixels), 5.0)
    (tmp_path / "a.png").write_bytes(png(pixels))
    (tmp_path / "b.tif").write_bytes(encode_acquisition(grey))
    task = Segment(classes=("background", "grain"))
    otsu = ClassicalRef(id="otsu", parameters={"sigma_px": 1.0})
    answers = []
    for name in ("a.png", "b.tif"):
        target = tmp_path / f"{name}.result.ome.tif"
        answers.append(Worker(threads=1).answer(question(tmp_path / name, target, task, otsu))["objects"])
    assert answers[0]["grain"]["count"] == 2
    assert answers[0] == answers[1]
    masks = [read_frame(tmp_path / f"{name}.result.ome.tif").pixels for name in ("a.png", "b.tif")]
    np.testing.assert_array_equal(*masks)
    assert read_provenance(tmp_path / "a.png.result.ome.tif")["source"]["colour"] == "luminance"


def test_training_sees_the_luminance_of_the_middle_plane(tmp_path: Path) -> None:
    told = []
    for number in (1, 3, 5):
        name, content = FILES[number]
        (tmp_path / name).write_bytes(content)
        told.append({"path": str(tmp_path / name), "sha256": sha256_bytes(content), "field": name})
    frames = read_frames(told)
    for frame, expected in zip(frames, (PIXELS[1], PIXELS[3], PIXELS[5][1]), strict=True):
        np.testing.assert_array_equal(frame.pixels, luminance(expected))


def test_a_network_is_tried_on_the_luminance_of_a_frame_in_colour(tmp_path: Path) -> None:
    path = tmp_path / "e.ome.tif"
    path.write_bytes(FILES[5][1])
    method = Double()
    try_method(method, path)
    assert method.shapes == ((64, 64), (48, 64))


@pytest.mark.parametrize("classes", [None, ("background", "cell")])
def test_a_network_of_colour_is_tried_before_it_serves(
    tmp_path: Path, classes: tuple[str, ...] | None
) -> None:
    colour = {"in_channels": 3, "channels": "rgb"}
    config = ResidualDenoiserConfig(depth=3, width=4, **colour)
    if classes:
        config = UNetConfig(widths=(4, 6), out_channels=2, residual=False, **colour)
    module = build(config).eval()
    card = NetworkCard(
        id="rgb",
        version="1",
        purpose="tests",
        task=Segment(classes=classes) if classes else Denoise(),
        config=config,
        facts=facts(config),
        weights_sha256="0" * 64,
    )
    network = ServedNetwork(card, geometry_of(config), TorchBackend(module), Tiling(64))
    (tmp_path / "a.png").write_bytes(FILES[1][1])
    try_method(ServedMethod(network), tmp_path / "a.png")
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.fill_(np.nan)
    with pytest.raises(NonFinitePixels):
        try_method(ServedMethod(network), None)


@pytest.mark.parametrize("bits", [8, 12])
def test_fewer_bits_leave_of_colour_too(tmp_path: Path, bits: int) -> None:
    source = tmp_path / "d.tif"
    source.write_bytes(FILES[4][1])
    made = make(source, tmp_path / "out.ome.tif", sha256_file(source), SendPolicy(bits=bits))
    sent = read_frame(tmp_path / "out.ome.tif").pixels
    np.testing.assert_array_equal(sent, luminance(PIXELS[4]) >> (16 - bits))
    assert made.policy == f"the luminance of its colours, {bits} bits"


@pytest.mark.parametrize(("task", "channels"), [(Denoise(), 3), (Segment(classes=("a", "b")), 1)])
def test_what_a_frame_in_colour_costs_is_what_is_computed(inspector, tmp_path: Path, task, channels) -> None:
    (tmp_path / "a.png").write_bytes(FILES[1][1])
    (tmp_path / "e.ome.tif").write_bytes(FILES[5][1])
    (tmp_path / "c.png").write_bytes(FILES[3][1])
    found = {
        path.name: header_of(inspector.ask({"path": str(path), "last_look": True}, 60), task, None)
        for path in tmp_path.iterdir()
        if path.suffix != ".log"
    }
    assert {name: (each.colour, each.planes) for name, each in found.items()} == {
        "a.png": (True, 1),
        "e.ome.tif": (True, 3),
        "c.png": (False, 1),
    }
    assert found["a.png"].pixels == channels * 48 * 64
    assert found["e.ome.tif"].pixels == channels * 3 * 48 * 64
    assert found["c.png"].pixels == 48 * 64


REAL = {
    "em_bio_sbem_mito_cdeep3m": False,
    "em_mat_nanocomposite_agglomerates": False,
    "pairs_fluo_hagen_gigadb": True,
}


@pytest.mark.parametrize(("folder", "colour"), REAL.items())
def test_real_files_in_three_channels(shared_data: Path, tmp_path: Path, folder: str, colour: bool) -> None:
    """As others publish them: grey in three channels, grey with JPEG's tint, a dye in its colour."""
    files = (p for p in (shared_data / folder).rglob("*") if p.suffix in (".png", ".jpg"))
    source = next(p for p in sorted(files) if read_recording(p).is_colour)
    target = tmp_path / "out.ome.tif"
    gaussian = ClassicalRef(id="gaussian", parameters={"sigma_px": 1.0})
    Worker(threads=1).answer(question(source, target, Denoise(), gaussian))
    made, acquired = read_recording(target), read_recording(source)
    assert made.is_colour == colour
    assert made.pixels.shape[1] == acquired.pixels.shape[1]
    view = {"box": [0, 0, 1, 1], "side_px": 64, "range": None, "labels": False}
    answer = Viewer().answer({"path": str(source), **view})
    picture = imagecodecs.png_decode(base64.b64decode(answer["png"]))
    assert picture.ndim == (3 if colour else 2)
