"""What travels is small, what rounding loses arrives later, and nothing hostile is unpacked."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from imagecodecs import zstd_encode
from safetensors.numpy import save

from model_library.errors import CodingError
from model_library.wire.delta_coding import most_bytes, pack, unpack
from model_library.wire.federation import Encoding

SHAPES = {"a.weight": (3, 2, 3, 3), "a.bias": (3,), "b.weight": (2, 3), "gain": ()}
MOST = most_bytes(len(SHAPES), 1000)
ENCODINGS: tuple[Encoding, ...] = ("int8", "float16", "float32")

some = settings(max_examples=60, deadline=None)
changes = st.fixed_dictionaries(
    {
        key: arrays.arrays(np.float32, shape, elements=st.floats(-1e3, 1e3, width=32))
        for key, shape in SHAPES.items()
    }
)


def small(seed: int, shape: tuple[int, ...] = (32, 16, 3, 3)) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(seed)
    return {"w": (1e-3 * rng.standard_normal(shape)).astype(np.float32)}


@some
@given(changes, st.sampled_from(ENCODINGS))
def test_what_arrives_and_what_is_kept_are_what_was_meant(change, encoding):
    packed = pack(change, encoding)
    arrived = unpack(packed.content, MOST)
    assert arrived.keys() == change.keys()
    for key, array in change.items():
        assert (arrived[key].shape, arrived[key].dtype) == (array.shape, np.float32)
        together = arrived[key] + packed.residual.get(key, np.float32(0))
        np.testing.assert_allclose(together, array, rtol=1e-6, atol=1e-6 * (1 + np.abs(array).max(initial=0)))


@some
@given(changes, st.sampled_from(ENCODINGS))
def test_vectors_and_numbers_arrive_to_the_bit(change, encoding):
    packed = pack(change, encoding)
    arrived = unpack(packed.content, MOST)
    for key in ("a.bias", "gain"):
        assert arrived[key].tobytes() == change[key].tobytes()
        assert key not in packed.residual


@some
@given(changes)
def test_no_number_of_a_channel_is_off_by_more_than_half_a_step(change):
    packed = pack(change, "int8")
    for key, residual in packed.residual.items():
        largest = np.abs(change[key]).reshape(len(residual), -1).max(axis=1)
        found = np.abs(residual).reshape(len(residual), -1).max(axis=1)
        assert (found <= largest / 127 * 0.5 * (1 + 1e-4) + 1e-30).all()


@pytest.mark.parametrize("encoding", ["int8", "float16"])
def test_the_sum_of_what_arrives_follows_the_sum_of_what_was_meant(encoding: Encoding):
    meant = arrived = np.zeros((32, 16, 3, 3))
    blind = np.zeros_like(arrived)
    residual = None
    for number in range(10):
        # One direction throughout, far below a step for most weights: rounding alone would lose it.
        change = {"w": small(0)["w"] * np.float32(0.2) + small(number + 1)["w"]}
        packed = pack(change, encoding, residual)
        residual = packed.residual
        meant = meant + change["w"]
        arrived = arrived + unpack(packed.content, MOST * 100)["w"]
        blind = blind + unpack(pack(change, encoding).content, MOST * 100)["w"]
    drift = np.linalg.norm(arrived - meant) / np.linalg.norm(meant)
    assert drift < 0.002
    assert drift < 0.6 * np.linalg.norm(blind - meant) / np.linalg.norm(meant)


def test_a_quarter_and_a_half_of_the_bytes():
    change = small(1, (64, 64, 3, 3))
    raw = change["w"].nbytes
    assert len(pack(change, "int8").content) < 0.25 * raw
    assert len(pack(change, "float16").content) < 0.52 * raw


def test_a_channel_that_does_not_change_stays_as_it_is():
    change = {"w": np.zeros((2, 4), np.float32)}
    change["w"][1] = 1.0
    assert unpack(pack(change, "int8").content, MOST)["w"].tolist() == [[0.0] * 4, [1.0] * 4]


def test_the_same_change_is_packed_to_the_same_bytes():
    assert pack(small(3), "int8").content == pack(small(3), "int8").content


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_what_is_not_finite_is_not_packed(value: float):
    with pytest.raises(CodingError, match="expected finite float32"):
        pack({"w": np.array([[value]], np.float32)}, "int8")


def zipped(**stored: np.ndarray) -> bytes:
    return bytes(zstd_encode(save({key.replace("__", ":"): array for key, array in stored.items()}), 1))


SCALE = np.ones(2, np.float32)
STEPS = np.ones((2, 3), np.int8)
HOSTILE = {
    "nothing": b"",
    "no Zstandard": save({"w": np.ones(3, np.float32)}),
    "cut short": pack(small(0), "int8").content[:-9],
    "no safetensors": bytes(zstd_encode(b"x" * 100, 1)),
    "a bomb": bytes(zstd_encode(bytes(1 << 27), 1)),
    "a bomb once decoded": zipped(w=np.zeros((2, MOST // 3), np.int8), scale__w=SCALE),
    "no scale": zipped(w=STEPS),
    "a scale of nothing": zipped(scale__w=SCALE),
    "a scale of floats": zipped(w=np.ones((2, 3), np.float32), scale__w=SCALE),
    "too many scales": zipped(w=STEPS, scale__w=np.ones(3, np.float32)),
    "doubled scales": zipped(w=STEPS, scale__w=np.ones(2, np.float64)),
    "a vector in int8": zipped(w=np.ones(2, np.int8), scale__w=SCALE),
    "integers": zipped(w=np.ones((2, 3), np.int64)),
    "doubles": zipped(w=np.ones((2, 3), np.float64)),
}


@pytest.mark.parametrize("case", HOSTILE)
def test_hostile_content_is_refused(case: str):
    with pytest.raises(CodingError, match="expected"):
        unpack(HOSTILE[case], MOST)


@settings(max_examples=200, deadline=None)
@given(st.integers(0, 10_000), st.integers(1, 255))
def test_a_flipped_byte_is_refused_or_gives_arrays_and_never_more(place: int, mask: int):
    content = bytearray(pack(small(0, (4, 3, 3, 3)), "int8").content)
    content[place % len(content)] ^= mask
    try:
        found = unpack(bytes(content), MOST)
    except CodingError:
        return
    assert sum(array.nbytes for array in found.values()) <= MOST
    assert all(array.dtype == np.float32 for array in found.values())


def test_scales_beyond_all_bounds_give_infinities_to_be_found_later():
    found = unpack(zipped(w=STEPS * 100, scale__w=np.full(2, 3e38, np.float32)), MOST)
    assert not np.isfinite(found["w"]).all()
