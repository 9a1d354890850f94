"""From the last byte of an upload to an accepted image: digest, parsing in isolation, split."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from benchmark.splits import field_key
from coordinator.errors import Unprocessable
from coordinator.inspection import Inspected, Inspections
from coordinator.store.values import StoredImage, Upload
from coordinator.workplace import Workplace


@dataclass(frozen=True)
class Intake:
    """Takes in whole uploads; each of `listeners` is told of every accepted image."""

    place: Workplace
    listeners: tuple[Callable[[StoredImage], None], ...]
    inspections: Inspections

    def part(self, upload: Upload) -> Path:
        """Where the bytes of an unfinished upload lie."""
        return self.place.settings.uploads / upload.id

    def complete(self, upload: Upload) -> StoredImage:
        """Accept an upload whose bytes are all durable; after a crash it may be called again.

        Raises
        ------
        Unprocessable
            The bytes have another digest than declared, or are no image; the upload is kept as refused.
        """
        told, place = upload.declaration, self.place
        part = self.part(upload)
        stored = place.objects.path(told.sha256)
        file = part if part.exists() else stored
        try:
            found = self._inspect(upload, file)
        except Unprocessable as refusal:
            place.uploads.refuse(upload.id, str(refusal))
            part.unlink(missing_ok=True)
            raise
        if file is part:
            place.objects.adopt(part, told.sha256)
            part.unlink(missing_ok=True)
        field = field_key(found.field or told.field, told.sha256)
        return self._accept(upload, field, found.pixel_size_nm or told.pixel_size_nm)

    def adopt_known(self, upload: Upload) -> StoredImage | None:
        """Complete an upload at once where this instrument delivered the same bytes before."""
        known = self.place.images.with_digest(upload.instrument_id, upload.declaration.sha256)
        if known is None or known.bytes != upload.declaration.bytes:
            return None
        return self._accept(upload, known.field, known.pixel_size_nm)

    def recover(self) -> None:
        """After a start of the server: take in what was whole when it ended."""
        for upload in self.place.uploads.whole_but_open():
            try:
                self.complete(upload)
            except Unprocessable:
                continue  # Kept as refused, where its site will find the reason.

    def sweep(self) -> None:
        """Drop expired uploads with their bytes."""
        place = self.place
        for upload in place.uploads.expired(place.clock()):
            self.part(upload).unlink(missing_ok=True)
            place.uploads.forget(upload.id)

    def _accept(self, upload: Upload, field: str, pixel_size_nm: float | None) -> StoredImage:
        image = self.place.images.accept(upload, field, pixel_size_nm, self.place.clock())
        for listener in self.listeners:
            listener(image)
        return image

    def _inspect(self, upload: Upload, file: Path) -> Inspected:
        told = upload.declaration
        # The digest comes from the very read that the rest comes from.
        found = self.inspections.inspect(upload.instrument_id, file, told.file_name)
        if found.sha256 != told.sha256:
            message = (
                f"expected {told.file_name} to have SHA-256 {told.sha256}, found {found.sha256}; send it "
                "under a new declaration"
            )
            raise Unprocessable(message)
        return found
