"""Stacks and time series through the daemon: every plane restored, the middle one shown and sent."""

import io
import threading
import urllib.request
from pathlib import Path

import imagecodecs
import numpy as np
import tifffile

from benchmark.baselines import classical
from model_library.images.contents import read_recording
from model_library.images.readers import read_provenance
from model_library.inference.engine import NetworkMethod, load_network
from model_library.wire.methods import NetworkRef
from model_library.wire.tasks import Denoise
from site_client.frames import FrameState
from site_client.sent import read_sent
from site_client.status import read_status
from site_client.watch import Watcher

from .test_served_releases import drawn


def stack(seed: int, axes: str, planes: int = 5) -> np.ndarray:
    shape = {"ZYX": (planes, 48, 64), "TYX": (planes, 48, 64), "TZYX": (2, planes, 48, 64)}[axes]
    return np.random.default_rng(seed).poisson(200, shape).astype(np.uint16)


def write(folder: Path, number: int, axes: str, pixels: np.ndarray) -> Path:
    """As an instrument that shows the file once it is whole."""
    path = folder / f"frame-{number:03d}.tif"
    folder.mkdir(exist_ok=True)
    hidden = path.with_name(f".{path.name}.part")
    tifffile.imwrite(
        hidden,
        pixels,
        ome=True,
        metadata={
            "axes": axes,
            "PhysicalSizeX": 4.0,
            "PhysicalSizeXUnit": "nm",
            "PhysicalSizeY": 4.0,
            "PhysicalSizeYUnit": "nm",
        },
    )
    hidden.rename(path)
    return path


def result(site, number: int):
    """The recording and the provenance of what was made of a frame."""
    path = site.settings.results / site.ledger.frame(number).result
    return read_recording(path), read_provenance(path)


def test_each_plane_is_restored_and_the_middle_one_leaves(
    enrolled, coordinator, start_daemon, gaussian, until, tmp_path
) -> None:
    coordinator.release("r-1", gaussian)
    start_daemon()
    pixels = {
        number: stack(number, axes) for number, axes in ((1, "ZYX"), (2, "TYX"), (3, "TZYX"), (4, "ZYX"))
    }
    for number, axes in ((1, "ZYX"), (2, "TYX"), (3, "TZYX")):
        write(enrolled.settings.acquisitions, number, axes, pixels[number])
        until(lambda number=number: enrolled.ledger.counts().reconstructed == number, 60)
    smooth = classical(gaussian, Denoise())
    for number, axes in ((1, "ZYX"), (2, "TYX"), (3, "TZYX")):
        made, told = result(enrolled, number)
        assert (made.axes, made.pixels.shape, made.pixels.dtype) == (axes, pixels[number].shape, np.uint16)
        assert told["source"]["shape"] == list(pixels[number].shape)
        for plane, source in zip(
            made.pixels.reshape(-1, 48, 64), pixels[number].reshape(-1, 48, 64), strict=True
        ):
            assert np.abs(plane - smooth(source.astype(np.float32))).max() <= 0.5
    card, weights = drawn(tmp_path / "network", 5)
    ref = NetworkRef(id=card.id, version=card.version, weights_sha256=card.weights_sha256)
    coordinator.release("r-2", ref, card=card, weights=weights)
    until(lambda: enrolled.journal.in_service().release_id == "r-2", 180)
    write(enrolled.settings.acquisitions, 4, "ZYX", pixels[4])
    until(lambda: enrolled.ledger.counts().reconstructed == 4, 60)
    made, told = result(enrolled, 4)
    assert (made.axes, told["method"]["id"]) == ("ZYX", card.id)
    network = NetworkMethod(load_network(tmp_path / "network"), threads=1)
    plane = network(pixels[4][2].astype(np.float32)).clip(0, 65535)
    # The network's grey levels are of the whole stack, of which a plane tells nearly the same.
    assert np.corrcoef(plane.ravel(), made.pixels[2].ravel())[0, 1] > 0.99
    assert_the_middle_leaves(enrolled, coordinator, pixels, until)
    assert_the_middle_is_shown(enrolled)


def assert_the_middle_leaves(site, coordinator, pixels, until) -> None:
    """A plane each, as the coordinator takes it: of every first image, and of every second one."""
    until(lambda: coordinator.delivered("benchmark_images") == [2, 4], 60)
    assert coordinator.delivered("first_images") == [1, 2, 3]
    for upload in coordinator.uploads:
        number = upload["declaration"]["sequence"]
        planes = pixels[number].reshape(-1, 48, 64)
        sent = tifffile.imread(io.BytesIO(upload["content"]))
        np.testing.assert_array_equal(sent, planes[len(planes) // 2])
    made = {image.sequence: image.made for image in read_sent(site.folder).images}
    assert made[1] == "the middle one of 5 planes"
    assert made[3] == "the middle one of 10 planes"


def assert_the_middle_is_shown(site) -> None:
    """On the page, both before and after."""
    page = read_status(site.folder).page
    for side in ("before", "after"):
        with urllib.request.urlopen(f"{page}frames/4/{side}.png?side_px=64", timeout=30) as answer:
            assert imagecodecs.png_decode(answer.read()).shape == (48, 64)


def test_a_series_that_grows_is_one_frame_until_it_is_done(site, inspector, until) -> None:
    """An instrument that closes its file after each plane, and opens it again."""
    watcher = Watcher(
        site.settings, site.memory, inspector, accepted=lambda: None, wrote=lambda: None, own_folders=()
    )
    stop = threading.Event()
    thread = threading.Thread(target=watcher.run, args=(stop,))
    thread.start()
    try:
        for planes in (1, 2, 3):
            path = write(site.settings.acquisitions, 1, "TYX", stack(1, "TYX", planes))
            size = path.stat().st_size
            until(lambda size=size: [f.stamp.size for f in site.ledger.frames()] == [size])
    finally:
        stop.set()
        thread.join(10)
    [frame] = site.ledger.frames()
    assert (frame.sequence, frame.state) == (1, FrameState.WAITING)
    row = site.memory.database.row("SELECT planes FROM frames")
    assert row["planes"] == 3
