"""A frame whose pixels do not fit the network is resampled or refused, and its result says so."""

import shutil
from datetime import UTC, datetime
from pathlib import Path

import mrcfile
import numpy as np
import pytest

from model_library.cards.card import Lineage, NetworkCard
from model_library.errors import ImageError, UnfitPixelSize
from model_library.images.frame import Frame
from model_library.images.readers import read_frame, read_provenance
from model_library.images.writers import encode_acquisition
from model_library.wire.methods import NetworkRef
from model_library.wire.tasks import Denoise
from model_library.zoo.registry import Library
from simulations.audit import audit
from site_client.processing import _FRAMES_FAULT
from site_client.reconstruct import decide_fit, load_method, reconstruct
from site_client.worker import Worker

NETWORK = "unet-denoise-shot"
RANGE = (1.0, 2.0)
LINEAGE = Lineage(parent_id=NETWORK, parent_version="1", parent_weights_sha256="a" * 64, campaign="c")


@pytest.fixture
def network_for(tmp_path):
    """Copy a network of the library whose card states the range, and perhaps a lineage."""

    def copied(lineage: Lineage | None = None) -> tuple[NetworkRef, Path]:
        folder = tmp_path / NETWORK
        shutil.copytree(Library().path(NETWORK), folder, dirs_exist_ok=True)
        path = folder / "card.json"
        card = NetworkCard.model_validate_json(path.read_bytes())
        path.write_text(
            card.model_copy(update={"pixel_size_nm": RANGE, "lineage": lineage}).model_dump_json()
        )
        return NetworkRef(id=card.id, version=card.version, weights_sha256=card.weights_sha256), folder

    return copied


def frame(pixel_size_nm: float | None) -> Frame:
    return Frame(np.random.default_rng(1).poisson(200, (48, 64)).astype(np.uint16), pixel_size_nm)


@pytest.mark.parametrize(
    ("found", "lineage", "policy", "action", "word"),
    [
        (1.5, None, "resample", "as_is", "fits"),
        (4.0, None, "resample", "resample", "resampled by 2"),
        (4.0, None, "refuse", "refuse", "refused"),
        (4.0, None, "ignore", "as_is", "ignored"),
        (9.0, None, "resample", "refuse", "refused"),
        (9.0, LINEAGE, "resample", "refuse", "refused"),
        (None, None, "resample", "as_is", "unknown"),
    ],
)
def test_the_card_decides_whatever_the_network_descends_from(
    network_for, found, lineage, policy, action, word
):
    fit = decide_fit(frame(found), *network_for(lineage), policy)
    assert fit.action == action
    assert fit.words.startswith(word)


def test_a_classical_algorithm_takes_any_pixels(gaussian):
    assert decide_fit(frame(500.0), gaussian, None).action == "as_is"


def ask(ref: NetworkRef, folder: Path, source: Path, **more: object) -> Path:
    result = source.with_name("result.ome.tif")
    question = {
        "op": "reconstruct",
        "method": ref.model_dump(mode="json"),
        "network_folder": str(folder),
        "task": Denoise().model_dump(mode="json"),
        "source": str(source),
        "result": str(result),
        "pixel_size_nm": None,
        "about": {"file_name": source.name, "sha256": None},
        "provenance": {},
    }
    Worker(threads=1).answer(question | more)
    return result


def test_the_result_of_a_resampled_frame_has_its_own_size_and_its_provenance_says_why(tmp_path, network_for):
    source = tmp_path / "scan.tif"
    source.write_bytes(encode_acquisition(frame(4.0)))
    ref, folder = network_for()
    result = ask(ref, folder, source)
    written, provenance = read_frame(result), read_provenance(result)
    assert written.pixels.shape == (96, 128)
    assert written.pixels.dtype == np.uint16
    assert written.pixel_size_nm == pytest.approx(2.0)
    assert provenance["pixel_fit"]["action"] == "resample"
    assert provenance["pixel_fit"]["factor"] == pytest.approx(2.0)
    assert provenance["pixel_fit"]["wanted_nm"] == list(RANGE)
    assert provenance["source"]["pixel_size_nm"] == pytest.approx(4.0)
    assert provenance["source"]["shape"] == [48, 64]
    (audited,) = audit([(source, result)], lambda ref: load_method(ref, Denoise(), folder, threads=1))
    assert audited.fault is None


def test_the_size_that_a_person_told_counts_where_the_file_is_silent(tmp_path, network_for):
    source = tmp_path / "scan.tif"
    source.write_bytes(encode_acquisition(frame(None)))
    result = ask(*network_for(), source, pixel_size_nm=3.0)
    assert read_frame(result).pixel_size_nm == pytest.approx(2.0)
    assert read_provenance(result)["pixel_fit"]["factor"] == pytest.approx(1.5)
    silent = ask(*network_for(), source)
    assert read_frame(silent).pixel_size_nm is None
    assert read_provenance(silent)["pixel_fit"]["words"] == "unknown: the frame states no pixel size"


def test_a_file_of_another_format_is_reconstructed_too(tmp_path, network_for):
    source = tmp_path / "scan.mrc"
    with mrcfile.new(source) as mrc:
        mrc.set_data(frame(None).pixels)
        mrc.voxel_size = 15.0
    result = ask(*network_for(), source)
    assert read_frame(result).pixel_size_nm == pytest.approx(1.5)
    assert read_provenance(result)["pixel_fit"]["words"].startswith("fits")


def test_a_frame_far_off_is_refused_and_is_the_frames_fault(tmp_path, network_for):
    source = tmp_path / "scan.tif"
    source.write_bytes(encode_acquisition(frame(9.0)))
    with pytest.raises(UnfitPixelSize, match=r"scan\.tif: expected pixels of 1 to 2 nm, found 9 nm; choose"):
        ask(*network_for(), source)
    assert UnfitPixelSize.__name__ in _FRAMES_FAULT


def test_every_refusal_of_an_image_is_the_frames_fault():
    def names(kind):
        return {kind.__name__}.union(*(names(child) for child in kind.__subclasses__()))

    # Formats of vendors are no acquisitions of a site.
    assert names(ImageError) - {"ImageError", "MissingReader"} == _FRAMES_FAULT


class Doubled:
    """Twice the sampling, whatever the frame."""

    scale = 2
    ref = NetworkRef(id="tiny", version="1", weights_sha256="a" * 64)

    def __call__(self, pixels):
        return np.kron(pixels, np.ones((2, 2), np.float32))


def test_resampling_and_the_networks_own_scale_multiply(network_for):
    seen = frame(4.0)
    made = reconstruct(
        seen,
        Doubled(),
        Denoise(),
        source={"file_name": "scan.tif", "sha256": "b" * 64},
        clock=lambda: datetime(2026, 1, 1, tzinfo=UTC),
        fit=decide_fit(seen, *network_for()),
    )
    assert made.pixels.shape == (192, 256)
    assert made.pixel_size_nm == pytest.approx(1.0)
