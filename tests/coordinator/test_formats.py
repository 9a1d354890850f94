"""Frames of every format on their whole way: acquisition folder, daemon, HTTPS, coordinator, pixels."""

import os
import shutil
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import imagecodecs
import mrcfile
import numpy as np
import pytest
import tifffile

from coordinator.annotation.archive import OpenArchive, open_archive
from coordinator.settings import read_settings
from coordinator.stored_frames import read_stored, under_its_suffix
from model_library.images.colour import luminance
from model_library.images.contents import read_grey_frame, read_grey_planes
from model_library.images.frame import Frame
from model_library.images.writers import encode_acquisition
from model_library.signing.digests import sha256_file
from model_library.specimens import SpecimenKind, render
from site_client.database import Database
from site_client.memory import LEDGER_FILE
from site_client.status import SiteStatus, read_status

from ..waiting import until
from .conftest import SYNOPTIC, Coordinator, found

SIDE_PX = 96


@pytest.fixture(scope="module")
def coordinator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Coordinator]:
    """A coordinator that asks for more images than there are, so that it gets all and begins nothing."""
    served = found(tmp_path_factory.mktemp("formats") / "data", first_images=200)
    served.start()
    yield served
    served.close()
    assert served.end() == 0


def specimen(seed: int) -> np.ndarray:
    """A noisy simulated specimen, uint16 [Y, X] in counts, that uses more than 8 bits."""
    rng = np.random.default_rng(seed)
    clean = render(SpecimenKind.CELLS, (SIDE_PX, SIDE_PX), rng).intensity
    return rng.poisson(500 + 4000 * clean).astype(np.uint16)


def write_frames(folder: Path) -> dict[str, float | None]:
    """Write one frame of each format that can be written here; name -> pixel size in nm."""
    (folder / "a.ome.tif").write_bytes(encode_acquisition(Frame(specimen(1), 4.0, "A1")))
    tifffile.imwrite(folder / "b.TIF", specimen(2), tile=(32, 32), compression="deflate", byteorder=">")
    tifffile.imwrite(folder / "c.tif", specimen(3).astype(np.int16), imagej=False)
    for name, pixels in (("d.mrc", specimen(4)), ("e.mrc", specimen(5).astype(np.float32))):
        with mrcfile.new(folder / name) as mrc:
            mrc.set_data(pixels)
            mrc.voxel_size = 15.0
    (folder / "f.png").write_bytes(imagecodecs.png_encode(specimen(6)))
    alike = np.repeat((specimen(7) >> 5).astype(np.uint8)[..., None], 3, axis=2)
    (folder / "g.png").write_bytes(imagecodecs.png_encode(alike))
    return {
        "a.ome.tif": 4.0,
        "b.TIF": 2.5,
        "c.tif": 2.5,
        "d.mrc": 1.5,
        "e.mrc": 1.5,
        "f.png": 2.5,
        "g.png": 2.5,
    }


def photograph() -> np.ndarray:
    return np.random.default_rng(0).integers(256, size=(SIDE_PX, SIDE_PX, 3), dtype=np.uint8)


def write_stacks(folder: Path) -> dict[str, float]:
    """Write stacks and colour, of which one grey plane leaves; name of what arrives -> pixel size."""
    (folder / "photo.png").write_bytes(imagecodecs.png_encode(photograph()))
    stack = np.stack([specimen(8), specimen(9)])
    tifffile.imwrite(folder / "stack.tif", stack, photometric="minisblack")
    with mrcfile.new(folder / "volume.mrc") as mrc:
        mrc.set_data(stack.astype(np.float32))
        mrc.voxel_size = 15.0
    return {"stack.ome.tif": 2.5, "volume.ome.tif": 1.5, "photo.ome.tif": 2.5}


def write_others(folder: Path) -> dict[str, str]:
    """Write what no network of grey planes takes; name -> how the reason begins and what it must hold."""
    tifffile.imwrite(folder / "printed.tif", photograph()[..., [0, 1, 2, 0]], photometric="separated")
    (folder / "cut.mrc").write_bytes((folder / "d.mrc").read_bytes()[:-9])
    (folder / "letter.dm3").write_bytes(b"Dear microscope, this is a letter and no image.")
    return {
        "printed.tif": "unsupported: printed.tif: expected grey or RGB pages",
        "cut.mrc": "truncated: cut.mrc: expected ",
        "letter.dm3": "not an image: letter.dm3: expected an image, found text",
    }


def enrolled(coordinator: Coordinator, folder: Path, acquisitions: Path) -> None:
    """Enrol a site that takes PNG, too, and is quick to look."""
    command = [*SYNOPTIC, "site", "enrol", coordinator.url, coordinator.enrol_token(), "--name", folder.name]
    more = ["--folder", str(folder), "--acquisitions", str(acquisitions), "--pixel-size-nm", "2.5"]
    subprocess.run([*command, *more], check=True, capture_output=True, timeout=60)
    settings = folder / "settings.toml"
    text = settings.read_text().replace('"*.tiff"', '"*.tiff", "*.png"')
    for name, value in (
        ("settle_s", 0.3),
        ("incomplete_s", 1.0),
        ("heartbeat_s", 0.2),
        ("inspect_deadline_s", 60.0),
    ):
        line = next(each for each in text.splitlines() if each.startswith(f"{name} ="))
        text = text.replace(line, f"{name} = {value}")
    settings.write_text(text)


def run_site(
    coordinator: Coordinator, folder: Path, acquisitions: Path, frames: int, others: int
) -> SiteStatus:
    """Run a daemon until everything is decided and delivered."""
    enrolled(coordinator, folder, acquisitions)
    # Else there is nothing to look into before the daemon has come so far.
    Database(folder / LEDGER_FILE).close()
    with (folder / "out").open("wb") as out:
        daemon = subprocess.Popen(
            [*SYNOPTIC, "site", "run", "--folder", str(folder)],
            stdout=out,
            stderr=out,
            env={**os.environ, "OMP_NUM_THREADS": "1"},
        )
    try:

        def is_done() -> bool:
            assert daemon.poll() is None, (folder / "out").read_text()
            set_aside = len(read_status(folder).set_aside)
            return (set_aside, len(received(coordinator, folder.name))) == (others, frames)

        until(is_done)
        return read_status(folder)
    finally:
        daemon.send_signal(signal.SIGTERM)
        assert daemon.wait(timeout=30) == 0


def archive_of(coordinator: Coordinator):
    return open_archive(read_settings(coordinator.data))


def received(coordinator: Coordinator, site: str):
    """First images that a site delivered."""
    with archive_of(coordinator) as archive:
        instrument = next(each for each in archive.identities.all() if each.site_name == site)
        return [image for image in archive.images.of(instrument.id) if image.purpose == "first_images"]


def assert_pixels_arrived(archive: OpenArchive, image, source: Path) -> None:
    """What the coordinator computes with is what the instrument wrote, bit for bit."""
    assert image.sha256 == sha256_file(source)
    expected = read_grey_frame(source)
    for _ in ("decoded", "kept decoded"):
        found = read_stored(archive.objects, image)
        assert (found.pixels.dtype, found.pixel_size_nm) == (expected.pixels.dtype, expected.pixel_size_nm)
        assert np.array_equal(found.pixels, expected.pixels)


def test_frames_of_every_format_arrive_and_everything_else_is_set_aside_with_its_reason(
    coordinator: Coordinator, tmp_path: Path
) -> None:
    acquisitions = tmp_path / "acquisitions"
    acquisitions.mkdir()
    frames, stacks = write_frames(acquisitions), write_stacks(acquisitions)
    others = write_others(acquisitions)
    status = run_site(coordinator, tmp_path / "many", acquisitions, len(frames | stacks), len(others))
    told = {str(each.path): each.reason for each in status.set_aside}
    assert told.keys() == others.keys()
    for name, beginning in others.items():
        assert told[name].startswith(beginning)
    images = received(coordinator, "many")
    assert {image.file_name: image.pixel_size_nm for image in images} == pytest.approx(frames | stacks)
    with archive_of(coordinator) as archive:
        for image in images:
            if image.file_name == "photo.ome.tif":
                assert np.array_equal(read_stored(archive.objects, image).pixels, luminance(photograph()))
            elif image.file_name in stacks:
                assert np.array_equal(read_stored(archive.objects, image).pixels, specimen(9))
            else:
                assert_pixels_arrived(archive, image, acquisitions / image.file_name)


def test_real_files_of_vendors_arrive(coordinator: Coordinator, tmp_path: Path, shared_data: Path) -> None:
    vendors, acquisitions = shared_data / "vendor_formats", tmp_path / "acquisitions"
    acquisitions.mkdir()
    frames = {
        "dm3/test_STEM_image.dm3": 0.2485,
        "emd/Acquisition_18.emd": 0.012247,
        "ser_emi/16_STOimage_1.ser": 0.010013,
        "hspy/SiO2_HAADF_Image.hspy": 8.5524,
        "czi/FOV7_HV110_P0500510000.czi": 2.5,
        "tiff_fei/FEI-Helios-Ebeam-8bits.tif": 3372.4,
    }
    others = ["dm4/dmTest_float32_nonSquare_diffPixelSize.dm4"]
    series = "ser_emi/03_Scanning_Preview_1.ser"
    for name in (*frames, series, *others):
        shutil.copy(vendors / name, acquisitions)
    status = run_site(coordinator, tmp_path / "vendors", acquisitions, len(frames) + 1, len(others))
    told = {str(each.path): each.reason for each in status.set_aside}
    assert "expected square pixels" in told["dmTest_float32_nonSquare_diffPixelSize.dm4"]
    sizes = {Path(name).name: size for name, size in frames.items()}
    images = received(coordinator, "vendors")
    [middle] = [image for image in images if image.file_name == "03_Scanning_Preview_1.ome.tif"]
    images.remove(middle)
    assert {image.file_name: image.pixel_size_nm for image in images} == pytest.approx(sizes, rel=1e-3)
    with archive_of(coordinator) as archive:
        for image in images:
            assert_pixels_arrived(archive, image, acquisitions / image.file_name)
        planes = read_grey_planes(vendors / series)[1]
        assert len(planes) == 5
        assert np.array_equal(read_stored(archive.objects, middle).pixels, planes[2].pixels)
        bar = next(image for image in images if image.file_name.startswith("FEI"))
        assert read_stored(archive.objects, bar).data_bar_rows == 29


@pytest.mark.parametrize(
    ("told", "suffix"),
    [
        ("scan.DM3", ".dm3"),
        ("../../etc/a.mrc", ".mrc"),
        ("a.b/c", ""),
        ("..", ""),
        ("a.\0x", ""),
        ("a." + 300 * "x", ""),
    ],
)
def test_of_a_name_that_an_instrument_tells_nothing_but_the_suffix_is_used(
    tmp_path: Path, told: str, suffix: str
) -> None:
    file = tmp_path / "0123"
    file.write_bytes(b"content")
    with under_its_suffix(file, told) as lent:
        assert lent.name == f"0123{suffix}"
        assert lent.read_bytes() == b"content"
        assert list(lent.parent.iterdir()) == [lent]
    assert list(tmp_path.iterdir()) == [file]
