"""What the coordinator remembers across crashes: uploads, images, campaigns, releases."""

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from benchmark.splits import Split
from coordinator.errors import Conflict, Unauthenticated, Unprocessable
from coordinator.founding import found
from coordinator.inspection import Inspections
from coordinator.intake import Intake
from coordinator.services import open_place
from coordinator.settings import read_settings
from coordinator.store.database import Database
from coordinator.store.values import (
    Event,
    Opening,
    ReleasePurpose,
    StoredImage,
    Trigger,
    Upload,
    UploadState,
)
from coordinator.workplace import Workplace
from model_library.cards.release import ReleaseManifest
from model_library.wire.identity import EnrolRequest
from model_library.wire.images import AcquisitionFacts, ImagePurpose
from model_library.wire.methods import ClassicalRef, NetworkRef
from model_library.wire.tasks import Denoise, SuperResolve

from .conftest import acquisition, declaration

NOW = 1_800_000_000.0


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Workplace]:
    found(tmp_path, ["127.0.0.1"], 0, NOW)
    settings = read_settings(tmp_path)
    database = Database(settings.database)
    yield open_place(settings, database, lambda: NOW)
    database.close()


@pytest.fixture
def inspections(place: Workplace) -> Iterator[Inspections]:
    made = Inspections(place.settings)
    yield made
    made.close()


def whole_upload(place: Workplace, content: bytes, sequence: int, **changes: object) -> Upload:
    """An upload whose last byte is durable and whose intake has not begun."""
    upload = place.uploads.declare("scope", declaration(content, sequence, **changes), NOW + 60)
    (place.settings.uploads / upload.id).write_bytes(content)
    place.uploads.advance(upload.id, len(content))
    return upload


def test_what_was_whole_before_a_crash_is_taken_in_after_it(
    place: Workplace, inspections: Inspections
) -> None:
    content = acquisition(1)
    upload = whole_upload(place, content, 1)
    told: list[StoredImage] = []
    Intake(place, (told.append,), inspections).recover()
    assert [image.sequence for image in told] == [1]
    assert place.uploads.find(upload.id).state is UploadState.ACCEPTED  # type: ignore[union-attr]
    assert place.objects.get(upload.declaration.sha256).read_bytes() == content


def test_a_crash_between_the_object_and_the_row_does_no_harm(
    place: Workplace, inspections: Inspections
) -> None:
    content = acquisition(2)
    upload = whole_upload(place, content, 2)
    place.objects.adopt(place.settings.uploads / upload.id, upload.declaration.sha256)
    Intake(place, (), inspections).recover()
    assert len(place.images.of("scope")) == 1


def test_accepting_twice_is_accepting_once(place: Workplace) -> None:
    upload = whole_upload(place, acquisition(3), 3)
    first = place.images.accept(upload, "field", 4.0, NOW)
    again = place.images.accept(upload, "field", 4.0, NOW)
    assert first == again


def test_what_a_site_tells_of_an_acquisition_is_kept_with_the_image(place: Workplace) -> None:
    told = AcquisitionFacts(beam_kv=5, dwell_us=10, detector="ETD")
    declared = declaration(b"content", 1, acquisition=told)
    upload = place.uploads.declare("i-1", declared, NOW + 60)
    place.images.accept(upload, "field", 4.0, NOW)
    [image] = place.images.of("i-1")
    assert image.acquisition == told


def test_a_refused_upload_keeps_its_reason_and_drops_its_bytes(
    place: Workplace, inspections: Inspections
) -> None:
    upload = whole_upload(place, b"no image", 4)
    with pytest.raises(Unprocessable):
        Intake(place, (), inspections).complete(upload)
    kept = place.uploads.find(upload.id)
    assert kept is not None
    assert kept.state is UploadState.REFUSED
    assert kept.refusal
    assert place.uploads.refused("scope", ImagePurpose.FIRST) == 1
    assert place.uploads.refused("scope", ImagePurpose.FIRST, 5) == 0
    assert place.uploads.refused("scope", ImagePurpose.FIRST, 1, end=4) == 0
    assert not (place.settings.uploads / upload.id).exists()


def test_expired_uploads_are_swept_and_their_names_are_free_again(
    place: Workplace, inspections: Inspections
) -> None:
    content = acquisition(5)
    old = place.uploads.declare("scope", declaration(content, 5), NOW - 1)
    (place.settings.uploads / old.id).write_bytes(b"part")
    Intake(place, (), inspections).sweep()
    assert not (place.settings.uploads / old.id).exists()
    assert place.uploads.declare("scope", declaration(content, 5), NOW + 60).id != old.id


def test_a_field_keeps_its_split_for_good(place: Workplace) -> None:
    for sequence in range(1, 15):
        upload = whole_upload(place, bytes([sequence]), sequence)
        place.images.accept(upload, f"field-{sequence % 7}", None, NOW)
    images = place.images.of("scope")
    by_field = {field: {i.split for i in images if i.field == field} for field in {i.field for i in images}}
    assert all(len(splits) == 1 for splits in by_field.values())
    counts = {split: sum(splits == {split} for splits in by_field.values()) for split in Split}
    assert counts == {Split.TUNING: 3, Split.GATE: 2, Split.REPORT: 2}


def test_a_repeated_note_is_one_note(place: Workplace) -> None:
    campaign_id = place.campaigns.open(Opening("scope"), "waiting", NOW)
    assert place.campaigns.open(Opening("scope"), "waiting", NOW) == campaign_id == "campaign-scope-1"
    for at in (NOW, NOW + 1):
        place.campaigns.note(campaign_id, "noise/begin", Event(at, "noise", "begins"))
    seen = place.campaigns.get(campaign_id)
    assert seen is not None
    assert seen.events == (Event(NOW, "noise", "begins"),)


def manifest(number: int, instrument_id: str = "scope") -> ReleaseManifest:
    return ReleaseManifest(
        release_id=f"{instrument_id}-{number:04d}",
        instrument_id=instrument_id,
        task=Denoise(),
        method=ClassicalRef(id="tv"),
        reasons=("best",),
        created_at=datetime.fromtimestamp(NOW, UTC),
    )


def test_a_campaign_opens_with_what_it_begins_with_or_not_at_all(place: Workplace) -> None:
    place.campaigns.open(Opening("scope"), "waiting", NOW)
    second = Opening("scope", 2, Trigger.DRIFT, from_sequence=41)
    for drift in ({"feature": "noise"}, {"feature": "score"}):
        place.campaigns.open(second, "waiting", NOW, {"drift": drift})
    assert place.campaigns.openings("scope") == (Opening("scope"), second)
    assert place.campaigns.finding("campaign-scope-2", "drift") == {"feature": "noise"}
    assert place.campaigns.holders("drift") == ("campaign-scope-2",)


def test_a_federation_makes_one_release_per_instrument(place: Workplace) -> None:
    kept = [
        place.releases.keep(manifest(1, each), "federation-0001", ReleasePurpose.FEDERATED, 1).id
        for each in ("scope", "other", "scope")
    ]
    assert kept == ["scope-0001", "other-0001", "scope-0001"]


def test_a_network_returns_to_the_library_of_its_task_once(place: Workplace) -> None:
    ref = NetworkRef(id="net", version="1+abc", weights_sha256="a" * 64)
    for origin in ("campaign-scope-1", "federation-0001"):
        place.returned.add(ref, Denoise(), origin, NOW)
    [returned] = place.returned.for_task(Denoise())
    assert (returned.ref, returned.origin) == (ref, "campaign-scope-1")
    assert place.returned.for_task(SuperResolve(scale=2)) == ()


def test_a_campaign_makes_each_of_its_releases_once(place: Workplace) -> None:
    first = place.releases.keep(manifest(1), "campaign-scope-1", ReleasePurpose.FIRST, 1)
    again = place.releases.keep(manifest(2), "campaign-scope-1", ReleasePurpose.FIRST, 2)
    assert first == again
    assert place.releases.current("scope") is None
    place.releases.published(first.id, NOW)
    assert place.releases.current("scope").id == "scope-0001"  # type: ignore[union-attr]


def test_an_enrolment_token_is_never_mistaken_for_an_option(place: Workplace) -> None:
    # The characters of a token are what matters; a leading dash would come up once in 64 tokens.
    tokens = "".join(place.identities.new_enrol_token(NOW, 60) for _ in range(8))
    assert set(tokens) <= set("0123456789abcdef")


def test_an_expired_enrolment_token_is_refused(place: Workplace) -> None:
    secret = place.identities.new_enrol_token(NOW - 100, life_s=50)
    request = EnrolRequest(token=secret, site_name="late", task=Denoise(), public_key_pem="-")
    with pytest.raises(Unauthenticated, match="expired"):
        place.identities.enrol(request, secret, NOW)


def test_an_assertion_is_remembered_until_it_expires(place: Workplace) -> None:
    place.identities.spend_assertion("scope", "once", NOW + 60, NOW)
    with pytest.raises(Conflict):
        place.identities.spend_assertion("scope", "once", NOW + 60, NOW + 59)


def test_purposes_count_their_images_apart(place: Workplace) -> None:
    upload = whole_upload(place, b"a", 1)
    place.images.accept(upload, "field", None, NOW)
    assert len(place.images.of("scope", ImagePurpose.FIRST)) == 1
    assert place.images.of("scope", ImagePurpose.BENCHMARK) == ()


def test_the_same_purpose_gives_the_same_chance(place: Workplace) -> None:
    first, again, other = place.rng("cases", "gate"), place.rng("cases", "gate"), place.rng("cases", "tuning")
    assert first.integers(1 << 40) == again.integers(1 << 40) != other.integers(1 << 40)
