"""Packages that come back, and packages that should not have come."""

import json
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from model_library.errors import CardError, ExchangeError, LibraryError, WeightsError
from model_library.signing.digests import sha256_bytes
from model_library.zoo.exchange.intake import import_package
from model_library.zoo.registry import Library

Change = Callable[[dict[str, Any]], None]


@pytest.fixture
def own(tmp_path: Path) -> Library:
    return Library(tmp_path / "own")


@pytest.mark.parametrize("network_id", ["denoiser", "unet-slices"])
def test_what_was_exported_comes_back_as_it_was(
    package_of: Callable[[str], Path], library: Library, own: Library, network_id: str
):
    card = import_package(package_of(network_id), own)
    assert card == library.card(network_id) == own.verify(network_id)
    for file in ("card.json", "weights.safetensors"):
        assert (own.path(network_id) / file).read_bytes() == (library.path(network_id) / file).read_bytes()


def test_it_may_have_another_name_here(package_of: Callable[[str], Path], library: Library, own: Library):
    card = import_package(package_of("denoiser"), own, "from-afar")
    assert own.ids() == ("from-afar",)
    assert card.weights_sha256 == library.card("denoiser").weights_sha256
    with pytest.raises(CardError, match="correct --id"):
        import_package(package_of("denoiser"), own, "../escape")


def test_a_name_is_taken_once_and_the_shipped_library_is_left_alone(
    package_of: Callable[[str], Path], own: Library
):
    import_package(package_of("denoiser"), own)
    with pytest.raises(LibraryError, match="another id"):
        import_package(package_of("denoiser"), own)
    with pytest.raises(LibraryError, match="--folder"):
        import_package(package_of("denoiser"), Library())


def npy(array: np.ndarray) -> bytes:
    buffer = BytesIO()
    np.save(buffer, array)
    return buffer.getvalue()


def replaced(files: dict[str, bytes], name: str, content: bytes) -> None:
    """Replace a file and its digest in the description."""
    old, files[name] = sha256_bytes(files[name]), content
    description = files["bioimageio.yaml"].replace(old.encode(), sha256_bytes(content).encode())
    files["bioimageio.yaml"] = description


def test_a_result_that_is_not_the_promised_one_is_refused(repacked: Callable[..., Path], own: Library):
    def spoil(files: dict[str, bytes]) -> None:
        result = np.load(BytesIO(files["test_output.npy"]))
        result[..., 7, 7] += 0.1
        replaced(files, "test_output.npy", npy(result))

    with pytest.raises(ExchangeError, match=r"a difference of 0\.1"):
        import_package(repacked(spoil), own)
    assert not own.folder.exists()


@pytest.mark.parametrize(
    ("tensor", "reason"),
    [(np.zeros((1, 1, 8, 8)), "expected a test output of"), (np.full((1, 1, 12, 12), np.nan), "finite"),
     (np.zeros((4, 4)), "4 axes")],
)  # fmt: skip
def test_test_tensors_that_make_no_sense_are_refused(
    repacked: Callable[..., Path], own: Library, tensor: np.ndarray, reason: str
):
    with pytest.raises(ExchangeError, match=reason):
        import_package(repacked(lambda files: replaced(files, "test_output.npy", npy(tensor))), own)


def test_weights_that_the_card_does_not_promise_are_refused(repacked: Callable[..., Path], own: Library):
    def spoil(files: dict[str, bytes]) -> None:
        replaced(files, "weights.safetensors", files["weights.safetensors"][:-1] + b"?")

    with pytest.raises(WeightsError, match="expected SHA-256"):
        import_package(repacked(spoil), own)


def test_a_card_that_is_none_is_refused(repacked: Callable[..., Path], own: Library):
    with pytest.raises(CardError, match="expected a model card"):
        import_package(repacked(lambda files: replaced(files, "card.json", b"{}")), own)


def test_a_card_with_invented_facts_is_refused(repacked: Callable[..., Path], own: Library):
    def invent(files: dict[str, bytes]) -> None:
        card = json.loads(files["card.json"])
        card["facts"]["parameters"] += 1
        replaced(files, "card.json", json.dumps(card).encode())

    with pytest.raises(CardError, match="facts of its architecture"):
        import_package(repacked(invent), own)
    assert own.ids() == ()
