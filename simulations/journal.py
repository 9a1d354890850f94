"""What a microscope has acquired: one JSON line per finished frame."""

from pathlib import Path

from pydantic import Field

from model_library.wire.base import Message


class Acquisition(Message):
    """One finished frame. `written_at` is in seconds since 1970; `session` counts from 0."""

    number: int = Field(ge=0)
    name: str
    field: str
    pixels: int = Field(ge=1)
    session: int = Field(ge=0)
    written_at: float
    has_truth: bool


def read_journal(path: Path) -> tuple[Acquisition, ...]:
    """Read all finished frames; a line torn by a kill is not one."""
    if not path.exists():
        return ()
    whole = path.read_text(encoding="utf-8").rpartition("\n")[0]
    return tuple(Acquisition.model_validate_json(line) for line in whole.splitlines() if line)


def append(path: Path, entry: Acquisition) -> None:
    """Add a finished frame; a torn last line is ended first, so that it spoils no other."""
    torn = path.exists() and path.stat().st_size > 0 and not path.read_bytes().endswith(b"\n")
    if torn:
        whole = path.read_bytes().rpartition(b"\n")
        path.write_bytes(whole[0] + whole[1])
    with path.open("a", encoding="utf-8") as file:
        file.write(entry.model_dump_json() + "\n")


def rate_mpix_per_s(entries: tuple[Acquisition, ...]) -> float | None:
    """Pixels per second of the busiest session, in millions; None before a session has three frames."""
    rates = []
    for session in {entry.session for entry in entries}:
        inside = [entry for entry in entries if entry.session == session]
        seconds = inside[-1].written_at - inside[0].written_at
        if len(inside) > 2 and seconds > 0:
            rates.append(sum(entry.pixels for entry in inside[1:]) / seconds / 1e6)
    return max(rates, default=None)
