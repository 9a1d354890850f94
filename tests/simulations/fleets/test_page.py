"""The report and what is summed up for it, from figures that are made up."""

import pytest

from coordinator.federation.plan import Refusal, RoundRecord
from simulations.fleets.attacks import Attack
from simulations.fleets.judging import Judged, difference
from simulations.fleets.outcome import (
    AttackRun,
    Bytes,
    FleetOutcome,
    Memory,
    NetworkFacts,
    VariantRun,
    bytes_of,
    contributions,
    sums,
)
from simulations.fleets.page import plots_of, render
from simulations.fleets.page_seeds import render_seeds, seeds_rows
from simulations.fleets.seeds import over_seeds

SCORES = {
    "acquired": {"a": (10.0, 12.0), "b": (20.0, 22.0)},
    "start": {"a": (11.0, 13.0), "b": (21.0, 23.0)},
    "federated": {"a": (18.0, 20.0), "b": (27.0, 31.0)},
    "local_only": {"a": (17.0, 19.0), "b": (28.0, 30.0)},
    "pooled": {"a": (20.0, 22.0), "b": (30.0, 32.0)},
}


def record(number: int, contributed: tuple[str, ...]) -> RoundRecord:
    return RoundRecord(
        number=number,
        started_at=0.0,
        eligible=("a", "b"),
        contributed=contributed,
        refused=tuple(Refusal(site=each, cause="<asleep>") for each in {"a", "b"} - set(contributed)),
        seconds=10.0,
        train_seconds=1.0,
        bytes_up=100,
        bytes_down=300,
        fields={},
        examples={},
        attempt=1,
    )


@pytest.fixture
def outcome() -> FleetOutcome:
    rounds = (record(1, ("a", "b")), record(2, ("a",)))
    lost = difference(SCORES["federated"], SCORES["local_only"], ["a", "b"])
    return FleetOutcome.model_validate(
        {
            "scenario": "made-up",
            "told": "Made up.",
            "unit": "dB",
            "seed": 0,
            "network": NetworkFacts(name="none", parameters=1),
            "instruments": {"a": "tissue", "b": "steel"},
            "state": "completed",
            "cause": None,
            "rounds": rounds,
            "contributions": contributions(rounds, ["a", "b"]),
            "bytes": bytes_of(rounds),
            "rss_mb": Memory(server=1, all=2),
            "virtual_s": 20.0,
            "seconds": 3.0,
            "stage_seconds": {},
            **sums(Judged(scores=SCORES, pooled_steps=12)),
            "attacks": (
                AttackRun(
                    kind=Attack.NAN,
                    lost=lost,
                    dropped=("b",),
                    quarantined=(),
                    unguarded_lost=None,
                    why="round 2: no site could train on the network that it was sent",
                ),
            ),
            "variants": (
                VariantRun(name="private", gained=lost, mean=24.0, epsilon=3.5, bytes=Bytes(up=1, down=2)),
            ),
        }
    )


def test_sums_are_those_of_the_figures(outcome: FleetOutcome) -> None:
    assert outcome.contributions == {"a": 2, "b": 1}
    assert outcome.bytes == Bytes(up=200, down=600)
    assert outcome.mean["federated"] == 24.0
    assert outcome.of_pooled == pytest.approx(24 / 26)
    assert outcome.gain_of_pooled == pytest.approx((24 - 16) / (26 - 16))
    assert outcome.against_local["a"].difference == 1.0
    assert outcome.against_local["b"].difference == 0.0
    assert outcome.quality["pooled"]["a"].mean == 21.0
    low, high = outcome.quality["pooled"]["a"].ci95
    assert low < 21.0 < high


def test_the_page_tells_everything_and_no_markup_of_others_gets_in(outcome: FleetOutcome) -> None:
    plots = plots_of(outcome)
    page = render(outcome, plots)
    assert set(plots) == {
        "quality.png",
        "against-local.png",
        "contributions.png",
        "attacks.png",
        "variants.png",
    }
    assert all(content.startswith(b"\x89PNG") for content in plots.values())
    for told in ("92.3%", "80%", "no site could train", "private", "3.5", "b: &lt;asleep&gt;"):
        assert told in page
    assert "<asleep>" not in page


def test_an_outcome_without_a_network_has_a_page(outcome: FleetOutcome) -> None:
    failed = outcome.model_copy(
        update={
            "state": "failed",
            "cause": "round 1: nobody came",
            "rounds": (),
            "quality": {},
            "mean": {},
            "against_local": {},
            "attacks": (),
            "variants": (),
        }
    )
    page = render(failed, plots_of(failed))
    assert "The rounds failed: round 1: nobody came" in page


def test_seeds_are_summed_up_by_their_means_and_paired(outcome: FleetOutcome) -> None:
    quality = outcome.quality
    better = {
        site: each.model_copy(update={"mean": each.mean + 2}) for site, each in quality["federated"].items()
    }
    other = outcome.model_copy(
        update={
            "seed": 1,
            "quality": {**quality, "federated": better},
            "mean": {**outcome.mean, "federated": 26.0},
        }
    )
    found = over_seeds([outcome, other])
    assert found.seeds == (0, 1)
    assert found.mean["federated"].mean == 25.0
    assert found.of_pooled["federated"].mean == pytest.approx((24 / 26 + 26 / 26) / 2)
    assert found.against_local["federated"]["a"].difference == pytest.approx(2.0)
    assert found.against_local["federated"]["a"].fields == 2
    low, high = found.against_local["federated"]["b"].ci95
    assert low < 1.0 < high
    assert ("a, federated, minus alone") in dict(seeds_rows(found))
    assert "seed-1/index.html" in render_seeds(found)


def test_one_failed_seed_leaves_nothing_to_compare(outcome: FleetOutcome) -> None:
    failed = outcome.model_copy(update={"seed": 7, "state": "failed", "cause": "nobody came", "mean": {}})
    found = over_seeds([outcome, failed])
    assert (found.state, found.cause) == ("failed", "seed 7: nobody came")
    assert not found.against_local
    assert "nobody came" in render_seeds(found)
