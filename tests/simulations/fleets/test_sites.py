"""Instruments and their frames: everything follows from the seed and the name, and the truth stays hidden."""

import json
from pathlib import Path

import numpy as np
import pytest

from model_library.degradation.operators import ShotNoise
from model_library.images.contents import read_grey_frame
from model_library.specimens import SpecimenKind
from simulations.fleets.scenario import FleetScenario, Frames, FreshNetwork, Instruments
from simulations.fleets.sites import Instrument, instruments_of, read_known, write_frames

TISSUE = Instruments(name="tissue", count=2, specimen=SpecimenKind.CELLS, dose=(10, 40))
ALLOY = Instruments(name="alloy", specimen=SpecimenKind.PRECIPITATES, dose=30, dose_falls_to=5)


def scenario(*groups: Instruments, seed: int = 0) -> FleetScenario:
    return FleetScenario(
        name="sites",
        told="Frames.",
        seed=seed,
        network=FreshNetwork(widths=(4, 8)),
        frames=Frames(trained=4, held_out=2, side_px=64),
        federation={},
        instruments=groups,
    )


def dose(instrument: Instrument, number: int) -> float:
    recipe = instrument.site.recipe_at(number)
    assert recipe is not None
    return next(each.electrons_per_pixel for each in recipe.operators if isinstance(each, ShotNoise))


def test_each_instrument_draws_its_own_within_the_range() -> None:
    one, two = instruments_of(scenario(TISSUE))
    assert (one.id, two.id) == ("tissue-001", "tissue-002")
    assert 10 <= dose(one, 0) <= 40
    assert dose(one, 0) != dose(two, 0)


def test_another_group_changes_nothing_for_those_that_were_there() -> None:
    assert instruments_of(scenario(TISSUE)) == instruments_of(scenario(ALLOY, TISSUE))[1:]


def test_another_seed_draws_others() -> None:
    assert dose(instruments_of(scenario(TISSUE))[0], 0) != dose(
        instruments_of(scenario(TISSUE, seed=1))[0], 0
    )


def test_an_instrument_that_drifts_is_judged_as_it_is_now() -> None:
    [alloy] = instruments_of(scenario(ALLOY))
    assert [dose(alloy, number) for number in range(6)] == [30, 30, 5, 5, 5, 5]


def test_frames_follow_from_the_seed_and_the_newest_comes_first(tmp_path: Path) -> None:
    asked = scenario(ALLOY)
    [alloy] = instruments_of(asked)
    one = write_frames(alloy, asked, tmp_path / "one", spoil=False)
    two = write_frames(alloy, asked, tmp_path / "two", spoil=False)
    assert [each.sha256 for each in one.trained] == [each.sha256 for each in two.trained]
    assert [Path(each.path).name for each in one.trained] == [f"0000{n}.tif" for n in (3, 2, 1, 0)]


def test_no_file_that_the_site_is_told_of_is_judged_on(tmp_path: Path) -> None:
    asked = scenario(TISSUE)
    found = write_frames(instruments_of(asked)[0], asked, tmp_path / "site", spoil=False)
    told = json.dumps([each.model_dump() for each in found.trained])
    assert found.held_out.name not in told
    fields = {each.field for each in found.trained}
    assert len(fields) == asked.frames.trained
    trained = [read_grey_frame(Path(each.path)).grey for each in found.trained]
    for frame, truth in read_known(found.held_out):
        assert frame.shape == truth.shape == (64, 64)
        assert not any(np.array_equal(frame, other) for other in trained)
        assert np.abs(frame - truth).mean() > 0


@pytest.mark.parametrize("spoil", [False, True])
def test_only_what_an_attacker_learns_from_is_shuffled(tmp_path: Path, spoil: bool) -> None:
    asked = scenario(TISSUE)
    site = instruments_of(asked)[0]
    plain = write_frames(site, asked, tmp_path / "plain", spoil=False)
    found = write_frames(site, asked, tmp_path / "found", spoil=spoil)
    same = [a.sha256 == b.sha256 for a, b in zip(plain.trained, found.trained, strict=True)]
    assert not any(same) if spoil else all(same)
    for (a, _), (b, _) in zip(read_known(plain.held_out), read_known(found.held_out), strict=True):
        np.testing.assert_array_equal(a, b)


def test_the_gates_frames_are_neither_trained_on_nor_judged(tmp_path: Path) -> None:
    asked = scenario(ALLOY).model_copy(update={"frames": Frames(trained=4, gate=3, held_out=2, side_px=64)})
    found = write_frames(instruments_of(asked)[0], asked, tmp_path / "site", spoil=False)
    known = [[frame for frame, _ in read_known(path)] for path in (found.gate, found.held_out)]
    trained = [read_grey_frame(Path(each.path)).grey for each in found.trained]
    assert [len(trained), *map(len, known)] == [4, 3, 2]
    digests = {np.asarray(frame).tobytes() for frames in (trained, *known) for frame in frames}
    assert len(digests) == 9
