"""The settings file that `init` writes tells the defaults, and nothing that is not so."""

import tomllib
from pathlib import Path
from typing import Any

import pytest

from coordinator.settings import Settings, read_settings, settings_text

TEXT = settings_text(["127.0.0.1", "localhost"], 8443)


def leaves(tree: dict[str, Any], at: str = "") -> dict[str, Any]:
    """Every value of a tree under its path."""
    found: dict[str, Any] = {}
    for name, value in tree.items():
        found.update(leaves(value, f"{at}{name}.") if isinstance(value, dict) else {f"{at}{name}": value})
    return found


def test_what_the_file_says_is_the_default():
    written, defaults = leaves(tomllib.loads(TEXT)), leaves(Settings(data=Path()).model_dump(mode="json"))
    assert written == {name: defaults[name] for name in written}


def test_how_many_images_need_labels_is_in_the_file():
    assert "labelled_images" in tomllib.loads(TEXT)


def test_the_file_can_be_read(tmp_path: Path):
    (tmp_path / "settings.toml").write_text(TEXT)
    assert read_settings(tmp_path) == Settings(data=tmp_path)


def test_every_setting_outside_a_section_has_a_comment():
    top = TEXT.split("[assessment]")[0].splitlines()
    assert [line for line in top if "=" in line and "#" not in line] == []


def test_a_variable_of_another_program_sets_nothing(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    (tmp_path / "settings.toml").write_text("[tuning]\nbatch = 4\n[assessment]\ntile_px = 256\n")
    for name in ("STEPS", "LEARNING_RATE", "CROP_PX"):
        monkeypatch.setenv(name, "64")
    found, defaults = read_settings(tmp_path), Settings(data=tmp_path)
    assert found.tuning == defaults.tuning.model_copy(update={"batch": 4})
    assert found.assessment == defaults.assessment.model_copy(update={"tile_px": 256})


def test_a_variable_of_ours_sets_one_value_and_leaves_the_others(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
):
    monkeypatch.setenv("SYNOPTIC_COORDINATOR_TUNING__STEPS", "7")
    tuning = Settings(data=tmp_path).tuning
    assert tuning == Settings.model_fields["tuning"].default.model_copy(update={"steps": 7})
