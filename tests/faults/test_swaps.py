"""Networks are swapped while frames come and the daemon is killed: each frame is one network's, wholly."""

import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from model_library.images.readers import read_frame, read_provenance
from model_library.images.writers import write_result
from simulations.replay.swap_accounts import SwapReport, Told, account, misnamed, tellings
from simulations.replay.swaps import Battered, SwapPlan, batter

KILLS = 200 if os.environ.get("SYNOPTIC_LONG") == "1" else 8
PLAN = SwapPlan(kills=KILLS, networks=6 if KILLS > 8 else 2, seed=11)

pytestmark = pytest.mark.timeout(60 * KILLS)


@pytest.fixture(scope="module")
def battered(tmp_path_factory: pytest.TempPathFactory) -> Battered:
    return batter(tmp_path_factory.mktemp("swaps"), PLAN, print)


@pytest.fixture(scope="module")
def report(battered: Battered) -> SwapReport:
    return account(battered, KILLS)


def test_every_frame_is_done_once(report: SwapReport) -> None:
    assert report.frames == KILLS * PLAN.frames_per_kill
    assert not report.losses.any, report.losses


def test_ledger_provenance_and_release_name_the_same_network(report: SwapReport) -> None:
    assert report.misnamed == 0


def test_each_result_is_that_of_the_network_that_it_names_and_of_no_other(report: SwapReport) -> None:
    assert report.of_another_network == 0, report
    assert len(report.frames_by_network) == PLAN.networks


def test_the_swaps_went_on_all_the_while(report: SwapReport) -> None:
    assert report.releases == KILLS + 1
    assert report.releases_that_worked >= KILLS // 3
    assert report.kills_in_mid_swap > 0


def test_a_frame_of_the_other_network_is_found(battered: Battered, tmp_path: Path) -> None:
    results = sorted(battered.results.rglob("*.ome.tif"))
    told = tellings(battered)
    names = {path: read_provenance(path)["method"]["id"] for path in results}
    one = results[0]
    other = next(path for path in results if names[path] != names[one])
    pixels = read_frame(other).pixels
    write_result(
        tmp_path / "swapped.ome.tif", np.asarray(pixels), pixel_size_nm=4.0, provenance=read_provenance(one)
    )
    found = tellings(replace(battered, results=tmp_path))
    assert [each.is_of_another for each in found.values()] == [True]
    assert not told[next(iter(found))].is_of_another


def test_a_result_that_names_another_release_or_network_is_found(battered: Battered) -> None:
    told = tellings(battered)
    sha256, first = next(iter(told.items()))
    swapped = next(each for each in told.values() if each.network_id != first.network_id)
    lies: list[Told | None] = [
        replace(first, release_id=swapped.release_id),
        replace(first, network_id=swapped.network_id),
        replace(first, weights_sha256=swapped.weights_sha256),
        None,
    ]
    for lie in lies:
        lying = {key: value for key, value in (told | {sha256: lie}).items() if value is not None}
        assert misnamed(battered, lying) == 1
