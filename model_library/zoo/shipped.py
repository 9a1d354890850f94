"""Where the networks that ship lie; found without torch."""

from pathlib import Path


def library_folder() -> Path:
    """Where the networks that ship lie, one folder each."""
    return Path(__file__).parent / "weights"
