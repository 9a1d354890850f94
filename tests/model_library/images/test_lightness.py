"""A site's daemon imports the readers: what they seldom need is loaded when it is needed, or elsewhere."""

import subprocess
import sys

import pytest

HEAVY = {"mrcfile", "rsciio", "zarr", "dask", "h5py", "scipy", "skimage", "torch"}


def loaded(script: str) -> set[str]:
    """Top-level modules that a fresh interpreter holds after a script."""
    command = f"import sys\n{script}\nprint(*{{name.partition('.')[0] for name in sys.modules}})"
    run = subprocess.run(
        [sys.executable, "-c", command], capture_output=True, text=True, timeout=120, check=True
    )
    return set(run.stdout.split())


@pytest.mark.parametrize("module", ["readers", "contents", "inspector", "pixel_fit", "writers"])
def test_importing_a_reader_loads_nothing_heavy(module):
    assert not loaded(f"import model_library.images.{module}") & HEAVY


def test_the_gpl_library_is_run_beside_us_and_never_loaded(shared_data):
    path = shared_data / "vendor_formats" / "dm3" / "test_STEM_image.dm3"
    script = (
        "from pathlib import Path\nfrom model_library.images.contents import read_contents\n"
        f"assert read_contents(Path({str(path)!r})).recordings"
    )
    assert not loaded(script) & HEAVY
