"""What a site keeps from round to round: found again, or nothing; never of another network or round."""

from pathlib import Path

import numpy as np
import pytest

from site_client.federation.kept import Kept, KeptArrays

WEIGHTS = {"a": np.zeros((2, 3), np.float32), "b": np.zeros((), np.float32)}


def kept(value: float) -> Kept:
    return Kept({"a": np.full((2, 3), value, np.float32)}, {"b": np.array(value, np.float32)})


def test_a_round_finds_what_the_latest_one_before_it_left(tmp_path: Path) -> None:
    room = KeptArrays(tmp_path, "fed-1")
    room.keep(1, kept(1.0))
    room.keep(2, kept(2.0))
    for number, value in ((2, 1.0), (3, 2.0), (9, 2.0)):
        found = KeptArrays(tmp_path, "fed-1").before(number, WEIGHTS)
        assert (found.residual["a"] == value).all()
        assert (found.own["b"].shape, float(found.own["b"])) == ((), value)
    assert KeptArrays(tmp_path, "fed-1").before(1, WEIGHTS) == Kept()


def test_only_two_rounds_of_one_federation_are_kept(tmp_path: Path) -> None:
    for number in range(1, 6):
        KeptArrays(tmp_path, "fed-1").keep(number, kept(1.0))
    assert len(list((tmp_path / "fed-1").iterdir())) == 2
    KeptArrays(tmp_path, "fed-2").keep(1, kept(1.0))
    assert [path.name for path in tmp_path.iterdir()] == ["fed-2"]


@pytest.mark.parametrize("content", [b"", b"none", b"\xff" * 100])
def test_a_damaged_file_is_as_none(tmp_path: Path, content: bytes) -> None:
    room = KeptArrays(tmp_path, "fed-1")
    room.keep(1, kept(1.0))
    [path] = (tmp_path / "fed-1").iterdir()
    path.write_bytes(content)
    assert room.before(2, WEIGHTS) == Kept()


@pytest.mark.parametrize(
    "weights", [{"a": WEIGHTS["a"]}, WEIGHTS | {"a": np.zeros((3, 2), np.float32)}], ids=["keys", "shapes"]
)
def test_what_does_not_fit_the_network_is_as_none(tmp_path: Path, weights: dict[str, np.ndarray]) -> None:
    room = KeptArrays(tmp_path, "fed-1")
    room.keep(1, kept(1.0))
    assert room.before(2, weights) == Kept()
