"""Segmented frames: a label image, its objects beside it with units, and a summary in the status."""

import json
import threading

import numpy as np
import pytest
from typer.testing import CliRunner

from model_library.images.frame import Frame
from model_library.images.readers import read_frame, read_provenance
from model_library.images.writers import encode_acquisition
from model_library.signing.digests import sha256_file
from model_library.wire.methods import ClassicalRef
from model_library.wire.tasks import Segment
from site_client.children import worker_child
from site_client.cli import app
from site_client.frames import Finished, Header, Stamp
from site_client.journal import InService
from site_client.objects import ClassFigures, objects_path
from site_client.processing import Processing

OTSU = ClassicalRef(id="otsu", parameters={"bright": 1.0, "sigma_px": 1.0})
TASK = Segment(classes=("background", "grain"))


def grains(places, size=(120, 160)):
    """Bright discs of radius 10 px on a dark ground."""
    y, x = np.mgrid[: size[0], : size[1]]
    pixels = np.full(size, 1000, np.uint16)
    for row, column in places:
        pixels[(y - row) ** 2 + (x - column) ** 2 <= 100] = 9000
    return pixels


def accept(site, number, pixels, pixel_size_nm):
    path = site.settings.acquisitions / f"frame-{number}.ome.tif"
    path.write_bytes(encode_acquisition(Frame(pixels, pixel_size_nm=pixel_size_nm)))
    stamp = Stamp(path.stat().st_size, path.stat().st_mtime_ns)
    header = Header(sha256_file(path), pixels.size, pixel_size_nm, None)
    return site.ledger.accept(path.name, stamp, header, now=0, exists=lambda _: True)


@pytest.fixture
def processing(site, tmp_path):
    from types import SimpleNamespace

    site.settings.acquisitions.mkdir(parents=True, exist_ok=True)
    settings = site.settings.model_copy(update={"task": TASK})
    site.journal.remember("in_service", InService(release_id="r1", method=OTSU).model_dump_json())
    worker = worker_child(1, 0, tmp_path / "worker.log")
    installer = SimpleNamespace(is_whole=lambda: True, networks=site.folder / "networks")
    yield Processing(settings, site.memory, installer, worker, stop=threading.Event())
    worker.stop()


def test_each_frame_gets_its_mask_and_its_objects_and_the_status_sums_them_up(site, processing):
    accept(site, 1, grains([(30, 40), (60, 100), (90, 40)]), 5.0)
    accept(site, 2, grains([(60, 100)]), 5.0)
    assert site.memory.objects.summary() is None
    assert processing.step() == 0.0
    assert processing.step() == 0.0
    result = site.settings.results / site.ledger.frame(1).result
    mask = read_frame(result)
    written = json.loads(objects_path(result).read_text())
    assert mask.pixels.dtype == np.uint8
    assert set(np.unique(mask.pixels)) == {0, 1}
    assert mask.pixel_size_nm == pytest.approx(5.0)
    assert written["result"] == result.name
    assert written["classes"]["grain"]["count"] == 3
    assert written["classes"]["grain"]["number_density_per_um2"] == pytest.approx(3 / (0.6 * 0.8))
    assert written["classes"]["grain"]["equivalent_diameter_nm"]["mean"] == pytest.approx(100, rel=0.05)
    assert written["provenance"]["source"]["sha256"] == site.ledger.frame(1).sha256
    assert written["provenance"]["method"] == read_provenance(result)["method"]
    summary = site.memory.objects.summary()
    assert summary.frames == 2
    assert summary.classes["grain"].mean_count == 2
    assert summary.classes["grain"].mean_area_fraction == pytest.approx(
        2 * np.pi * 100 / (120 * 160), rel=0.05
    )
    assert summary.classes["grain"].mean_diameter_nm == pytest.approx(100, rel=0.05)


def test_an_image_without_objects_or_pixel_size_has_figures_too(site, processing):
    accept(site, 1, np.full((64, 64), 7, np.uint16), None)
    assert processing.step() == 0.0
    written = json.loads(objects_path(site.settings.results / site.ledger.frame(1).result).read_text())
    assert written["pixel_size_nm"] is None
    assert written["classes"]["grain"] == {
        "count": 0,
        "touching_border": 0,
        "area_fraction": 0.0,
        "number_density_per_megapixel": 0.0,
    }
    assert site.memory.objects.summary().classes["grain"].mean_diameter_px is None


def test_a_frame_that_is_done_twice_counts_once_and_only_when_it_is_done(site):
    site.settings.acquisitions.mkdir(parents=True, exist_ok=True)
    accept(site, 1, grains([]), None)
    frame = site.ledger.frame(1)
    for count in (5, 3):
        site.memory.objects.keep(frame, {"grain": ClassFigures(count=count, area_fraction=0.1)})
    assert site.memory.objects.summary() is None
    site.ledger.finish(frame, Finished(OTSU, "r1", "x.tif", 0.1), now=0)
    assert site.memory.objects.summary().classes["grain"].mean_count == 3


def test_the_status_tells_in_words_what_the_frames_hold(enrolled):
    enrolled.settings.acquisitions.mkdir(parents=True, exist_ok=True)
    assert "objects" not in described(enrolled)
    for number, pixel_size_nm in ((1, 5.0), (2, None)):
        accept(enrolled, number, grains([(30, 40 + number)]), pixel_size_nm)
        frame = enrolled.ledger.frame(number)
        diameter = {"diameter_nm": 100.0} if pixel_size_nm else {"diameter_px": 20.0}
        figures = {
            "grain": ClassFigures(count=number, area_fraction=0.25, **diameter),
            "void": ClassFigures(count=0, area_fraction=0.0),
        }
        enrolled.memory.objects.keep(frame, figures)
        enrolled.ledger.finish(frame, Finished(OTSU, "r1", f"{number}.tif", 0.1), now=0)
    lines = described(enrolled).splitlines()
    assert (
        "grain: 1.5 objects per frame, 25.0 % of the area, diameter 100.0 nm or 20.0 px (2 frames)" in lines
    )
    assert "void: 0.0 objects per frame, 0.0 % of the area, diameter unknown (2 frames)" in lines


def described(site) -> str:
    done = CliRunner().invoke(app, ["status", "--folder", str(site.folder)])
    assert done.exit_code == 0, done.output
    return done.output


def test_a_segmenting_network_gives_class_numbers(tmp_path):
    import torch

    from model_library.cards.card import NetworkCard
    from model_library.networks.build import build
    from model_library.networks.config import UNetConfig
    from model_library.networks.facts import facts
    from model_library.wire.methods import NetworkRef
    from model_library.zoo.store import save_network
    from site_client.reconstruct import load_method

    config = UNetConfig(widths=(4, 8), out_channels=2, residual=False)
    torch.manual_seed(0)
    card = NetworkCard(
        id="tiny",
        version="1",
        purpose="Tests.",
        task=TASK,
        config=config,
        facts=facts(config),
        weights_sha256="0" * 64,
    )
    card = save_network(tmp_path, build(config), card)
    ref = NetworkRef(id=card.id, version=card.version, weights_sha256=card.weights_sha256)
    method = load_method(ref, TASK, tmp_path, threads=1)
    found = method(grains([(30, 40)]).astype(np.float32))
    assert method.ref == ref
    assert found.shape == (120, 160)
    assert set(np.unique(found)) <= {0.0, 1.0}
