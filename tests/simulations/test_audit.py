from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest

from benchmark.baselines import classical
from benchmark.method import Method
from model_library.images.frame import Frame
from model_library.images.readers import read_frame
from model_library.images.writers import encode_acquisition, write_result
from model_library.signing.digests import sha256_file
from model_library.wire.methods import ClassicalRef, MethodRef
from model_library.wire.tasks import Denoise, Segment
from simulations.audit import audit, sample
from site_client.reconstruct import reconstruct

GAUSSIAN = ClassicalRef(id="gaussian", parameters={"sigma_px": 1.0})


def method_of(ref: MethodRef) -> Method:
    assert isinstance(ref, ClassicalRef)
    return classical(ref, Denoise())


@pytest.fixture
def source(tmp_path: Path) -> Path:
    path = tmp_path / "frame.tif"
    pixels = np.random.default_rng(0).poisson(400, (64, 64)).astype(np.uint16)
    path.write_bytes(encode_acquisition(Frame(pixels)))
    return path


def write(source: Path, *, off_by: int = 0, claimed: MethodRef = GAUSSIAN, digest: str | None = None) -> Path:
    made = reconstruct(
        read_frame(source),
        method_of(GAUSSIAN),
        Denoise(),
        source={"file_name": source.name, "sha256": digest or sha256_file(source)},
        clock=lambda: datetime(2026, 1, 1, tzinfo=UTC),
    )
    path = source.with_name("result.ome.tif")
    provenance = {**made.provenance, "method": claimed.model_dump(mode="json")}
    pixels = (made.pixels + off_by).astype(np.uint16)
    write_result(path, pixels, pixel_size_nm=None, provenance=provenance)
    return path


def test_result_that_is_what_it_claims_passes(source: Path) -> None:
    (found,) = audit([(source, write(source))], method_of)

    assert found.fault is None
    assert found.largest_difference_counts == 0
    assert found.method == "gaussian 1"


def test_result_with_other_pixels_is_found(source: Path) -> None:
    (found,) = audit([(source, write(source, off_by=5))], method_of)

    assert found.fault == "differs by up to 5 counts"


def test_result_of_another_method_is_found(source: Path) -> None:
    claimed = ClassicalRef(id="gaussian", parameters={"sigma_px": 3.0})
    (found,) = audit([(source, write(source, claimed=claimed))], method_of)

    assert found.fault is not None
    assert "differs" in found.fault


def test_result_of_another_source_is_found(source: Path) -> None:
    (found,) = audit([(source, write(source, digest="0" * 64))], method_of)

    assert found.fault is not None
    assert "source other than" in found.fault


def test_file_without_provenance_is_found(source: Path) -> None:
    (found,) = audit([(source, source)], method_of)

    assert found.fault is not None
    assert "provenance" in found.fault


def test_sample_is_spread_and_holds_both_ends() -> None:
    names = [f"{number:02d}" for number in range(20)]

    assert sample(names, 3) == ["00", "10", "19"]
    assert sample(names[:2], 3) == ["00", "01"]


MASKS = Segment(classes=("background", "cell"))
OTSU = ClassicalRef(id="otsu", parameters={"sigma_px": 1.0})


@pytest.mark.parametrize(("turned_px", "fault"), [(0, None), (40, "40 of 4096 pixels have another class")])
def test_segmentation_is_repeated_class_by_class(source: Path, turned_px: int, fault: str | None) -> None:
    made = reconstruct(
        read_frame(source),
        classical(OTSU, MASKS),
        MASKS,
        source={"file_name": source.name, "sha256": sha256_file(source)},
        clock=lambda: datetime(2026, 1, 1, tzinfo=UTC),
    )
    pixels = made.pixels.copy()
    pixels.ravel()[:turned_px] ^= 1
    path = source.with_name("result.ome.tif")
    write_result(path, pixels, pixel_size_nm=None, provenance=made.provenance)

    (found,) = audit([(source, path)], lambda ref: classical(ref, MASKS))  # type: ignore[arg-type]

    assert (found.fault, found.relabelled_px) == (fault, turned_px)
