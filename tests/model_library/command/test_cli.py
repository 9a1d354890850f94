"""`synoptic` lists its groups without importing them, and refuses in one readable line."""

import subprocess
import sys
from collections.abc import Iterator

import click
import pytest

from model_library.cli import root

ENTRY = "from model_library.cli import main; main()"


def synoptic(*arguments: str, before: str = "") -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", before + ENTRY, *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


def test_help_names_every_group_and_an_example():
    run = synoptic("--help")
    assert run.returncode == 0
    for word in ("benchmark", "coordinator", "demo", "library", "site", "Example"):
        assert word in run.stdout


@pytest.mark.parametrize(
    "command",
    [
        ("coordinator", "init"),
        ("coordinator", "serve"),
        ("coordinator", "enrol-token"),
        ("site", "enrol"),
        ("site", "run"),
        ("site", "status"),
        ("site", "reconstruct"),
        ("library", "list"),
        ("library", "show"),
        ("library", "verify"),
        ("library", "pretrain"),
        ("library", "inspect"),
        ("benchmark", "card"),
        ("benchmark", "run"),
        ("demo",),
    ],
    ids=" ".join,
)
def test_every_command_explains_itself_with_an_example(command: tuple[str, ...]):
    run = synoptic(*command, "--help")
    assert run.returncode == 0, run.stderr
    assert "Example: synoptic" in run.stdout


def arguments_of(command: click.Command, name: str) -> Iterator[tuple[str, str | None]]:
    if isinstance(command, click.Group):
        for each in command.commands.values():
            yield from arguments_of(each, f"{name} {each.name}")
    for parameter in command.params:
        if isinstance(parameter, click.Argument):
            yield f"{name} {parameter.name}", parameter.help


@pytest.mark.parametrize("group", ["benchmark", "coordinator", "library", "site"])
def test_every_argument_says_what_it_is(group: str):
    command = root.get_command(click.Context(root), group)
    silent = [name for name, told in arguments_of(command, group) if not told]
    assert silent == []


def test_wrong_usage_is_exit_code_2():
    assert synoptic("site", "status").returncode == 2


def test_a_refusal_is_exit_code_1_with_what_to_do():
    run = synoptic("library", "show", "no-such-network")
    assert run.returncode == 1
    assert run.stderr.startswith("Refused: expected")
    assert "Traceback" not in run.stderr


def test_a_missing_extra_is_told_and_not_thrown():
    run = synoptic("coordinator", "--help", before="import sys; sys.modules['coordinator.cli'] = None; ")
    assert run.returncode == 1
    assert "install the extra" in run.stderr
