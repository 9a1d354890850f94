import subprocess
import sys
from pathlib import Path


def synoptic(*arguments: str, folder: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", "from model_library.cli import main; main()", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False, cwd=folder)


def test_help_has_an_example_and_the_exit_codes(tmp_path: Path) -> None:
    told = synoptic("demo", "--help", folder=tmp_path)

    assert told.returncode == 0
    assert "Example: synoptic demo --json demo.json" in " ".join(told.stdout.split())
    assert "130" in told.stdout


def test_folder_that_is_not_there_is_refused_and_nothing_is_started(tmp_path: Path) -> None:
    told = synoptic("demo", "--images", str(tmp_path / "absent"), folder=tmp_path)

    assert told.returncode == 1
    assert "give --images" in told.stderr
    assert list(tmp_path.iterdir()) == []


def test_workspace_with_other_files_is_refused_and_left_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("chapter 1")

    told = synoptic("demo", "--workspace", str(tmp_path), folder=tmp_path)

    assert told.returncode == 1
    assert "found other files" in " ".join(told.stderr.split())
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.tex"]


def test_wrong_usage_ends_with_2(tmp_path: Path) -> None:
    assert synoptic("demo", "--frames", "two", folder=tmp_path).returncode == 2
