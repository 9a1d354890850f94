from pathlib import Path

import pytest

TINY = """
id = "tiny"
purpose = "Show that the loop closes."
limits = ["Good for nothing."]
{top}
[task]
{task}

[network]
{network}

[specimens]
kinds = ["precipitates"]
images = 2
side_px = 48
zoom = [0.8, 1.2]

{micrographs}
[variations]
read_sigma = [0.05, 0.1]

[fit]
steps = 3
batch = 2
patch_px = 16
seed = 5
loss = "{loss}"
"""


def tiny_recipe(
    *,
    task: str = 'kind = "denoise"',
    network: str = 'kind = "unet"\nwidths = [4, 6]',
    top: str = "",
    micrographs: str = "",
    loss: str = "l1",
) -> str:
    return TINY.format(task=task, network=network, top=top, micrographs=micrographs, loss=loss)


@pytest.fixture
def recipe_file(tmp_path: Path) -> Path:
    path = tmp_path / "tiny.toml"
    path.write_text(tiny_recipe())
    return path


@pytest.fixture
def write_recipe(tmp_path: Path):
    def write(**changes: str) -> Path:
        path = tmp_path / "changed.toml"
        path.write_text(tiny_recipe(**changes))
        return path

    return write
