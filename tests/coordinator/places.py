"""A coordinator's workplace without a server, and instruments whose images are only told."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from benchmark.observation import Observation
from coordinator.founding import found
from coordinator.records import Finding, Stage
from coordinator.services import open_place
from coordinator.settings import read_settings
from coordinator.store.database import Database
from coordinator.store.values import Instrument, Opening, StoredImage, Trigger
from coordinator.workplace import Workplace
from model_library.signing.digests import sha256_bytes
from model_library.wire.identity import EnrolRequest
from model_library.wire.images import ImageDeclaration, ImagePurpose
from model_library.wire.tasks import Denoise, Task

NOW = 1_800_000_000.0


@contextmanager
def workplace(data: Path, **settings: Any) -> Iterator[Workplace]:
    """Found a coordinator and open its memory."""
    found(data, ["127.0.0.1"], 0, NOW)
    read = read_settings(data).model_copy(update=settings)
    database = Database(read.database)
    yield open_place(read, database, lambda: NOW)
    database.close()


def enrolled(place: Workplace, name: str = "scope", task: Task | None = None) -> Instrument:
    """Enrol an instrument."""
    secret = place.identities.new_enrol_token(NOW, 60)
    request = EnrolRequest(token=secret, site_name=name, task=task or Denoise(), public_key_pem="-")
    return place.identities.enrol(request, secret, NOW)


def received(
    place: Workplace,
    instrument_id: str,
    sequence: int,
    purpose: ImagePurpose = ImagePurpose.BENCHMARK,
    field: str | None = None,
) -> StoredImage:
    """Accept an image of which only the name is there."""
    content = f"{instrument_id}/{sequence}".encode()
    told = ImageDeclaration(
        purpose=purpose,
        sequence=sequence,
        file_name="f.tif",
        bytes=len(content),
        sha256=sha256_bytes(content),
    )
    upload = place.uploads.declare(instrument_id, told, NOW + 60)
    return place.images.accept(upload, field or f"field-{sequence}", None, NOW)


def showing(noise: float = 1.0, brightness: float = 100.0) -> Observation:
    """What an image shows whose noise is so many times that of `measured`'s model."""
    return Observation(gain=noise**2, read_variance=0.0, levels=(brightness,) * 3)


def measured(
    place: Workplace, instrument: Instrument, number: int = 1, from_sequence: int = 1, images: int = 28
) -> str:
    """A campaign that gathered images and measured a noise of one count per electron, and is over."""
    trigger = Trigger.ENROLMENT if number == 1 else Trigger.DRIFT
    opening = Opening(instrument.id, number, trigger, from_sequence)
    campaign_id = place.campaigns.open(opening, Stage.WAITING, NOW)
    first = []
    for sequence in range(from_sequence, from_sequence + images):
        image = received(place, instrument.id, sequence, ImagePurpose.FIRST)
        place.observations.keep(image, showing(1 + 0.01 * (-1) ** sequence))
        first.append(image.id)
    place.campaigns.find_out(campaign_id, Finding.IMAGES, first)
    place.campaigns.find_out(
        campaign_id, Finding.NOISE, {"gain": 1.0, "read_variance": 0.0, "images": images}
    )
    place.campaigns.enter(campaign_id, Stage.MONITORING)
    return campaign_id
