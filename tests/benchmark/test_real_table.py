"""The table of the suite: names, splits and windows; no image serves two purposes."""

import re
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmark.errors import BenchmarkError
from benchmark.real.build import named
from benchmark.real.sources import SOURCES, Part, data_folder
from benchmark.real.table import CASES, Labelled, PlantedNoise, SecondFrame
from benchmark.real.windows import spread, windows

UNDIVIDED = [source for source in SOURCES if not source.divided]
SPECIMEN = {
    "axons": r"sub-rat\d",
    "oxide": r"^[^_]+",
    "superalloy": r"^spot\d",
    "powder": r"^Sc\d",
}
"""What names the specimen in a file's name."""


def test_cases_and_sources_bear_different_names():
    for names in ([case.name for case in CASES], [source.id for source in SOURCES]):
        assert len(set(names)) == len(names)
    assert {case.source.id for case in CASES} == {source.id for source in SOURCES}


def test_the_suite_has_the_cases_that_the_bars_are_about():
    kinds = [type(case.how) for case in CASES]
    assert kinds.count(PlantedNoise) >= 12
    assert kinds.count(SecondFrame) >= 3
    levels = {case.how.electrons_per_pixel for case in CASES if isinstance(case.how, PlantedNoise)}
    assert len(levels) == 2
    assert {case.task.scale for case in CASES} == {1, 2, 4}
    targets = {case.how.target for case in CASES if isinstance(case.how, Labelled)}
    assert targets == {"membrane", "axon", "precipitate", "crack", "particle"}


def test_noise_is_planted_on_images_that_were_binned_against_their_own():
    assert {case.how.bin for case in CASES if isinstance(case.how, PlantedNoise)} == {2}


@pytest.mark.parametrize("source", UNDIVIDED, ids=lambda source: source.id)
def test_no_file_or_page_serves_both_parts(source, shared_data):
    tuning, scored = (source.files(shared_data, part) for part in Part)
    if source.tuning_pages:
        assert tuning == scored
        assert max(source.tuning_pages) + 8 < min(source.scored_pages)
        return
    assert not set(tuning) & set(scored)
    pattern = SPECIMEN.get(source.id)
    if pattern:
        parts = [{re.search(pattern, path.name).group() for path in files} for files in (tuning, scored)]
        assert not parts[0] & parts[1]


def test_isbi_scores_the_last_six_of_thirty_slices(shared_data):
    isbi = next(source for source in SOURCES if source.id == "isbi2012")
    assert len(isbi.files(shared_data, Part.TUNING)) == 24
    assert [path.stem for path in isbi.files(shared_data, Part.SCORED)] == [
        "24",
        "25",
        "26",
        "27",
        "28",
        "29",
    ]


def test_a_missing_folder_or_file_is_refused_with_what_is_expected(tmp_path):
    with pytest.raises(BenchmarkError, match=r"SYNOPTIC_SHARED_DATA.*em_bio_sem_axons_ads.*none named"):
        data_folder(None)
    with pytest.raises(BenchmarkError, match="absent"):
        data_folder(tmp_path / "absent")
    with pytest.raises(BenchmarkError, match=r"sub-rat.*found no such file"):
        SOURCES[0].files(tmp_path, Part.SCORED)


def test_cases_are_chosen_by_name_in_the_order_of_the_table():
    assert named(CASES, ()) == CASES
    assert named(CASES, (CASES[3].name, CASES[1].name)) == (CASES[1], CASES[3])
    with pytest.raises(BenchmarkError, match="found nothing-like-it"):
        named(CASES, ("nothing-like-it",))


shapes = st.tuples(st.integers(40, 200), st.integers(80, 200))


@given(shapes, st.integers(16, 64), st.integers(1, 12), st.integers(0, 9))
def test_windows_lie_inside_their_half_and_never_overlap(shape, side, count, seed):
    covered = np.zeros(shape, dtype=int)
    for part in Part:
        chosen = windows(shape, side, count, np.random.default_rng(seed), part)
        assert 1 <= len(chosen) <= count
        for rows, columns in chosen:
            covered[rows, columns] += 1
            within = columns.stop <= shape[1] // 2 if part is Part.TUNING else columns.start >= shape[1] // 2
            assert within
            assert rows.stop <= shape[0]
            assert columns.stop <= shape[1]
    assert covered.max() == 1


def test_a_shorter_axis_is_taken_whole():
    (window,) = windows((30, 200), 64, 1, np.random.default_rng(0))
    assert window[0] == slice(0, 30)
    assert window[1].stop - window[1].start == 64


@given(st.integers(1, 40), st.integers(1, 12))
def test_spread_items_keep_their_order_and_both_ends(number, most):
    chosen = spread(range(number), most)
    assert len(chosen) == min(number, most)
    assert sorted(set(chosen)) == list(chosen)
    if most > 1:
        assert (chosen[0], chosen[-1]) == (0, number - 1)


def test_the_document_names_every_source_and_every_case_it_can_run():
    document = (Path(__file__).parents[2] / "docs" / "benchmarks.md").read_text(encoding="utf-8")
    assert not [source.id for source in SOURCES if f"`{source.id}`" not in document]
    assert not [case.name for case in CASES if f"`{case.name}`" not in document]
    assert not [source.folder for source in SOURCES if source.folder not in document]
