"""From the last byte of an upload to an accepted image: digest, parsing in isolation, split."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from benchmark.splits import field_key
from coordinator.errors import Unprocessable
from coordinator.store.values import StoredImage, Upload
from coordinator.workplace import Workplace
from model_library.errors import ImageError
from model_library.images.isolated import read_isolated
from model_library.signing.digests import sha256_file


@dataclass(frozen=True)
class Intake:
    """Takes in whole uploads; each of `listeners` is told of every accepted image."""

    place: Workplace
    listeners: tuple[Callable[[StoredImage], None], ...]

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
            frame_field, pixel_size_nm = self._read(file, told.sha256, told.file_name)
        except (ImageError, Unprocessable) as refusal:
            place.uploads.refuse(upload.id, str(refusal))
            part.unlink(missing_ok=True)
            raise Unprocessable(str(refusal)) from refusal
        if file is part:
            place.objects.adopt(part, told.sha256)
            part.unlink(missing_ok=True)
        field = field_key(frame_field or told.field, told.sha256)
        return self._accept(upload, field, pixel_size_nm or told.pixel_size_nm)

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

    def _read(self, file: Path, sha256: str, name: str) -> tuple[str | None, float | None]:
        found = sha256_file(file)
        if found != sha256:
            message = (
                f"expected {name} to have SHA-256 {sha256}, found {found}; send it under a new declaration"
            )
            raise Unprocessable(message)
        settings = self.place.settings
        frame = read_isolated(
            file, deadline_s=settings.intake_deadline_s, memory_bytes=settings.intake_memory_bytes
        )
        return frame.field, frame.pixel_size_nm
