"""A replay's accounts find every kind of loss; its writer keeps its word; a short replay loses nothing."""

import json
import math
import subprocess
import sys
import time
from dataclasses import replace
from importlib.metadata import EntryPoint
from pathlib import Path

import numpy as np
import pytest
import typer
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from benchmark.contributed import add_contributed
from model_library.images.readers import read_frame
from model_library.images.writers import write_result
from model_library.signing.digests import sha256_bytes, sha256_file
from simulations.errors import ScenarioError
from simulations.processes import family, frozen, usage
from simulations.replay.accounts import (
    Entry,
    Losses,
    Outcome,
    closed_to_read_ms,
    closed_to_result_ms,
    losses,
    read_results,
    writer_cost,
)
from simulations.replay.cli import register
from simulations.replay.frames import Manner, Written, frame_bytes, manner_of
from simulations.replay.named import method_named
from simulations.replay.report import ReplayReport
from simulations.replay.writer import Block, Writer


def frame(number: int, write_ms: float = 1.0) -> Written:
    return Written(
        number=number,
        name=f"frame-{number}.tif",
        sha256=sha256_bytes(b"%d" % number),
        manner=Manner.WHOLE,
        closed_at=100.0 + number,
        write_ms=write_ms,
    )


def entry(number: int) -> Entry:
    return Entry(frame(number).sha256, "reconstructed", 100.004 + number, 100.3 + number, busy_s=0.1)


def outcome(number: int) -> Outcome:
    return Outcome(f"frame-{number}_{number:06d}.ome.tif", frame(number).sha256)


FRAMES = [frame(number) for number in range(1, 9)]
ENTRIES = [entry(number) for number in range(1, 9)]
RESULTS = [outcome(number) for number in range(1, 9)]


def test_where_everything_is_done_once_nothing_is_missed() -> None:
    found = losses(FRAMES, ENTRIES, RESULTS)
    assert found == Losses(lost=0, doubled=0, partial=0)
    assert not found.any


@given(missing=st.sets(st.integers(0, 7), min_size=1), of_results=st.booleans())
def test_a_frame_without_row_or_without_result_is_lost(missing: set[int], of_results: bool) -> None:
    def kept(rows):
        return [row for number, row in enumerate(rows) if number not in missing]

    found = losses(FRAMES, *((ENTRIES, kept(RESULTS)) if of_results else (kept(ENTRIES), RESULTS)))
    assert found.lost == len(missing)
    assert found.any


def test_a_frame_that_waits_or_was_set_aside_is_lost() -> None:
    waiting = [replace(ENTRIES[0], state="waiting"), replace(ENTRIES[1], state="set_aside"), *ENTRIES[2:]]
    assert losses(FRAMES, waiting, RESULTS).lost == 2


def test_accepted_twice_or_two_results_is_doubled() -> None:
    assert losses(FRAMES, [*ENTRIES, ENTRIES[3]], RESULTS).doubled == 1
    assert losses(FRAMES, ENTRIES, [*RESULTS, outcome(3), outcome(4)]).doubled == 2


def test_half_a_frame_and_half_a_result_are_partial(tmp_path: Path) -> None:
    half = Entry(sha256_bytes(b"half"), "reconstructed", 0.0, 1.0, 0.1)
    assert losses(FRAMES, [*ENTRIES, half], RESULTS).partial == 1
    pixels = np.arange(4096, dtype=np.uint16).reshape(64, 64)
    for name in ("whole.ome.tif", "torn.ome.tif"):
        write_result(tmp_path / name, pixels, pixel_size_nm=4.0, provenance={"source": {"sha256": "a" * 64}})
    content = (tmp_path / "torn.ome.tif").read_bytes()
    (tmp_path / "torn.ome.tif").write_bytes(content[: len(content) // 2])
    torn, whole = read_results(tmp_path)
    assert (whole.sha256, torn.sha256) == ("a" * 64, None)
    assert losses(FRAMES, ENTRIES, [*RESULTS, torn]).partial == 1


def test_latencies_are_those_of_the_ledger_without_the_workers_time() -> None:
    assert closed_to_read_ms(FRAMES, ENTRIES).p50 == pytest.approx(4, abs=1e-3)
    assert closed_to_result_ms(FRAMES, ENTRIES).p95 == pytest.approx(200, abs=1e-3)


def test_the_slow_down_is_paired_over_blocks() -> None:
    # The blocks differ tenfold, the daemon costs ten per cent in each.
    pairs = [([frame(1, 1.1 * base)] * 3, [frame(2, base)] * 3) for base in (1.0, 3.0, 10.0)]
    found = writer_cost(pairs)
    assert found.pairs == 3
    assert found.of_mean.ratio_less_one == pytest.approx(0.1)
    assert found.of_median.ci95 == pytest.approx((0.1, 0.1))


def test_manners_have_their_shares_and_frames_are_told_apart() -> None:
    manners = [manner_of(number, seed=3) for number in range(3000)]
    assert manners == [manner_of(number, seed=3) for number in range(3000)]
    assert math.isclose(manners.count(Manner.SLOW) / 3000, 0.3, abs_tol=0.03)
    assert math.isclose(manners.count(Manner.RENAMED) / 3000, 0.2, abs_tol=0.03)
    assert len({frame_bytes(number, 32, 0) for number in (*range(64), 65536, 65600)}) == 66


def test_the_writer_leaves_every_frame_whole_and_nothing_else(tmp_path: Path) -> None:
    block = Block(folder=tmp_path, first=5, count=20, side_px=32, seed=1)
    before = time.time()
    written = Writer().write(block)
    assert sorted(each.number for each in written) == list(range(5, 25))
    assert {each.manner for each in written} == set(Manner)
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(each.name for each in written)
    for each in written:
        assert (
            sha256_file(tmp_path / each.name) == each.sha256 == sha256_bytes(frame_bytes(each.number, 32, 1))
        )
        assert read_frame(tmp_path / each.name).pixels.shape == (32, 32)
        assert before <= each.closed_at <= time.time()
        assert each.write_ms > 0


def test_a_frozen_process_stands_still_with_its_children() -> None:
    program = "import subprocess, sys; subprocess.run([sys.executable, '-c', 'while True: pass'])"
    with subprocess.Popen([sys.executable, "-c", program]) as process:
        try:
            while len(family(process.pid)) < 2:
                time.sleep(0.01)
            child = family(process.pid)[1]
            with frozen(process.pid):
                before = usage(child).cpu_s
                states = [
                    Path(f"/proc/{each}/stat").read_text().rpartition(")")[2].split()[0]
                    for each in family(process.pid)
                ]
                assert usage(child).cpu_s == before
            assert states == ["T", "T"]
            while usage(child).cpu_s <= before:
                time.sleep(0.01)
            assert usage(child).rss_bytes > 0
        finally:
            for each in reversed(family(process.pid)):
                subprocess.run(["kill", "-9", str(each)], check=False)


def test_a_method_is_found_by_its_name_or_refused_with_those_that_are() -> None:
    assert method_named("median").id == "median"
    assert method_named("unet-denoise-shot").version
    with pytest.raises(ScenarioError, match=r"median.*unet-denoise-shot"):
        method_named("no-such")


def test_benchmarks_of_other_packages_are_added_and_absent_ones_leave_the_rest() -> None:
    app = typer.Typer()
    app.command("own")(lambda: None)
    add_contributed(
        app,
        [
            EntryPoint("daemon", "simulations.replay.cli:register", "synoptic.benchmarks"),
            EntryPoint("absent", "package_that_is_not_installed.cli:register", "synoptic.benchmarks"),
        ],
    )
    shown = CliRunner().invoke(app, ["--help"])
    assert shown.exit_code == 0
    assert "own" in shown.output
    assert "daemon" in shown.output
    help_page = CliRunner().invoke(app, ["daemon", "--help"])
    assert "synoptic benchmark daemon --frames" in help_page.output


def test_a_short_replay_loses_nothing_and_says_what_it_measured(tmp_path: Path) -> None:
    app = typer.Typer()
    register(app)
    told = tmp_path / "daemon.json"
    sizes = ("--frame-px", "64", "--fast-px", "32", "--pairs", "2", "--block", "3", "--interval-ms", "20")
    done = CliRunner().invoke(
        app,
        [
            "daemon",
            "--frames",
            "30",
            "--kills",
            "2",
            *sizes,
            "--idle-s",
            "1",
            "--json",
            str(told),
            "--seed",
            "4",
        ],
    )
    assert done.exit_code == 0, done.output
    assert "lost 0, doubled 0, partial 0" in done.output
    report = ReplayReport.model_validate(json.loads(told.read_text()))
    assert report.frames == 8 + 2 * 3 + 1 + 30
    assert report.kills == 2
    assert report.leftovers == 0
    assert report.closed_to_read_ms.p50 > 0
    assert report.idle.rss_mb > 10
    first = report.first_frame
    assert 0 < first.up_s < first.read_s < first.result_s
    assert not first.torch_loaded
