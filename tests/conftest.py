"""What every test may ask for."""

import os
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[1]


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Real micrographs with labels; their terms forbid shipping them, so a clone may lack them."""
    folder = Path(os.environ.get("SYNOPTIC_SHARED_DATA", REPOSITORY.parent / "shared" / "data"))
    if not (folder / "MANIFEST.csv").exists():
        pytest.skip(f"needs real micrographs in {folder} (set SYNOPTIC_SHARED_DATA)")
    return folder
