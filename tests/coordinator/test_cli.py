"""The commands of the operator."""

import json
from pathlib import Path

import pytest

from .conftest import Coordinator, enrol, synoptic


def test_founding_twice_is_refused_in_words(coordinator: Coordinator) -> None:
    again = synoptic("init", "--data", str(coordinator.data))
    assert again.returncode == 1
    assert "expected a folder without a coordinator" in again.stderr


def test_serving_twice_is_refused_in_words(coordinator: Coordinator) -> None:
    again = synoptic("serve", "--data", str(coordinator.data))
    assert again.returncode == 1
    assert "no other server" in again.stderr
    assert (coordinator.data / "serving.json").exists()


def test_status_prints_the_overview(coordinator: Coordinator) -> None:
    done = synoptic("status", "--data", str(coordinator.data), "--json")
    assert done.returncode == 0, done.stderr
    assert {"instruments", "campaigns"} <= set(json.loads(done.stdout))
    assert (coordinator.data / "operator.token").read_text() not in done.stdout + done.stderr


def test_status_prints_a_line_for_each_instrument(coordinator: Coordinator) -> None:
    one, other = enrol(coordinator, "status-1"), enrol(coordinator, "status-2")
    done = synoptic("status", "--data", str(coordinator.data))
    assert done.returncode == 0, done.stderr
    told = {line.partition(":")[0] for line in done.stdout.splitlines()}
    assert {f"status-1 ({one.id})", f"status-2 ({other.id})"} <= told


def test_a_token_can_be_made_beside_a_running_server(coordinator: Coordinator) -> None:
    done = synoptic("enrol-token", "--data", str(coordinator.data))
    assert done.returncode == 0
    assert len(done.stdout.strip().rpartition(".")[2]) == 32


@pytest.mark.parametrize("command", ["serve", "enrol-token", "status"])
def test_a_folder_without_a_coordinator_is_refused_in_words(tmp_path: Path, command: str) -> None:
    done = synoptic(command, "--data", str(tmp_path))
    assert done.returncode == 1
    assert done.stderr.startswith("Refused: expected a")


def test_an_unknown_setting_is_refused_by_name(tmp_path: Path) -> None:
    (tmp_path / "settings.toml").write_text("evry_n = 5\n")
    done = synoptic("enrol-token", "--data", str(tmp_path))
    assert done.returncode == 1
    assert "evry_n" in done.stderr


@pytest.mark.parametrize("command", ["init", "serve", "enrol-token", "status"])
def test_help_has_an_example(command: str) -> None:
    assert "Example: synoptic coordinator" in synoptic(command, "--help").stdout


def test_wrong_usage_is_2() -> None:
    assert synoptic("serve").returncode == 2
