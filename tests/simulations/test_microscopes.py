import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from model_library.images.completeness import is_complete
from model_library.images.readers import read_frame
from model_library.images.writers import encode_acquisition
from simulations.acquisition import acquire
from simulations.default_fleet import default_scenario
from simulations.instrument_files import PIECES, write_growing
from simulations.journal import Acquisition, append, rate_mpix_per_s, read_journal
from simulations.microscopes import Clock, MicroscopePlan, Session, frame_name, run
from simulations.scenario import SEED_STREAM, Specimens, Writing


class FakeClock:
    """A clock that only sleeping moves."""

    def __init__(self) -> None:
        self.time = 0.0

    def now(self) -> float:
        return self.time

    def sleep(self, seconds: float) -> None:
        self.time += seconds


def plan_of(folder: Path, frames: int = 4, **arguments: object) -> MicroscopePlan:
    site = default_scenario(seed=5, frames=frames).sites[-1]
    assert isinstance(site.source, Specimens)
    small = site.model_copy(update={"source": site.source.model_copy(update={"frame_px": 96})})
    return MicroscopePlan(
        site=small,
        seed=5,
        acquisition_folder=folder / "acquired",
        truth_folder=folder / "truth",
        journal=folder / "journal.jsonl",
        rate_mpix_per_s=0.5,
        sessions=(Session(frames=frames),),
    ).model_copy(update=arguments)


def acquire_all(plan: MicroscopePlan) -> FakeClock:
    clock = FakeClock()
    run(plan, Clock(now=clock.now, sleep=clock.sleep))
    return clock


@pytest.mark.parametrize("writing", list(Writing))
def test_file_grows_and_is_complete_only_at_the_end(tmp_path: Path, writing: Writing) -> None:
    content = encode_acquisition(acquire(plan_of(tmp_path).site, 0, 5).frame)
    path = tmp_path / "frame.tif"
    seen: list[tuple[bool, bool]] = []

    write_growing(
        path,
        content,
        writing,
        pause=lambda: seen.append((path.exists(), path.exists() and is_complete(path))),
    )

    assert len(seen) == PIECES
    assert [complete for _, complete in seen[:-1]] == [False] * (PIECES - 1)
    assert all(exists for exists, _ in seen) is (writing is Writing.GROWING)
    assert path.read_bytes() == content
    assert [found.name for found in tmp_path.iterdir()] == ["frame.tif"]


def test_frames_carry_pixel_size_and_stage_label_and_truth_lies_apart(tmp_path: Path) -> None:
    plan = plan_of(tmp_path)

    acquire_all(plan)

    names = [frame_name("tissue", number) for number in range(4)]
    assert sorted(path.name for path in plan.acquisition_folder.iterdir()) == names
    assert sorted(path.name for path in plan.truth_folder.iterdir()) == names
    frame = read_frame(plan.acquisition_folder / names[0])
    assert (frame.pixel_size_nm, frame.field, frame.pixels.dtype.name) == (4.0, "field-0000", "uint8")
    truth = read_frame(plan.truth_folder / names[0])
    assert truth.pixels.dtype.name == "uint8"
    assert set(np.unique(truth.pixels)) == {0, 1}
    assert b"truth" not in (plan.acquisition_folder / names[0]).read_bytes()


def test_frames_are_acquired_at_the_rate(tmp_path: Path) -> None:
    plan = plan_of(tmp_path)

    clock = acquire_all(plan)

    assert clock.time == pytest.approx(4 * 96 * 96 / 0.5e6)
    assert rate_mpix_per_s(read_journal(plan.journal)) == pytest.approx(0.5)


def test_existing_frames_are_not_acquired_again(tmp_path: Path) -> None:
    plan = plan_of(tmp_path)
    acquire_all(plan)
    stamps = {path.name: path.stat().st_mtime_ns for path in plan.acquisition_folder.iterdir()}
    unfinished = plan.acquisition_folder / frame_name("tissue", 2)
    whole = unfinished.read_bytes()
    unfinished.write_bytes(whole[: len(whole) // 2])
    lines = plan.journal.read_text().splitlines(keepends=True)
    # As a kill leaves it: frame 3 half written, frame 4 written but not noted, and a torn line.
    plan.journal.write_text("".join(lines[:2]) + lines[3][:20])

    acquire_all(plan)

    assert unfinished.read_bytes() == whole
    assert [entry.number for entry in read_journal(plan.journal)] == [0, 1, 2, 3]
    kept = {path.name: path.stat().st_mtime_ns for path in plan.acquisition_folder.iterdir()}
    assert {name for name in stamps if stamps[name] != kept[name]} == {unfinished.name}


def test_session_begins_when_the_button_is_pressed(tmp_path: Path) -> None:
    button = tmp_path / "start"
    plan = plan_of(tmp_path, sessions=(Session(frames=2), Session(frames=2, start=button)))
    clock = FakeClock()
    waits: list[int] = []

    def sleep(seconds: float) -> None:
        clock.sleep(seconds)
        if clock.time > 3.0:
            waits.append(len(read_journal(plan.journal)))
            button.touch()

    run(plan, Clock(now=clock.now, sleep=sleep))

    assert waits[0] == 2
    assert [entry.session for entry in read_journal(plan.journal)] == [0, 0, 1, 1]


def test_microscope_runs_as_a_process(tmp_path: Path) -> None:
    plan = plan_of(tmp_path, frames=2)
    (tmp_path / "plan.json").write_text(plan.model_dump_json())

    subprocess.run(
        [sys.executable, "-m", "simulations.microscopes", "--plan", str(tmp_path / "plan.json")],
        check=True,
        timeout=60,
    )

    assert len(read_journal(plan.journal)) == 2


def test_no_rate_before_a_session_has_three_frames(tmp_path: Path) -> None:
    journal = tmp_path / "journal.jsonl"
    for number in range(2):
        append(
            journal,
            Acquisition(
                number=number,
                name="a",
                field="f",
                pixels=10,
                session=0,
                written_at=float(number),
                has_truth=True,
            ),
        )
    assert rate_mpix_per_s(read_journal(journal)) is None


def test_seeds_of_the_simulation_are_set_apart() -> None:
    assert SEED_STREAM > 2**30
