"""Messages are frozen, strict, and survive the wire unchanged."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from model_library.wire.images import ImageDeclaration, ImagePurpose
from model_library.wire.methods import ClassicalRef, MethodRef, NetworkRef
from model_library.wire.orders import FrameCounts, Heartbeat
from model_library.wire.tasks import Denoise, Segment, SuperResolve, Task

COUNTS = FrameCounts(acquired=3, reconstructed=1, waiting=1, set_aside=1, returned=0)


@given(
    st.builds(
        ImageDeclaration,
        sequence=st.integers(1, 10**9),
        bytes=st.integers(1, 2**40),
        sha256=st.text("0123456789abcdef", min_size=64, max_size=64),
        file_name=st.text(max_size=255),
        purpose=st.sampled_from(ImagePurpose),
    )
)
def test_a_declaration_comes_back_as_it_was_sent(sent: ImageDeclaration):
    assert ImageDeclaration.model_validate_json(sent.model_dump_json()) == sent


@pytest.mark.parametrize(
    "task", [Denoise(), SuperResolve(scale=2), Segment(classes=("matrix", "precipitate"))]
)
def test_a_task_is_told_by_its_kind(task: Denoise | SuperResolve | Segment):
    adapter: TypeAdapter[object] = TypeAdapter(Task)
    assert adapter.validate_json(adapter.dump_json(task)) == task


@pytest.mark.parametrize(
    "ref",
    [
        NetworkRef(id="unet", version="1", weights_sha256="0" * 64),
        ClassicalRef(id="tv", parameters={"weight": 0.1}),
    ],
)
def test_a_method_is_told_by_its_kind(ref: NetworkRef | ClassicalRef):
    adapter: TypeAdapter[object] = TypeAdapter(MethodRef)
    assert adapter.validate_json(adapter.dump_json(ref)) == ref


def test_an_unknown_field_is_refused():
    with pytest.raises(ValidationError, match="Extra inputs"):
        Heartbeat.model_validate({"frames": COUNTS.model_dump(), "pixels": [1, 2, 3]})


@pytest.mark.parametrize("rate", [float("nan"), float("inf"), -1.0])
def test_a_rate_that_is_no_rate_is_refused(rate: float):
    with pytest.raises(ValidationError):
        Heartbeat(frames=COUNTS, throughput_mpix_per_s=rate)


def test_a_message_cannot_be_changed():
    with pytest.raises(ValidationError, match="frozen"):
        COUNTS.acquired = 4


@pytest.mark.parametrize("digest", ["", "0" * 63, "G" * 64, "0" * 64 + "\n"])
def test_a_digest_that_is_none_is_refused(digest: str):
    with pytest.raises(ValidationError):
        NetworkRef(id="unet", version="1", weights_sha256=digest)
