import tomllib
from pathlib import Path

import pytest

from model_library.images.frame import Grey
from model_library.wire.methods import ClassicalRef
from model_library.wire.tasks import Denoise, Segment, SuperResolve, parse_task, task_in_words
from simulations.calibration import throughput_mpix_per_s
from simulations.default_fleet import default_scenario
from simulations.fleet import calibrate, coordinator_settings
from simulations.sessions import last_session, plan_of
from simulations.workspace import Run, Workspace


def run_of(frames: int = 60) -> Run:
    return Run(scenario=default_scenario(4, frames), first_images=21, every_n=5, port=1234)


class Copying:
    """A method that does nothing."""

    ref = ClassicalRef(id="copy")
    scale = 1

    def __call__(self, pixels: Grey) -> Grey:
        return pixels


def test_throughput_is_acquired_pixels_per_second_of_the_best_run() -> None:
    ticks = iter([0.0, 2.0, 2.0, 3.0, 3.0, 7.0])

    found = throughput_mpix_per_s(Copying(), side=1000, clock=lambda: next(ticks))

    assert found == pytest.approx(1.0)


def test_each_task_is_measured_once_and_a_resumed_run_not_again() -> None:
    asked: list[object] = []

    def rate_for(task: object) -> float:
        asked.append(task)
        return 0.5

    run = calibrate(run_of(), rate_for)  # type: ignore[arg-type]

    assert set(run.rates_mpix_per_s) == {site.name for site in run.scenario.sites}
    assert set(run.rates_mpix_per_s.values()) == {0.5}
    assert asked == [Denoise(), SuperResolve(scale=2), Segment(classes=("background", "membrane"))]
    assert calibrate(run, rate_for) is run  # type: ignore[arg-type]


def test_coordinator_is_told_seed_port_and_how_many_images() -> None:
    told = tomllib.loads(coordinator_settings(run_of().model_copy(update={"tuning_steps": 7})))

    assert (told["seed"], told["port"], told["first_images"], told["every_n"]) == (4, 1234, 21, 5)
    assert told["tuning"] == {"steps": 7}
    assert told["federation"] == {"quorum": 3}


def test_frames_are_kept_for_the_final_release_after_the_first_images() -> None:
    site = default_scenario(0, 60).sites[0]

    assert last_session(site, first_images=21) == 15
    assert last_session(site.model_copy(update={"frames": 24}), first_images=21) == 3
    assert last_session(site.model_copy(update={"frames": 20}), first_images=21) == 0


def test_change_begins_with_the_last_session(tmp_path: Path) -> None:
    run = run_of().model_copy(update={"rates_mpix_per_s": {"retina": 0.5}})
    retina = run.scenario.sites[2]

    plan = plan_of(retina, run, Workspace(tmp_path))

    assert retina.change is not None
    assert [session.frames for session in plan.sessions] == [42, 42]
    assert plan.sessions[0].frames == retina.change.at_frame
    assert [session.start is None for session in plan.sessions] == [True, False]


def test_tasks_are_written_as_the_command_line_takes_them() -> None:
    labels = Segment(classes=("background", "membrane"))
    for task in (Denoise(), SuperResolve(scale=2), SuperResolve(scale=4), labels):
        assert parse_task(task_in_words(task)) == task
