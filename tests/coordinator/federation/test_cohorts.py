"""Who learns together, and when."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from coordinator.federation.cohorts import (
    PIXEL_SIZE_RANGE,
    Conditions,
    Standing,
    cohorts,
    objection,
    similar,
)
from model_library.networks.config import ResidualDenoiserConfig, UNetConfig
from model_library.wire.methods import NetworkRef
from model_library.wire.tasks import Denoise, Segment, SuperResolve

NETWORK = NetworkRef(id="unet", version="1", weights_sha256="0" * 64)
UNET = UNetConfig(widths=(8, 16))
CONDITIONS = Conditions(quorum=2, new_frames=100)


def standing(name: str, **changes: Any) -> Standing:
    facts: dict[str, Any] = {
        "instrument_id": f"{name}-1",
        "site": name,
        "task": Denoise(),
        "network": NETWORK,
        "config": UNET,
        "pixel_size_nm": 4.0,
        "willing": True,
        "progress": "ended",
        "acquired": 50,
    }
    return Standing(**{**facts, **changes})


def sites(found: Any) -> list[list[str]]:
    return [sorted(each.site for each in cohort.standings) for cohort in found]


def test_a_cohort_has_one_task_and_one_architecture() -> None:
    found = cohorts(
        [
            standing("a"),
            standing("b"),
            standing("doubled", task=SuperResolve(scale=2)),
            standing("other", config=ResidualDenoiserConfig(depth=3, width=4)),
            standing("wider", config=UNetConfig(widths=(8, 32))),
        ]
    )
    assert sorted(sites(found)) == [["a", "b"], ["doubled"], ["other"], ["wider"]]
    assert len({cohort.id for cohort in found}) == 4


@pytest.mark.parametrize(
    "changes", [{"network": None, "config": None}, {"task": Segment(classes=("background", "cell"))}]
)
def test_without_a_network_or_for_segmentation_there_is_no_cohort(changes: dict[str, Any]) -> None:
    assert cohorts([standing("a", **changes)]) == ()


def test_pixel_sizes_of_a_cohort_differ_by_a_factor_of_two_at_most() -> None:
    sizes = {"a": 3.5, "b": 4.0, "c": 5.0, "d": 7.0, "e": 7.1, "unknown": None}
    found = cohorts([standing(name, pixel_size_nm=size) for name, size in sizes.items()])
    assert sorted(sites(found)) == [["a", "b", "c", "d"], ["e"], ["unknown"]]
    [span] = [cohort.pixel_size_nm for cohort in found if len(cohort.standings) == 4]
    assert span == (3.5, 7.0)


SIZES = st.lists(st.one_of(st.none(), st.floats(0.1, 1000)), max_size=12)


@given(sizes=SIZES, order=st.randoms(use_true_random=False))
def test_every_instrument_is_in_one_cohort_whatever_the_order(sizes: list[float | None], order: Any) -> None:
    standings = [standing(f"s{number}", pixel_size_nm=size) for number, size in enumerate(sizes)]
    found = cohorts(standings)
    shuffled = list(standings)
    order.shuffle(shuffled)
    assert [(each.id, sites([each])) for each in cohorts(shuffled)] == [
        (each.id, sites([each])) for each in found
    ]
    assert sorted(each.site for cohort in found for each in cohort.standings) == sorted(
        each.site for each in standings
    )
    for cohort in found:
        if cohort.pixel_size_nm is not None:
            low, high = cohort.pixel_size_nm
            assert high <= PIXEL_SIZE_RANGE * low


@pytest.mark.parametrize(
    ("size", "span", "fits"),
    [
        (4.0, (3.5, 7.0), True),
        (7.1, (3.5, 7.0), False),
        (3.6, (4.0, 7.0), True),
        (3.4, (4.0, 7.0), False),
        (None, (4.0, 7.0), False),
        (None, None, True),
        (4.0, None, False),
    ],
)
def test_whether_an_instrument_fits_a_cohort(
    size: float | None, span: tuple[float, float] | None, fits: bool
) -> None:
    assert similar(size, span) is fits


def why(*standings: Standing, before: dict[str, int] | None = None) -> str | None:
    [cohort] = cohorts(standings)
    return objection(cohort, standings, before or {}, CONDITIONS)


def test_a_cohort_federates_once_a_quorum_is_willing_and_has_ended_its_campaigns() -> None:
    assert why(standing("a"), standing("b")) is None
    assert why(standing("a"), standing("b"), standing("c", willing=False)) is None
    assert "1 of at least 2" in str(why(standing("a"), standing("b", willing=False)))
    assert "1 of at least 2" in str(why(standing("a"), standing("b", progress="idle")))


def test_it_waits_for_a_campaign_that_may_yet_bring_another_instrument_in() -> None:
    ready = (standing("a"), standing("b"))
    late = standing("late", progress="under way", network=None, config=None)
    assert "under way at late" in str(why(*ready, late))
    assert why(*ready, standing("late", progress="idle", network=None, config=None)) is None
    assert (
        why(*ready, standing("late", progress="under way", task=SuperResolve(scale=2), config=None)) is None
    )


def test_it_federates_again_when_every_willing_member_has_enough_new_frames() -> None:
    before = {"a-1": 50, "b-1": 60}
    a, b = standing("a", acquired=150), standing("b", acquired=160)
    assert why(a, b, before=before) is None
    assert "b have fewer than 100 new frames" in str(why(a, standing("b", acquired=159), before=before))
    unwilling = standing("b", acquired=60, willing=False)
    assert why(a, standing("new", acquired=3), unwilling, before=before) is None
