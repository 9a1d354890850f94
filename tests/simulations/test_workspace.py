from pathlib import Path

import pytest

from simulations.default_fleet import default_scenario
from simulations.errors import WorkspaceError
from simulations.workspace import Run, Workspace, default_workspace


def run_of(seed: int = 0) -> Run:
    return Run(scenario=default_scenario(seed, 8), first_images=8, every_n=5)


def test_new_run_gets_a_port_that_it_keeps(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path / "new")

    begun, resumed = workspace.begin(run_of())
    again, resumed_again = workspace.begin(run_of())

    assert (resumed, resumed_again) == (False, True)
    assert begun.port > 0
    assert again == begun


def test_rates_measured_once_stay(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path)
    begun, _ = workspace.begin(run_of())
    workspace.keep(begun.model_copy(update={"rates_mpix_per_s": {"retina": 0.5}}))

    assert workspace.begin(run_of())[0].rates_mpix_per_s == {"retina": 0.5}


def test_other_arguments_are_refused(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path)
    workspace.begin(run_of(seed=1))

    with pytest.raises(WorkspaceError, match=r"found others \(seed 1, sites cortex.*name another folder"):
        workspace.begin(run_of(seed=2))


def test_folder_with_something_else_is_refused(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("chapter 1")
    with pytest.raises(WorkspaceError, match="found other files"):
        Workspace(tmp_path).begin(run_of())

    (tmp_path / "run.json").write_text('{"of": "another version"}')
    with pytest.raises(WorkspaceError, match="run of this version"):
        Workspace(tmp_path).begin(run_of())


def test_default_folder_takes_up_an_unfinished_run_only(tmp_path: Path) -> None:
    first = default_workspace(tmp_path, run_of())
    first.begin(run_of())

    assert default_workspace(tmp_path, run_of()).folder == first.folder
    assert default_workspace(tmp_path, run_of(seed=3)).folder.name == "run-002"
    first.finish(b"{}")
    assert default_workspace(tmp_path, run_of()).folder.name == "run-002"


def test_one_run_at_a_time(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path)

    with (
        workspace.held(),
        pytest.raises(WorkspaceError, match="found one at work"),
        workspace.held(patience_s=0.2),
    ):
        pass
    with workspace.held(patience_s=0.2):
        pass
