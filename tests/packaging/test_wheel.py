"""What is shipped: the five packages with their weights and cards, no tests, and a command that starts."""

import os
import subprocess
import sys
import venv
import zipfile
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    command = [
        sys.executable,
        "-m",
        "pip",
        "wheel",
        "-q",
        "--no-deps",
        "--no-build-isolation",
        "-w",
        folder,
        REPOSITORY,
    ]
    subprocess.run(command, check=True, timeout=180)
    return next(folder.glob("synoptic-*.whl"))


def test_it_holds_the_packages_and_the_shipped_networks_and_no_tests(wheel: Path):
    names = zipfile.ZipFile(wheel).namelist()
    tops = {name.split("/")[0] for name in names if ".dist-info" not in name}
    assert tops == {"benchmark", "coordinator", "model_library", "simulations", "site_client"}
    assert len([name for name in names if name.endswith("weights.safetensors")]) >= 8
    assert len([name for name in names if name.endswith("card.json")]) >= 8
    assert [name for name in names if Path(name).name.startswith(("test_", "conftest"))] == []


def _empty_venv(folder: Path) -> Path:
    venv.create(folder, with_pip=True)
    return folder / "bin"


def test_it_installs_beside_its_dependencies_and_shows_its_help(wheel: Path, tmp_path: Path):
    binaries = _empty_venv(tmp_path / "venv")
    python = binaries / "python"
    subprocess.run([python, "-m", "pip", "install", "-q", "--no-deps", wheel], check=True, timeout=180)
    # The dependencies come from the environment of this test run; the packages come from the wheel.
    here = next(path for path in sys.path if path.endswith("site-packages"))
    environment = {**os.environ, "PYTHONPATH": here}
    run = subprocess.run(
        [binaries / "synoptic", "--help"],
        env=environment,
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert run.returncode == 0, run.stderr
    assert "demo" in run.stdout


@pytest.mark.skipif("SYNOPTIC_LONG" not in os.environ, reason="downloads every dependency: SYNOPTIC_LONG=1")
def test_it_installs_with_all_its_dependencies_into_an_empty_venv(wheel: Path, tmp_path: Path):
    binaries = _empty_venv(tmp_path / "venv")
    pip = [binaries / "python", "-m", "pip", "install", "-q", "-c", REPOSITORY / "constraints.txt"]
    subprocess.run([*pip, f"{wheel}[site]"], check=True, timeout=900)
    run = subprocess.run(
        [binaries / "synoptic", "--help"], cwd=tmp_path, capture_output=True, text=True, timeout=60
    )
    assert run.returncode == 0, run.stderr
