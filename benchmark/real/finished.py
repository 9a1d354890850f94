"""Cases that are done: kept in a folder, so that a run that was stopped goes on where it was."""

from pathlib import Path

from pydantic import ValidationError

from benchmark.real.rows import CaseResult
from model_library.images.durable import write_durably


class Finished:
    """Results and pictures by case, in a folder, or in memory where none is given."""

    def __init__(self, folder: Path | None) -> None:
        self._folder = folder
        self._memory: dict[str, bytes] = {}

    def result(self, case: str, fingerprint: str) -> CaseResult | None:
        """Give a finished case; None where it is not done, or was done under other terms."""
        content = self._read(f"{case}.json")
        try:
            found = CaseResult.model_validate_json(content) if content else None
        except ValidationError:
            # Written by another version: it is done again.
            return None
        return found if found is not None and found.fingerprint == fingerprint else None

    def picture(self, case: str) -> bytes | None:
        """PNG of a finished case."""
        return self._read(f"{case}.png")

    def keep(self, result: CaseResult, picture: bytes | None) -> None:
        """Keep a case, its picture first."""
        if picture is not None:
            self._write(f"{result.case}.png", picture)
        self._write(f"{result.case}.json", (result.model_dump_json(indent=2) + "\n").encode())

    def _read(self, name: str) -> bytes | None:
        if self._folder is None:
            return self._memory.get(name)
        path = self._folder / name
        return path.read_bytes() if path.is_file() else None

    def _write(self, name: str, content: bytes) -> None:
        if self._folder is None:
            self._memory[name] = content
            return
        self._folder.mkdir(parents=True, exist_ok=True)
        write_durably(self._folder / name, content)
